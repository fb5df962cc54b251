"""The run catalog for people: ``catalog list``, ``show``, ``search``, ``export``, ``import``."""

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

from stager import runlogcsv, runview, schema
from stager.catalog import Catalog
from stager.commands.opening import catalog_url, console
from stager.commands.shared import CatalogUrl, Config, DataDir, Experiment, Json, shown_url
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
    help="Look into the run catalog: list, show, search, export as CSV.", no_args_is_help=True
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


@app.command("list")
def list_runs(
    experiment: Experiment = None,
    data_dir: DataDir = None,
    config: Config = None,
    catalog: CatalogUrl = None,
    runs: RunRange = None,
    since: Since = None,
    until: Until = None,
    kind: KindOption = None,
    run_type: RunType = None,
    text: Text = None,
    state: StateOption = None,
    limit: Limit = 50,
    as_json: Json = False,
) -> None:
    """List runs, the latest last.

    Examples:

      cygno-stager catalog list --experiment demo --type pedestal

      cygno-stager catalog list --runs 42000-42100 --state failed --json
    """
    url = catalog_url(experiment, data_dir, config, catalog)
    wanted = _filter(runs, since, until, kind, run_type, text, state, limit)
    _show(url, wanted, as_json)


@app.command()
def search(
    text: Annotated[str, typer.Argument(help="Part of description, note, sequence or tag.")],
    experiment: Experiment = None,
    data_dir: DataDir = None,
    config: Config = None,
    catalog: CatalogUrl = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 50,
    as_json: Json = False,
) -> None:
    """List the runs that a text is said of; its case does not matter.

    Example:

      cygno-stager catalog search "4cm Cu" --since 2026-11-01
    """
    url = catalog_url(experiment, data_dir, config, catalog)
    _show(url, _filter(None, since, until, None, None, text, None, limit), as_json)


@app.command()
def show(
    run: Annotated[int, typer.Argument(help="Run number.")],
    experiment: Experiment = None,
    data_dir: DataDir = None,
    config: Config = None,
    catalog: CatalogUrl = None,
    as_json: Json = False,
) -> None:
    """Show all that is known of one run: files, transfers, quality, slow control.

    Example:

      cygno-stager catalog show 42901
    """
    from stager.runs import Runs  # needs NumPy, which takes long to load

    url = catalog_url(experiment, data_dir, config, catalog)
    with Runs(url) as opened:
        found = opened.run(run)
    if as_json:
        typer.echo(json.dumps({**found, "catalog": shown_url(url)}, default=_plain))
        return
    out = console()
    for table in runview.run_tables(found):
        out.print(table)


@app.command()
def export(
    experiment: Experiment = None,
    data_dir: DataDir = None,
    config: Config = None,
    catalog: CatalogUrl = None,
    runs: RunRange = None,
    since: Since = None,
    until: Until = None,
    kind: KindOption = None,
    run_type: RunType = None,
    text: Text = None,
    state: StateOption = None,
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
    url = catalog_url(experiment, data_dir, config, catalog)
    names = RUNLOG_COLUMNS if columns is None else COLUMNS
    if columns not in (None, "all"):
        names = tuple(name.strip() for name in str(columns).split(","))
        runlogcsv.check_columns(names, COLUMNS)
    wanted = _filter(runs, since, until, kind, run_type, text, state, None)
    with _reading(url) as session:
        rows = find_runs(session, wanted)
    if output is None:
        runlogcsv.write_csv(rows, names, sys.stdout)
        return
    with _whole_file(output) as into:
        count = runlogcsv.write_csv(rows, names, into)
    typer.echo(f"{_count(count)} written to {output}", err=True)


@app.command("import")
def import_csv(
    file: Annotated[Path, typer.Argument(help="CSV with CYGNO's columns.")],
    experiment: Experiment = None,
    data_dir: DataDir = None,
    config: Config = None,
    catalog: CatalogUrl = None,
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
    url = catalog_url(experiment, data_dir, config, catalog)
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
def migrate(
    experiment: Experiment = None,
    data_dir: DataDir = None,
    config: Config = None,
    catalog: CatalogUrl = None,
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
    url = catalog_url(experiment, data_dir, config, catalog)
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


def _filter(
    runs: str | None,
    since: str | None,
    until: str | None,
    kind: str | None,
    run_type: int | None,
    text: str | None,
    state: str | None,
    limit: int | None,
) -> RunFilter:
    first, last = _range(runs)
    return filter_of(
        {
            "first": first,
            "last": last,
            "since": since,
            "until": until,
            "kind": kind,
            "run_type": run_type,
            "text": text,
            "state": state,
            "limit": limit,
        }
    )


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
