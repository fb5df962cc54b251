"""The ring in shared memory: its layout, and every change of it.

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
from enum import IntEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from experiment.constants import GET_ALL, GET_NONBLOCKING, GET_RECENT, STATUS
from experiment.errors import MidasError
from experiment.standalone.process import process_lives, process_start
from experiment.standalone.segment import Segment, boot_number

MAGIC = int.from_bytes(b"CYGNOBUF", "little")
VERSION = 1
MARK = 0xEC0_4D1DA5_00  # first word of each record, its state in the last byte
ALIGN = 64  # one cache line; events start on one
RECORD_WORDS = 8
RECORD_BYTES = 8 * RECORD_WORDS

# Words of the header page.
W_MAGIC, W_VERSION, W_FILE_BYTES, W_RING_START, W_RING_BYTES, W_BOOT, W_SLOTS = range(7)
W_HEAD, W_TAIL, W_EVENTS, W_BYTES, W_SLOTS_USED = range(8, 13)
# Words of a client's slot.
S_PID, S_STARTED, S_NAME = 0, 1, 2
S_POSITION, S_PINNED = 6, 7
S_SENT, S_SENT_BYTES, S_RECEIVED, S_RECEIVED_BYTES, S_SKIPPED, S_WAITED_NS = range(8, 14)
S_REQUESTS = 14  # how many of the requests below have ever been used
S_REQUEST = 16  # then REQUEST_COUNT times: sampling type (0: free), key, since, -
REQUEST_COUNT = 10  # MIDAS MAX_EVENT_REQUESTS
SLOT_WORDS = 64
SLOT_COUNT = 120
SLOTS_START = 64  # words; the header before them has room to grow
HEADER_BYTES = 16 * 4096
# Words of a record's header.
R_STATE, R_LENGTH, R_SIZE, R_PID, R_STARTED, R_KEY, R_TIME_NS, R_POSITION = range(8)

RECENT_NS = 1_000_000_000  # GET_RECENT: not older than one second, MIDAS bm_check_requests
ALL_BITS = 0xFFFF  # -1 in 16 bits: any event id, any trigger mask


class State(IntEnum):
    """What a record holds."""

    RESERVED = 1
    """A writer is copying into it; readers wait, for the order's sake."""
    COMMITTED = 2
    VOID = 3
    """Its writer gave up or died."""
    FILLER = 4
    """Nothing: the rest of the ring's end, too short for the next event."""


@dataclass(frozen=True)
class Found:
    """A committed event in the ring: its position, size and record length [bytes]."""

    position: int
    size_bytes: int
    length: int


def key_of(event_id: int, trigger_mask: int) -> int:
    """Return event id and trigger mask as they stand first in an event's header."""
    return (event_id & ALL_BITS) | (trigger_mask & ALL_BITS) << 16


def matches(request_key: int, event_key: int) -> bool:
    """Tell whether a request wants an event (MIDAS ``bm_match_event``).

    >>> matches(key_of(1, -1), key_of(1, 0)), matches(key_of(-1, 2), key_of(7, 1))
    (True, False)
    """
    wanted_id, wanted_mask = request_key & ALL_BITS, request_key >> 16
    return wanted_id in (ALL_BITS, event_key & ALL_BITS) and (
        wanted_mask == ALL_BITS or wanted_mask & event_key >> 16 != 0
    )


def format_ring(segment: Segment) -> None:
    """Write the header of a new ring; the magic word comes last."""
    words = segment.words
    words[W_VERSION] = VERSION
    words[W_FILE_BYTES] = segment.size_bytes
    words[W_RING_START] = HEADER_BYTES
    words[W_RING_BYTES] = segment.size_bytes - HEADER_BYTES
    words[W_BOOT] = boot_number()
    words[W_SLOTS] = SLOT_COUNT
    words[W_MAGIC] = MAGIC


def is_from_earlier_boot(segment: Segment) -> bool:
    """Tell whether a ring was left by a boot before this one: then nobody uses it."""
    return segment.words[W_MAGIC] == MAGIC and segment.words[W_BOOT] != boot_number()


class Ring:
    """A mapped ring and this client's slot in it."""

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
        self._slot = 0
        self._pid, self._started = os.getpid(), process_start(os.getpid()) or 0
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
        self.segment.close()

    # clients -----------------------------------------------------------------------------------
    def _slots(self) -> range:
        used = min(self._words[W_SLOTS_USED], SLOT_COUNT)
        return range(SLOTS_START, SLOTS_START + used * SLOT_WORDS, SLOT_WORDS)

    def join(self, client_name: str) -> None:
        """Take a slot for this client.

        :raises MidasError: BM_NO_SLOT if all are taken by living clients.
        """
        words = self._words
        self.bury_the_dead()
        for index in range(SLOT_COUNT):
            slot = SLOTS_START + index * SLOT_WORDS
            if not words[slot + S_PID]:
                break
        else:
            raise MidasError(
                STATUS["BM_NO_SLOT"],
                f"Event buffer {self.name} has {SLOT_COUNT} clients already, which is its limit: "
                "close one",
            )
        for word in range(slot, slot + SLOT_WORDS):
            words[word] = 0
        name = client_name.encode()[:31].ljust(32, b"\0")
        for word in range(4):
            words[slot + S_NAME + word] = int.from_bytes(name[8 * word : 8 * word + 8], "little")
        words[slot + S_STARTED] = self._started
        words[W_SLOTS_USED] = max(words[W_SLOTS_USED], index + 1)
        words[slot + S_PID] = self._pid
        self._slot = slot

    def leave(self) -> None:
        """Free this client's slot."""
        if self._slot:
            self._words[self._slot + S_PID] = 0
            self._slot = 0

    def name_of(self, slot: int) -> str:
        """Return the name of the client in a slot."""
        words = self._words[slot + S_NAME : slot + S_NAME + 4]
        name = b"".join(int(word).to_bytes(8, "little") for word in words)
        return name.rstrip(b"\0").decode(errors="replace") or f"pid {self._words[slot + S_PID]}"

    def clients(self) -> list[int]:
        """Return the slots that are taken; also without the lock."""
        return [slot for slot in self._slots() if self._words[slot + S_PID]]

    def bury_the_dead(self) -> int:
        """Free the slots of dead processes, with their requests and pins; return how many."""
        words, buried = self._words, 0
        for slot in self.clients():
            if not process_lives(words[slot + S_PID], words[slot + S_STARTED]):
                words[slot + S_PID] = 0
                buried += 1
        return buried

    # requests ----------------------------------------------------------------------------------
    def request(self, event_key: int, sampling_type: int) -> int:
        """Add a request that holds from `head` on; return its number."""
        words, slot = self._words, self._slot
        for number in range(REQUEST_COUNT):
            at = slot + S_REQUEST + 4 * number
            if not words[at]:
                break
        else:
            raise MidasError(
                STATUS["BM_NO_MEMORY"],
                f"Event buffer {self.name}: a client may have {REQUEST_COUNT} event requests, "
                "cancel one first",
            )
        if not self.has_requests(slot):
            words[slot + S_POSITION] = words[W_HEAD]
        words[at + 1] = event_key
        words[at + 2] = words[W_HEAD]
        words[at] = sampling_type
        words[slot + S_REQUESTS] = max(words[slot + S_REQUESTS], number + 1)
        return number

    def cancel(self, number: int) -> None:
        """Remove a request."""
        self._words[self._slot + S_REQUEST + 4 * number] = 0

    def _requests(self, slot: int) -> range:
        used = min(self._words[slot + S_REQUESTS], REQUEST_COUNT)
        return range(slot + S_REQUEST, slot + S_REQUEST + 4 * used, 4)

    def has_requests(self, slot: int) -> bool:
        """Tell whether a client asks for any event."""
        return any(self._words[at] for at in self._requests(slot))

    def _demand(self, slot: int, position: int, event_key: int) -> int:
        """Return how strongly a client wants an event: the strongest sampling type, or 0."""
        words, strongest = self._words, 0
        for at in self._requests(slot):
            kind = words[at]
            if kind and position >= words[at + 2] and matches(words[at + 1], event_key):
                strongest = kind if not strongest else min(kind, strongest)
        return strongest

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
        at, words, slot = self._record(position), self._words, self._slot
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
            here = [s for s in self.clients() if words[s + S_POSITION] == tail]
            here = [slot for slot in here if self.has_requests(slot)]
            losers = []
            if self._state(at) == State.COMMITTED:
                demands = {slot: self._demand(slot, tail, words[at + R_KEY]) for slot in here}
                held = [s for s in here if demands[s] == GET_ALL or words[s + S_PINNED]]
                if held:
                    self.blockers = tuple(self.name_of(slot) for slot in held)
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
        return bool(self._words[self._slot + S_POSITION] != self._words[W_HEAD])

    def find(self, most: int) -> tuple[Found | None, bool]:
        """Step over at most `most` records to the next event this client wants, and pin it.

        :returns: the event or None, and whether it is worth to look further at once.
        """
        words, slot = self._words, self._slot
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
                demand = self._demand(slot, position, words[at + R_KEY])
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
        words, slot = self._words, self._slot
        words[slot + S_RECEIVED] += 1
        words[slot + S_RECEIVED_BYTES] += found.size_bytes
        words[slot + S_POSITION] = found.position + found.length
        words[slot + S_PINNED] = 0

    def unpin(self) -> None:
        """Let go of an event that was found, without stepping over it."""
        self._words[self._slot + S_PINNED] = 0

    # figures -----------------------------------------------------------------------------------
    def word(self, index: int) -> int:
        """Return one word of the header; also without the lock."""
        return int(self._words[index])

    def slot_words(self, slot: int) -> list[int]:
        """Return the words of a client's slot before its requests; also without the lock."""
        return list(self._words[slot : slot + S_REQUEST])

    def add_waiting(self, waited_ns: int) -> None:
        """Add to the time this client waited for room; also without the lock."""
        self._words[self._slot + S_WAITED_NS] += waited_ns

    def held_bytes(self) -> int:
        """Return how many bytes wait for the slowest GET_ALL reader; also without the lock."""
        words = self._words
        held = [
            words[W_HEAD] - words[slot + S_POSITION]
            for slot in self.clients()
            if any(words[at] == GET_ALL for at in self._requests(slot))
        ]
        return max(0, min(max(held, default=0), self.size_bytes))


SAMPLING_TYPES = (GET_ALL, GET_NONBLOCKING, GET_RECENT)
