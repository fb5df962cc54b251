"""Keep a standalone experiment up for operators: all programs, web page, stager, S3 server."""

import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

from experiment.client import Client
from experiment.constants import STATE_STOPPED
from experiment.errors import ExperimentError
from sim.programs import Programs
from sim.run import (
    ANALYZER,
    FRONTENDS,
    LOGGER,
    RunPlan,
    apply_plan,
    start_experiment,
    start_programs,
)
from sim.s3 import S3Server

STAGER = {"cygno-stager": ("stager.main", "daemon")}


def serve(folder: Path, port: int, plan: RunPlan, say: Callable[[str], None]) -> None:
    """Run the experiment until SIGINT or SIGTERM; then stop the run, if one goes on, and all.

    A program that ends on its own is started again, and the message log says so. The plan is
    applied only to a folder that has no experiment yet: afterwards the ODB is the operator's.

    :param say: shows one line to the person at the terminal.
    :raises SimulationError: if a program cannot be started.
    """
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    is_new = not (folder / "odb.sqlite").exists()
    with S3Server(folder / "s3"), Programs(folder) as programs:
        client = start_experiment(programs)
        try:
            if is_new:
                apply_plan(client, plan, folder)
            wanted = {**LOGGER, **ANALYZER, **FRONTENDS, **STAGER}
            if port:
                wanted["cygno-web"] = ("sim.web", "--port", str(port))
            start_programs(programs, client, wanted)
            say(f"experiment in {folder} is up" + (f": http://127.0.0.1:{port}/" if port else ""))
            while not stop.is_set():
                client.communicate(200)
                revive(programs, client, wanted, say)
            say("stopping")
            stop_run(client, say)
        finally:
            client.disconnect()


def revive(
    programs: Programs,
    client: Client,
    wanted: dict[str, tuple[str, ...]],
    say: Callable[[str], None],
) -> None:
    """Start again what has ended on its own."""
    for program in list(programs):
        if not program.is_running and program.name in wanted:
            text = f"{program.name} ended with code {program.process.returncode}; started again"
            say(text)
            client.msg(text, True)
            programs.stop(names=[program.name])
            programs.start(program.name, *wanted[program.name])


def stop_run(client: Client, say: Callable[[str], None], timeout_s: float = 60.0) -> None:
    """Stop the run that goes on, waiting for a transition under way; say so if it does not stop."""
    end = time.monotonic() + timeout_s
    while client.odb_get("/Runinfo/State") != STATE_STOPPED:
        try:
            client.stop_run()
        except ExperimentError as error:
            if time.monotonic() > end:
                say(f"the run could not be stopped: {error}")
                return
            client.communicate(200)
