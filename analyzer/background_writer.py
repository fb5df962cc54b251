"""Results written by a thread of their own, so that a slow disk delays nobody."""

import queue
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy.typing as npt

from analyzer.errors import ResultsError
from analyzer.results import ResultsWriter

WAITING_EVENTS: Final = 2000
"""Events whose rows may wait for the disk; about 10 MB. When it is full, the output is given up."""

FLUSH_S: Final = 10.0
"""Rows are in the file after that time at the latest."""

Rows = Mapping[str, npt.NDArray[Any]]


class BackgroundWriter:
    """Writes rows to a results file; nothing here waits or raises until `finish`.

    :param path: of the results; while the run goes on ``.partial`` is added.
    :param attributes: of the file, known at begin.
    """

    def __init__(self, path: Path, attributes: Mapping[str, Any]) -> None:
        self.path = path
        self.failure = ""
        self._attributes = attributes
        self._writer: ResultsWriter | None = None
        self._queue: queue.Queue[Rows | None] = queue.Queue(WAITING_EVENTS)
        self._thread = threading.Thread(target=self._run, name=f"write {path.name}", daemon=True)
        self._thread.start()

    def append(self, rows: Rows) -> None:
        """Hand over an event's rows; dropped if the output has failed."""
        if self.failure:
            return
        try:
            self._queue.put_nowait(rows)
        except queue.Full:
            self.failure = f"the disk of {self.path} is too slow: results were dropped"

    def finish(self, attributes: Mapping[str, Any]) -> Path:
        """Write what waits and give the file its name; call from a thread that may wait.

        :raises ResultsError: if the file could not be written; nothing is left of it then.
        """
        self._end()
        if self.failure or self._writer is None:
            self.abandon()
            raise ResultsError(self.failure or f"{self.path} was not written")
        return self._writer.close(attributes)

    def abandon(self, *, keep: bool = False) -> None:
        """Let go of the file, removing it unless it is to be kept as partial."""
        self._end()
        if self._writer is not None:
            self._writer.abandon(keep=keep)

    def _end(self) -> None:
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join()

    def _run(self) -> None:
        try:
            self._writer = ResultsWriter(self.path, self._attributes)
            due_s: float | None = None  # when rows that wait must be in the file
            while True:
                left_s = None if due_s is None else due_s - time.monotonic()
                try:
                    rows = self._queue.get(timeout=None if left_s is None else max(left_s, 0.0))
                except queue.Empty:
                    self._writer.flush()
                    due_s = None
                    continue
                if rows is None:
                    return
                self._writer.append(rows)
                if due_s is None:
                    due_s = time.monotonic() + FLUSH_S
                elif time.monotonic() >= due_s:
                    self._writer.flush()
                    due_s = None
        except ResultsError as error:
            self.failure = str(error)
        except Exception as error:
            self.failure = f"results {self.path}: {type(error).__name__}: {error}"
        # Nobody takes from the queue any more; make sure that nobody waits for room in it.
        while self._queue.get() is not None:
            pass
