"""Analyze while data are taken: ``online``."""

import logging
import os
import signal
from pathlib import Path
from typing import Annotated, Final

import typer

from analyzer.online import CLIENT_NAME, OnlineAnalyzer
from experiment.connect import connect

NICENESS: Final = 5
"""Frontend and logger go first where cores are few."""


def online(
    experiment: Annotated[
        str | None,
        typer.Option(
            help="Folder of a standalone experiment, or name of a MIDAS one.",
            envvar="CYGNO_EXPERIMENT",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Folder of results. Default: /Logger/Data dir."),
    ] = None,
    jobs: Annotated[
        int, typer.Option("-j", "--jobs", min=0, help="Threads; 0: the setting Workers.")
    ] = 0,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log to stderr.")] = False,
) -> None:
    """Analyze runs while they are taken, without ever holding up the data taking.

    Results go to run00042.reco.h5 in the data folder, quality to the ODB,
    /Equipment/Analyzer/Variables. Events that were missed are completed from the run file at the
    end of the run. It may be started and stopped at any time.

    Examples:

      cygno-analyzer online --experiment ./demo

      MIDAS_EXPT_NAME=LNGS cygno-analyzer online -j 2
    """
    level = logging.INFO if verbose else logging.WARNING
    logging.basicConfig(level=level, format="%(asctime)s %(name)s %(levelname)s: %(message)s")
    stop = False

    def end(*_: object) -> None:
        nonlocal stop
        stop = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    os.nice(NICENESS)
    client = connect(CLIENT_NAME, experiment)
    try:
        OnlineAnalyzer(client, output, jobs).serve(lambda: stop)
    finally:
        client.disconnect()
