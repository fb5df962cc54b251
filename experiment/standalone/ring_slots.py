"""Who uses a ring in shared memory: its clients, each with a slot, and what they ask for.

A slot is named by the index of its first word. A slot's pid comes last when it is taken and goes
first when it is given up. All methods want the lock held, except where they say otherwise.
"""

import os

from experiment.constants import GET_ALL, STATUS
from experiment.errors import MidasError
from experiment.standalone.process import process_lives, process_start
from experiment.standalone.ring_layout import (
    REQUEST_COUNT,
    S_NAME,
    S_PID,
    S_POSITION,
    S_REQUEST,
    S_REQUESTS,
    S_STARTED,
    S_WAITED_NS,
    SLOT_COUNT,
    SLOT_WORDS,
    SLOTS_START,
    W_HEAD,
    W_SLOTS_USED,
    matches,
)


class Slots:
    """The slots of a ring's clients, this one's among them.

    :param name: of the event buffer.
    :param words: of the ring.
    """

    def __init__(self, name: str, words: "memoryview[int]") -> None:
        self.name = name
        self._words = words
        self._pid, self._started = os.getpid(), process_start(os.getpid()) or 0
        self.own = 0
        """This client's slot, the index of its first word; 0: none."""

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
        self.own = slot

    def leave(self) -> None:
        """Free this client's slot."""
        if self.own:
            self._words[self.own + S_PID] = 0
            self.own = 0

    def name_of(self, slot: int) -> str:
        """Return the name of the client in a slot."""
        words = self._words[slot + S_NAME : slot + S_NAME + 4]
        name = b"".join(int(word).to_bytes(8, "little") for word in words)
        return name.rstrip(b"\0").decode(errors="replace") or f"pid {self._words[slot + S_PID]}"

    def taken(self) -> list[int]:
        """Return the slots that are taken; also without the lock."""
        return [slot for slot in self._slots() if self._words[slot + S_PID]]

    def bury_the_dead(self) -> int:
        """Free the slots of dead processes, with their requests and pins; return how many."""
        words, buried = self._words, 0
        for slot in self.taken():
            if not process_lives(words[slot + S_PID], words[slot + S_STARTED]):
                words[slot + S_PID] = 0
                buried += 1
        return buried

    # requests ----------------------------------------------------------------------------------
    def request(self, event_key: int, sampling_type: int) -> int:
        """Add a request that holds from `head` on; return its number."""
        words, slot = self._words, self.own
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
        self._words[self.own + S_REQUEST + 4 * number] = 0

    def _requests(self, slot: int) -> range:
        used = min(self._words[slot + S_REQUESTS], REQUEST_COUNT)
        return range(slot + S_REQUEST, slot + S_REQUEST + 4 * used, 4)

    def has_requests(self, slot: int) -> bool:
        """Tell whether a client asks for any event."""
        return any(self._words[at] for at in self._requests(slot))

    def demand(self, slot: int, position: int, event_key: int) -> int:
        """Return how strongly a client wants an event: the strongest sampling type, or 0."""
        words, strongest = self._words, 0
        for at in self._requests(slot):
            kind = words[at]
            if kind and position >= words[at + 2] and matches(words[at + 1], event_key):
                strongest = kind if not strongest else min(kind, strongest)
        return strongest

    # figures -----------------------------------------------------------------------------------
    def figures(self, slot: int) -> list[int]:
        """Return the words of a client's slot before its requests; also without the lock."""
        return list(self._words[slot : slot + S_REQUEST])

    def add_waiting(self, waited_ns: int) -> None:
        """Add to the time this client waited for room; also without the lock."""
        self._words[self.own + S_WAITED_NS] += waited_ns

    def held_bytes(self) -> int:
        """Return how many bytes wait for the slowest GET_ALL reader; also without the lock."""
        words = self._words
        held = [
            words[W_HEAD] - words[slot + S_POSITION]
            for slot in self.taken()
            if any(words[at] == GET_ALL for at in self._requests(slot))
        ]
        return max(0, max(held, default=0))
