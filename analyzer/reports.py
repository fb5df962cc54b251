"""Reports of the runs that are over, drawn one at a time in processes of their own.

Drawing takes a second or two of one core, and its libraries memory; a process at low priority keeps
both away from the analysis, and may hang or die without harm.
"""

import subprocess
import sys
import time
from collections import deque
from pathlib import Path
from typing import Final

from analyzer.replace import temporary_of
from analyzer.report import report_path

TIMEOUT_S: Final = 120.0
"""A report that takes longer is given up."""

CLOSE_S: Final = 8.0
"""How long the end of the program waits for the report that is being drawn."""

_POLL_S: Final = 0.02


class Reports:
    """Draws reports in the background; nothing here waits but `close`."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[int, Path]] = deque()
        self._process: subprocess.Popen[bytes] | None = None
        self._run = 0
        self._results = Path()
        self._due_s = 0.0

    def add(self, run: int, results: Path) -> None:
        """Ask for the report of a run."""
        self._waiting.append((run, results))

    def done(self) -> list[tuple[int, Path | None, str]]:
        """Return what has ended since the last call: run, its report or None, and what failed."""
        ended = []
        process = self._process
        if process is not None:
            if process.poll() is not None:
                ended.append(self._conclude(process))
            elif time.monotonic() > self._due_s:
                self._give_up(process)
                ended.append((self._run, None, f"it was not drawn in {TIMEOUT_S:.0f} s"))
        if self._process is None and self._waiting:
            self._begin(*self._waiting.popleft())
        return ended

    def close(self) -> list[tuple[int, Path | None, str]]:
        """Wait a little for the report that is being drawn; forget the rest."""
        ended: list[tuple[int, Path | None, str]] = []
        end = time.monotonic() + CLOSE_S
        ended += self.done()
        while self._process is not None and time.monotonic() < end:
            time.sleep(_POLL_S)
            self._waiting.clear()
            ended += self.done()
        if self._process is not None:
            self._give_up(self._process)
            ended.append((self._run, None, "the analyzer ended before it was drawn"))
        return ended

    def _begin(self, run: int, results: Path) -> None:
        self._run, self._results = run, results
        self._due_s = time.monotonic() + TIMEOUT_S
        self._process = subprocess.Popen(
            [sys.executable, "-m", "analyzer.report", str(results)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )

    def _conclude(self, process: subprocess.Popen[bytes]) -> tuple[int, Path | None, str]:
        self._process = None
        said = process.communicate()[1].decode(errors="replace").strip()
        path = report_path(self._results)
        if process.returncode == 0 and path.is_file():
            return self._run, path, ""
        return self._run, None, said.splitlines()[-1] if said else f"exit code {process.returncode}"

    def _give_up(self, process: subprocess.Popen[bytes]) -> None:
        """End a process, and remove what it had begun to write.

        Asked to end, it might miss that while it starts, and go on.
        """
        self._process = None
        process.kill()
        process.communicate()
        temporary_of(report_path(self._results), process.pid).unlink(missing_ok=True)
