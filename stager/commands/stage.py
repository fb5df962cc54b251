"""Stage runs: ``once`` and ``daemon``."""

import json
import logging
import signal
from pathlib import Path
from typing import Annotated

import typer

from experiment.errors import ExperimentError
from stager.attach import Attached, connect_if_up, find_folder
from stager.commands.groups import Staging, grouped
from stager.commands.shared import Bars, Json, complain, count_of_files, shown_url
from stager.configuration import configure
from stager.daemon import Daemon
from stager.errors import ConfigurationError, StagerError
from stager.masking import log_to_stderr
from stager.once import as_json as once_json
from stager.once import complaints, stage_once
from stager.outcome import WAITING, Pass


@grouped
def once(
    staging: Staging,
    as_json: Json = False,
) -> None:
    """Stage every completed run that is not staged yet, then end.

    Exit code 1 if a file did not get to one of its places; run it again when the cause is mended.

    Examples:

      cygno-stager once --experiment demo

      cygno-stager once --data-dir /data01/data --endpoint https://s3.example.org:7480 --tag LNGS
    """
    folder = find_folder(staging.experiment)
    attached = Attached(connect_if_up("cygno-stager-once", staging.experiment, folder))
    result, catalog_url, error = Pass(), "", ""
    try:
        configuration = configure(staging.options, folder, attached.client, staging.config)
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
        staged, waiting = result.staged, result.count(WAITING)
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


@grouped
def daemon(
    staging: Staging,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say more.")] = False,
) -> None:
    """Stage each run when it is completed, until Ctrl-C or SIGTERM.

    Works with an experiment, without one, and while one comes and goes.

    Example:

      cygno-stager daemon --experiment demo
    """
    log_to_stderr(logging.INFO if verbose else logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    asked: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda signum, _: asked.append(signum))
    folder = find_folder(staging.experiment)
    service = Daemon(
        staging.options, staging.experiment, folder, staging.config, Bars(), lambda: bool(asked)
    )
    service.serve()
