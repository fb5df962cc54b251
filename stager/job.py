"""One thread's piece of work: its claim is kept alive, its progress shown, and it ends when asked.

Threads never call the experiment: that is the main thread's.
"""

import threading
import time
from types import TracebackType
from typing import Final

from stager import claims
from stager.errors import Stopped
from stager.ledger import Ledger
from stager.models import File, Replica
from stager.progress import Progress

_LOOK_S: Final = 0.1


class Job:
    """What a thread does for one file or replica.

    :param stop: once set, the next pulse raises Stopped; what is begun is resumed later.
    """

    def __init__(self, ledger: Ledger, progress: Progress, stop: threading.Event) -> None:
        self._ledger = ledger
        self._progress = progress
        self._stop = stop
        self._claimed: File | Replica | None = None
        self._renewed = self._looked = 0.0
        self.sent_bytes = 0
        """What was sent to a place."""

    def __enter__(self) -> "Job":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._claimed = None
        self._progress.end()

    def hold(self, row: File | Replica) -> None:
        """Keep a claim alive from now on."""
        self._claimed, self._renewed = row, time.monotonic()

    def begin(self, what: str, total_bytes: int) -> None:
        """Show a new step."""
        self._progress.begin(what, total_bytes)

    def advance(self, count_bytes: int) -> None:
        """Move it on."""
        self._progress.advance(count_bytes)
        self.pulse()

    def send(self, count_bytes: int) -> None:
        """Count bytes that were sent, and move the step on."""
        self.sent_bytes += count_bytes
        self.advance(count_bytes)

    def pulse(self) -> None:
        """Show that we live. :raises Stopped: once we are asked to end."""
        if self._stop.is_set():
            raise Stopped("asked to end")
        moment = time.monotonic()
        if moment - self._looked < _LOOK_S:
            return
        self._looked = moment
        if self._claimed is not None and moment - self._renewed > claims.RENEW_AFTER_S:
            self._renewed = moment
            self._ledger.renew(self._claimed)
