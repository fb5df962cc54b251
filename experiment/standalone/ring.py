"""The ring in shared memory, and every change of it.

Positions count bytes from the first ever written and never wrap; a position's place in the ring is
its remainder. ``tail <= position of every reader <= head``. The ring is a chain of records, each a
64-byte header and the event, whole and contiguous; a record of its own fills what is left at the
ring's end.

Every change is made of aligned 8-byte stores, in such an order that the death of the process
between any two of them leaves a valid ring: what is new is written beyond `head` before `head`
moves, what goes away is given up by the readers before `tail` moves, a slot's pid comes last and
goes first. All methods want the segment's lock held, except where they say otherwise.
"""

import os
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from experiment.constants import GET_ALL, GET_RECENT, STATUS
from experiment.errors import MidasError
from experiment.standalone.process import process_lives, process_start
from experiment.standalone.ring_layout import (
    ALIGN,
    HEADER_BYTES,
    MAGIC,
    MARK,
    R_KEY,
    R_LENGTH,
    R_PID,
    R_POSITION,
    R_SIZE,
    R_STARTED,
    R_TIME_NS,
    RECENT_NS,
    RECORD_BYTES,
    S_PINNED,
    S_POSITION,
    S_RECEIVED,
    S_RECEIVED_BYTES,
    S_SENT,
    S_SENT_BYTES,
    S_SKIPPED,
    SLOT_COUNT,
    VERSION,
    W_BYTES,
    W_EVENTS,
    W_FILE_BYTES,
    W_HEAD,
    W_MAGIC,
    W_RING_BYTES,
    W_RING_START,
    W_SLOTS,
    W_TAIL,
    W_VERSION,
    State,
)
from experiment.standalone.ring_slots import Slots
from experiment.standalone.segment import Segment


@dataclass(frozen=True)
class Found:
    """A committed event in the ring: its position, size and record length [bytes]."""

    position: int
    size_bytes: int
    length: int


class Ring:
    """A mapped ring: the events in it, and how they are written and read."""

    def __init__(self, name: str, segment: Segment) -> None:
        self.name = name
        self.segment = segment
        self.path: Path = segment.path
        self.lock = segment.lock
        self._words = words = segment.words
        expected = {
            "magic word": (words[W_MAGIC], MAGIC),
            "version": (words[W_VERSION], VERSION),
            "file size": (words[W_FILE_BYTES], segment.size_bytes),
            "start of the ring": (words[W_RING_START], HEADER_BYTES),
            "size of the ring": (words[W_RING_BYTES], segment.size_bytes - HEADER_BYTES),
            "number of slots": (words[W_SLOTS], SLOT_COUNT),
        }
        for what, (seen, allowed) in expected.items():
            if seen != allowed:
                raise self.corrupted(f"its {what} is {seen:#x}, not {allowed:#x}")
        self.size_bytes = int(words[W_RING_BYTES])
        self._first_word = HEADER_BYTES // 8
        self._pid, self._started = os.getpid(), process_start(os.getpid()) or 0
        self.slots = Slots(name, words)
        self.blockers: tuple[str, ...] = ()
        self.check_positions()
        self._data: NDArray[np.uint8] = np.frombuffer(segment.memory, np.uint8)[HEADER_BYTES:]

    def corrupted(self, problem: str) -> MidasError:
        """Return the error that says what is wrong with the ring and what to do."""
        return MidasError(
            STATUS["BM_CORRUPTED"],
            f"Event buffer {self.name} is corrupted ({self.path}): {problem}. "
            "Stop the programs of this experiment and remove that file; they make a new one",
        )

    def check_positions(self) -> None:
        """Refuse a ring whose head and tail cannot be.

        :raises MidasError: BM_CORRUPTED.
        """
        head, tail = self._words[W_HEAD], self._words[W_TAIL]
        if head % ALIGN or tail % ALIGN or not tail <= head <= tail + self.size_bytes:
            raise self.corrupted(f"head {head} and tail {tail}, ring of {self.size_bytes} bytes")

    def unmap(self) -> None:
        """Give the memory back; the lock must not be held."""
        del self._data
        del self._words
        del self.slots
        self.segment.close()

    # records -----------------------------------------------------------------------------------
    def _record(self, position: int) -> int:
        """Return the word index of the record at a position, after looking that it is one."""
        place = position % self.size_bytes
        at = self._first_word + place // 8
        words = self._words
        length = words[at + R_LENGTH]
        if (
            words[at] ^ MARK > 0xFF
            or words[at + R_POSITION] != position
            or length < RECORD_BYTES
            or length % ALIGN
            or place + length > self.size_bytes
            or position + length > words[W_HEAD]
            or words[at + R_SIZE] > length - RECORD_BYTES
        ):
            raise self.corrupted(f"no record stands at position {position}")
        return at

    def _state(self, at: int) -> int:
        return int(self._words[at]) & 0xFF

    def _write_record(self, position: int, state: State, length: int, size: int, key: int) -> None:
        at, words = self._first_word + position % self.size_bytes // 8, self._words
        words[at + R_LENGTH] = length
        words[at + R_SIZE] = size
        words[at + R_PID] = self._pid
        words[at + R_STARTED] = self._started
        words[at + R_KEY] = key
        words[at + R_TIME_NS] = 0
        words[at + R_POSITION] = position
        words[at] = MARK | state

    def _void_if_orphaned(self, at: int) -> bool:
        """Void a reserved record if its writer is dead; tell whether it was."""
        words = self._words
        if process_lives(words[at + R_PID], words[at + R_STARTED]):
            return False
        words[at] = MARK | State.VOID
        return True

    def view(self, position: int, size_bytes: int) -> NDArray[np.uint8]:
        """Return the bytes of the event at a position; also without the lock."""
        start = position % self.size_bytes + RECORD_BYTES
        return self._data[start : start + size_bytes]

    # writing -----------------------------------------------------------------------------------
    def reserve(self, size_bytes: int, event_key: int) -> int | None:
        """Reserve room for an event and return its position, None while there is none.

        `blockers` then names the clients who hold the room.
        """
        words = self._words
        length = RECORD_BYTES + -(-size_bytes // ALIGN) * ALIGN
        head = words[W_HEAD]
        to_end = self.size_bytes - head % self.size_bytes
        if length > to_end:
            if not self._make_room(head + to_end - self.size_bytes):
                return None
            self._write_record(head, State.FILLER, to_end, 0, 0)
            head += to_end
            words[W_HEAD] = head
        if not self._make_room(head + length - self.size_bytes):
            return None
        self._write_record(head, State.RESERVED, length, size_bytes, event_key)
        words[W_HEAD] = head + length
        return int(head)

    def commit(self, position: int, size_bytes: int) -> None:
        """Show a reserved event to the readers."""
        at, words, slot = self._record(position), self._words, self.slots.own
        words[at + R_TIME_NS] = time.monotonic_ns()
        words[at] = MARK | State.COMMITTED
        words[W_EVENTS] += 1
        words[W_BYTES] += size_bytes
        words[slot + S_SENT] += 1
        words[slot + S_SENT_BYTES] += size_bytes

    def void(self, position: int) -> None:
        """Give up a reserved event."""
        self._words[self._record(position)] = MARK | State.VOID

    def _make_room(self, wanted_tail: int) -> bool:
        """Move the tail forward to `wanted_tail` or beyond, event by event, if readers allow."""
        words = self._words
        tail = words[W_TAIL]
        while tail < wanted_tail:
            at = self._record(tail)
            if self._state(at) == State.RESERVED and not self._void_if_orphaned(at):
                self.blockers = (f"pid {words[at + R_PID]} (sending)",)
                return False
            here = [s for s in self.slots.taken() if words[s + S_POSITION] == tail]
            here = [slot for slot in here if self.slots.has_requests(slot)]
            losers = []
            if self._state(at) == State.COMMITTED:
                demands = {slot: self.slots.demand(slot, tail, words[at + R_KEY]) for slot in here}
                held = [s for s in here if demands[s] == GET_ALL or words[s + S_PINNED]]
                if held:
                    self.blockers = tuple(self.slots.name_of(slot) for slot in held)
                    return False
                losers = [slot for slot in here if demands[slot]]
            tail += words[at + R_LENGTH]
            for slot in losers:  # counted before it is lost: a crash here counts too many
                words[slot + S_SKIPPED] += 1
            for slot in here:
                words[slot + S_POSITION] = tail
            words[W_TAIL] = tail
        self.blockers = ()
        return True

    # reading -----------------------------------------------------------------------------------
    def has_news(self) -> bool:
        """Tell whether the ring goes on beyond this client's position; also without the lock."""
        return bool(self._words[self.slots.own + S_POSITION] != self._words[W_HEAD])

    def find(self, most: int) -> tuple[Found | None, bool]:
        """Step over at most `most` records to the next event this client wants, and pin it.

        :returns: the event or None, and whether it is worth to look further at once.
        """
        words, slot = self._words, self.slots.own
        position, head = max(words[slot + S_POSITION], words[W_TAIL]), words[W_HEAD]
        for _ in range(most):
            if position >= head:
                break
            at = self._record(position)
            state = self._state(at)
            if state == State.RESERVED and not self._void_if_orphaned(at):
                head = position  # a writer is copying: not yet
                break
            if state == State.COMMITTED:
                demand = self.slots.demand(slot, position, words[at + R_KEY])
                too_old = (
                    demand == GET_RECENT and time.monotonic_ns() - words[at + R_TIME_NS] > RECENT_NS
                )
                if too_old:
                    words[slot + S_SKIPPED] += 1
                elif demand:
                    words[slot + S_POSITION] = position
                    words[slot + S_PINNED] = 1
                    return Found(int(position), words[at + R_SIZE], words[at + R_LENGTH]), False
            position += words[at + R_LENGTH]
        words[slot + S_POSITION] = position
        return None, position < head

    def consume(self, found: Found) -> None:
        """Step over an event that was copied, and unpin it."""
        words, slot = self._words, self.slots.own
        words[slot + S_RECEIVED] += 1
        words[slot + S_RECEIVED_BYTES] += found.size_bytes
        words[slot + S_POSITION] = found.position + found.length
        words[slot + S_PINNED] = 0

    def unpin(self) -> None:
        """Let go of an event that was found, without stepping over it."""
        self._words[self.slots.own + S_PINNED] = 0

    # figures -----------------------------------------------------------------------------------
    def word(self, index: int) -> int:
        """Return one word of the header; also without the lock."""
        return int(self._words[index])

    @property
    def level(self) -> float:
        """Part that the slowest GET_ALL reader has not looked at, 0 to 1; also without the lock."""
        return min(1.0, self.slots.held_bytes() / self.size_bytes)
