"""Bring completed runs to S3 and into the run catalog (``cygno-stager``)."""

import json
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from sqlalchemy import make_url

from experiment.errors import ExperimentError
from stager import status as catalog_status
from stager.attach import Attached, connect_if_up, find_folder
from stager.catalog import Catalog
from stager.configuration import Configuration, configure
from stager.daemon import Daemon
from stager.errors import ConfigurationError, StagerError
from stager.once import as_json as once_json
from stager.once import complaints, stage_once
from stager.outcome import WAITING, Pass

app = typer.Typer(
    help=__doc__,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
errors = Console(stderr=True, soft_wrap=True, highlight=False)

_PIPED_WIDTH = 160  # where no terminal says how wide a table may be

Experiment = Annotated[
    str | None,
    typer.Option(
        help="Folder of a standalone experiment, or name of a MIDAS one.", envvar="CYGNO_EXPERIMENT"
    ),
]
DataDir = Annotated[Path | None, typer.Option(help="Folder of the run files.")]
Config = Annotated[Path | None, typer.Option(help="TOML file with settings.")]
Endpoint = Annotated[str | None, typer.Option(help="URL of the S3 server.")]
Bucket = Annotated[str | None, typer.Option(help="Bucket that receives the files.")]
Region = Annotated[str | None, typer.Option(help="Region that signatures name.")]
Tag = Annotated[str | None, typer.Option(help="Site; objects are named TAG/FILE.")]
PartSize = Annotated[int | None, typer.Option(help="Size of the parts of large files [MiB].")]
CatalogUrl = Annotated[str | None, typer.Option(help="SQLAlchemy URL of the run catalog.")]
CredentialsFile = Annotated[
    str | None, typer.Option(help="File with the keys, mode 0600, instead of AWS_*.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line.")]


class Bars:
    """Progress bars on stderr, where a person sits in front of it."""

    def __init__(self) -> None:
        self._progress: Progress | None = None

    def begin(self, what: str, total_bytes: int) -> None:
        """Show a new step."""
        self.end()
        if errors.is_terminal:
            self._progress = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                DownloadColumn(),
                TransferSpeedColumn(),
                TimeRemainingColumn(),
                console=errors,
                transient=True,
            )
            self._progress.add_task(what, total=total_bytes)
            self._progress.start()

    def advance(self, count_bytes: int) -> None:
        """Move it on."""
        if self._progress:
            self._progress.advance(self._progress.task_ids[0], count_bytes)

    def end(self) -> None:
        """Take it away."""
        if self._progress:
            self._progress.stop()
            self._progress = None


@app.command()
def once(
    experiment: Experiment = None,
    data_dir: DataDir = None,
    config: Config = None,
    endpoint: Endpoint = None,
    bucket: Bucket = None,
    region: Region = None,
    tag: Tag = None,
    part_size_mib: PartSize = None,
    catalog: CatalogUrl = None,
    credentials_file: CredentialsFile = None,
    as_json: Json = False,
) -> None:
    """Stage every completed run that is not staged yet, then end.

    Exit code 1 if a file could not be staged; run it again when the cause is mended.

    Examples:

      cygno-stager once --experiment demo

      cygno-stager once --data-dir /data01/data --endpoint https://s3.example.org:7480 --tag LNGS
    """
    options = _options(locals())
    folder = find_folder(experiment)
    attached = Attached(connect_if_up("cygno-stager-once", experiment, folder))
    result, catalog_url, error = Pass(), "", ""
    try:
        configuration = configure(options, folder, attached.client, config)
        catalog_url = _shown(configuration.catalog_url)
        result = stage_once(configuration, attached.current_run, attached.pulse, Bars())
    except ConfigurationError:
        raise  # misuse: nothing was tried
    except (StagerError, ExperimentError) as failure:
        error = str(failure)
    except KeyboardInterrupt:
        _complain("interrupted; what was begun is gone on with the next time")
        raise typer.Exit(130) from None
    finally:
        attached.close()
    _report_once(result, catalog_url, error, as_json)


def _report_once(result: Pass, catalog_url: str, error: str, as_json: bool) -> None:
    lines = ([error] if error else []) + complaints(result)
    if as_json:
        typer.echo(json.dumps(once_json(result, catalog_url, error)))
    else:
        staged, waiting = result.count("catalogued"), result.count(WAITING)
        if not lines or staged:
            typer.echo(f"{_files(staged)} staged, {waiting} waiting; catalog {catalog_url}")
        for outcome in result.outcomes:
            if outcome.state == WAITING and outcome.reason != result.trouble:
                typer.echo(f"  {Path(outcome.path).name} waits: {outcome.reason}")
            if outcome.truncated:
                typer.echo(f"  {Path(outcome.path).name}: truncated, {outcome.events} whole events")
    for line in lines:
        _complain(line)
    if lines:
        raise typer.Exit(1)


@app.command()
def daemon(
    experiment: Experiment = None,
    data_dir: DataDir = None,
    config: Config = None,
    endpoint: Endpoint = None,
    bucket: Bucket = None,
    region: Region = None,
    tag: Tag = None,
    part_size_mib: PartSize = None,
    catalog: CatalogUrl = None,
    credentials_file: CredentialsFile = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say more.")] = False,
) -> None:
    """Stage each run when it is completed, until Ctrl-C or SIGTERM.

    Works with an experiment, without one, and while one comes and goes.

    Example:

      cygno-stager daemon --experiment demo
    """
    options = _options(locals())
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING,
        format="%(asctime)s %(levelname)s %(message)s",
    )
    logging.getLogger("alembic").setLevel(logging.WARNING)
    asked: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda signum, _: asked.append(signum))
    service = Daemon(
        options, experiment, find_folder(experiment), config, Bars(), lambda: bool(asked)
    )
    service.serve()


@app.command()
def status(
    experiment: Experiment = None,
    data_dir: DataDir = None,
    config: Config = None,
    catalog: CatalogUrl = None,
    run: Annotated[int | None, typer.Option(help="Only this run.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many of the latest runs.")] = 20,
    as_json: Json = False,
) -> None:
    """Show runs, their files, where they are, why one failed and when it is tried again.

    Examples:

      cygno-stager status --experiment demo

      cygno-stager status --experiment demo --run 42 --json
    """
    folder = find_folder(experiment)
    attached = Attached(connect_if_up("cygno-stager-status", experiment, folder))
    try:
        given = {"data_dir": str(data_dir) if data_dir else None, "catalog": catalog}
        configuration = configure(given, folder, attached.client, config)
    finally:
        attached.close()
    shown = _shown(configuration.catalog_url)
    runs = []
    if _catalog_exists(configuration):
        opened = Catalog(configuration.catalog_url)
        try:
            runs = catalog_status.latest_runs(opened, limit, run)
        finally:
            opened.close()
    if as_json:
        typer.echo(json.dumps(catalog_status.as_json(runs, shown)))
    elif runs:
        console = Console()
        if not console.is_terminal:
            console = Console(width=_PIPED_WIDTH)
        console.print(catalog_status.as_table(runs, shown))
    else:
        what = "nothing" if run is None else f"no run {run}"
        typer.echo(f"there is {what} in the catalog {shown} yet")


def _options(given: dict[str, Any]) -> dict[str, Any]:
    names = (
        "endpoint",
        "bucket",
        "region",
        "tag",
        "part_size_mib",
        "catalog",
        "credentials_file",
    )
    options = {name: given[name] for name in names}
    options["data_dir"] = str(given["data_dir"]) if given["data_dir"] else None
    return options


def _shown(catalog_url: str) -> str:
    return make_url(catalog_url).render_as_string(hide_password=True)


def _catalog_exists(configuration: Configuration) -> bool:
    """Tell whether there is a catalog to look into; looking must not make one."""
    url = make_url(configuration.catalog_url)
    return url.get_backend_name() != "sqlite" or not url.database or os.path.exists(url.database)


def _files(number: int) -> str:
    return "1 file" if number == 1 else f"{number} files"


def _complain(line: str) -> None:
    errors.print(f"cygno-stager: {line}", markup=False, style="red")


def main() -> None:
    """Run the command; a failure is one line and exit code 1, misuse exit code 2."""
    try:
        app()
    except ConfigurationError as error:
        _complain(str(error))
        sys.exit(2)
    except (StagerError, ExperimentError) as error:
        _complain(str(error))
        sys.exit(1)


if __name__ == "__main__":
    main()
