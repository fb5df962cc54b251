"""Care for what is staged: ``verify``, ``retry`` and ``prune``."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from stager.attach import Attached, connect_if_up, find_folder
from stager.catalog import Catalog
from stager.commands.groups import Where, grouped
from stager.commands.shared import (
    PIPED_WIDTH,
    Bars,
    Json,
    catalog_exists,
    complain,
)
from stager.configuration import Configuration, configure
from stager.errors import ConfigurationError
from stager.ledger import Ledger
from stager.outcome import Pass
from stager.recheck import NOT_ASKED, VERIFIED, Answer
from stager.resolve import Choice, keep_remote, retry_failed, upload_as
from stager.retention import Verdict
from stager.status import shown_size
from stager.worker import Worker

Runs = Annotated[list[int] | None, typer.Argument(help="Run numbers; none is all.")]
PlaceName = Annotated[str | None, typer.Option("--place", help="Only this place.")]

_COLORS = {VERIFIED: "green", NOT_ASKED: "yellow"}


@grouped
def verify(
    where: Where,
    runs: Runs = None,
    place: PlaceName = None,
    read_back: Annotated[
        bool, typer.Option("--read-back", help="Read every byte, whatever the place says of it.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Ask the places again whether they have what the catalog says they have.

    What is lost is written down, and brought there again where the local file still exists. Exit
    code 1 if a copy is missing or differs, a place could not be asked, or a run that was named has
    no verified copy to ask for.

    Examples:

      cygno-stager verify --experiment demo

      cygno-stager verify 42 43 --read-back --place tape --experiment demo
    """
    with _at_work(where) as (configuration, _, worker, _):
        _require_place(configuration, place)
        worker.begin_recheck(runs or (), place, read_back=read_back)
        answers = _drain(worker).answers
    complaints = [line for answer in answers if (line := answer.complaint())]
    without = sorted({*(runs or ())} - {answer.run for answer in answers})
    at = f" at place {place}" if place else ""
    complaints += [
        f"run {run} has no verified copy{at}; cygno-stager status --run {run} says why"
        for run in without
    ]
    if as_json:
        good = sum(answer.state == VERIFIED for answer in answers)
        content = {"verified": good, "failed": len(answers) - good, "runs_without_copy": without}
        typer.echo(json.dumps({**content, "copies": [answer.as_dict() for answer in answers]}))
    elif answers:
        _print(_answers_table(answers))
    elif not without:
        typer.echo(f"there is no verified copy{at} yet")
    _end(complaints)


@grouped
def retry(
    where: Where,
    runs: Runs = None,
    place: PlaceName = None,
    file: Annotated[str | None, typer.Option(help="Only the file of this name.")] = None,
    keep_there: Annotated[
        bool,
        typer.Option(
            "--keep-remote",
            help="Settle a conflict: what is there is right; our file stays here, and only here.",
        ),
    ] = False,
    name: Annotated[
        str | None,
        typer.Option(
            "--upload-as", metavar="NAME", help="Settle a conflict: bring our file there as NAME."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Let what has failed be tried at once by the daemon or by cygno-stager once; settle conflicts.

    A conflict is another content under the name of our file. It is never overwritten.

    Examples:

      cygno-stager retry --experiment demo

      cygno-stager retry 42 --upload-as run00042-second.mid.gz --place cloud --experiment demo

      cygno-stager retry 42 --keep-remote --file run00042.mid.gz --experiment demo
    """
    if keep_there and name is not None:
        raise ConfigurationError("--keep-remote or --upload-as: one of them settles a conflict")
    if (keep_there or name is not None) and not runs:
        raise ConfigurationError("name the run whose conflict is to be settled")
    choice = Choice(runs or (), place, file)
    with _at_work(where) as (configuration, ledger, _, _):
        _require_place(configuration, place)
        if keep_there:
            done, what = keep_remote(ledger, choice), "stays here, what is there is kept"
        elif name is not None:
            done, what = upload_as(ledger, choice, name), "goes there under its new name"
        else:
            done, what = retry_failed(ledger, choice), "is tried again at the next look"
    if as_json:
        typer.echo(json.dumps({"changed": len(done), "files": done}))
        return
    for entry in done:
        at = f" at {entry['place']} as {entry['object_key']}" if entry["place"] else ""
        typer.echo(f"run {entry['run']}, {Path(entry['path']).name}{at}: {what}")
    if not done:
        typer.echo("nothing has failed there")


@grouped
def prune(
    where: Where,
    runs: Runs = None,
    keep_days: Annotated[
        float | None, typer.Option(min=0, help="In place of the setting Keep days.")
    ] = None,
    keep_newest: Annotated[
        int | None, typer.Option(min=1, help="In place of the setting Keep newest runs.")
    ] = None,
    fuller_than: Annotated[
        float | None, typer.Option(min=0, max=100, help="In place of Fuller than percent.")
    ] = None,
    apply: Annotated[bool, typer.Option("--apply", help="Delete; else only show.")] = False,
    as_json: Json = False,
) -> None:
    """Show which local files may be deleted and why not the others; delete them with --apply.

    A run goes if every required place has all of it, and it is old or the disk is full. With
    --apply each place is asked again just before, and each file looked at once more. Exit code 1 if
    a file that was to go could not.

    Examples:

      cygno-stager prune --experiment demo

      cygno-stager prune --keep-days 7 --apply --experiment demo
    """
    with _at_work(where) as (configuration, ledger, worker, tied):
        rules = {
            "keep_days": keep_days,
            "keep_newest_runs": keep_newest,
            "fuller_than_percent": fuller_than,
        }
        given = {rule: value for rule, value in rules.items() if value is not None}
        settings = configuration.settings.model_copy(update=given)
        worker.use(replace(configuration, settings=settings), ledger)
        planned = worker.begin_prune(tied.current_run(), apply=apply, only=runs or ())
        result = _drain(worker)
    _report_prune(result.verdicts, runs or (), planned and apply, as_json)


def _report_prune(
    verdicts: list[Verdict], asked: Sequence[int], applied: bool, as_json: bool
) -> None:
    freed = sum(verdict.size_bytes for verdict in verdicts if verdict.goes)
    undone = [v for v in verdicts if applied and v.files and _was_to_go(v)]
    if as_json:
        content = {"applied": applied, "freed_bytes": freed, "failed": len(undone)}
        typer.echo(json.dumps({**content, "runs": [verdict.as_dict() for verdict in verdicts]}))
    elif verdicts:
        _print(_verdicts_table(verdicts, applied))
        count = sum(verdict.goes for verdict in verdicts)
        verb = "were deleted" if applied else "may go; delete them with --apply"
        typer.echo(f"{count} of {len(verdicts)} runs, {shown_size(freed)}, {verb}")
    elif not asked:
        typer.echo("there are no local files of runs")
    if not as_json:
        for run in sorted({*asked} - {verdict.run for verdict in verdicts}):
            typer.echo(f"there are no local files of run {run}")
    _end([f"run {verdict.run}: {verdict.reason}" for verdict in undone])


def _was_to_go(verdict: Verdict) -> bool:
    return verdict.was_to_go and len(verdict.deleted) < len(verdict.files)


@contextmanager
def _at_work(where: Where) -> Iterator[tuple[Configuration, Ledger, Worker, Attached]]:
    folder = find_folder(where.experiment)
    tied = Attached(connect_if_up("cygno-stager-care", where.experiment, folder))
    opened = worker = None
    try:
        configuration = configure(where.options, folder, tied.client, where.config)
        if not catalog_exists(configuration):
            raise ConfigurationError(f"there is no catalog {configuration.catalog_url} yet")
        opened = Catalog(configuration.catalog_url)
        ledger = Ledger(opened, configuration)
        worker = Worker(configuration, ledger, tied.pulse, Bars())
        yield configuration, ledger, worker, tied
    except KeyboardInterrupt:
        complain("interrupted; what was done is written down")
        raise typer.Exit(130) from None
    finally:
        if worker is not None:
            worker.close()
        if opened is not None:
            opened.close()
        tied.close()


def _drain(worker: Worker) -> Pass:
    while worker.is_busy:
        worker.collect(0.1)
    return worker.take_result()


def _require_place(configuration: Configuration, name: str | None) -> None:
    names = [place.name for place in configuration.places]
    if name is not None and name not in names:
        raise ConfigurationError(f"there is no place {name!r}; known: {', '.join(names)}")


def _answers_table(answers: list[Answer]) -> Table:
    table = Table()
    for title in ("run", "file", "place", "copy", "checksum", "by"):
        table.add_column(title, justify="right" if title == "run" else "left", overflow="fold")
    for answer in answers:
        color = _COLORS.get(answer.state, "red")
        table.add_row(
            str(answer.run),
            Path(answer.path).name,
            answer.place,
            f"[{color}]{answer.state}[/{color}]",
            f"{answer.checksum_algorithm} {answer.checksum}".strip(),
            answer.verified_by,
        )
    return table


def _verdicts_table(verdicts: list[Verdict], applied: bool) -> Table:
    table = Table()
    for title in ("run", "local", "files", "size", "why"):
        right = title in ("run", "files", "size")
        table.add_column(title, justify="right" if right else "left", overflow="fold")
    for verdict in verdicts:
        going = "[yellow]deleted[/yellow]" if applied else "[yellow]may go[/yellow]"
        table.add_row(
            str(verdict.run),
            going if verdict.goes else "stays",
            str(len(verdict.files)) if verdict.goes else "",
            shown_size(verdict.size_bytes) if verdict.goes else "",
            verdict.reason,
        )
    return table


def _print(table: Table) -> None:
    console = Console()
    if not console.is_terminal:
        console = Console(width=PIPED_WIDTH)
    console.print(table)


def _end(complaints: list[str]) -> None:
    for line in complaints:
        complain(line)
    if complaints:
        raise typer.Exit(1)
