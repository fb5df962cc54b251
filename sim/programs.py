"""Start and stop the programs of an experiment as real processes, and leave none behind."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from sim.errors import SimulationError

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_libc = ctypes.CDLL(None)


def _die_with_parent() -> None:
    """Ask the kernel for SIGTERM when our parent dies, so that a killed parent leaves nothing."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


@dataclass
class Program:
    """One running program and its log."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def is_running(self) -> bool:
        """True until the process has ended."""
        return self.process.poll() is None

    def log_tail(self, lines: int = 5) -> str:
        """Return the last lines that it printed."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.strip().splitlines()[-lines:])

    def require_running(self) -> None:
        """Check that it lives.

        :raises SimulationError: with its exit code and what it printed last.
        """
        if not self.is_running:
            raise SimulationError(
                f"{self.name} ended with exit code {self.process.returncode}; it said:\n"
                f"{self.log_tail() or '(nothing)'}\nThe whole log is {self.log}"
            )


class Programs:
    """The programs of one experiment folder; a context that stops them all."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._running: list[Program] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def __iter__(self) -> Iterator[Program]:
        return iter(self._running)

    def start(self, name: str, module: str, *arguments: str) -> Program:
        """Start ``python -m module arguments`` in this experiment; its output goes to its log."""
        log = self.folder / "logs" / f"{name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, "CYGNO_EXPERIMENT": str(self.folder), "PYTHONUNBUFFERED": "1"}
        with log.open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                # Their own session: Ctrl-C reaches us alone, and we stop them in order.
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )
        program = Program(name, process, log)
        self._running.append(program)
        return program

    def require_running(self) -> None:
        """Check that all live. :raises SimulationError: naming the one that ended, and why."""
        for program in self._running:
            program.require_running()

    def wait_for(self, condition: Callable[[], object], timeout_s: float, what: str) -> None:
        """Wait for a condition while all programs live.

        :raises SimulationError: if a program ends or the time is over.
        """
        end = time.monotonic() + timeout_s
        while not condition():
            self.require_running()
            if time.monotonic() > end:
                raise SimulationError(
                    f"waited {timeout_s:.0f} s in vain for {what}; see {self.folder / 'logs'}"
                )
            time.sleep(0.02)

    def stop(self, timeout_s: float = 15.0, names: Sequence[str] | None = None) -> None:
        """Stop programs: all, or those named. SIGTERM, later SIGKILL.

        The first that was started is the server; it is stopped when the others are gone.
        """
        chosen = [p for p in self._running if names is None or p.name in names]
        for group in (chosen[1:], chosen[:1]):
            for program in group:
                if program.is_running:
                    program.process.terminate()
            for program in group:
                try:
                    program.process.wait(timeout_s)
                except subprocess.TimeoutExpired:
                    program.process.kill()
                    program.process.wait()
        self._running = [p for p in self._running if p not in chosen]
