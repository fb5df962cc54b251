"""Stage for ever: as a program of the experiment while that is up, and on its own while it is not.

The main thread serves the experiment and nothing else, so that a run is never held up by us; one
thread works for the stager, with those of its crew. No failure ends it: each is shown, alarmed, and
tried again later.
"""

import logging
import math
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from experiment.client import Client
from experiment.constants import STATUS, TR_STOP
from experiment.errors import ExperimentError
from stager.answers import answer
from stager.attach import connect_if_up, current_run
from stager.catalog import Catalog
from stager.configuration import Configuration, configure
from stager.equipment import DISK_ALARM, StagerEquipment, Tally
from stager.errors import CatalogError, StagerError, Stopped
from stager.ledger import Ledger
from stager.models import State
from stager.once import complaints
from stager.outcome import STAGED, WAITING, Pass
from stager.progress import Progress
from stager.settings import StagerSettings
from stager.worker import Worker

CLIENT_NAME: Final = "cygno-stager"
_SLICE_MS: Final = 100
_RETRY_S: Final = 10.0
_PRUNE_PERIOD_S: Final = 60.0
_LOOK_S: Final = 1.0
"""Between two looks whether the experiment is up."""
_STOP_SEQUENCE: Final = 900
"""After the logger, which closes its file at 800 (MIDAS's ``mlogger.cxx``)."""

log = logging.getLogger(__name__)


class Daemon:
    """The stager as a service.

    :param options: of the command, see `configure`.
    :param named: the experiment that the command was told.
    :param is_over: True once somebody asked us to end.
    """

    def __init__(
        self,
        options: dict[str, Any],
        named: str | None,
        folder: Path | None,
        config_file: Path | None,
        progress: Progress,
        is_over: Callable[[], bool],
    ) -> None:
        self._options = options
        self._named = named
        self._folder = folder
        self._config_file = config_file
        self._is_over = is_over
        self._client: Client | None = None
        self._equipment: StagerEquipment | None = None
        self._tally = Tally()
        self._complaint = self._disk_trouble = ""
        self._settings: StagerSettings | None = None
        self._kept: dict[int, str] = {}
        self._errand = Errand(progress)
        self._looked = -math.inf

    def serve(self) -> None:
        """Stage until it is over."""
        try:
            with ThreadPoolExecutor(1, thread_name_prefix="stager") as thread:
                try:
                    self._serve(thread)
                finally:
                    self._errand.end()
        except (Stopped, KeyboardInterrupt):
            pass
        finally:
            self._errand.close()
            self._with_experiment(lambda client: client.disconnect())

    def _serve(self, thread: ThreadPoolExecutor) -> None:
        running: Future[Pass] | None = None
        begin = 0.0
        while not self._is_over():
            self._connect()
            if running is None and (time.monotonic() >= begin or self._errand.wake.is_set()):
                running, begin = self._send(thread)
            elif running is not None and running.done():
                begin = time.monotonic() + self._take(running)
                running = None
            else:
                self._show_wait()
            self._slice()

    def _send(self, thread: ThreadPoolExecutor) -> tuple["Future[Pass] | None", float]:
        """Let the stager's thread make its next round; return when to try again if it cannot."""
        self._errand.wake.clear()
        try:
            configuration = configure(self._options, self._folder, self._client, self._config_file)
        except StagerError as error:
            self._complain(str(error))
            return None, time.monotonic() + _RETRY_S
        except ExperimentError as error:
            self._drop(error)
            return None, time.monotonic()
        self._settings = configuration.settings
        return thread.submit(self._errand.run, configuration), math.inf

    def _take(self, done: "Future[Pass]") -> float:
        """Show what a round has done; return how long [s] to rest after it."""
        try:
            result = done.result()
        except Stopped:
            raise
        except StagerError as error:
            self._complain(str(error))
            return _RETRY_S
        except Exception as error:  # nobody watches us: it must be seen, and outlived
            log.exception("a fault of the stager itself")
            self._errand.close()
            fault = f"{type(error).__name__}: {error}"
            self._complain(f"a fault of the stager itself ({fault}); it begins anew: report it")
            return _RETRY_S
        self._count(result)
        self._complain("; ".join(complaints(result)))
        self._tell(result)
        return 0.0

    def _count(self, result: Pass) -> None:
        for outcome in result.outcomes:
            if outcome.state in STAGED:
                log.info("%s is at its places as %s", outcome.path, outcome.object_key)
                self._tally.files_staged += 1
                self._tally.bytes_staged += outcome.object_bytes or 0
                self._tally.last_run = max(self._tally.last_run, outcome.run)
        self._tally.files_waiting = result.count(WAITING)
        self._tally.files_failed = result.count(State.FAILED)
        if result.disk is not None:
            hours = result.disk.hours_left
            self._tally.disk_percent_full = result.disk.percent_full
            self._tally.disk_hours_left = -1.0 if hours is None else hours

    def _show_wait(self) -> None:
        """Show what the stager's thread waits for, if it is the catalog."""
        reason = self._errand.waits_for
        if reason and reason != self._complaint:
            self._complain(reason)

    def _complain(self, complaint: str) -> None:
        if complaint and complaint != self._complaint:
            log.error("%s", complaint)
        self._complaint = complaint
        self._tally.last_error = complaint or self._tally.last_error
        text, mood = f"{self._tally.files_staged} files staged", "ok"
        if self._tally.files_waiting:
            text, mood = f"{text}, {self._tally.files_waiting} waiting", "busy"
        if complaint:
            text, mood = complaint, "bad"
        tally = self._tally

        def show(client: Client) -> None:
            if self._equipment:
                self._equipment.show(text, mood, tally)
                self._equipment.raise_alarm(complaint)

        self._with_experiment(show)

    def _tell(self, result: Pass) -> None:
        """Show what nobody has to look for in the status: the disk, copies, deletions."""
        if result.disk is not None and self._settings is not None:
            self._complain_of_disk(result.disk.trouble(self._settings))
        lost = [line for answer in result.answers if (line := answer.complaint())]
        if result.answers:
            good = len(result.answers) - len(lost)
            self._say(f"{good} of {len(result.answers)} copies are still there", bool(lost))
        for line in lost:
            self._say(line, True)
        for verdict in result.verdicts:
            if verdict.deleted:
                count = len(verdict.deleted)
                self._say(f"run {verdict.run}: {count} local files deleted: {verdict.reason}")
            elif verdict.was_to_go and self._kept.get(verdict.run) != verdict.reason:
                self._kept[verdict.run] = verdict.reason  # said once, however often it is tried
                self._say(f"run {verdict.run} is not deleted: {verdict.reason}", True)

    def _complain_of_disk(self, trouble: str) -> None:
        if trouble and not self._disk_trouble:
            log.error("%s", trouble)
        self._disk_trouble = trouble

        def alarm(_: Client) -> None:
            if self._equipment:
                self._equipment.raise_alarm(trouble, DISK_ALARM)

        self._with_experiment(alarm)

    def _say(self, line: str, is_error: bool = False) -> None:
        log.log(logging.ERROR if is_error else logging.INFO, "%s", line)
        self._with_experiment(lambda client: client.msg(f"Stager: {line}", is_error))

    # remote calls ------------------------------------------------------------------------------
    def _answer(self, _: Client, verb: str, arguments: str, room: int) -> tuple[int, str]:
        return STATUS["SUCCESS"], answer(verb, arguments, room, self._status, self._ask)

    def _status(self) -> dict[str, Any]:
        tally = self._tally
        return {
            "message": self._complaint or self._disk_trouble,
            "staged": tally.files_staged,
            "waiting": tally.files_waiting,
            "failed": tally.files_failed,
            "last_run": tally.last_run,
            "disk_percent_full": round(tally.disk_percent_full, 1),
            "disk_hours_left": round(tally.disk_hours_left, 1),
        }

    def _ask(self, verb: str, run: int | None, read_back: bool) -> None:
        self._errand.requests.put(Request(verb, () if run is None else (run,), read_back))
        self._errand.wake.set()

    # the experiment ----------------------------------------------------------------------------
    def _connect(self) -> None:
        if self._client is not None or time.monotonic() < self._looked + _LOOK_S:
            return
        self._looked = time.monotonic()
        self._client = connect_if_up(CLIENT_NAME, self._named, self._folder)
        if self._client is None:
            return
        log.info("connected to the experiment as %s", self._client.name)

        def prepare(client: Client) -> None:
            self._equipment = StagerEquipment(client)
            self._equipment.show("ready", "ok", self._tally)
            client.register_transition_callback(TR_STOP, _STOP_SEQUENCE, self._run_has_ended)
            client.register_jrpc_callback(self._answer)

        self._with_experiment(prepare)

    def _run_has_ended(self, _client: Client, _run: int) -> None:
        self._errand.wake.set()

    def _with_experiment(self, do: Callable[[Client], object]) -> None:
        if self._client is None:
            return
        try:
            do(self._client)
        except ExperimentError as error:
            self._drop(error)

    def _drop(self, error: ExperimentError) -> None:
        """Go on alone; the experiment is looked for again before the next round."""
        log.warning("the experiment is gone: %s", error)
        client, self._client, self._equipment = self._client, None, None
        if client is not None:
            try:
                client.disconnect()
            except ExperimentError:
                pass

    def _slice(self) -> None:
        """Serve the experiment for a moment."""
        if self._client is None:
            time.sleep(_SLICE_MS / 1000)
        self._with_experiment(lambda client: client.communicate(_SLICE_MS))
        if self._errand.asks_for_run.is_set():
            run: list[int | None] = [None]
            self._with_experiment(lambda client: run.append(current_run(client)))
            self._errand.tell_run(run[-1])


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
            time.sleep(_SLICE_MS / 10_000)
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
                has_news = worker.collect(_SLICE_MS / 1000) or has_news
                if not worker.is_busy:
                    if has_news:
                        break
                    self._rest(_SLICE_MS / 1000)
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
