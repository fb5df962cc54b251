"""Stage runs: ``once`` and ``daemon``."""

import json
import logging
import signal
from pathlib import Path
from typing import Annotated

import typer

from experiment.errors import ExperimentError
from stager.attach import Attached, connect_if_up, find_folder
from stager.commands.shared import (
    Bars,
    Bucket,
    CatalogUrl,
    Config,
    CredentialsFile,
    DataDir,
    Endpoint,
    Experiment,
    Json,
    PartSize,
    Region,
    Tag,
    complain,
    count_of_files,
    options_of,
    shown_url,
)
from stager.configuration import configure
from stager.daemon import Daemon
from stager.errors import ConfigurationError, StagerError
from stager.masking import log_to_stderr
from stager.once import as_json as once_json
from stager.once import complaints, stage_once
from stager.outcome import STAGED, WAITING, Pass


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
    options = options_of(locals())
    folder = find_folder(experiment)
    attached = Attached(connect_if_up("cygno-stager-once", experiment, folder))
    result, catalog_url, error = Pass(), "", ""
    try:
        configuration = configure(options, folder, attached.client, config)
        catalog_url = shown_url(configuration.catalog_url)
        result = stage_once(configuration, attached.current_run, attached.pulse, Bars())
    except ConfigurationError:
        raise  # misuse: nothing was tried
    except (StagerError, ExperimentError) as failure:
        error = str(failure)
    except KeyboardInterrupt:
        complain("interrupted; what was begun is gone on with the next time")
        raise typer.Exit(130) from None
    finally:
        attached.close()
    _report_once(result, catalog_url, error, as_json)


def _report_once(result: Pass, catalog_url: str, error: str, as_json: bool) -> None:
    lines = ([error] if error else []) + complaints(result)
    if as_json:
        typer.echo(json.dumps(once_json(result, catalog_url, error)))
    else:
        staged, waiting = result.count(*STAGED), result.count(WAITING)
        if not lines or staged:
            typer.echo(f"{count_of_files(staged)} staged, {waiting} waiting; catalog {catalog_url}")
        for outcome in result.outcomes:
            if outcome.state == WAITING and outcome.reason not in result.troubles.values():
                typer.echo(f"  {Path(outcome.path).name} waits: {outcome.reason}")
            if outcome.truncated:
                typer.echo(f"  {Path(outcome.path).name}: truncated, {outcome.events} whole events")
    for line in lines:
        complain(line)
    if lines:
        raise typer.Exit(1)


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
    options = options_of(locals())
    log_to_stderr(logging.INFO if verbose else logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    asked: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda signum, _: asked.append(signum))
    service = Daemon(
        options, experiment, find_folder(experiment), config, Bars(), lambda: bool(asked)
    )
    service.serve()
