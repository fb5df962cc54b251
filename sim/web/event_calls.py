"""The method ``bm_receive_event``: a page gets an event of a buffer.

As with mhttpd a page never holds a sender back, and gets the newest event it has not seen. Unlike
there each (buffer, event id, trigger mask) has a request of its own, so that a page that wants
small events does not cost the copies of large ones.
"""

import time
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from experiment.constants import GET_NONBLOCKING, STATUS
from experiment.errors import MidasError
from experiment.standalone.client import StandaloneClient
from sim.web.envelope import invalid, optional, parameter

DEFAULT_TIMEOUT_MS: Final = 100
POLL_S: Final = 0.01
MOST_WINDOWS: Final = 16
IDLE_S: Final = 60.0
_ANY: Final = -1


@dataclass(frozen=True)
class EventWish:
    """What a page wants."""

    buffer: str
    event_id: int
    trigger_mask: int
    newest: bool
    seen: tuple[int, int, int, int] | None
    """Event id, trigger mask, serial number and time of the last event the page has."""
    timeout_s: float

    @classmethod
    def read(cls, params: Any) -> "EventWish":
        """Read the parameters of ``bm_receive_event``."""
        seen = optional(params, "last_event_header", [])
        if seen and (not isinstance(seen, list) or len(seen) != 4):
            raise invalid("last_event_header should be an array with 4 elements")
        return cls(
            str(parameter(params, "buffer_name")),
            int(optional(params, "event_id", 0)) or _ANY,
            int(optional(params, "trigger_mask", 0)) or _ANY,
            bool(optional(params, "get_recent", False)),
            (int(seen[0]), int(seen[1]), int(seen[2]), int(seen[3])) if seen else None,
            (float(optional(params, "timeout_millisec", 0)) or DEFAULT_TIMEOUT_MS) / 1000,
        )


@dataclass
class _Window:
    """One request of ours, and the last event that came by it."""

    buffer: str
    handle: int
    request: int
    last: bytes = b""
    used: float = field(default_factory=time.monotonic)


class EventWindows:
    """All requests that pages have made; for the thread that owns the client."""

    def __init__(self, client: StandaloneClient) -> None:
        self._client = client
        self._windows: dict[tuple[str, int, int], _Window] = {}
        self._free: dict[str, list[int]] = {}
        self._into = memoryview(b"")

    def look(self, wish: EventWish) -> bytes | int:
        """Return the event that is there now, or a status: BM_ASYNC_RETURN if there is none."""
        try:
            window = self._window(wish)
            event = self._receive(window)
            while wish.newest and event is not None:
                event = self._receive(window)
            if event is not None:
                return event
        except MidasError as error:
            return error.code
        return STATUS["BM_ASYNC_RETURN"]

    def last(self, wish: EventWish) -> bytes | int:
        """Return the last event that came by, if the page has not got it."""
        window = self._windows.get((wish.buffer, wish.event_id, wish.trigger_mask))
        if window is None or not window.last or _header(window.last) == wish.seen:
            return STATUS["BM_ASYNC_RETURN"]
        return window.last

    def _receive(self, window: _Window) -> bytes | None:
        event = self._client.receive_buffer(window.handle, self._into)
        if event is None:
            return None
        window.last = bytes(event)
        return window.last

    def _window(self, wish: EventWish) -> _Window:
        key = (wish.buffer, wish.event_id, wish.trigger_mask)
        window = self._windows.get(key)
        if window is None:
            self._forget_idle()
            window = self._windows[key] = self._open(wish)
        window.used = time.monotonic()
        return window

    def _open(self, wish: EventWish) -> _Window:
        size = f"/Experiment/Buffer sizes/{wish.buffer}"
        if "/" in wish.buffer or not self._client.odb_exists(size):
            raise MidasError(STATUS["BM_INVALID_PARAM"], f"there is no buffer {wish.buffer!r}")
        if len(self._windows) >= MOST_WINDOWS:
            raise MidasError(STATUS["BM_NO_SLOT"], f"pages use {MOST_WINDOWS} requests already")
        room = int(self._client.odb_get(size))
        if len(self._into) < room:
            self._into = np.empty(room, np.uint8).data
        free = self._free.setdefault(wish.buffer, [])
        handle = free.pop() if free else self._client.open_event_buffer(wish.buffer)
        request = self._client.register_event_request(
            handle, wish.event_id, wish.trigger_mask, GET_NONBLOCKING
        )
        return _Window(wish.buffer, handle, request)

    def _forget_idle(self) -> None:
        now = time.monotonic()
        for key, window in list(self._windows.items()):
            if now - window.used > IDLE_S:
                self._client.deregister_event_request(window.handle, window.request)
                self._free.setdefault(window.buffer, []).append(window.handle)
                del self._windows[key]


def _header(event: bytes) -> tuple[int, int, int, int]:
    words = np.frombuffer(event, "<u2", 2)
    serial, stamp = np.frombuffer(event, "<u4", 2, offset=4)
    return int(words[0]), int(words[1]), int(serial), int(stamp)
