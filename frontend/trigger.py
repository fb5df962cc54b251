"""``cygno-frontend trigger``: cameras and digitizers, one event for each frame.

The main thread alone speaks to the experiment. In its loop it assembles and sends for a while, then
serves transitions, so that these are answered however full the buffer is. Pausing leaves the
devices running, since their clocks must go on together; the frames of the pause are dropped and
counted.
"""

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
from frontend.acquisition import Acquisition, make_layout
from frontend.active_run import WAIT_S, ActiveRun
from frontend.camera_status import CameraStatus
from frontend.checks import check_room
from frontend.devices import Devices
from frontend.equipment import GREEN, RED, YELLOW, Common, Equipment, raise_alarm
from frontend.errors import FrontendError
from frontend.layout import TRIGGER_EVENT_ID
from frontend.record import RunRecord
from frontend.settings import TriggerSettings
from frontend.setup import declare_setup, load_setup
from hardware.errors import DeviceError

CLIENT_NAME = "cygno-frontend-trigger"
SEQUENCE = 500
"""Behind the logger (200) and the analyzer (300) at start, before them at stop."""
BUDGET_S = 0.05
"""How long the loop sends before it serves transitions."""
IDLE_MS = 50
REPORT_PERIOD_S = 1.0
STOP_RETRY_S = 2.0
_REASON_CHARACTERS = 255  # MIDAS: TRANSITION_ERROR_STRING_LENGTH 256

_log = logging.getLogger(__name__)


class TriggerFrontend:
    """The trigger frontend in its experiment.

    :param client: connected, of this thread.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        declare_setup(client)
        common = Common(TRIGGER_EVENT_ID, EQ_POLLED, RO_RUNNING, period_ms=100)
        buffers: dict[str, int] = {}
        self._equipment = Equipment(client, "Trigger", common, buffers)
        self._camera_status = CameraStatus(client, buffers)
        self._devices = Devices()
        self._run: ActiveRun | None = None
        self._failure: str | None = None
        self._notices: set[str] = set()
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
        if client.odb_get("/Runinfo/State") == STATE_STOPPED:
            self._equipment.set_status("ready")
        else:
            self._equipment.set_status("started in mid-run: waits for the next run", YELLOW)

    def serve(self, is_over: Callable[[], bool]) -> None:
        """Serve the experiment until `is_over`, then end a run that still goes on.

        :raises ExperimentError: if the experiment is gone.
        """
        try:
            while not is_over():
                if self._run is None:
                    self._client.communicate(IDLE_MS)
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
            self._fail(f"event cannot be sent: {error}")
        failure = run.acquisition.failure()
        if failure is not None:
            self._fail(failure)
        now = time.monotonic()
        if run.is_done and self._stop_due_s is None:
            self._client.msg(
                f"Run {run.run_number}: all {run.sent.events} events of MaxEvents sent"
            )
            self._stop_due_s = now
        if now >= self._report_due_s:
            self._report_due_s = now + REPORT_PERIOD_S
            self._report(run)
        if self._stop_due_s is not None and now >= self._stop_due_s:
            self._stop_due_s = now + STOP_RETRY_S
            self._ask_to_stop()

    def _fail(self, reason: str) -> None:
        """Show what failed, raise the alarm and ask for the end of the run; once a run."""
        if self._failure is not None:
            return
        self._failure = reason
        self._equipment.set_status(reason, RED)
        self._client.msg(f"Trigger: {reason}. The run is stopped", is_error=True)
        raise_alarm(self._client, "Trigger device failed", reason)
        self._stop_due_s = time.monotonic()

    def _ask_to_stop(self) -> None:
        try:
            self._client.stop_run(async_flag=True)
        except ExperimentError as error:  # for one, that a transition is in progress already
            _log.info("stop of the run: %s", error)

    def _notice(self, name: str, text: str) -> None:
        """Raise an alarm and write a message, once a run for each name."""
        if name not in self._notices:
            self._notices.add(name)
            self._client.msg(f"Trigger: {text}", is_error=True)
            raise_alarm(self._client, name, text)

    # each second -----------------------------------------------------------------------------

    def _report(self, run: ActiveRun) -> None:
        record, level = run.record, run.acquisition.ring.level
        rate = self._equipment.write_statistics()
        self._equipment.set_variables(
            {
                "Rate Hz": rate,
                "Ring level %": 100 * level,
                "Frames acquired": record.frames_acquired,
                "Frames lost": record.frames_lost,
                "Events incomplete": record.events_incomplete,
                "Send retries": record.send_retries,
                "Triggers read": record.triggers_read,
                "Triggers lost": record.triggers_lost,
                **record.compression_variables(),
            }
        )
        self._camera_status.work(run.acquisition)
        self._tell_losses(record)
        uncompressed = run.acquisition.outbox.failure()
        if uncompressed is not None:
            self._notice("Trigger compression failed", uncompressed)
        silent = run.acquisition.silence()
        if silent is not None:
            self._notice("Trigger device silent", silent)
        if self._failure is not None:
            return
        if uncompressed is not None:
            self._equipment.set_status(f"{uncompressed}; the run goes on", RED)
            return
        state = "paused" if run.is_paused else f"{rate:.1f} Hz"
        lost = record.frames_lost
        status = f"run {run.run_number}: {state}, ring {100 * level:.0f}%, lost {lost}"
        is_well = not lost and silent is None and level < 0.5
        self._equipment.set_status(silent or status, GREEN if is_well else YELLOW)

    def _tell_losses(self, record: RunRecord) -> None:
        if record.frames_lost:
            causes = (
                f"{record.frames_lost_by_camera} by the camera, {record.frames_lost_by_ring} by a"
                f" full ring, {record.frames_late} late, {record.frames_unsent} unsent"
            )
            self._notice("Trigger frames lost", f"{record.frames_lost} frames lost: {causes}")

    # transitions -----------------------------------------------------------------------------

    def _start(self, run_number: int) -> TransitionResult:
        if self._run is not None:  # its stop never reached us
            self._run.abort()
            self._run = None
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
        for key in unknown_keys(self._client, TriggerSettings.odb_path, TriggerSettings):
            self._client.msg(f"Trigger: {key} is no setting of mine; is it spelled wrong?")
        setup = load_setup(self._client)
        self._devices.ensure_ready(setup, run_number)
        try:
            layout = make_layout(setup, self._devices)
            check_room(self._client, setup, layout, self._equipment.buffer_name)
            acquisition = Acquisition(setup, self._devices, layout)
            serials = [board.info.serial_number for board in layout.boards]
            if serials:
                self._client.odb_set("/Configurations/DigitizerSN", serials)
            self._equipment.reset_statistics()
            self._camera_status.reset()
            self._failure, self._stop_due_s, self._report_due_s = None, None, 0.0
            self._notices.clear()
            acquisition.start()
        except BaseException:
            self._devices.ensure_stopped()
            raise
        return ActiveRun(run_number, acquisition, self._equipment.send)

    def _refuse(self, code: int, error: Exception) -> TransitionResult:
        reason = str(error)
        self._equipment.set_status(f"refused: {reason}", RED)
        self._client.msg(f"Trigger refuses the run: {reason}", is_error=True)
        return code, reason[:_REASON_CHARACTERS]

    def _stop(self, run_number: int) -> TransitionResult:
        run, self._run = self._run, None
        if run is None:
            self._equipment.set_status("ready")
            return None
        if self._failure is None:
            self._equipment.set_status(f"run {run_number}: draining", YELLOW)
        try:
            record = run.finish()
        except ExperimentError as error:  # a stop must not fail: it is told, and counted
            self._notice("Trigger device failed", f"event cannot be sent: {error}")
            record = run.record
        self._conclude(record)
        return None

    def _conclude(self, record: RunRecord) -> None:
        """Compare counts and write them down."""
        self._equipment.write_statistics()
        self._client.odb_set(f"{self._equipment.path}/Run", record.as_odb())
        self._client.msg(record.summary(), is_error=record.frames_lost > 0)
        contradictions = record.contradictions()
        if contradictions:
            self._notice("Trigger counts differ", "; ".join(contradictions))
        self._tell_losses(record)
        if self._failure is None:
            text = f"ready; run {record.run_number}: {record.events_sent} events"
            self._equipment.set_status(text, YELLOW if record.frames_lost else GREEN)

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
        return None

    def _close(self) -> None:
        """End what goes on, whatever the experiment still answers."""
        run, self._run = self._run, None
        try:
            if run is not None:
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
