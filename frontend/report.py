"""What the operator is told of a run: status and counts each second, alarms and messages once."""

from typing import Any

from experiment.client import Client
from frontend.active_run import ActiveRun
from frontend.equipment import GREEN, RED, YELLOW, Equipment, raise_alarm, string_value
from frontend.record import RunRecord

TEXT_BYTES = 256
_HIGH_LEVEL = 0.5
"""Part of the ring from which the status is yellow."""


class OperatorReport:
    """Tells the operator of one equipment how its run goes; for the main thread alone."""

    def __init__(self, client: Client, equipment: Equipment) -> None:
        self._client = client
        self._equipment = equipment
        self._noticed: set[str] = set()
        self.failure: str | None = None
        """What ends the run; the status shows it from then on."""
        self.last_error = ""

    def begin(self) -> None:
        """Begin a run: nothing is wrong yet."""
        self._noticed.clear()
        self.failure, self.last_error = None, ""

    def fail(self, reason: str) -> None:
        """Tell what ends the run."""
        self.failure = self.last_error = reason
        self._equipment.set_status(reason, RED)
        name = self._equipment.name
        self._client.msg(f"{name}: {reason}. The run is stopped", is_error=True)
        raise_alarm(self._client, f"{name} device failed", reason)

    def refuse(self, reason: str) -> None:
        """Tell why a run does not begin."""
        self.last_error = reason
        self._equipment.set_variables(self._error())
        self._equipment.set_status(f"refused: {reason}", RED)
        self._client.msg(f"{self._equipment.name} refuses the run: {reason}", is_error=True)

    def notice(self, what: str, text: str) -> None:
        """Raise an alarm and write a message, once a run for each thing that is wrong."""
        if what in self._noticed:
            return
        self._noticed.add(what)
        self.last_error = text
        name = self._equipment.name
        self._client.msg(f"{name}: {text}", is_error=True)
        raise_alarm(self._client, f"{name} {what}", text)

    def show(self, run: ActiveRun) -> None:
        """Show how the run goes."""
        record, level = run.record, run.acquisition.ring.level
        rate = self._equipment.write_statistics()
        held_by = self._equipment.buffer_held_by
        uncompressed, silent = run.acquisition.outbox.failure(), run.acquisition.silence()
        self._tell_losses(record, held_by)
        if uncompressed is not None:
            self.notice("compression failed", uncompressed)
        if silent is not None and self.failure is None:
            self.notice("device silent", silent)
        self._show_counts(record, rate, level)
        if self.failure is not None:
            return
        if uncompressed is not None:
            self._equipment.set_status(f"{uncompressed}; the run goes on", RED)
            return
        state = "paused" if run.is_paused else f"{rate:.1f} Hz"
        status = f"run {run.run_number}: {state}, ring {100 * level:.0f}%"
        if held_by:
            status += f" ({self._equipment.buffer_name} is held full by {held_by})"
        status += f", lost {record.frames_lost}"
        if record.events_incomplete:
            status += f", incomplete {record.events_incomplete}"
        if record.triggers_lost:
            status += f", triggers lost {record.triggers_lost}"
        is_well = record.is_whole and silent is None and level < _HIGH_LEVEL
        self._equipment.set_status(silent or status, GREEN if is_well else YELLOW)

    def conclude(self, record: RunRecord) -> None:
        """Tell what became of the run; its counts are final."""
        self._equipment.write_statistics()
        self._client.msg(record.summary(), is_error=record.frames_lost > 0)
        contradictions = record.contradictions()
        if contradictions:
            self.notice("counts differ", "; ".join(contradictions))
        self._tell_losses(record)
        self._show_counts(record, rate=0.0, level=0.0)
        if self.failure is None:
            text = f"ready; run {record.run_number}: {record.events_sent} events"
            self._equipment.set_status(text, GREEN if record.is_whole else YELLOW)

    def _show_counts(self, record: RunRecord, rate: float, level: float) -> None:
        self._equipment.set_variables(
            {
                "Rate Hz": rate,
                "Ring level %": 100 * level,
                "Live time %": record.live_percent,
                "Frames acquired": record.frames_acquired,
                "Frames lost": record.frames_lost,
                "Events incomplete": record.events_incomplete,
                "Send retries": record.send_retries,
                "Triggers read": record.triggers_read,
                "Triggers lost": record.triggers_lost,
                **record.compression_variables(),
                **self._error(),
            }
        )

    def _error(self) -> dict[str, Any]:
        return {"Last error": string_value(self.last_error, TEXT_BYTES)}

    def _tell_losses(self, record: RunRecord, held_by: str = "") -> None:
        if record.frames_lost:
            counts = {
                "by the camera": record.frames_lost_by_camera,
                "by a full ring": record.frames_lost_by_ring,
                "late": record.frames_late,
                "unsent": record.frames_unsent,
            }
            causes = ", ".join(f"{count} {cause}" for cause, count in counts.items() if count)
            if held_by:
                causes += f"; {held_by} holds {self._equipment.buffer_name} full"
            self.notice("frames lost", f"{record.frames_lost} frames lost: {causes}")
        if record.triggers_lost:
            each = " + ".join(map(str, record.triggers_lost_by_board))
            text = (
                f"{record.triggers_lost} triggers lost ({each}),"
                f" {record.triggers_lost_by_boards} of them by the digitizers themselves"
            )
            self.notice("triggers lost", text)
        if record.events_incomplete:
            text = f"{record.events_incomplete} events lack a camera or a digitizer"
            self.notice("events incomplete", text)
