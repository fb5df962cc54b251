"""A ring of preallocated slots, each of which holds one whole event.

The reader thread of each camera claims its place in the slot of the frame that it expects, lets the
driver write the pixels there, and delivers it. The main thread takes frames in the order of their
index, completes the event in place, sends it, and gives the slot back. So pixels are written once.

Only where a frame was lost does a camera's next frame lie in the wrong slot: the slot then gets
another index if nobody else uses it (always so with one camera), else the pixels are copied.
Where all slots are taken, a camera writes into its spare frame, so that the driver never backs up;
that frame still finds a slot, with a copy, if one is free by then, and is lost and counted if not.

The slot that came back last is used first: its memory is still in the processor's caches, where a
ring that goes around would meet the slot that was not touched for longest.
"""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from frontend.layout import EventMemory
from hardware.camera import FrameInfo

_COUNTER_SPAN = 1 << 32
_NO_INDEX = -1

Pixels = npt.NDArray[np.uint16]


@dataclass(eq=False)
class Slot:
    """One event's place, and who has to do with it."""

    memory: EventMemory
    frames: list[FrameInfo | None]
    index: int = _NO_INDEX
    claims: set[int] = field(default_factory=set)
    first_arrival_s: float = 0.0

    @property
    def has_frames(self) -> bool:
        """True if at least one camera has delivered."""
        return any(frame is not None for frame in self.frames)


class Claim(NamedTuple):
    """Where a camera may write its next frame; without a slot if the ring is full."""

    slot: Slot | None
    pixels: Pixels


@dataclass
class CameraCounts:
    """What became of one camera's frames."""

    acquired: int = 0
    """Frames that the driver gave us."""
    lost_by_camera: int = 0
    """Frames missing in the camera's own count."""
    lost_by_ring: int = 0
    """Frames that found the ring full."""
    late: int = 0
    """Frames that came when their event had gone without them."""
    repeated: int = 0
    """Frames that came a second time; not counted as acquired."""


class FrameRing:
    """Slots between the readers of K cameras and the main thread.

    :param memories: one for each slot, all of the same layout; with several cameras the last one
        is kept in reserve for events that lack a camera, so that a dead one cannot block the ring.
    :param period_ns: from one exposure's start to the next; None if only the camera knows.
    :param window_ns: how near a frame's time must be to a multiple of the period for the time to
        overrule a camera's count, with several cameras; 0 is never.
    """

    def __init__(
        self,
        memories: Sequence[EventMemory],
        period_ns: int | None = None,
        window_ns: int = 0,
    ) -> None:
        cameras = len(memories[0].pixels)
        *shared, last = [Slot(memory, [None] * cameras) for memory in memories]
        self._reserve = last if cameras > 1 else None
        self._reserve_is_free = True
        self._free = shared if cameras > 1 else [*shared, last]
        self.size = len(self._free)
        self.counts = [CameraCounts() for _ in range(cameras)]
        self._lock = threading.Lock()
        self._news = threading.Condition(self._lock)
        self._room = threading.Condition(self._lock)
        self._has_news = False
        self._open: dict[int, Slot] = {}
        self._expected = [0] * cameras
        self._last_counter: list[int | None] = [None] * cameras
        self._last_start_ns: list[int | None] = [None] * cameras
        self._period_ns = period_ns if cameras > 1 and window_ns else None
        self._window_ns = window_ns
        self._taken_index = -1
        self._spare = [np.zeros_like(pixels) for pixels in memories[0].pixels]

    # the readers' side -----------------------------------------------------------------------

    def claim(self, camera: int) -> Claim:
        """Return where this camera shall write its next frame, until `deliver` or `give_up`."""
        with self._lock:
            slot = self._slot_of(max(self._expected[camera], self._taken_index + 1))
            if slot is None:
                return Claim(None, self._spare[camera])
            slot.claims.add(camera)
            return Claim(slot, slot.memory.pixels[camera])

    def wait_for_room(self, timeout_s: float) -> None:
        """Wait until a slot may be free."""
        with self._lock:
            if not self._free:
                self._room.wait(timeout_s)

    def give_up(self, camera: int, claim: Claim) -> None:
        """Return a claim without a frame."""
        with self._lock:
            self._drop_claim(camera, claim.slot)

    def deliver(self, camera: int, claim: Claim, info: FrameInfo) -> bool:
        """Hand over the frame that now lies in `claim`.

        :returns: False if it was lost, because the ring is full or its event has gone.
        """
        with self._lock:
            slot = self._place(camera, claim.slot, info)
            self._drop_claim(camera, claim.slot if slot is not claim.slot else None)
        if slot is not None and slot is not claim.slot:
            # Not under the lock; the claim on the slot keeps everybody else away.
            slot.memory.pixels[camera][...] = claim.pixels
        with self._lock:
            if slot is not None:
                if not slot.has_frames:
                    slot.first_arrival_s = time.monotonic()
                slot.frames[camera] = info
                self._drop_claim(camera, slot)
            self._tell()
        return slot is not None

    def _slot_of(self, index: int) -> Slot | None:
        slot = self._open.get(index)
        if slot is None and self._free:
            slot = self._free.pop()
            slot.index = index
            self._open[index] = slot
        return slot

    def _place(self, camera: int, claimed: Slot | None, info: FrameInfo) -> Slot | None:
        """Count the frame and find its slot, which then has this camera's claim."""
        index = self._index_of(camera, info)
        counts = self.counts[camera]
        if index is None:
            counts.repeated += 1
            return None
        counts.acquired += 1
        counts.lost_by_camera += index - self._expected[camera]
        self._expected[camera] = index + 1
        if index <= self._taken_index:
            counts.late += 1
            return None
        slot = self._open.get(index)
        if slot is None and claimed is not None and self._is_only(camera, claimed):
            if self._open.get(claimed.index) is claimed:
                del self._open[claimed.index]
            claimed.index = index
            self._open[index] = claimed
            return claimed
        slot = slot or self._slot_of(index)
        if slot is None:
            counts.lost_by_ring += 1
        else:
            slot.claims.add(camera)
        return slot

    def _index_of(self, camera: int, info: FrameInfo) -> int | None:
        """Undo the rollover of the camera's counter; None if the frame was here already."""
        counter, last = info.counter, self._last_counter[camera]
        if last is None:
            self._last_counter[camera] = counter
            self._last_start_ns[camera] = info.exposure_start_ns
            # A camera begins at zero. One that begins near its rollover began there on purpose.
            return counter if counter < _COUNTER_SPAN // 2 else 0
        step = (counter - last) % _COUNTER_SPAN
        if step == 0 or step >= _COUNTER_SPAN // 2:
            return None
        self._last_counter[camera] = counter
        return self._expected[camera] + self._step_by_time(camera, step, info) - 1

    def _step_by_time(self, camera: int, step: int, info: FrameInfo) -> int:
        """Return how many exposures after the last one a frame began.

        A camera without a master may miss a trigger and not count it; its time tells. Only the time
        between two frames of one camera is used, so that clocks may drift apart.
        """
        last_ns, self._last_start_ns[camera] = self._last_start_ns[camera], info.exposure_start_ns
        if last_ns is None or self._period_ns is None:
            return step
        gap_ns = info.exposure_start_ns - last_ns
        by_time = round(gap_ns / self._period_ns)
        is_near = abs(gap_ns - by_time * self._period_ns) <= self._window_ns
        return by_time if is_near and by_time > step else step

    @staticmethod
    def _is_only(camera: int, slot: Slot) -> bool:
        return slot.claims == {camera} and not slot.has_frames

    def _drop_claim(self, camera: int, slot: Slot | None) -> None:
        if slot is None:
            return
        slot.claims.discard(camera)
        if not slot.claims and not slot.has_frames:
            if self._open.get(slot.index) is slot:
                del self._open[slot.index]
            self._put_back(slot)

    def _put_back(self, slot: Slot) -> None:
        slot.index = _NO_INDEX
        self._free.append(slot)
        self._room.notify_all()

    # the main thread's side ------------------------------------------------------------------

    def wait(self, timeout_s: float) -> bool:
        """Wait for news from a reader; return False if there was none in time."""
        with self._lock:
            if not self._has_news:
                self._news.wait(timeout_s)
            had_news, self._has_news = self._has_news, False
        return had_news

    def wake(self) -> None:
        """Make `wait` return; for the readers of other devices."""
        with self._lock:
            self._tell()

    def _tell(self) -> None:
        self._has_news = True
        self._news.notify()

    def oldest(self) -> Slot | None:
        """Return the slot with the lowest index that has a frame; it stays in the ring."""
        with self._lock:
            indexes = [index for index, slot in self._open.items() if slot.has_frames]
            return self._open[min(indexes)] if indexes else None

    def is_complete(self, slot: Slot) -> bool:
        """Tell whether no camera can add to this slot any more."""
        with self._lock:
            return all(expected > slot.index for expected in self._expected)

    def next_start_ns(self, slot: Slot) -> int | None:
        """Return when the exposure after this slot's began or would have begun; None if unknown.

        It is known when the next frame of the same camera is here. If frames were lost between the
        two, the time between them is divided evenly.
        """
        with self._lock:
            camera = next(i for i, frame in enumerate(slot.frames) if frame is not None)
            later = [
                (index, other.frames[camera])
                for index, other in self._open.items()
                if index > slot.index and other.frames[camera] is not None
            ]
        frame = slot.frames[camera]
        if frame is None or not later:
            return None
        index, following = min(later, key=lambda entry: entry[0])
        if following is None:
            return None
        gap_ns = following.exposure_start_ns - frame.exposure_start_ns
        return frame.exposure_start_ns + gap_ns // (index - slot.index)

    def take(self, slot: Slot) -> None:
        """Take a slot out for sending: frames for it that come now are late."""
        with self._lock:
            del self._open[slot.index]
            self._taken_index = slot.index

    def borrow(self) -> Slot | None:
        """Return the slot in reserve, for the parts of an event that is not whole; None if lent."""
        with self._lock:
            if not self._reserve_is_free:
                return None
            self._reserve_is_free = False
            return self._reserve

    def give_back(self, slot: Slot) -> None:
        """Return a slot that was taken or borrowed."""
        with self._lock:
            slot.frames = [None] * len(slot.frames)
            if slot is self._reserve:
                self._reserve_is_free = True
            elif slot.claims:  # a camera still writes there; the slot is free when it is done
                slot.index = _NO_INDEX
            else:
                self._put_back(slot)

    @property
    def level(self) -> float:
        """Part of the slots that hold frames, 0 to 1."""
        with self._lock:
            waiting = sum(not slot.has_frames for slot in self._open.values())
            return 1.0 - (len(self._free) + waiting) / self.size
