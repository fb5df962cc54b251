"""The online analyzer: it samples the event buffer, never holds anybody up, and may die at will."""

import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from analyzer.analysis import RunAnalysis
from analyzer.arrivals import COMPILING, NO_PEDESTAL
from analyzer.errors import AnalyzerError
from analyzer.finisher import Finisher, Outcome
from analyzer.lookup import PedestalLookup
from analyzer.online_run import OnlineRun
from analyzer.publish import GREEN, RED, YELLOW, Publisher
from analyzer.reports import Reports
from analyzer.results import results_name
from analyzer.runs import tables_of
from analyzer.settings import SETTINGS_PATH, AnalyzerSettings
from analyzer.slots import Slots
from analyzer.slow_control import is_slow_event
from analyzer.surroundings import (
    data_folder,
    events_sent,
    largest_event,
    odb_at_end,
    run_conditions,
    run_file,
)
from analyzer.warmup import compile_kernels, compile_pedestal_kernels
from analyzer.window import Window
from experiment.client import Client, TransitionResult
from experiment.constants import (
    GET_NONBLOCKING,
    STATE_STOPPED,
    STATUS,
    TR_START,
    TR_STARTABORT,
    TR_STOP,
)
from experiment.errors import MidasError, SettingsError
from experiment.settings import declare, load, unknown_keys
from rawdata.datamodel import is_trigger_event

CLIENT_NAME: Final = "cygno-analyzer"
BUFFER: Final = "SYSTEM"

START_SEQUENCE: Final = 300
"""After the logger (200) has opened the run file, before the frontends (500) send."""
STOP_SEQUENCE: Final = 900
"""After the frontends (500) and the logger (800) are done."""

PUMP_S: Final = 0.05
"""Time that events may take before the experiment is served again."""
DRAIN_S: Final = 5.0
"""Time that the stop of a run may wait for what is in the buffer; the rest is completed from file.
MIDAS gives a transition 120 s."""
REPORT_S: Final = 1.0
IDLE_MS: Final = 10

_log = logging.getLogger(__name__)


class OnlineAnalyzer:
    """Analyzes runs as they go; all calls to the experiment are made by the thread of `serve`.

    :param data_folder: where results and pedestals go; None is /Logger/Data dir.
    :param workers: threads; 0 takes the setting.
    """

    def __init__(self, client: Client, data_folder: Path | None = None, workers: int = 0) -> None:
        self._client = client
        self._given_folder = data_folder
        declare(client, SETTINGS_PATH, AnalyzerSettings())
        self._publisher = Publisher(client)
        settings = load(client, SETTINGS_PATH, AnalyzerSettings)
        self._workers = workers or settings.workers or os.cpu_count() or 1
        self._slots = Slots(2 * self._workers + 4, largest_event(client))
        self._finisher = Finisher()
        self._reports = Reports()
        self._window = Window(client, self._publisher, settings.stream_port, self._facts)
        self._run: OnlineRun | None = None
        self._buffer = client.open_event_buffer(BUFFER)
        self._compiled = threading.Event()
        self._compile_failure = ""
        self._is_ready = False
        self._report_due_s = 0.0
        self._outcome: Outcome | None = None
        self._is_alarmed = False
        self._latest_run = 0
        client.register_event_request(self._buffer, -1, -1, GET_NONBLOCKING)
        client.register_transition_callback(TR_START, START_SEQUENCE, self._start)
        client.register_transition_callback(TR_STOP, STOP_SEQUENCE, self._stop)
        client.register_transition_callback(TR_STARTABORT, START_SEQUENCE, self._abort)
        if client.odb_get("/Runinfo/State") != STATE_STOPPED:
            self._join()

    # the loop ------------------------------------------------------------------------------------
    def serve(self, is_over: Callable[[], bool]) -> None:
        """Analyze until `is_over`, or until an operator asks the program to end.

        :raises ExperimentError: if the experiment is gone.
        """
        compiler = threading.Thread(target=self._compile, name="compile", daemon=True)
        compiler.start()
        self._publisher.set_status("compiling the kernels", YELLOW)
        try:
            while not is_over():
                worked = self._work()
                self._client.communicate(1 if worked else IDLE_MS)
        finally:
            self._close()

    def _work(self) -> bool:
        """Do what there is to do, for a short time; tell whether there was any."""
        if not self._is_ready and self._compiled.is_set():
            self._become_ready()
        worked = False
        if self._run is not None:
            worked = self._may_pump(self._run) and self._pump(self._run, PUMP_S)
            self._pass_on(self._run)
        for outcome in self._finisher.done():
            self._conclude(outcome)
        for run, report, failure in self._reports.done():
            self._publisher.show_report(run, report, failure)
        now = time.monotonic()
        if now >= self._report_due_s:
            self._report_due_s = now + REPORT_S
            self._report()
        return worked

    def _compile(self) -> None:
        try:
            compile_kernels()
            self._compiled.set()
            compile_pedestal_kernels()
        except Exception as error:
            self._compile_failure = f"{type(error).__name__}: {error}"
            self._compiled.set()

    def _become_ready(self) -> None:
        self._is_ready = True
        if self._compile_failure:
            raise AnalyzerError(f"the kernels cannot be compiled: {self._compile_failure}")
        self._publisher.set_ready(True)
        if self._run is None:
            self._publisher.set_status(f"ready, {self._workers} threads")

    # events --------------------------------------------------------------------------------------
    def _may_pump(self, run: OnlineRun) -> bool:
        """Tell whether events can be analyzed now; if not, the run is told why."""
        if not self._is_ready:
            run.arrivals.hinder(COMPILING)
        elif self._finisher.makes_pedestal:
            run.arrivals.hinder(NO_PEDESTAL)
        else:
            return True
        return False

    def _pump(self, run: OnlineRun, budget_s: float) -> bool:
        """Take events from the buffer for a while; tell whether there were any."""
        end = time.monotonic() + budget_s
        worked = False
        while time.monotonic() < end:
            run.collect()
            if not run.has_room:
                run.wait(min(0.01, budget_s))
                worked = True
                continue
            slot = self._slots.take()
            if slot is None:
                run.wait(min(0.01, budget_s))
                continue
            try:
                data = self._client.receive_buffer(self._buffer, slot.data)
            except MidasError as error:
                self._slots.give(slot)
                if error.code != STATUS["BM_TRUNCATED"]:
                    raise
                self._slots.enlarge(2 * self._slots.size_bytes)
                run.miss(str(error))
                continue
            if data is None:
                self._slots.give(slot)
                run.arrivals.caught_up()
                break
            event_id = int.from_bytes(data[:2], "little")
            if is_slow_event(event_id):
                run.note(data)
            if not is_trigger_event(event_id):
                self._slots.give(slot)
                continue
            run.take(data, slot)
            worked = True
        return worked

    def _pass_on(self, run: OnlineRun) -> None:
        """Send on what a run has to say."""
        while run.messages:
            text, is_error = run.messages.popleft()
            self._client.msg(text, is_error)

    def _empty_buffer(self) -> None:
        """Throw away events that were left in the buffer: they belong to no run of ours."""
        slot = self._slots.take()
        if slot is None:
            return
        end = time.monotonic() + DRAIN_S
        try:
            while time.monotonic() < end:
                try:
                    if self._client.receive_buffer(self._buffer, slot.data) is None:
                        return
                except MidasError as error:
                    if error.code != STATUS["BM_TRUNCATED"]:
                        raise
        finally:
            self._slots.give(slot)

    # transitions ---------------------------------------------------------------------------------
    def _start(self, client: Client, run_number: int) -> TransitionResult:
        if self._run is not None:  # its stop never reached us
            self._finish(self._run)
        self._empty_buffer()
        self._latest_run = run_number
        try:
            self._run = self._open(run_number, joined=False)
        except (SettingsError, AnalyzerError) as error:
            self._publisher.set_status(str(error), RED)
            return STATUS["FE_ERR_ODB"], str(error)
        self._is_alarmed = False
        self._publisher.begin()
        self._publisher.set_status(f"run {run_number}: started")
        return None

    def _stop(self, client: Client, run_number: int) -> TransitionResult:
        run = self._run
        if run is None:
            return None
        end = time.monotonic() + DRAIN_S
        if self._may_pump(run):
            while time.monotonic() < end and self._pump(run, PUMP_S):
                pass
        self._finish(run)
        return None

    def _abort(self, client: Client, run_number: int) -> TransitionResult:
        run, self._run = self._run, None
        self._window.leave()
        if run is not None:
            run.close()
            run.writer.abandon()
            self._publisher.set_status(f"run {run_number} was not started", YELLOW)
        return None

    def _join_missed(self) -> None:
        """Join a run whose start was under way while we connected, so that nobody told us."""
        info = self._client.odb_get("/Runinfo")
        is_settled = info["State"] != STATE_STOPPED and not info["Transition in progress"]
        if is_settled and int(info["Run number"]) != self._latest_run:
            self._join()

    def _join(self) -> None:
        """Take part in a run that is on already."""
        run_number = int(self._client.odb_get("/Runinfo/Run number"))
        self._latest_run = run_number
        try:
            self._run = self._open(run_number, joined=True)
        except (SettingsError, AnalyzerError) as error:
            self._client.msg(f"run {run_number} is not analyzed: {error}", True)
            return
        self._client.msg(f"the analyzer joins run {run_number}; what it missed it takes from file")

    def _open(self, run_number: int, *, joined: bool) -> OnlineRun:
        for key in unknown_keys(self._client, SETTINGS_PATH, AnalyzerSettings):
            self._client.msg(f"Analyzer: {key} is no setting of mine; is it spelled wrong?")
        settings = load(self._client, SETTINGS_PATH, AnalyzerSettings)
        conditions = run_conditions(self._client, run_number)
        analysis = RunAnalysis(conditions, settings, tables_of(settings))
        folder = self._given_folder or data_folder(self._client)
        run = OnlineRun(
            analysis,
            PedestalLookup([folder]),
            folder / results_name(run_number),
            self._slots,
            self._workers,
            joined=joined,
            consumers=self._window.consumers(analysis),
        )
        self._window.open(run)
        return run

    def _finish(self, run: OnlineRun) -> None:
        self._run = None
        self._window.leave()
        self._pass_on(run)
        self._publisher.show(run)
        run.analysis.odb_end = odb_at_end(self._client)
        sent = events_sent(self._client, run.run)
        self._finisher.submit(run, sent, run_file(self._client))

    def _conclude(self, outcome: Outcome) -> None:
        for text, is_error in outcome.messages:
            self._client.msg(text, is_error)
        self._publisher.conclude(outcome)
        self._window.conclude(outcome)
        is_whole = outcome.counts.lost == 0 and outcome.output is not None
        self._client.msg(outcome.summary(), not is_whole)
        if outcome.output is None:
            self._publisher.alarm(f"no results of run {outcome.run}: see the messages")
        if outcome.wants_report and outcome.output is not None:
            self._reports.add(outcome.run, outcome.output)
        self._outcome = outcome
        self._report_due_s = 0.0

    # life ----------------------------------------------------------------------------------------
    def _report(self) -> None:
        if self._run is None:
            self._join_missed()
        run = self._run
        if run is not None:
            if self._is_ready:
                self._publisher.show(run)
            if run.writer.failure and not self._is_alarmed:
                self._is_alarmed = True
                self._client.msg(f"run {run.run}: {run.writer.failure}", True)
                self._publisher.alarm(run.writer.failure)
        elif self._is_ready:
            self._publisher.set_status(*self._idle_status())

    def _facts(self) -> dict[str, Any]:
        return {"ready": self._is_ready, "workers": self._workers}

    def _idle_status(self) -> tuple[str, str]:
        if self._finisher.is_busy:
            return "finishing the last run", YELLOW
        if self._outcome is None:
            return f"ready, {self._workers} threads", GREEN
        return self._outcome.summary(), GREEN if self._outcome.output else RED

    def _close(self) -> None:
        """Leave: what is under way stays as a partial file, to be completed by `file`."""
        run, self._run = self._run, None
        if run is not None:
            run.close()
            run.writer.abandon(keep=True)
        self._finisher.close()
        self._window.close()
        reports = self._reports.close()
        try:
            for run_number, report, failure in reports:
                self._publisher.show_report(run_number, report, failure)
            self._publisher.set_ready(False)
            self._publisher.set_status("stopped", YELLOW)
        except Exception as error:
            _log.info("the experiment is gone: %s", error)
