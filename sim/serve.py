"""Keep a standalone experiment up for operators: all programs, web page, stager, S3 server."""

import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

from experiment.client import Client
from experiment.constants import STATE_STOPPED
from experiment.errors import ExperimentError
from sim.programs import Program, Programs
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
FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 60.0
"""Patience with a program that ends soon after it was started again; it doubles each time."""
STEADY_S = 60.0
"""A program that ran so long is started again at once."""


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

            def tell(text: str) -> None:
                say(text)
                client.msg(text, True)

            reviver = Reviver(programs, wanted, tell)
            while not stop.is_set():
                client.communicate(200)
                reviver.work()
            say("stopping")
            stop_run(client, say)
        finally:
            client.disconnect()


class Reviver:
    """Starts programs again that end on their own: at once, and with growing patience thereafter.

    :param wanted: name -> module and arguments.
    :param tell: says one line to the operator.
    :param now: the time [s].
    """

    def __init__(
        self,
        programs: Programs,
        wanted: dict[str, tuple[str, ...]],
        tell: Callable[[str], None],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._programs = programs
        self._wanted = wanted
        self._tell = tell
        self._now = now
        self._started_s: dict[str, float] = {}
        self._waits_s: dict[str, float] = {}
        self._due_s: dict[str, float] = {}

    def work(self) -> None:
        """Start again what has ended and waited long enough."""
        for program in list(self._programs):
            name = program.name
            if program.is_running or name not in self._wanted:
                continue
            if name not in self._due_s:
                self._note_end(program)
            if self._now() >= self._due_s[name]:
                del self._due_s[name]
                self._programs.stop(names=[name])
                self._programs.start(name, *self._wanted[name])
                self._started_s[name] = self._now()

    def _note_end(self, program: Program) -> None:
        name, now = program.name, self._now()
        started_s = self._started_s.get(name)
        wait_s = 0.0
        if started_s is not None and now - started_s < STEADY_S:
            wait_s = min(2 * self._waits_s.get(name, 0.0) or FIRST_WAIT_S, LONGEST_WAIT_S)
        self._waits_s[name], self._due_s[name] = wait_s, now + wait_s
        last = program.log_tail(1)
        said = f", saying: {last}" if program.process.returncode > 0 and last else ""
        when = f" in {wait_s:g} s" if wait_s else ""
        self._tell(
            f"{name} ended with code {program.process.returncode}{said}; started again{when}"
        )


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
