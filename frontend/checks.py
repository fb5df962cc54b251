"""What begin of run checks outside of the settings: event size, buffer, disk."""

import math
import shutil
from pathlib import Path

from experiment.client import Client
from frontend.errors import FrontendError
from frontend.layout import EventLayout
from frontend.setup import RunSetup

MAX_EVENT_KEY = "/Experiment/MAX_EVENT_SIZE"
EVENTS_A_BUFFER = 2
"""MidasWiki, Event_Buffer: an event is at most half the buffer."""
_DEFAULT_MAX_EVENT_BYTES = 4 << 20  # DEFAULT_MAX_EVENT_SIZE of midas.h
_DEFAULT_BUFFER_BYTES = 32 << 20  # DEFAULT_BUFFER_SIZE of midas.h
_SET_IT = "Set it with all clients stopped (`cygno-frontend setup` does)"


def buffer_key(buffer: str) -> str:
    """Return the ODB key of a buffer's size."""
    return f"/Experiment/Buffer sizes/{buffer}"


def max_event_bytes(client: Client) -> int:
    """Return the size of the largest event that readers take."""
    return _number(client, MAX_EVENT_KEY, _DEFAULT_MAX_EVENT_BYTES)


def buffer_bytes(client: Client, buffer: str) -> int:
    """Return the size that a buffer has when it is made."""
    return _number(client, buffer_key(buffer), _DEFAULT_BUFFER_BYTES)


def check_event_size(client: Client, layout: EventLayout) -> None:
    """Check that readers take events of this layout.

    :raises FrontendError: naming the ODB key, its value and the value needed.
    """
    needed, allowed = layout.max_bytes, max_event_bytes(client)
    if needed > allowed:
        raise FrontendError(
            f"{MAX_EVENT_KEY} is {allowed}; needed: at least {needed}, which {_makers(layout)}."
            f" {_SET_IT}, or lower /Configurations/MultiTriggerMaxSize"
        )


def check_buffer(client: Client, setup: RunSetup, layout: EventLayout, buffer: str) -> None:
    """Check that the buffer takes events of this layout, at the expected rate.

    :raises FrontendError: naming the ODB key, its value and the value needed.
    """
    needed, size = layout.max_bytes, buffer_bytes(client, buffer)
    if size < EVENTS_A_BUFFER * needed:
        raise FrontendError(
            f"{buffer_key(buffer)} is {size}; needed: at least {EVENTS_A_BUFFER * needed},"
            f" {EVENTS_A_BUFFER} events of {needed} bytes, which {_makers(layout)}. {_SET_IT}"
        )
    seconds, rate_hz = setup.trigger.buffer_seconds, setup.expected_rate_hz
    flow = math.ceil(seconds * rate_hz * layout.typical_bytes())
    if size < flow:
        raise FrontendError(
            f"{buffer_key(buffer)} is {size}; needed: at least {flow} for {seconds:g} s at"
            f" {rate_hz:g} Hz. {_SET_IT}, or lower {setup.path}/Buffer seconds"
        )


def _makers(layout: EventLayout) -> str:
    return (
        f"{len(layout.cameras)} cameras and {layout.max_triggers} triggers on each of"
        f" {len(layout.boards)} digitizers can make"
    )


def check_disk(client: Client, setup: RunSetup, layout: EventLayout) -> None:
    """Check that the logger's disk holds the coming run, or as many minutes as the settings say.

    :raises FrontendError: naming the folder, what is free and what is needed.
    """
    key = "/Logger/Data dir"
    if not client.odb_exists(key):
        return
    if client.odb_exists("/Logger/Write data") and not client.odb_get("/Logger/Write data"):
        return
    folder = Path(str(client.odb_get(key)))
    if not folder.is_dir():
        return
    seconds = setup.trigger.disk_minutes * 60
    events = seconds * setup.expected_rate_hz
    if setup.max_events is not None:
        events = min(events, setup.max_events)
    needed = int(events * layout.typical_bytes())
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise FrontendError(
            f"the disk of {folder} has {free / 1e9:.2f} GB free; needed: {needed / 1e9:.2f} GB for"
            f" {events:.0f} events at {setup.expected_rate_hz:g} Hz. Free some, or lower"
            f" {setup.path}/Disk minutes"
        )


def _number(client: Client, key: str, default: int) -> int:
    return int(client.odb_get(key)) if client.odb_exists(key) else default
