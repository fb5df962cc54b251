"""Named event buffers in shared memory: many writers, many readers, any of them may be killed.

Semantics are those of MIDAS's buffer manager: GET_ALL readers hold the writers back when the
buffer is full, GET_NONBLOCKING readers lose the oldest events (counted), GET_RECENT readers get
only events that are less than one second old. The 10 MB of a frame are copied outside of the lock:
room is reserved before and shown to readers after; a reader pins what it copies.
"""

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from experiment.constants import STATUS
from experiment.errors import MidasError
from experiment.standalone import ring_layout as layout
from experiment.standalone import segment as files
from experiment.standalone.buffers import attach, create, has_clients, remove_if_unused
from experiment.standalone.ring import Ring

SHORTEST_WAIT_S = 50e-6
LONGEST_WAIT_S = 1e-3
FUNERAL_PERIOD_S = 0.02  # how often a sender who waits looks for dead readers (20 us each)
RECORDS_PER_LOCK = 200  # so that a reader with old, unwanted events does not hold up the others
EVENT_HEADER_BYTES = 16
PAGE_BYTES = 4096


@dataclass(frozen=True)
class ClientFigures:
    """What one client of a buffer did since it opened it."""

    name: str
    pid: int
    events_sent: int
    bytes_sent: int
    events_received: int
    bytes_received: int
    events_skipped: int
    waited_s: float


@dataclass(frozen=True)
class BufferFigures:
    """A buffer's counts since it was made, and its clients."""

    name: str
    size_bytes: int
    level: float
    events_sent: int
    bytes_sent: int
    clients: tuple[ClientFigures, ...]


class EventBuffer:
    """One client's access to a named event buffer; for one thread of one process."""

    def __init__(self, directory: Path, name: str, ring: Ring) -> None:
        self.directory = directory
        self.name = name
        self._ring: Ring | None = ring
        self._pid = os.getpid()

    @classmethod
    def open(
        cls, directory: Path, name: str, size_bytes: int, client_name: str = ""
    ) -> "EventBuffer":
        """Create a buffer or attach to it.

        The size is that of the buffer where it exists and has clients; one that was left without
        clients (all were killed) is made anew if its size differs.

        :param directory: the folder ``buffers`` of the experiment.
        :param size_bytes: room for events, rounded up to whole pages.
        :param client_name: who we are, for those who wait for us.
        :raises MidasError: BM_CORRUPTED, BM_NO_SHM (no room for it), BM_NO_SLOT, BM_INVALID_NAME.
        """
        size = max(1, -(-size_bytes // PAGE_BYTES)) * PAGE_BYTES
        files.candidates(directory, name)  # refuses a bad name
        with files.exclusive(directory):
            ring = attach(directory, name)
            if ring and ring.size_bytes != size and not has_clients(ring):
                ring.unmap()
                ring = None
            ring = ring or create(directory, name, size)
            try:
                with ring.lock:
                    ring.slots.join(client_name)
            except BaseException:
                ring.unmap()
                raise
        return cls(directory, name, ring)

    def _mine(self) -> Ring:
        if self._ring is None or self._pid != os.getpid():
            why = "was closed" if self._ring is None else "was opened before this process forked"
            raise MidasError(
                STATUS["BM_INVALID_HANDLE"], f"Event buffer {self.name} {why}: open it again"
            )
        return self._ring

    @property
    def size_bytes(self) -> int:
        """Room for events and their records."""
        return self._mine().size_bytes

    @property
    def max_event_bytes(self) -> int:
        """Size of the largest event that can be sent, header included."""
        return self._mine().size_bytes - layout.RECORD_BYTES

    @property
    def blocked_by(self) -> tuple[str, ...]:
        """Names of who held the buffer full when the last `send` had to wait; else empty."""
        return self._mine().blockers

    # asking ------------------------------------------------------------------------------------
    def request(self, event_id: int, trigger_mask: int, sampling_type: int) -> int:
        """Ask for the events that are sent from now on; return the request's number.

        :param event_id: the id, -1 for any.
        :param trigger_mask: bits of which an event's mask must have one, -1 for any mask.
        :param sampling_type: GET_ALL, GET_NONBLOCKING or GET_RECENT.
        """
        ring = self._mine()
        if sampling_type not in layout.SAMPLING_TYPES:
            raise MidasError(
                STATUS["BM_INVALID_PARAM"],
                f"Event buffer {self.name}: sampling type {sampling_type} is not allowed; give "
                "1 (GET_ALL), 2 (GET_NONBLOCKING) or 4 (GET_RECENT)",
            )
        with ring.lock:
            return ring.slots.request(layout.key_of(event_id, trigger_mask), sampling_type)

    def cancel(self, request_id: int) -> None:
        """Take back a request; one that does not exist is ignored."""
        ring = self._mine()
        if 0 <= request_id < layout.REQUEST_COUNT:
            with ring.lock:
                ring.slots.cancel(request_id)

    # sending -----------------------------------------------------------------------------------
    def send(self, event: memoryview, timeout_ms: int) -> bool:
        """Copy a complete event into the buffer.

        :param event: contiguous bytes that start with the 16-byte event header.
        :param timeout_ms: how long to wait for room; 0 tries once.
        :returns: False if there was no room in time; `blocked_by` says for whom.
        :raises MidasError: BM_NO_MEMORY if it can never fit, BM_INVALID_SIZE if header and size
            disagree, BM_CORRUPTED.
        """
        ring = self._mine()
        source = np.frombuffer(event, np.uint8)
        event_key = self._check(source)
        position = self._reserve(ring, source.size, event_key, timeout_ms)
        if position is None:
            return False
        try:
            np.copyto(ring.view(position, source.size), source)
        except BaseException:
            with ring.lock:
                ring.void(position)
            raise
        with ring.lock:
            ring.commit(position, source.size)
        return True

    def _check(self, event: "np.ndarray[tuple[int], np.dtype[np.uint8]]") -> int:
        size = event.size
        if size < EVENT_HEADER_BYTES:
            stated = EVENT_HEADER_BYTES
        else:
            stated = EVENT_HEADER_BYTES + int(event[12:16].view("<u4")[0])
        if stated != size:
            raise MidasError(
                STATUS["BM_INVALID_SIZE"],
                f"Event buffer {self.name}: an event of {size} bytes whose header says {stated} "
                "was not sent",
            )
        if size > self.max_event_bytes:
            raise MidasError(
                STATUS["BM_NO_MEMORY"],
                f"Event buffer {self.name}: an event of {size} bytes can never fit, the largest "
                f"has {self.max_event_bytes}; enlarge /Experiment/Buffer sizes/{self.name} and "
                "start the programs anew",
            )
        return int(event[0:4].view("<u4")[0])

    def _reserve(self, ring: Ring, size: int, event_key: int, timeout_ms: int) -> int | None:
        with ring.lock:
            position = ring.reserve(size, event_key)
        if position is not None:
            return position
        begin = now = time.monotonic()
        funeral, pause = begin, SHORTEST_WAIT_S
        while True:
            with ring.lock:
                if now >= funeral:
                    funeral = now + FUNERAL_PERIOD_S
                    ring.slots.bury_the_dead()
                position = ring.reserve(size, event_key)
            left = begin + timeout_ms * 1e-3 - now
            if position is not None or left <= 0:
                ring.slots.add_waiting(int((now - begin) * 1e9))
                return position
            time.sleep(min(pause, left))
            pause = min(2 * pause, LONGEST_WAIT_S)
            now = time.monotonic()

    # receiving ---------------------------------------------------------------------------------
    def receive(self, into: memoryview) -> memoryview | None:
        """Copy the next requested event into `into`; never wait.

        :returns: the part of `into` that holds the event, or None if there is none.
        :raises MidasError: BM_TRUNCATED if `into` is too small; the event is then consumed.
        """
        ring = self._mine()
        more = ring.has_news()
        while more:
            with ring.lock:
                found, more = ring.find(RECORDS_PER_LOCK)
            if found is None:
                continue
            try:
                room = memoryview(into).cast("B")
                fits = found.size_bytes <= len(room)
                if fits:
                    target = np.frombuffer(room, np.uint8, found.size_bytes)
                    np.copyto(target, ring.view(found.position, found.size_bytes))
            except BaseException:
                with ring.lock:
                    ring.unpin()
                raise
            with ring.lock:
                ring.consume(found)
            if not fits:
                raise MidasError(
                    STATUS["BM_TRUNCATED"],
                    f"Event buffer {self.name}: an event of {found.size_bytes} bytes was lost, "
                    f"there was room for {len(room)}; enlarge /Experiment/MAX_EVENT_SIZE",
                )
            return room[: found.size_bytes]
        return None

    # figures and end ---------------------------------------------------------------------------
    def level(self) -> float:
        """Return which part of the buffer the slowest GET_ALL reader has not looked at, 0 to 1."""
        return self._mine().level

    def figures(self) -> BufferFigures:
        """Return the counts of the buffer and of its clients."""
        return _figures(self._mine())

    def close(self) -> None:
        """Leave the buffer with all requests; who leaves last removes it.

        Safe to call twice, and in a forked child (which leaves nothing).
        """
        ring, self._ring = self._ring, None
        if ring is None:
            return
        if self._pid == os.getpid():
            with ring.lock:
                ring.slots.leave()
            remove_if_unused(self.directory, self.name, ring)
        ring.unmap()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _figures(ring: Ring) -> BufferFigures:
    clients = []
    for slot in ring.slots.taken():
        words = ring.slots.figures(slot)
        clients.append(
            ClientFigures(
                name=ring.slots.name_of(slot),
                pid=words[layout.S_PID],
                events_sent=words[layout.S_SENT],
                bytes_sent=words[layout.S_SENT_BYTES],
                events_received=words[layout.S_RECEIVED],
                bytes_received=words[layout.S_RECEIVED_BYTES],
                events_skipped=words[layout.S_SKIPPED],
                waited_s=words[layout.S_WAITED_NS] * 1e-9,
            )
        )
    return BufferFigures(
        name=ring.name,
        size_bytes=ring.size_bytes,
        level=ring.level,
        events_sent=ring.word(layout.W_EVENTS),
        bytes_sent=ring.word(layout.W_BYTES),
        clients=tuple(clients),
    )
