"""What the ODB must hold so that a run can be: sizes of events and buffer, no history of frames.

Values are only ever raised; those that are large enough stay.
"""

import ctypes
import math
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from experiment.client import Client
from frontend.checks import (
    EVENTS_A_BUFFER,
    MAX_EVENT_KEY,
    buffer_bytes,
    buffer_key,
    max_event_bytes,
)
from frontend.errors import FrontendError
from frontend.instance import Instance
from frontend.layout import EventLayout
from frontend.setup import RunSetup

BUFFER_SECONDS = 5.0
"""Time at the expected rate that the buffer shall hold, unless somebody says otherwise."""
LARGEST_BUFFER_BYTES = 2 * 1000 * 1024 * 1024
"""MIDAS, ``bm_open_buffer``: sizes are 32-bit integers; it refuses larger ones."""
_BLOCK_BYTES = 1 << 20
_TYPICAL_TRIGGERS = 8
_SHARED_MEMORY = Path("/dev/shm")  # where Linux keeps it, of MIDAS and of the standalone buffer


@dataclass(frozen=True)
class Change:
    """One value of the ODB that is to be another.

    :param needs_restart: it counts once all clients have been stopped and started again.
    """

    key: str
    old: int | None
    new: int
    why: str
    needs_restart: bool

    def as_dict(self) -> dict[str, Any]:
        """Return it for machines."""
        return asdict(self)


def changes_for(
    client: Client,
    setup: RunSetup,
    layout: EventLayout,
    instance: Instance,
    buffer: str,
    buffer_seconds: float,
) -> list[Change]:
    """Return what is to be changed in the ODB for these settings and devices.

    :param buffer: name of the event buffer.
    :param buffer_seconds: time at the expected rate that it shall hold.
    """
    changes = []
    event_bytes = layout.max_bytes
    if max_event_bytes(client) < event_bytes:
        why = f"an event of {len(layout.cameras)} cameras can have {event_bytes} bytes"
        changes.append(_change(client, MAX_EVENT_KEY, _whole_blocks(event_bytes), why, True))
    rate_hz = setup.expected_rate_hz
    wanted = rate_hz * buffer_seconds * layout.typical_bytes(_TYPICAL_TRIGGERS)
    least = EVENTS_A_BUFFER * event_bytes
    size = min(_whole_blocks(max(wanted, least)), LARGEST_BUFFER_BYTES)
    if buffer_bytes(client, buffer) < size:
        held_s = size / (rate_hz * layout.typical_bytes(_TYPICAL_TRIGGERS))
        why = f"{held_s:.1f} s of data at {rate_hz:g} Hz"
        if size == LARGEST_BUFFER_BYTES:
            why += ", the most that MIDAS allows"
        changes.append(_change(client, buffer_key(buffer), size, why, True))
    history = f"{instance.path}/Common/Log history"
    if client.odb_exists(history) and client.odb_get(history):
        why = "the history is for slow values, not for frames"
        changes.append(_change(client, history, 0, why, False))
    return changes


def require_memory(changes: list[Change]) -> None:
    """Check that shared memory has room for a larger buffer: a program that fills it would crash.

    :raises FrontendError: naming what is free and what is needed.
    """
    if not _SHARED_MEMORY.is_dir():
        return
    free = shutil.disk_usage(_SHARED_MEMORY).free
    for change in changes:
        needed = change.new - (change.old or 0)
        if "Buffer sizes" in change.key and needed > free:
            raise FrontendError(
                f"{_SHARED_MEMORY} has {free / 1e6:.0f} MB free; needed: {needed / 1e6:.0f} MB for"
                f" {change.key} = {change.new}. Give fewer --buffer-seconds, or make it larger"
            )


def write_changes(client: Client, changes: list[Change]) -> None:
    """Write them; keys that are missing become UINT32, as MIDAS's own."""
    for change in changes:
        is_new = change.old is None
        client.odb_set(change.key, ctypes.c_uint32(change.new) if is_new else change.new)


def _change(client: Client, key: str, new: int, why: str, needs_restart: bool) -> Change:
    old = int(client.odb_get(key)) if client.odb_exists(key) else None
    return Change(key, old, new, why, needs_restart)


def _whole_blocks(size: float) -> int:
    return math.ceil(size / _BLOCK_BYTES) * _BLOCK_BYTES
