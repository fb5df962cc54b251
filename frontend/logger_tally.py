"""The last comparison of a run's counts: what was sent, and what the logger wrote.

The logger closes its file after the frontend has stopped (STOP at 800, ours at 500), so this is
done once the run is over, and says all counts in one line. mlogger counts ODB dumps and the events
of all equipment alike, so its count says no more than that too few were written.
"""

import ctypes
import time
from collections.abc import Callable
from typing import Any

from experiment.client import Client
from experiment.constants import STATE_STOPPED
from frontend.equipment import Equipment
from frontend.readiness import clients_of
from frontend.record import RunRecord

LOGGER = "Logger"
CHANNELS = "/Logger/Channels"
PATIENCE_S = 5.0
"""How long the logger may take to publish its count after the run's end."""
_DUMPS = 2
"""mlogger writes the ODB at begin and at end of run, and counts both."""


class LoggerTally:
    """Compares the counts of one run after the other; for the main thread alone.

    :param notice: raises an alarm, given what is wrong and the text.
    """

    def __init__(
        self, client: Client, equipment: Equipment, notice: Callable[[str, str], None]
    ) -> None:
        self._client = client
        self._equipment = equipment
        self._notice = notice
        self._record: RunRecord | None = None
        self._is_logged = False
        self._end_s = 0.0

    def run_begins(self) -> None:
        """Note whether there is a logger, and forget a run before that was not compared."""
        self._record, self._is_logged = None, LOGGER in clients_of(self._client)

    def run_ended(self, record: RunRecord) -> None:
        """Note the final counts of a run that is being stopped."""
        self._record, self._end_s = record, time.monotonic() + PATIENCE_S

    def work(self) -> None:
        """Compare, if there is something to compare and the logger has said its count."""
        record = self._record
        if record is None or not self._is_stopped():
            return
        written = self._written()
        is_short = written is not None and written < record.events_sent
        if is_short and time.monotonic() < self._end_s:
            return
        self._record = None
        logger = "not logging" if written is None else f"logger {written} events with all equipment"
        text = (
            f"cameras {record.frames_acquired} frames, builder {record.events_built} events, ring"
            f" {record.frames_lost_by_ring} lost, buffer {record.events_sent} events, {logger}"
        )
        key = f"{self._equipment.path}/Run/Events logged"
        self._client.odb_set(key, ctypes.c_uint32(written or 0))
        if is_short:
            # The alarm has room for the first 79 characters.
            share = f"the logger wrote {written} of {record.events_sent} events"
            self._notice("counts differ", f"run {record.run_number}: {share}; {text}")
        else:
            self._client.msg(f"Run {record.run_number}: counts: {text}")

    def _is_stopped(self) -> bool:
        information = self._client.odb_get("/Runinfo")
        return information["State"] == STATE_STOPPED and not information["Transition in progress"]

    def _written(self) -> int | None:
        """Return the events in our buffer's file, without ODB dumps; None if there is no file."""
        channel = logger_channel(self._client, self._equipment.buffer_name)
        if channel is None or not self._is_logged:
            return None
        dumps = _DUMPS if channel["Settings"]["ODB dump"] else 0
        return max(0, int(channel["Statistics"]["Events written"]) - dumps)


def logger_channel(client: Client, buffer: str) -> dict[str, Any] | None:
    """Return what the ODB says of the channel that writes a buffer's events; None if none does."""
    if not (client.odb_exists(CHANNELS) and client.odb_get("/Logger/Write data")):
        return None
    for channel in client.odb_get(CHANNELS).values():
        settings: dict[str, Any] = channel["Settings"]
        if settings["Active"] and settings["Buffer"] == buffer:
            return dict(channel)
    return None
