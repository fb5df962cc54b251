"""A scripted program in a process of its own: what the contract tests let play on the experiment.

A real MIDAS allows one client a process, so all clients of the contract tests live in processes.
`Peer` is the test's end of the pipe: ``peer.odb_get("/Runinfo")`` is done by the client over there,
and raises here what it raised there. Between commands the peer communicates with its experiment.
"""

import os
import subprocess
import sys
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import pytest

from experiment.standalone.wire import unpack_error

ANSWER_S = 60.0


class Peer:
    """The test's end: a program of a name in an experiment.

    Methods are those of the client over there, and of `tests.experiment.peer_program.Script`.
    """

    def __init__(self, name: str, experiment: str, environment: dict[str, str]) -> None:
        self.pipe, theirs = Pipe()
        self.process = subprocess.Popen(
            [sys.executable, "-m", f"{__name__}_program", str(theirs.fileno()), name, experiment],
            pass_fds=[theirs.fileno()],
            env={**without_midas(), **environment},
            cwd=Path(__file__).parents[2],
        )
        theirs.close()
        self._asked = 0
        try:
            self.name = str(self._answer())
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int:
        return self.process.pid

    def begin(self, method: str, *arguments: Any, **named: Any) -> None:
        """Let the peer begin something; `result` waits for it."""
        self._asked += 1
        self.pipe.send((self._asked, method, arguments, named))

    def result(self) -> Any:
        return self._answer()

    def _answer(self) -> Any:
        answered = -1
        while answered != self._asked:  # a test that failed may have left an answer behind
            if not self.pipe.poll(ANSWER_S):
                pytest.fail(f"the peer {self.process.args} did not answer")
            answered, kind, value = self.pipe.recv()
        if kind == "error":
            raise unpack_error(value)
        return value

    def __getattr__(self, method: str) -> Any:
        def call(*arguments: Any, **named: Any) -> Any:
            self.begin(method, *arguments, **named)
            return self.result()

        return call

    @property
    def lives(self) -> bool:
        return self.process.poll() is None

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        """Let it leave the experiment and end."""
        self.pipe.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.kill()


def without_midas() -> dict[str, str]:
    """Return our environment without what would lead to another MIDAS experiment."""
    elsewhere = ("MIDAS_DIR", "MIDAS_SERVER_HOST", "MIDAS_EXPTAB", "MIDAS_EXPT_NAME")
    return {name: value for name, value in os.environ.items() if name not in elsewhere}
