"""What the daemon's second thread does, round after round, apart from the experiment.

Only the main thread may ask the experiment; what is wanted of it is asked for, and waited for.
"""

import math
import queue
import threading
import time
from dataclasses import dataclass
from typing import Final

from stager.catalog import Catalog
from stager.configuration import Configuration
from stager.errors import CatalogError, Stopped
from stager.ledger import Ledger
from stager.outcome import Pass
from stager.progress import Progress
from stager.worker import Worker

_SLICE_S: Final = 0.1
_ANSWER_S: Final = 0.01
_PRUNE_PERIOD_S: Final = 60.0


@dataclass(frozen=True)
class Request:
    """What somebody asked for: ``verify`` or ``retry`` of these runs, of all if none is named."""

    verb: str
    runs: tuple[int, ...]
    read_back: bool


class Errand:
    """What the stager's thread does, round after round; its worker lives through all of them."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._over = threading.Event()
        self._catalog: Catalog | None = None
        self._catalog_url = ""
        self._worker: Worker | None = None
        self.wake = threading.Event()
        """Once set, the present round ends and the next one begins."""
        self.requests: queue.SimpleQueue[Request] = queue.SimpleQueue()
        self._pruned = -math.inf
        self.waits_for = ""
        """One line that says so while the catalog is waited for."""
        self.asks_for_run = threading.Event()
        """Set while `tell_run` is waited for."""
        self._run: int | None = None

    def end(self) -> None:
        """Let the present round end; what is begun is taken up again later."""
        self._over.set()

    def close(self) -> None:
        """Let go of threads and catalog."""
        if self._worker:
            self._worker.close()
        if self._catalog:
            self._catalog.close()
        self._worker = self._catalog = None

    def tell_run(self, run: int | None) -> None:
        """Say which run is being taken; only the main thread may ask the experiment."""
        self._run = run
        self.asks_for_run.clear()

    def _ask_run(self) -> int | None:
        self.asks_for_run.set()
        while self.asks_for_run.is_set():
            time.sleep(_ANSWER_S)
            self._pulse()
        return self._run

    def run(self, configuration: Configuration) -> Pass:
        """Make one round: look for files, and hand out and collect work for a scan period.

        Work that takes longer goes on through the next rounds.

        :raises StagerError: if the data folder or the catalog cannot be used at all.
        """
        try:
            worker = self._prepare(configuration)
            self._serve_requests(worker)
            worker.begin_pass(self._ask_run, retry_all=False)
            if configuration.settings.delete_local_files:
                self._prune(worker)
            period_s = configuration.settings.scan_period_s
            end = time.monotonic() + min(period_s, worker.look_again_s or period_s)
            has_news = False
            while time.monotonic() < end and not self.wake.is_set():
                has_news = worker.collect(_SLICE_S) or has_news
                if not worker.is_busy:
                    if has_news:
                        break
                    self._rest(_SLICE_S)
            return worker.take_result()
        except CatalogError:
            self.close()
            raise
        finally:
            self.waits_for = ""

    def _serve_requests(self, worker: Worker) -> None:
        while True:
            try:
                request = self.requests.get_nowait()
            except queue.Empty:
                return
            if request.verb == "verify":
                worker.begin_recheck(request.runs, read_back=request.read_back)
            else:
                worker.retry(request.runs)

    def _prune(self, worker: Worker) -> None:
        """Look now and then for local files that may go; each time many are judged."""
        if time.monotonic() > self._pruned + _PRUNE_PERIOD_S:
            self._pruned = time.monotonic()
            worker.begin_prune(self._run, apply=True)

    def _prepare(self, configuration: Configuration) -> Worker:
        if self._catalog is None or self._catalog_url != configuration.catalog_url:
            self.close()
            self._catalog = Catalog(configuration.catalog_url)
            self._catalog.wait_s = math.inf
            self._catalog.on_wait = self._wait_for_catalog
            self._catalog_url = configuration.catalog_url
        ledger = Ledger(self._catalog, configuration)
        if self._worker is None:
            self._worker = Worker(configuration, ledger, self._pulse, self._progress)
        else:
            self._worker.use(configuration, ledger)
        return self._worker

    def _wait_for_catalog(self, reason: str) -> None:
        self.waits_for = reason
        self._pulse()

    def _pulse(self) -> None:
        if self._over.is_set():
            raise Stopped("asked to end")

    def _rest(self, rest_s: float) -> None:
        self.wake.wait(rest_s)
        self._pulse()
