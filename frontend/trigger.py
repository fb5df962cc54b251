"""``cygno-frontend trigger``: cameras and digitizers, one event for each frame.

The main thread alone speaks to the experiment. In its loop it assembles and sends for a while, then
serves transitions, so that these are answered however full the buffer is. Pausing leaves the
devices running, since their clocks must go on together; the frames of the pause are dropped and
counted.
"""

import ctypes
import logging
import time
from collections.abc import Callable

from experiment.client import Client, TransitionResult
from experiment.constants import (
    EQ_POLLED,
    RO_RUNNING,
    STATE_STOPPED,
    STATUS,
    TR_PAUSE,
    TR_RESUME,
    TR_START,
    TR_STARTABORT,
    TR_STOP,
)
from experiment.errors import ExperimentError, SettingsError
from experiment.settings import unknown_keys
from frontend.acquisition import Acquisition
from frontend.active_run import WAIT_S, ActiveRun
from frontend.camera_status import CameraStatus
from frontend.devices import Devices
from frontend.equipment import YELLOW, Common, Equipment, string_value
from frontend.errors import FrontendError
from frontend.instance import Instance
from frontend.logger_tally import LoggerTally
from frontend.preparation import Preparation
from frontend.preview_equipment import Preview
from frontend.readiness import LOOK, answer
from frontend.record import RunRecord
from frontend.recovery import Recovery
from frontend.report import TEXT_BYTES, OperatorReport
from frontend.settings import TriggerSettings
from frontend.setup import declare_setup
from frontend.written_pages import WrittenPages
from hardware.errors import DeviceError

SEQUENCE = 500
"""Behind the logger (200) and the analyzer (300) at start, before them at stop."""
BUDGET_S = 0.05
"""How long the loop sends before it serves transitions."""
IDLE_MS = 50
REPORT_PERIOD_S = 1.0
STOP_RETRY_S = 2.0
_REASON_CHARACTERS = 255  # MIDAS: TRANSITION_ERROR_STRING_LENGTH 256

ASKED_FOR = "asked for"
ALL_SENT = "MaxEvents"
FRONTEND_ENDED = "frontend ended"
"""Stop reasons of runs in which nothing failed."""
ALONE = Instance()

_log = logging.getLogger(__name__)


class TriggerFrontend:
    """The trigger frontend in its experiment.

    :param client: connected, of this thread.
    :param instance: which of several it is.
    """

    def __init__(self, client: Client, instance: Instance = ALONE) -> None:
        self._client = client
        self._instance = instance
        declare_setup(client, instance.settings_path)
        common = Common(instance.event_id, EQ_POLLED, RO_RUNNING, period_ms=100)
        buffers: dict[str, int] = {}
        self._equipment = Equipment(client, instance.equipment, common, buffers)
        self._camera_status = CameraStatus(client, instance, buffers)
        self._preview = Preview(client, instance, buffers)
        self._devices = Devices()
        self._report = OperatorReport(client, self._equipment)
        self._tally = LoggerTally(client, self._equipment, self._report.notice)
        self._pages = WrittenPages(client, self._equipment)
        self._recovery = Recovery(client, instance, self._equipment, self._devices)
        self._run: ActiveRun | None = None
        self._stop_reason = ASKED_FOR
        self._began_s = 0.0
        self._stop_due_s: float | None = None
        self._report_due_s = 0.0
        for transition, callback in (
            (TR_START, self._start),
            (TR_STOP, self._stop),
            (TR_PAUSE, self._pause),
            (TR_RESUME, self._resume),
            (TR_STARTABORT, self._abort),
        ):
            client.register_transition_callback(transition, SEQUENCE, _answering(callback))
        client.register_jrpc_callback(self._answer)
        if client.odb_get("/Runinfo/State") == STATE_STOPPED:
            self._equipment.set_status("ready")
        else:
            run = client.odb_get("/Runinfo/Run number")
            why = f"run {run} goes on without its frames: the frontend was away. Stop it"
            self._report.notice("not in the run", why)
            self._equipment.set_status("started in mid-run: waits for the next run", YELLOW)

    def serve(self, is_over: Callable[[], bool]) -> None:
        """Serve the experiment until `is_over`, then end a run that still goes on.

        :raises ExperimentError: if the experiment is gone.
        """
        try:
            while not is_over():
                if self._run is None:
                    self._client.communicate(IDLE_MS)
                    if self._run is None:
                        self._tally.work()
                        self._recovery.work()
                    continue
                self._work(self._run)
                self._client.communicate(1)
        finally:
            self._close()

    def _work(self, run: ActiveRun) -> None:
        try:
            if not run.work(BUDGET_S):
                run.acquisition.wait(WAIT_S)
        except ExperimentError as error:
            self._fail(run, f"event cannot be sent: {error}", is_device=False)
        failure = run.acquisition.failure()
        if failure is not None:
            self._fail(run, failure, is_device=True)
        now = time.monotonic()
        if run.is_done and self._stop_due_s is None:
            self._client.msg(
                f"Run {run.run_number}: all {run.sent.events} events of MaxEvents sent"
            )
            self._stop_due_s = now
            self._stop_reason = ALL_SENT
        if now >= self._report_due_s:
            self._report_due_s = now + REPORT_PERIOD_S
            self._show(run)
        if self._stop_due_s is not None and now >= self._stop_due_s:
            self._stop_due_s = now + STOP_RETRY_S
            self._ask_to_stop()

    def _fail(self, run: ActiveRun, reason: str, is_device: bool) -> None:
        """Show what failed, raise the alarm and ask for the end of the run; once a run."""
        if self._report.failure is not None:
            return
        self._stop_reason = reason
        self._report.fail(reason)
        self._stop_due_s = time.monotonic()
        if is_device:
            self._recovery.run_failed(run.run_number, reason, time.monotonic() - self._began_s)

    def _ask_to_stop(self) -> None:
        try:
            self._client.stop_run(async_flag=True)
        except ExperimentError as error:  # for one, that a transition is in progress already
            _log.info("stop of the run: %s", error)

    def _show(self, run: ActiveRun) -> None:
        """Do what is to be done each second."""
        self._recovery.run_goes_on()
        self._camera_status.work(run.acquisition)
        silent = run.acquisition.silence()
        if silent is not None and run.acquisition.setup.trigger.silence_ends_run:
            self._fail(run, silent, is_device=True)
        self._report.show(run)
        if run.acquisition.setup.trigger.release_pages:
            self._pages.work()

    # transitions -----------------------------------------------------------------------------

    def _start(self, run_number: int) -> TransitionResult:
        if self._run is not None:  # its stop never reached us
            self._run.abort()
            self._run = None
        self._tally.run_begins()
        if not self._equipment.is_enabled:
            self._equipment.set_status("disabled", YELLOW)
            return None
        try:
            self._run = self._arm(run_number)
        except (SettingsError, FrontendError) as error:
            return self._refuse(STATUS["FE_ERR_ODB"], error)
        except (DeviceError, MemoryError) as error:
            return self._refuse(STATUS["FE_ERR_HW"], error)
        self._equipment.set_status(f"run {run_number}: started")
        return None

    def _arm(self, run_number: int) -> ActiveRun:
        for key in unknown_keys(self._client, self._instance.settings_path, TriggerSettings):
            self._client.msg(f"Trigger: {key} is no setting of mine; is it spelled wrong?")
        preparation = Preparation(
            self._client, self._devices, self._instance, self._equipment.buffer_name, run_number
        )
        try:
            for _, step in preparation.steps():
                step()
            setup, layout = preparation.setup, preparation.layout
            acquisition = Acquisition(setup, self._devices, layout)
            serials = [board.info.serial_number for board in layout.boards]
            if serials:
                self._client.odb_set("/Configurations/DigitizerSN", serials)
            self._equipment.reset_statistics()
            self._camera_status.reset()
            self._preview.begin(run_number, layout)
            self._stop_due_s, self._report_due_s = None, 0.0
            self._stop_reason = ASKED_FOR
            self._report.begin()
            self._recovery.run_begins(setup.trigger)
            self._began_s = time.monotonic()
            acquisition.start()
        except BaseException:
            self._devices.ensure_stopped()
            raise
        return ActiveRun(run_number, acquisition, self._equipment.send, self._preview.show)

    def _refuse(self, code: int, error: Exception) -> TransitionResult:
        reason = str(error)
        self._report.refuse(reason)
        return code, reason[:_REASON_CHARACTERS]

    def _stop(self, run_number: int) -> TransitionResult:
        run, self._run = self._run, None
        if run is None:
            self._equipment.set_status("ready")
            return None
        if self._report.failure is None:
            self._equipment.set_status(f"run {run_number}: draining", YELLOW)
        try:
            record = run.finish()
        except ExperimentError as error:  # a stop must not fail: it is told, and counted
            self._report.notice("device failed", f"event cannot be sent: {error}")
            record = run.record
        self._conclude(record)
        return None

    def _conclude(self, record: RunRecord) -> None:
        """Compare counts and write them down."""
        run = record.as_odb()
        run["Stop reason"] = string_value(self._stop_reason, TEXT_BYTES)
        run["Restarts"] = ctypes.c_uint32(self._recovery.restarts)
        self._client.odb_set(f"{self._equipment.path}/Run", run)
        self._report.conclude(record)
        self._tally.run_ended(record)
        self._recovery.run_ended()

    def _pause(self, run_number: int) -> TransitionResult:
        if self._run is not None:
            self._run.pause()
            self._equipment.set_status(f"run {run_number}: paused", YELLOW)
        return None

    def _resume(self, run_number: int) -> TransitionResult:
        if self._run is not None:
            self._run.resume()
            self._equipment.set_status(f"run {run_number}: resumed")
        return None

    def _abort(self, run_number: int) -> TransitionResult:
        if self._run is not None:  # else it was we who refused, and the status says why
            self._run.abort()
            self._run = None
            self._equipment.set_status(f"ready; start of run {run_number} was aborted")
        self._recovery.start_aborted(run_number)
        return None

    # calls of other programs ------------------------------------------------------------------

    def _answer(self, client: Client, command: str, arguments: str, _: int) -> tuple[int, str]:
        """Answer `cygno-frontend check` and `setup`, which cannot open our devices."""
        if command != LOOK:
            return STATUS["FE_ERR_DRIVER"], f"{command!r} is unknown; known: {LOOK!r}"
        if self._run is not None or client.odb_get("/Runinfo/State") != STATE_STOPPED:
            return STATUS["FE_ERR_DRIVER"], "a run goes on; try again when it has ended"
        try:
            return STATUS["SUCCESS"], answer(client, self._devices, self._instance, arguments)
        except (ExperimentError, ValueError) as error:
            return STATUS["FE_ERR_ODB"], str(error)

    def _close(self) -> None:
        """End what goes on, whatever the experiment still answers."""
        run, self._run = self._run, None
        try:
            if run is not None:
                if self._report.failure is None:
                    self._stop_reason = FRONTEND_ENDED
                self._recovery.call_off()
                record = run.finish()
                self._client.msg(f"Trigger frontend ends in run {run.run_number}", is_error=True)
                self._conclude(record)
            self._equipment.set_status("stopped", YELLOW)
        except ExperimentError as error:
            _log.warning("at the end: %s", error)
        finally:
            self._devices.ensure_stopped()


def _answering(
    callback: Callable[[int], TransitionResult],
) -> Callable[[Client, int], TransitionResult]:
    """Return a transition callback that answers even if the code in it fails."""

    def answer(client: Client, run_number: int) -> TransitionResult:
        try:
            return callback(run_number)
        except ExperimentError as error:
            _log.error("transition of run %d: %s", run_number, error)
            return STATUS["FE_ERR_ODB"], str(error)[:_REASON_CHARACTERS]
        except Exception as error:
            _log.exception("transition of run %d", run_number)
            reason = f"unexpected {type(error).__name__} in the trigger frontend: {error}"
            return STATUS["FE_ERR_DRIVER"], reason[:_REASON_CHARACTERS]

    return answer
