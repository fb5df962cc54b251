"""``cygno-frontend``: bring the events of the devices into the experiment."""

import logging
import signal
import sys
from collections.abc import Callable
from typing import Annotated, Protocol

import typer
from rich.console import Console

from experiment.client import Client
from experiment.connect import connect
from experiment.errors import ExperimentError
from frontend import slow as slow_control
from frontend import trigger as trigger_frontend
from frontend.errors import FrontendError
from frontend.slow import SlowFrontend
from frontend.trigger import TriggerFrontend

app = typer.Typer(
    help=__doc__,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
errors = Console(stderr=True)

Experiment = Annotated[
    str | None,
    typer.Option(
        help="Folder of a standalone experiment, or name of a MIDAS one.",
        envvar="CYGNO_EXPERIMENT",
    ),
]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Log what goes on, to stderr.")]


class Frontend(Protocol):
    """A program that serves an experiment."""

    def serve(self, is_over: Callable[[], bool]) -> None:
        """Serve until it is over."""
        ...


def _serve(
    name: str, make: Callable[[Client], Frontend], experiment: str | None, is_verbose: bool
) -> None:
    """Connect, serve until a signal comes or an operator ends the program, and disconnect."""
    level = logging.INFO if is_verbose else logging.WARNING
    logging.basicConfig(level=level, format="%(asctime)s %(name)s %(levelname)s: %(message)s")
    stop = False

    def end(*_: object) -> None:
        nonlocal stop
        stop = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    client = connect(name, experiment)
    try:
        make(client).serve(lambda: stop)
    finally:
        client.disconnect()


@app.command()
def trigger(experiment: Experiment = None, verbose: Verbose = False) -> None:
    """Read cameras and digitizers, and send one event for each frame.

    Devices and the way of frames are set in the ODB, /Equipment/Trigger/Settings; what a run shall
    be in /Configurations. FreeRunning = y takes frames alone; else TriggerMode 0 keeps frames with
    a PMT trigger, 3 keeps all.

    Examples:

      cygno-frontend trigger --experiment ./demo

      MIDAS_EXPT_NAME=LNGS cygno-frontend trigger
    """
    _serve(trigger_frontend.CLIENT_NAME, TriggerFrontend, experiment, verbose)


@app.command()
def slow(experiment: Experiment = None, verbose: Verbose = False) -> None:
    """Read high voltage and environment periodically, with history.

    Devices are set in the ODB, /Equipment/HV/Settings and /Equipment/Environment/Settings; the
    time between readings is Common/Period of each.

    Examples:

      cygno-frontend slow --experiment ./demo

      MIDAS_EXPT_NAME=LNGS cygno-frontend slow
    """
    _serve(slow_control.CLIENT_NAME, SlowFrontend, experiment, verbose)


def main() -> None:
    """Run ``cygno-frontend``; an error is one line, never a traceback."""
    try:
        app()
    except (FrontendError, ExperimentError, OSError) as error:
        errors.print(f"cygno-frontend: {error}", style="red", markup=False, highlight=False)
        sys.exit(1)


if __name__ == "__main__":
    main()
