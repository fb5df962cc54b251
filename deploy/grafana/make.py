"""Write the dashboards: ``python deploy/grafana/make.py [--check]``.

The JSON files in ``dashboards/`` are what Grafana loads; they are made of what stands beside this
file, so that panels of one kind look alike. Every query in them is run against MariaDB by the tests.
"""

import json
import sys
from pathlib import Path

from quality import quality_dashboard
from run import run_dashboard
from slow_control import slow_control_dashboard
from storage import storage_dashboard

FOLDER = Path(__file__).parent / "dashboards"

DASHBOARDS = {
    "run.json": run_dashboard,
    "storage.json": storage_dashboard,
    "quality.json": quality_dashboard,
    "slow-control.json": slow_control_dashboard,
}


def main() -> int:
    """Write all of them; with ``--check`` only tell which are stale, and return 1 if any is."""
    is_check = "--check" in sys.argv[1:]
    stale = []
    for name, make in DASHBOARDS.items():
        path, text = FOLDER / name, json.dumps(make(), indent=1, ensure_ascii=False) + "\n"
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(name)
            if not is_check:
                path.write_text(text, encoding="utf-8")
    for name in stale:
        sys.stdout.write(f"{name} {'is stale' if is_check else 'written'}\n")
    return 1 if is_check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
