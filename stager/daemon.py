"""Stage for ever: as a program of the experiment while that is up, and on its own while it is not.

The main thread serves the experiment and nothing else, so that a run is never held up by us; one
thread works for the stager, with those of its crew. No failure ends it: each is shown, alarmed, and
tried again later.
"""

import logging
import math
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from experiment.client import Client
from experiment.constants import STATUS, TR_STOP
from experiment.errors import ExperimentError
from stager.answers import answer
from stager.attach import connect_if_up, current_run
from stager.configuration import configure
from stager.equipment import DISK_ALARM, StagerEquipment, Tally
from stager.errand import Errand, Request
from stager.errors import StagerError, Stopped
from stager.models import State
from stager.once import complaints
from stager.outcome import WAITING, Pass
from stager.progress import Progress
from stager.settings import StagerSettings

CLIENT_NAME: Final = "cygno-stager"
_SLICE_MS: Final = 100
_RETRY_S: Final = 10.0
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
            if outcome.is_staged:
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
        text, tally = f"{self._tally.files_staged} files staged", self._tally
        if tally.files_waiting:  # as those of the run that is being taken do: nothing is wrong
            text = f"{text}, {tally.files_waiting} waiting"

        def show(client: Client) -> None:
            if self._equipment:
                self._equipment.show(complaint or text, not complaint, tally)
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
            self._equipment.show("ready", True, self._tally)
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
