"""Whole events on their way out, in order; compressed on the way by a pool of threads if wanted.

The main thread puts events in and takes the first one when it is ready. In between a worker writes
its compressed copy to memory of the pool's own, and gives the ring's slot back as soon as that copy
exists. Nothing waits for compression without limit: an event goes raw, and its frames are counted,
if frames become no smaller; if more events wait than the pool is allowed to keep waiting; if the
first one takes longer than `PATIENCE_S`; or if no worker is left. A full event buffer is no reason:
as long as the first event is ready, those behind it wait for their workers.

A worker that fails takes nothing with it: its event goes raw, the other workers go on, and
`failure` says what happened for as long as the run lasts. See docs/decisions/0009.
"""

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto

from frontend.assembly import ReadyEvent
from frontend.compression import FrameCounts, compress_event
from frontend.ring import Slot
from rawdata import codec
from rawdata.layouts.camera import Encode

PATIENCE_S = 2.0
"""How long the line waits for its first event; a Fusion frame takes 7 to 25 ms of a core."""
NICENESS = 5
"""Where cores are few, reading devices and sending go before compression."""
NO_FRAMES: Mapping[int, tuple[int, int]] = {}
MEMORIES_A_WORKER = 2
"""One to write to, and one that is being sent or waits for an earlier event."""


class _State(Enum):
    WAITING = auto()
    TAKEN = auto()
    READY = auto()


@dataclass(eq=False)
class Outgoing:
    """An event on its way out.

    :param content: the whole event, as it is to be sent.
    """

    event: ReadyEvent
    content: memoryview
    counts: FrameCounts = field(default_factory=FrameCounts)
    state: _State = _State.WAITING
    memory: memoryview | None = None
    """Memory of the pool that `content` lies in."""
    is_with_worker: bool = False
    """A worker reads the slot, also when the event goes raw since this takes too long."""
    is_over: bool = False
    """It was sent, or never will be."""
    holds_slot: bool = True


class Outbox:
    """Events in order, from the assembler to the sender.

    :param give_back: frees a slot of the ring; called from any thread.
    :param wake: wakes the main thread; called from any thread.
    :param shapes: (rows, columns) of each camera's frames, by its number in the names of banks.
    :param memories: memory for compressed events, each as large as the largest event; none of them
        where `workers` is 0.
    :param workers: threads that compress; 0 sends all events as they are.
    :param max_waiting: events that may wait for a worker.
    :param encode: compresses one frame.
    """

    def __init__(
        self,
        give_back: Callable[[Slot], None],
        wake: Callable[[], None],
        shapes: Mapping[int, tuple[int, int]] = NO_FRAMES,
        memories: Sequence[memoryview] = (),
        workers: int = 0,
        max_waiting: int = 1,
        encode: Encode = codec.encode_into,
    ) -> None:
        self._give_back = give_back
        self._wake = wake
        self._shapes = shapes
        self._free = deque(memories)
        self._max_waiting = max_waiting
        self._encode = encode
        self._line: deque[Outgoing] = deque()
        self._waiting: deque[Outgoing] = deque()
        self._lock = threading.Lock()
        self._work = threading.Condition(self._lock)
        self._is_stopping = False
        self._first_since_s = 0.0
        self._error: str | None = None
        self._late: set[Outgoing] = set()
        self._workers = [
            threading.Thread(target=self._run, name=f"compression {number}", daemon=True)
            for number in range(workers)
        ]

    @property
    def compresses(self) -> bool:
        """True if there are workers, be they alive or not."""
        return bool(self._workers)

    def __len__(self) -> int:
        return len(self._line)

    def start(self) -> None:
        """Start the workers."""
        for worker in self._workers:
            worker.start()

    def stop(self, timeout_s: float) -> None:
        """Begin no more compression, and wait for the workers to end; what waits goes raw."""
        with self._lock:
            self._is_stopping = True
            while self._waiting:
                self._send_raw(self._waiting.popleft(), is_failure=False)
            self._work.notify_all()
        end_s = time.monotonic() + timeout_s
        for worker in self._workers:
            if worker.ident is not None:
                worker.join(max(0.0, end_s - time.monotonic()))

    def failure(self) -> str | None:
        """Return what is wrong with the workers; None if all is well."""
        with self._lock:
            if self._error is None and self._late:
                return f"{len(self._late)} of {len(self._workers)} workers hang; frames go raw"
            return self._error

    # the main thread's side ------------------------------------------------------------------

    def put(self, event: ReadyEvent) -> None:
        """Add an event at the end of the line."""
        outgoing = Outgoing(event, event.content)
        with self._lock:
            if not self._line:
                self._first_since_s = time.monotonic()
            self._line.append(outgoing)
            if not self.compresses:
                outgoing.state = _State.READY
            elif self._is_stopping:
                self._send_raw(outgoing, is_failure=False)
            else:
                self._waiting.append(outgoing)
                self._work.notify()

    def first(self) -> Outgoing | None:
        """Return the first event of the line; None if there is none or it is not ready yet."""
        with self._lock:
            if not self._line:
                return None
            first = self._line[0]
            if first.state is not _State.READY:
                self._relieve(first)
            return first if first.state is _State.READY else None

    def pop(self) -> Outgoing:
        """Take the first event out of the line, be it sent or not, and free what it holds."""
        with self._lock:
            first = self._line.popleft()
            self._first_since_s = time.monotonic()
            first.is_over = True
            self._free_memory(first)
            if not first.is_with_worker:
                self._free_slot(first)
            return first

    def _relieve(self, first: Outgoing) -> None:
        """Let events go raw where compression does not keep up."""
        has_workers = sum(worker.is_alive() for worker in self._workers) > len(self._late)
        limit = self._max_waiting if has_workers else 0
        while len(self._waiting) > limit:
            self._send_raw(self._waiting.popleft(), is_failure=not has_workers)
        waited_s = time.monotonic() - self._first_since_s
        if first.state is not _State.READY and waited_s > PATIENCE_S:
            if first.state is _State.TAKEN:
                self._late.add(first)
            else:
                self._waiting.remove(first)
            self._send_raw(first, is_failure=False)

    def _send_raw(self, outgoing: Outgoing, is_failure: bool) -> None:
        outgoing.counts = FrameCounts.raw(outgoing.content, is_failure)
        outgoing.state = _State.READY

    def _free_memory(self, outgoing: Outgoing) -> None:
        if outgoing.memory is not None and not outgoing.is_with_worker:
            self._free.append(outgoing.memory)
            outgoing.memory = None
            self._work.notify()

    def _free_slot(self, outgoing: Outgoing) -> None:
        if outgoing.holds_slot:
            outgoing.holds_slot = False
            self._give_back(outgoing.event.slot)

    # the workers' side -----------------------------------------------------------------------

    def _run(self) -> None:
        # On Linux niceness belongs to the thread (setpriority(2)), 0 being the one that calls.
        niceness = min(19, os.getpriority(os.PRIO_PROCESS, 0) + NICENESS)
        os.setpriority(os.PRIO_PROCESS, 0, niceness)
        try:
            while (taken := self._take()) is not None:
                self._compress(*taken)
        except Exception as error:  # whatever it is, the main thread must know of it
            name = threading.current_thread().name
            self._error = f"{name} failed: {type(error).__name__}: {error}"
        finally:
            self._wake()

    def _take(self) -> tuple[Outgoing, memoryview] | None:
        """Return the next event, with memory for it; None if there shall be no more.

        Events are taken in order, so that the first of the line gets memory before all others.
        """
        with self._lock:
            while not (self._is_stopping or (self._waiting and self._free)):
                self._work.wait()
            if self._is_stopping:
                return None
            outgoing = self._waiting.popleft()
            outgoing.state, outgoing.is_with_worker = _State.TAKEN, True
            outgoing.memory = self._free.popleft()
            return outgoing, outgoing.memory

    def _compress(self, outgoing: Outgoing, memory: memoryview) -> None:
        content, counts = None, None
        try:
            content, counts = compress_event(
                outgoing.event.content, self._shapes, memory, self._encode
            )
        finally:
            self._hand_over(outgoing, content, counts)

    def _hand_over(
        self, outgoing: Outgoing, content: memoryview | None, counts: FrameCounts | None
    ) -> None:
        """Make an event ready, unless it goes raw already.

        :param counts: None if compression failed.
        """
        with self._lock:
            outgoing.is_with_worker = False
            self._late.discard(outgoing)
            is_too_late = outgoing.state is _State.READY
            if counts is None and not is_too_late:
                self._send_raw(outgoing, is_failure=True)
            elif counts is not None and not is_too_late:
                outgoing.counts, outgoing.state = counts, _State.READY
                if content is not None:
                    outgoing.content = content
                    self._free_slot(outgoing)
            if is_too_late or content is None:
                self._free_memory(outgoing)
            if outgoing.is_over:
                self._free_slot(outgoing)
        self._wake()
