"""Put events together: which triggers belong to which frame, and which frames are kept.

Event n holds the triggers from the start of its exposure to the start of the next one. It waits
until every camera has delivered or passed frame n and every board has said that it has no more
triggers for that time; or, for an answer that does not come, until its wait is over. Then it goes
without, flagged and counted.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from frontend.layout import EventFlag, EventLayout, EventMemory
from frontend.ring import FrameRing, Slot
from frontend.setup import Mode
from frontend.triggers import TriggerBatch, TriggerStore
from hardware.camera import FrameInfo


@dataclass(frozen=True)
class ReadyEvent:
    """A whole event in its slot, to be sent and then given back."""

    content: memoryview
    slot: Slot
    frames: int


@dataclass
class AssemblyCounts:
    """What became of the frames that came out of the ring, all cameras together."""

    events: int = 0
    events_incomplete: int = 0
    frames_in_events: int = 0
    frames_without_trigger: int = 0
    frames_paused: int = 0
    frames_surplus: int = 0
    """Frames after the last event that was asked for."""
    live_ns: int = 0
    """Exposure time of frames that were looked at."""
    span_ns: int = 0
    """Time on the first camera's clock from the first exposure to the end of the last frame."""


@dataclass(frozen=True, slots=True)
class _Window:
    """A frame's share of time [ns], half open; triggers in it belong to the frame."""

    start_ns: int
    end_ns: int


@dataclass(frozen=True)
class Rules:
    """How events are put together.

    :param period_ns: from one exposure's start to the next; None if only the camera knows.
    :param wait_s: how long a frame waits for cameras and boards.
    :param max_events: events to build; None is no limit.
    """

    mode: Mode
    period_ns: int | None
    wait_s: float
    max_events: int | None = None


class EventAssembler:
    """Makes events of one run from the ring and the stores of the boards."""

    def __init__(
        self, ring: FrameRing, stores: Sequence[TriggerStore], layout: EventLayout, rules: Rules
    ) -> None:
        self._ring = ring
        self._stores = stores
        self._layout = layout
        self._rules = rules
        self.counts = AssemblyCounts()
        self._last_index = -1
        self._last_end_ns: int | None = None
        self._last_gap_ns = 0
        self._missed_triggers = 0
        self._time_zero_s: int | None = None
        self._last_host_ns: int | None = None
        self._ended_ns: int | None = None
        self._paused_from_ns: int | None = None
        self._paused_to_ns: int | None = None

    def begin(self, host_time_ns: int) -> None:
        """Expect frames from this time on [ns since the epoch]."""
        self._last_host_ns = host_time_ns

    def end(self, host_time_ns: int) -> None:
        """Expect no frame any more whose exposure begins after this time."""
        self._ended_ns = host_time_ns

    def pause(self, host_time_ns: int) -> None:
        """Keep no frame that arrives after this time [ns since the epoch]."""
        self._paused_from_ns, self._paused_to_ns = host_time_ns, None

    def resume(self, host_time_ns: int) -> None:
        """Keep frames again whose exposure begins after this time."""
        self._paused_to_ns = self._last_host_ns = host_time_ns

    def silence_ns(self, now_ns: int) -> int:
        """Return for how long there was no frame until now, or until the end of the run.

        It is 0 as long as the next frame may still come, or wait for its partners.
        """
        if self._last_host_ns is None or self.is_done:
            return 0
        until_ns = now_ns if self._ended_ns is None else self._ended_ns
        if self._paused_from_ns is not None and self._paused_to_ns is None:
            until_ns = min(until_ns, self._paused_from_ns)
        silent_ns = until_ns - self._last_host_ns
        usual_ns = self._rules.period_ns or self._last_gap_ns
        return silent_ns if silent_ns > usual_ns + self._rules.wait_s * 1e9 else 0

    @property
    def holds_back_pause(self) -> bool:
        """True while frames from before the pause are in the ring."""
        slot = self._ring.oldest()
        return slot is not None and not self._is_paused(_first(slot.frames))

    @property
    def is_done(self) -> bool:
        """True if as many events are built as were asked for."""
        limit = self._rules.max_events
        return limit is not None and self.counts.events >= limit

    def next_event(self, is_final: bool = False) -> ReadyEvent | None:
        """Return the next event; None if there is none yet.

        :param is_final: nothing comes any more: do not wait for it.
        """
        while (slot := self._ring.oldest()) is not None:
            waited_s = time.monotonic() - slot.first_arrival_s
            is_over = is_final or waited_s > self._rules.wait_s
            has_cameras = self._ring.is_complete(slot)
            if not (has_cameras or is_over):
                return None
            window = self._window(slot, is_over)
            if window is None:
                return None
            has_boards = all(store.is_complete_until(window.end_ns) for store in self._stores)
            if not (has_boards or is_over):
                return None
            has_all = None not in slot.frames
            target = slot if has_all else self._ring.borrow()
            if target is None:
                return None
            event = self._finish(slot, target, window, has_all and has_boards)
            if event is not None:
                return event
        return None

    def _window(self, slot: Slot, is_over: bool) -> _Window | None:
        """Return the frame's share of time; None if its end is not known yet."""
        frame = _first(slot.frames)
        follows = slot.index == self._last_index + 1
        # No trigger shall fall between two frames because their times are not quite even.
        start_ns = frame.exposure_start_ns
        if follows and self._last_end_ns is not None:
            start_ns = self._last_end_ns
        end_ns = self._end_ns(slot, frame, is_over)
        return None if end_ns is None else _Window(start_ns, max(start_ns, end_ns))

    def _end_ns(self, slot: Slot, frame: FrameInfo, is_over: bool) -> int | None:
        """Return when the next exposure begins, or would; None if it is not known yet."""
        if self._rules.period_ns is not None:
            return frame.exposure_start_ns + self._rules.period_ns
        end_ns = self._ring.next_start_ns(slot)
        if end_ns is not None:
            self._last_gap_ns = end_ns - frame.exposure_start_ns
            return end_ns
        if not is_over:
            return None
        exposure_ns = frame.exposure_end_ns - frame.exposure_start_ns
        return frame.exposure_start_ns + max(exposure_ns, self._last_gap_ns)

    def _finish(
        self, slot: Slot, target: Slot, window: _Window, is_complete: bool
    ) -> ReadyEvent | None:
        """Take the slot out of the ring; return its event, or None if it is not kept."""
        self._ring.take(slot)
        index, frames = slot.index, list(slot.frames)
        if target is not slot:
            self._layout.copy_cameras(frames, slot.memory, target.memory)
            self._ring.give_back(slot)
        else:
            slot.memory.builder.rewind(slot.memory.after_cameras)
        limit = self._layout.max_triggers
        batches = [s.find(window.start_ns, window.end_ns, limit) for s in self._stores]
        is_kept = self._keeps(frames, batches, window)
        flags = self._flags(index, is_complete, batches)
        content = self._build(target.memory, frames, batches, flags) if is_kept else None
        for store, batch in zip(self._stores, batches, strict=True):
            store.remove(batch, is_kept)
        self._last_index, self._last_end_ns = index, window.end_ns
        if content is None:
            self._ring.give_back(target)
            return None
        return ReadyEvent(content, target, sum(frame is not None for frame in frames))

    def _keeps(
        self, frames: list[FrameInfo | None], batches: list[TriggerBatch], window: _Window
    ) -> bool:
        """Count the frames, and tell whether they become an event."""
        count = sum(frame is not None for frame in frames)
        frame = _first(frames)
        if self._is_paused(frame):
            self.counts.frames_paused += count
            return False
        if self.is_done:
            self.counts.frames_surplus += count
            return False
        self._last_host_ns = frame.host_time_ns
        since_ns = window.start_ns if self._last_end_ns is None else self._last_end_ns
        self.counts.span_ns += max(0, window.end_ns - since_ns)
        self.counts.live_ns += frame.exposure_end_ns - frame.exposure_start_ns
        if self._rules.mode is Mode.PMT and not _has_trigger(frame, batches):
            self.counts.frames_without_trigger += count
            return False
        self.counts.frames_in_events += count
        return True

    def _is_paused(self, frame: FrameInfo) -> bool:
        if self._paused_from_ns is None or frame.host_time_ns <= self._paused_from_ns:
            return False
        exposure_ns = frame.exposure_end_ns - frame.exposure_start_ns
        began_ns = frame.host_time_ns - exposure_ns
        return self._paused_to_ns is None or began_ns < self._paused_to_ns

    def _flags(self, index: int, is_complete: bool, batches: list[TriggerBatch]) -> EventFlag:
        flags = EventFlag(0)
        if not is_complete:
            flags |= EventFlag.INCOMPLETE
        if index > self._last_index + 1:
            flags |= EventFlag.FRAMES_LOST_BEFORE
        missed = sum(store.counts.missed for store in self._stores)
        if missed > self._missed_triggers or any(batch.over_limit for batch in batches):
            flags |= EventFlag.TRIGGERS_LOST
        self._missed_triggers = missed
        return flags

    def _build(
        self,
        memory: EventMemory,
        frames: list[FrameInfo | None],
        batches: list[TriggerBatch],
        flags: EventFlag,
    ) -> memoryview:
        serial = self.counts.events
        self.counts.events += 1
        self.counts.events_incomplete += bool(flags & EventFlag.INCOMPLETE)
        host_time_ns = _first(frames).host_time_ns
        timestamp = host_time_ns // 1_000_000_000
        time_bank = None
        if self._layout.generation == "C":
            if self._time_zero_s is None:
                self._time_zero_s = time_bank = timestamp
            timestamp = host_time_ns // 1_000_000 - 1000 * self._time_zero_s
        self._layout.complete(memory, frames, batches, time_bank)
        return memory.builder.finish(serial, timestamp, int(flags))


def _first(frames: Sequence[FrameInfo | None]) -> FrameInfo:
    """Return the frame of the first camera that has one."""
    return next(frame for frame in frames if frame is not None)


def _has_trigger(frame: FrameInfo, batches: list[TriggerBatch]) -> bool:
    return any(
        (
            (span.triggers["time_ns"] >= frame.exposure_start_ns)
            & (span.triggers["time_ns"] < frame.exposure_end_ns)
        ).any()
        for batch in batches
        for span in batch.spans
    )
