"""Serve the standalone experiment of a folder: ``python -m sim.server DIR``."""

import argparse
import logging
import sys
from pathlib import Path

from sim.errors import SimulationError
from sim.experiment.server import ExperimentServer


def main() -> None:
    """Serve until SIGTERM or SIGINT; exit 1 with one line if that is not possible."""
    parser = argparse.ArgumentParser(prog="python -m sim.server", description=__doc__)
    parser.add_argument("folder", type=Path, metavar="DIR", help="folder of the experiment")
    arguments = parser.parse_args()
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s")
    try:
        ExperimentServer(arguments.folder).run()
    except (SimulationError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(1)


if __name__ == "__main__":
    main()
