"""Event buffers of a standalone experiment, as a program sees them."""

import time
from pathlib import Path
from typing import Any, Final

from experiment.constants import STATUS
from experiment.errors import MidasError
from experiment.standalone.buffer import EventBuffer
from experiment.standalone.event import unpack_event
from experiment.standalone.odb_calls import OdbCalls

_SEND_MS: Final = 1000
_RECEIVE_POLL_S: Final = 0.001
_SPARE_BYTES: Final = 100  # as midas.client: room besides MAX_EVENT_SIZE


class BufferCalls(OdbCalls):
    """Event buffer part of `experiment.client.Client`."""

    name: str
    folder: Path
    _buffers: dict[int, EventBuffer]
    _event_space: dict[int, bytearray]

    def open_event_buffer(
        self, buffer_name: str, buf_size: int | None = None, max_event_size: int | None = None
    ) -> int:
        """Open a named buffer and return its handle.

        :param buf_size: used where the ODB has no ``/Experiment/Buffer sizes/<name>``, which is
            then made; default ten times the largest event.
        :param max_event_size: of `receive_event`; default ``/Experiment/MAX_EVENT_SIZE``.
        """
        largest = max_event_size or int(self.odb_get("/Experiment/MAX_EVENT_SIZE"))
        key = f"/Experiment/Buffer sizes/{buffer_name}"
        if not self.odb_exists(key):
            self.odb_set(key, buf_size or 10 * largest, explicit_new_midas_type=_DWORD)
        buffer = EventBuffer.open(
            self.folder / "buffers", buffer_name, int(self.odb_get(key)), self.name
        )
        handle = max(self._buffers, default=0) + 1
        self._buffers[handle] = buffer
        self._event_space[handle] = bytearray(largest + _SPARE_BYTES)
        return handle

    def buffer_level(self, buffer_handle: int) -> float:
        """Return how full a buffer is, 0 to 1."""
        return self._buffer(buffer_handle).level()

    def register_event_request(
        self,
        buffer_handle: int,
        event_id: int = -1,
        trigger_mask: int = -1,
        sampling_type: int = 1,
    ) -> int:
        """Ask for events (GET_ALL, GET_NONBLOCKING or GET_RECENT); return the request's id."""
        return self._buffer(buffer_handle).request(event_id, trigger_mask, sampling_type)

    def deregister_event_request(self, buffer_handle: int, request_id: int) -> None:
        """Cancel a request."""
        self._buffer(buffer_handle).cancel(request_id)

    def send_event(self, buffer_handle: int, event: Any) -> None:
        """Send an event object that has ``pack()``, waiting for room. For small events."""
        data = memoryview(event.pack()).cast("B")
        while not self._buffer(buffer_handle).send(data, _SEND_MS):
            pass

    def receive_event(
        self, buffer_handle: int, async_flag: bool = True, use_numpy: bool = False
    ) -> Any:
        """Receive one event object, or None where there is none and `async_flag` is set."""
        space = memoryview(self._event_space.get(buffer_handle, b""))
        while True:
            event = self._buffer(buffer_handle).receive(space)
            if event is not None:
                return unpack_event(bytes(event), use_numpy)
            if async_flag:
                return None
            time.sleep(_RECEIVE_POLL_S)

    def send_buffer(self, buffer_handle: int, event: memoryview, timeout_ms: int) -> bool:
        """Send a complete event (header included) with one copy into the buffer."""
        return self._buffer(buffer_handle).send(event, timeout_ms)

    def buffer_held_by(self, buffer_handle: int) -> tuple[str, ...]:
        """Return who held the buffer full when `send_buffer` last looked for room."""
        return self._buffer(buffer_handle).blocked_by

    def receive_buffer(self, buffer_handle: int, into: memoryview) -> memoryview | None:
        """Copy the next requested event into `into` and return that part of it; never waits."""
        return self._buffer(buffer_handle).receive(into)

    def _buffer(self, handle: int) -> EventBuffer:
        buffer = self._buffers.get(handle)
        if buffer is None:
            raise MidasError(STATUS["BM_INVALID_HANDLE"], f"{handle} is no open event buffer")
        return buffer


_DWORD: Final = 6
