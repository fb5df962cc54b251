"""What begin of run checks outside of the settings: event size, buffer, disk."""

import shutil
from pathlib import Path

from experiment.client import Client
from frontend.errors import FrontendError
from frontend.layout import EventLayout
from frontend.setup import RunSetup

_DEFAULT_MAX_EVENT_BYTES = 4 << 20  # DEFAULT_MAX_EVENT_SIZE of midas.h
_DEFAULT_BUFFER_BYTES = 32 << 20  # DEFAULT_BUFFER_SIZE of midas.h
_EVENTS_A_BUFFER = 2  # MidasWiki, Event_Buffer: an event is at most half the buffer
_MAX_EVENT_KEY = "/Experiment/MAX_EVENT_SIZE"


def check_room(client: Client, setup: RunSetup, layout: EventLayout, buffer: str) -> None:
    """Check that events of this layout find room everywhere on their way.

    :param buffer: name of the event buffer.
    :raises FrontendError: naming the ODB key, its value and the value needed.
    """
    check_event_size(client, layout, buffer)
    check_disk(client, setup, layout)


def check_event_size(client: Client, layout: EventLayout, buffer: str) -> None:
    """Check the sizes of events and of the buffer.

    :raises FrontendError: naming the ODB key, its value and the value needed.
    """
    needed = layout.max_bytes
    what = (
        f"{len(layout.cameras)} cameras and {layout.max_triggers} triggers on each of"
        f" {len(layout.boards)} digitizers can make"
    )
    allowed = _number(client, _MAX_EVENT_KEY, _DEFAULT_MAX_EVENT_BYTES)
    if needed > allowed:
        raise FrontendError(
            f"{_MAX_EVENT_KEY} is {allowed}; needed: at least {needed}, which {what}. Set it with"
            " all clients stopped, or lower /Configurations/MultiTriggerMaxSize"
        )
    key = f"/Experiment/Buffer sizes/{buffer}"
    size = _number(client, key, _DEFAULT_BUFFER_BYTES)
    if size < _EVENTS_A_BUFFER * needed:
        raise FrontendError(
            f"{key} is {size}; needed: at least {_EVENTS_A_BUFFER * needed}, {_EVENTS_A_BUFFER}"
            f" events of {needed} bytes, which {what}. Set it with all clients stopped"
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
            " /Equipment/Trigger/Settings/Disk minutes"
        )


def _number(client: Client, key: str, default: int) -> int:
    return int(client.odb_get(key)) if client.odb_exists(key) else default
