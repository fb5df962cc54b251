"""``cygno-frontend``: bring the events of the devices into the experiment."""

import json
import logging
import signal
import sys
from collections.abc import Callable
from typing import Annotated, Protocol

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from experiment.client import Client
from experiment.connect import connect
from experiment.errors import ExperimentError
from frontend import slow as slow_control
from frontend.errors import FrontendError
from frontend.instance import Instance
from frontend.odb_setup import BUFFER_SECONDS, Change, require_memory, write_changes
from frontend.readiness import Readiness, Verdict, ask_or_look, clients_of
from frontend.slow import SlowFrontend
from frontend.trigger import TriggerFrontend
from hardware.errors import DeviceError
from rawdata.datamodel import MAX_INDEX

app = typer.Typer(
    help=__doc__,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
errors = Console(stderr=True)
_COLORS = {Verdict.OK: "green", Verdict.WARNING: "yellow", Verdict.REFUSED: "red"}

Experiment = Annotated[
    str | None,
    typer.Option(
        help="Folder of a standalone experiment, or name of a MIDAS one.",
        envvar="CYGNO_EXPERIMENT",
    ),
]
Index = Annotated[
    int | None,
    typer.Option(
        "--index",
        "-i",
        min=0,
        max=MAX_INDEX,
        help="Number of this frontend among several: own client, equipment and event id.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Answer for machines.")]
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
        _require_alone(client, name)
        make(client).serve(lambda: stop)
    finally:
        client.disconnect()


def _require_alone(client: Client, name: str) -> None:
    """Check that no other program has this name: both would send the same events.

    :raises FrontendError: if one has.
    """
    if client.name != name:
        raise FrontendError(
            f"{name} runs already in this experiment. End it first (from the Programs page, or by"
            " SIGTERM)"
        )


@app.command()
def trigger(experiment: Experiment = None, index: Index = None, verbose: Verbose = False) -> None:
    """Read cameras and digitizers, and send one event for each frame.

    Devices and the way of frames are set in the ODB, /Equipment/Trigger/Settings; what a run shall
    be in /Configurations. FreeRunning = y takes frames alone; else TriggerMode 0 keeps frames with
    a PMT trigger, 3 keeps all; Mode in Settings names one of the three instead. With one process
    for each camera or PC, -i 2 makes the equipment /Equipment/Trigger02, whose events have the id
    102.

    Examples:

      cygno-frontend trigger --experiment ./demo

      MIDAS_EXPT_NAME=LNGS cygno-frontend trigger

      cygno-frontend trigger -i 2
    """
    instance = Instance(index)

    def make(client: Client) -> TriggerFrontend:
        return TriggerFrontend(client, instance)

    _serve(instance.client_name, make, experiment, verbose)


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


@app.command()
def check(experiment: Experiment = None, index: Index = None, as_json: Json = False) -> None:
    """Say what begin of run would refuse; exit code 1 if it would.

    Settings, devices, sizes of events and buffer, and disk are looked at as begin of run does.
    Where the trigger frontend runs, it looks itself; else the devices are opened for the moment.

    Examples:

      cygno-frontend check --experiment ./demo

      cygno-frontend check --json
    """
    client = connect("cygno-frontend-check", experiment)
    try:
        found = ask_or_look(client, Instance(index))
    finally:
        client.disconnect()
    if as_json:
        typer.echo(json.dumps(found.as_dict()))
    else:
        _show_findings(found)
    if not found.is_ready:
        sys.exit(1)


@app.command()
def setup(
    experiment: Experiment = None,
    index: Index = None,
    buffer_seconds: Annotated[
        float, typer.Option(min=0, max=3600, help="Time at full rate that the buffer shall hold.")
    ] = BUFFER_SECONDS,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Write without asking.")] = False,
    as_json: Json = False,
) -> None:
    """Show what the ODB needs for these cameras and this rate, and write it once you agree.

    It raises /Experiment/MAX_EVENT_SIZE and the size of the event buffer where they are too small,
    and turns the history of the trigger equipment off. With --json it writes with --yes alone.

    Examples:

      cygno-frontend setup --experiment ./demo

      cygno-frontend setup --buffer-seconds 10 --yes
    """
    client = connect("cygno-frontend-setup", experiment)
    try:
        found = ask_or_look(client, Instance(index), buffer_seconds)
        if not found.is_measured:
            reasons = [f.text for f in found.findings if f.verdict is Verdict.REFUSED]
            raise FrontendError("; ".join(reasons))
        require_memory(found.changes)
        if not as_json:
            _show_changes(found.changes)
        is_agreed = bool(found.changes) and (yes or (not as_json and typer.confirm("Write this?")))
        if is_agreed:
            write_changes(client, found.changes)
        must_restart = is_agreed and any(change.needs_restart for change in found.changes)
        others = [name for name in clients_of(client) if name != client.name]
    finally:
        client.disconnect()
    if as_json:
        answer = [change.as_dict() for change in found.changes]
        typer.echo(
            json.dumps({"changes": answer, "written": is_agreed, "restart_clients": must_restart})
        )
    elif must_restart:
        running = f" Connected now: {', '.join(others)}." if others else ""
        typer.echo(
            "Written. The sizes count once all clients of the experiment, also mlogger and mhttpd,"
            f" have been stopped and started again.{running}"
        )
    elif is_agreed:
        typer.echo("Written.")


def _show_findings(found: Readiness) -> None:
    table = Table(box=None, pad_edge=False)
    for head in ("looked at", "", "says"):
        table.add_column(head, overflow="fold")
    for finding in found.findings:
        color = _COLORS[finding.verdict]
        table.add_row(finding.subject, f"[{color}]{finding.verdict}[/]", escape(finding.text))
    console = Console()
    console.print(table)
    console.print("ready" if found.is_ready else "begin of run would be refused")


def _show_changes(changes: list[Change]) -> None:
    if not changes:
        typer.echo("The ODB holds all that is needed.")
        return
    table = Table(box=None, pad_edge=False)
    for head in ("key", "old", "", "new", "why"):
        table.add_column(head, overflow="fold")
    for change in changes:
        old = "-" if change.old is None else str(change.old)
        table.add_row(change.key, old, "->", str(change.new), change.why)
    Console().print(table)


def main() -> None:
    """Run ``cygno-frontend``; an error is one line, never a traceback."""
    try:
        app()
    except (FrontendError, ExperimentError, DeviceError, OSError) as error:
        errors.print(
            f"cygno-frontend: {error}", style="red", markup=False, highlight=False, soft_wrap=True
        )
        sys.exit(1)


if __name__ == "__main__":
    main()
