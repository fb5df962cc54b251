"""What the stager shows in the ODB: ``/Equipment/Stager``, as MIDAS's status page wants it."""

import ctypes
import socket
from dataclasses import dataclass
from typing import Any, Final

from experiment.client import Client
from experiment.constants import EQ_PERIODIC, RO_ALWAYS
from experiment.settings import declare
from stager.settings import ODB_PATH, StagerSettings

PATH: Final = "/Equipment/Stager"
ALARM: Final = "Stager"
DISK_ALARM: Final = "Stager disk"
_GREEN: Final = "greenLight"
_RED: Final = "redLight"
_ALARM_CHARACTERS: Final = 79  # MIDAS cuts what is longer


@dataclass
class Tally:
    """What the stager did since it started, and how the last pass ended."""

    files_staged: int = 0
    bytes_staged: int = 0
    last_run: int = 0
    files_waiting: int = 0
    files_failed: int = 0
    last_error: str = ""
    disk_percent_full: float = 0.0
    disk_hours_left: float = -1.0
    """Until the data disk is full at the present rate [h]; -1 while nothing comes."""


class StagerEquipment:
    """The stager's tree in the ODB of one connection."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._shown: tuple[str, bool] | None = None
        self._alarms = {ALARM: "", DISK_ALARM: ""}
        if not client.odb_exists(f"{PATH}/Common"):
            client.odb_set(f"{PATH}/Common", _common(client.name))
        declare(client, ODB_PATH, StagerSettings.defaults())

    def show(self, text: str, is_well: bool, tally: Tally) -> None:
        """Show a short status, green if all is well and else red, and the counts."""
        self._client.odb_set(
            f"{PATH}/Variables",
            {
                "Files staged": tally.files_staged,
                "Bytes staged": float(tally.bytes_staged),
                "Last run staged": tally.last_run,
                "Files waiting": tally.files_waiting,
                "Files failed": tally.files_failed,
                "Last error": tally.last_error[:1000],
                "Disk percent full": tally.disk_percent_full,
                "Disk hours left": tally.disk_hours_left,
            },
        )
        # Last: who sees a new status finds the counts that belong to it.
        if self._shown != (text, is_well):
            self._shown = (text, is_well)
            self._client.odb_set(f"{PATH}/Common/Status color", _GREEN if is_well else _RED)
            self._client.odb_set(f"{PATH}/Common/Status", text[:255])

    def raise_alarm(self, reason: str, alarm: str = ALARM) -> None:
        """Alarm once for each new reason; an empty one resets the alarm.

        The figures of a disk change all the time: its alarm is given once, until it is reset.
        """
        before = self._alarms[alarm]
        if reason == before or (reason and before and alarm == DISK_ALARM):
            return
        self._alarms[alarm] = reason
        if reason:
            self._client.msg(f"Stager: {reason}", True)
            self._client.trigger_internal_alarm(alarm, reason[:_ALARM_CHARACTERS])
        else:
            self._client.reset_alarm(alarm)


def _common(client_name: str) -> dict[str, Any]:
    """Return ``Common`` as MIDAS's ``python/midas/frontend.py`` (December 2022) writes it."""
    return {
        "Event ID": ctypes.c_uint16(0),
        "Trigger mask": ctypes.c_uint16(0),
        "Buffer": ctypes.create_string_buffer(b"", 32),
        "Type": EQ_PERIODIC,
        "Source": 0,
        "Format": ctypes.create_string_buffer(b"MIDAS", 8),
        "Enabled": True,
        "Read on": RO_ALWAYS,
        "Period": 10000,
        "Event limit": 0.0,
        "Num subevents": ctypes.c_uint32(0),
        "Log history": 0,
        "Frontend host": ctypes.create_string_buffer(socket.gethostname().encode()[:31], 32),
        "Frontend name": ctypes.create_string_buffer(client_name.encode()[:31], 32),
        "Frontend file name": ctypes.create_string_buffer(b"cygno-stager", 256),
        "Status": ctypes.create_string_buffer(b"", 256),
        "Status color": ctypes.create_string_buffer(b"", 32),
        "Hidden": False,
        "Write cache size": 100000,
    }
