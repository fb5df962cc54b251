"""One equipment's tree in the ODB, as MIDAS's own Python frontend writes it.

Source: ``python/midas/frontend.py`` (MIDAS develop, December 2022): keys of ``Common``, their types
and sizes, ``Statistics``, status and its colour.
"""

import ctypes
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from experiment.client import Client

GREEN: Final = "greenLight"
YELLOW: Final = "yellowLight"
RED: Final = "redLight"

_STATUS_BYTES: Final = 256
_NAME_BYTES: Final = 32
_ALARM_NAME_CHARACTERS: Final = 31
_ALARM_TEXT_CHARACTERS: Final = 79


@dataclass(frozen=True)
class Common:
    """What ``Common`` says when the equipment is first seen; afterwards the ODB wins.

    :param kind: an EQ_ constant.
    :param read_on: RO_ constants.
    """

    event_id: int
    kind: int
    read_on: int
    period_ms: int
    log_history: int = 0
    buffer: str = "SYSTEM"


def string_value(text: str, size_bytes: int) -> Any:
    """Return a string key's content, cut where its key ends, between two characters."""
    content = text.encode()[: size_bytes - 1].decode(errors="ignore").encode()
    return ctypes.create_string_buffer(content, size_bytes)


class Equipment:
    """One equipment of this program.

    :param client: used from the thread that constructed it alone.
    :param buffers: handles of the event buffers that this program has opened, by name.
    """

    def __init__(self, client: Client, name: str, common: Common, buffers: dict[str, int]) -> None:
        self.name = name
        self.path = f"/Equipment/{name}"
        self._client = client
        self._status: tuple[str, str] | None = None
        self._sent = 0
        self._bytes = 0
        self._last = (time.monotonic(), 0, 0)
        self._create(common)
        self._common: dict[str, Any] = client.odb_get(f"{self.path}/Common")
        client.odb_watch(f"{self.path}/Common", self._common_changed)
        if not client.odb_exists(f"{self.path}/Variables"):
            client.odb_set(f"{self.path}/Variables", {})
        self.write_statistics()
        self.buffer_name = str(self._common["Buffer"]) or common.buffer
        if self.buffer_name not in buffers:
            buffers[self.buffer_name] = client.open_event_buffer(self.buffer_name)
        self._buffer = buffers[self.buffer_name]

    def _create(self, common: Common) -> None:
        client, path = self._client, f"{self.path}/Common"
        if not client.odb_exists(path):
            client.odb_set(
                path,
                {
                    "Event ID": ctypes.c_uint16(common.event_id),
                    "Trigger mask": ctypes.c_uint16(0),
                    "Buffer": string_value(common.buffer, _NAME_BYTES),
                    "Type": ctypes.c_int32(common.kind),
                    "Source": ctypes.c_int32(0),
                    "Format": string_value("MIDAS", 8),
                    "Enabled": True,
                    "Read on": ctypes.c_int32(common.read_on),
                    "Period": ctypes.c_int32(common.period_ms),
                    "Event limit": ctypes.c_double(0),
                    "Num subevents": ctypes.c_uint32(0),
                    "Log history": ctypes.c_int32(common.log_history),
                    "Frontend host": string_value("", _NAME_BYTES),
                    "Frontend name": string_value("", _NAME_BYTES),
                    "Frontend file name": string_value("", _STATUS_BYTES),
                    "Status": string_value("", _STATUS_BYTES),
                    "Status color": string_value("", _NAME_BYTES),
                    "Hidden": False,
                    "Write cache size": ctypes.c_int32(100_000),
                },
            )
        client.odb_set(f"{path}/Frontend host", string_value(socket.gethostname(), _NAME_BYTES))
        client.odb_set(f"{path}/Frontend name", string_value(client.name, _NAME_BYTES))
        client.odb_set(
            f"{path}/Frontend file name", string_value(Path(sys.argv[0]).name, _STATUS_BYTES)
        )

    def _common_changed(self, client: Client, path: str, value: Any) -> None:
        self._common = client.odb_get(f"{self.path}/Common")

    @property
    def is_enabled(self) -> bool:
        """What ``Common/Enabled`` says."""
        return bool(self._common["Enabled"])

    @property
    def period_s(self) -> float:
        """What ``Common/Period`` says [s]; at least 0.01."""
        return max(0.01, float(self._common["Period"]) / 1000)

    @property
    def reads_on(self) -> int:
        """The RO_ bits of ``Common/Read on``."""
        return int(self._common["Read on"])

    @property
    def keeps_history(self) -> bool:
        """True if what is sent goes to ``Variables`` too."""
        return bool(self._common["Log history"])

    def set_status(self, text: str, color: str = GREEN) -> None:
        """Show a short status to the operator; written only when it changes."""
        if self._status == (text, color):
            return
        self._status = (text, color)
        path = f"{self.path}/Common"
        # The text last: who sees it finds the colour that belongs to it.
        self._client.odb_set(f"{path}/Status color", string_value(color, _NAME_BYTES))
        self._client.odb_set(f"{path}/Status", string_value(text, _STATUS_BYTES))

    def set_variables(self, values: dict[str, Any]) -> None:
        """Write values below ``Variables``; other keys there stay."""
        path = f"{self.path}/Variables"
        self._client.odb_set(path, values, remove_unspecified_keys=False)

    def send(self, event: memoryview, timeout_ms: int) -> bool:
        """Send a whole event; return False if there was no room in time."""
        if not self._client.send_buffer(self._buffer, event, timeout_ms):
            return False
        self._sent += 1
        self._bytes += len(event)
        return True

    @property
    def buffer_held_by(self) -> str:
        """Who held the buffer full when an event was last sent; empty if nobody, or not known."""
        return " and ".join(self._client.buffer_held_by(self._buffer))

    def reset_statistics(self) -> None:
        """Count from zero, as at begin of a run."""
        self._sent = self._bytes = 0
        self._last = (time.monotonic(), 0, 0)
        self.write_statistics()

    def write_statistics(self) -> float:
        """Write ``Statistics`` and return the events per second since it was last written."""
        now = time.monotonic()
        then, sent, sent_bytes = self._last
        elapsed_s = max(now - then, 1e-3)
        rate = (self._sent - sent) / elapsed_s
        self._last = (now, self._sent, self._bytes)
        self._client.odb_set(
            f"{self.path}/Statistics",
            {
                "Events sent": float(self._sent),
                "Events per sec.": rate,
                "kBytes per sec.": (self._bytes - sent_bytes) / 1024 / elapsed_s,
            },
        )
        return rate


def raise_alarm(client: Client, name: str, text: str) -> None:
    """Trigger an alarm, its texts cut to what MIDAS takes."""
    name = name.replace("/", " ")[:_ALARM_NAME_CHARACTERS]
    client.trigger_internal_alarm(name, text[:_ALARM_TEXT_CHARACTERS])
