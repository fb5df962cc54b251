"""The run catalog for people: ``catalog list``, ``show``, ``search``, ``export``, ``import``."""

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

from stager import runlogcsv, runview, schema
from stager.catalog import Catalog
from stager.commands.groups import Where, grouped
from stager.commands.opening import catalog_url, console
from stager.commands.shared import Json, shown_url
from stager.errors import CatalogError, FileError, StagerError
from stager.runquery import (
    COLUMNS,
    KINDS,
    RUNLOG_COLUMNS,
    STATES,
    RunFilter,
    filter_of,
    find_runs,
)

app = typer.Typer(
    add_completion=False,
    help="Look into the run catalog: list, show, search, export as CSV.",
    no_args_is_help=True,
)

RunRange = Annotated[
    str | None, typer.Option("--runs", help="Run numbers: 42, 40-45, 40- or -45.", metavar="RANGE")
]
Since = Annotated[
    str | None, typer.Option(help="Started then or later: 2026-11-27 or '2026-11-27 17:50'.")
]
Until = Annotated[str | None, typer.Option(help="Started then or earlier; a date is all of it.")]
KindOption = Annotated[str | None, typer.Option("--type", help=f"One of {', '.join(KINDS)}.")]
RunType = Annotated[int | None, typer.Option(help="CYGNO's number of the kind of run.")]
StateOption = Annotated[str | None, typer.Option("--state", help=f"One of {', '.join(STATES)}.")]
Text = Annotated[str | None, typer.Option(help="Part of description, note, sequence or tag.")]
Limit = Annotated[int, typer.Option(min=1, help="How many of the latest runs.")]


@dataclass(frozen=True)
class Which:
    """Which runs are meant."""

    runs: RunRange = None
    since: Since = None
    until: Until = None
    kind: KindOption = None
    run_type: RunType = None
    text: Text = None
    state: StateOption = None

    def as_filter(self, limit: int | None = None) -> RunFilter:
        """Return it as the catalog wants it, for the latest `limit` runs."""
        first, last = _range(self.runs)
        given = {name: value for name, value in vars(self).items() if name != "runs"}
        return filter_of({"first": first, "last": last, "limit": limit, **given})


@app.command("list")
@grouped
def list_runs(
    where: Where,
    which: Which,
    limit: Limit = 50,
    as_json: Json = False,
) -> None:
    """List runs, the latest last.

    Examples:

      cygno-stager catalog list --experiment demo --type pedestal

      cygno-stager catalog list --runs 42000-42100 --state failed --json
    """
    url = catalog_url(where)
    _show(url, which.as_filter(limit), as_json)


@app.command()
@grouped
def search(
    text: Annotated[str, typer.Argument(help="Part of description, note, sequence or tag.")],
    where: Where,
    since: Since = None,
    until: Until = None,
    limit: Limit = 50,
    as_json: Json = False,
) -> None:
    """List the runs that a text is said of; its case does not matter.

    Example:

      cygno-stager catalog search "4cm Cu" --since 2026-11-01
    """
    url = catalog_url(where)
    _show(url, Which(since=since, until=until, text=text).as_filter(limit), as_json)


@app.command()
@grouped
def show(
    run: Annotated[int, typer.Argument(help="Run number.")],
    where: Where,
    as_json: Json = False,
) -> None:
    """Show all that is known of one run: files, transfers, quality, slow control.

    Example:

      cygno-stager catalog show 42901
    """
    from stager.runs import Runs  # needs NumPy, which takes long to load

    url = catalog_url(where)
    with Runs(url) as opened:
        found = opened.run(run)
    if as_json:
        typer.echo(json.dumps({**found, "catalog": shown_url(url)}, default=_plain))
        return
    out = console()
    for table in runview.run_tables(found):
        out.print(table)


@app.command()
@grouped
def export(
    where: Where,
    which: Which,
    columns: Annotated[
        str | None, typer.Option(help="Names with commas between, in this order; or 'all'.")
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File to write.")] = None,
) -> None:
    """Write runs as CSV, with CYGNO's columns in their order, to a file or to stdout.

    Examples:

      cygno-stager catalog export -o runlog.csv

      cygno-stager catalog export --since 2026-11-01 --columns run_number,GEM1_V,note
    """
    url = catalog_url(where)
    names = RUNLOG_COLUMNS if columns is None else COLUMNS
    if columns not in (None, "all"):
        names = tuple(name.strip() for name in str(columns).split(","))
        runlogcsv.check_columns(names, COLUMNS)
    with _reading(url) as session:
        rows = find_runs(session, which.as_filter())
    if output is None:
        runlogcsv.write_csv(rows, names, sys.stdout)
        return
    with _whole_file(output) as into:
        count = runlogcsv.write_csv(rows, names, into)
    typer.echo(f"{_count(count)} written to {output}", err=True)


@app.command("import")
@grouped
def import_csv(
    file: Annotated[Path, typer.Argument(help="CSV with CYGNO's columns.")],
    where: Where,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace what the run log says otherwise.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Bring rows of a run log into the catalog: all of them, or none.

    Rows that are there already must say the same, but with --overwrite.

    Example:

      cygno-stager catalog import runlog_LNGS_auto.csv --catalog sqlite:////data/catalog.sqlite
    """
    url = catalog_url(where)
    try:
        with file.open(encoding="utf-8", newline="") as source:
            rows = runlogcsv.read_csv(source, file.name)
    except OSError as error:
        raise FileError(f"{file} cannot be read: {error.strerror}") from error
    opened = Catalog(url)
    try:
        with opened.write() as session:
            result = runlogcsv.import_rows(session, rows, overwrite)
            if result.changed and not overwrite:
                few = ", ".join(str(run) for run in result.changed[:10])
                more = f" and {len(result.changed) - 10} more" if len(result.changed) > 10 else ""
                raise CatalogError(
                    f"the run log says otherwise of run {few}{more}; nothing was imported: look at "
                    "them with cygno-stager catalog show, or give --overwrite"
                )
    finally:
        opened.close()
    if as_json:
        answer = {"new": result.new, "same": result.same, "changed": result.changed}
        typer.echo(json.dumps({**answer, "catalog": shown_url(url)}))
    else:
        typer.echo(
            f"{_count(len(result.new))} new, {len(result.same)} there already, "
            f"{len(result.changed)} replaced in {shown_url(url)}"
        )


@app.command()
@grouped
def migrate(
    where: Where,
    to: Annotated[
        str | None, typer.Option(help="Revision, such as 0002, or base; the newest if not given.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before going back.")] = False,
) -> None:
    """Bring the catalog's schema to a revision; going back loses what newer tables say.

    The stager does it by itself at its first connection; Runlog is never dropped.

    Example:

      cygno-stager catalog migrate --catalog mysql+mysqldb://admin@daq/cygno_db
    """
    url = catalog_url(where)
    target = to or schema.revisions()[-1]
    before = schema.revision_of(url)
    if schema.is_back(before, target) and not yes:
        typer.confirm(
            f"{shown_url(url)} goes back from {before} to {target}: what the newer tables and "
            "columns say is lost. Go on?",
            abort=True,
        )
    schema.migrate(url, target)
    typer.echo(f"{shown_url(url)}: schema {before or 'none'} -> {target}")


def _show(url: str, wanted: RunFilter, as_json: bool) -> None:
    with _reading(url) as session:
        rows = find_runs(session, wanted)
    if as_json:
        typer.echo(json.dumps({"runs": rows, "catalog": shown_url(url)}, default=_plain))
    elif rows:
        console().print(runview.runs_table(rows, f"{_count(len(rows))} of {shown_url(url)}"))
    else:
        typer.echo(f"no such run in the catalog {shown_url(url)}")


@contextmanager
def _reading(url: str) -> Iterator[Any]:
    opened = Catalog(url, upgrade=False)
    try:
        with opened.read() as session:
            yield session
    finally:
        opened.close()


def _range(text: str | None) -> tuple[int | None, int | None]:
    if text is None:
        return None, None
    begin, dash, end = text.strip().partition("-")
    try:
        first = int(begin) if begin else None
        return first, (int(end) if end else None) if dash else first
    except ValueError as error:
        raise typer.BadParameter(
            f"{text!r} is no range of runs; allowed: 42, 40-45, 40- or -45", param_hint="--runs"
        ) from error


@contextmanager
def _whole_file(path: Path) -> Iterator[TextIO]:
    """Write a file that appears when it is whole."""
    try:
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise FileError(f"{path} cannot be written: {error.strerror}") from error
    try:
        with open(descriptor, "w", encoding="utf-8", newline="") as into:
            yield into
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except OSError as error:
        Path(temporary).unlink(missing_ok=True)
        raise FileError(f"{path} cannot be written: {error.strerror}") from error
    except StagerError:
        Path(temporary).unlink(missing_ok=True)
        raise


def _count(number: int) -> str:
    return "1 run" if number == 1 else f"{number} runs"


def _plain(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value)
