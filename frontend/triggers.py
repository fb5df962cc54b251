"""Triggers of one digitizer board between its reader thread and the main thread.

The driver writes waveforms into a preallocated store; the main thread copies those of one frame
once, to their place in the event. A full store loses the newest triggers and counts them.
"""

import threading
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from hardware.digitizer import TRIGGER_DTYPE, DigitizerInfo, Readout

Waveforms = npt.NDArray[np.uint16]
Triggers = npt.NDArray[Any]

_SPARE_TRIGGERS = 16


class Span(NamedTuple):
    """Triggers that lie one behind the other in memory.

    :param waveforms: (n, channels, samples) uint16 view.
    :param triggers: (n,) view of `hardware.digitizer.TRIGGER_DTYPE`.
    """

    waveforms: Waveforms
    triggers: Triggers


@dataclass(frozen=True)
class TriggerBatch:
    """The triggers of one frame on one board: at most two spans, since the store wraps around.

    :param before: triggers before the frame that go with it when it is removed.
    :param over_limit: triggers of the frame beyond those that one event holds.
    """

    spans: tuple[Span, ...]
    before: int
    over_limit: int

    @property
    def count(self) -> int:
        """Number of triggers."""
        return sum(len(span.triggers) for span in self.spans)

    def field(self, name: str) -> npt.NDArray[Any]:
        """Return one field of all triggers, in time order."""
        return np.concatenate([span.triggers[name] for span in self.spans] or [np.empty(0, "u4")])

    def copy_waveforms(self, to: npt.NDArray[np.uint16]) -> None:
        """Copy all samples, trigger after trigger, channel after channel.

        :param to: (count * channels * samples,) uint16.
        """
        begin = 0
        for span in self.spans:
            end = begin + span.waveforms.size
            to[begin:end].reshape(span.waveforms.shape)[...] = span.waveforms
            begin = end


@dataclass
class TriggerCounts:
    """What became of one board's triggers."""

    read: int = 0
    """Triggers that the driver gave us."""
    lost_by_board: int = 0
    """Triggers that the board says it lost; not among those read."""
    lost_by_store: int = 0
    """Triggers that found the store full."""
    outside_frames: int = 0
    """Triggers at times that no event covers, also of frames that were lost or not kept."""
    over_limit: int = 0
    """Triggers beyond the number that one event holds."""
    in_events: int = 0
    """Triggers copied to events."""

    @property
    def missed(self) -> int:
        """Triggers that were lost before they could be assigned to a frame."""
        return self.lost_by_board + self.lost_by_store

    @property
    def lost(self) -> int:
        """Triggers that should be in an event and are not."""
        return self.missed + self.over_limit


class TriggerStore:
    """A ring of triggers of one board.

    :param capacity: triggers that it holds.
    """

    def __init__(self, info: DigitizerInfo, capacity: int) -> None:
        self.info = info
        self.capacity = capacity
        self.counts = TriggerCounts()
        self._waveforms = np.zeros((capacity, info.channels, info.samples), np.uint16)
        self._waveforms.fill(0)  # np.zeros alone would leave the pages to be mapped later
        self._triggers = np.zeros(capacity, TRIGGER_DTYPE)
        self._spare = Span(
            np.zeros((_SPARE_TRIGGERS, info.channels, info.samples), np.uint16),
            np.zeros(_SPARE_TRIGGERS, TRIGGER_DTYPE),
        )
        self._lock = threading.Lock()
        self._written = 0
        self._removed = 0
        self._complete_until_ns = 0
        self._has_ended = False

    # the reader's side -----------------------------------------------------------------------

    def free_span(self) -> Span | None:
        """Return where the driver may write; None if the store is full."""
        with self._lock:
            begin = self._written % self.capacity
            room = min(self.capacity - (self._written - self._removed), self.capacity - begin)
        if room == 0:
            return None
        return Span(self._waveforms[begin : begin + room], self._triggers[begin : begin + room])

    @property
    def spare_span(self) -> Span:
        """Where the driver writes what is lost."""
        return self._spare

    def add(self, readout: Readout, is_stored: bool = True) -> None:
        """Take over what the driver wrote into the last `free_span`, or lost into the spare."""
        with self._lock:
            self.counts.read += readout.triggers
            self.counts.lost_by_board += readout.lost
            if is_stored:
                self._written += readout.triggers
            else:
                self.counts.lost_by_store += readout.triggers
            self._complete_until_ns = max(self._complete_until_ns, readout.complete_until_ns)

    def end(self) -> None:
        """Say that no trigger comes any more."""
        with self._lock:
            self._has_ended = True

    # the main thread's side ------------------------------------------------------------------

    def is_complete_until(self, time_ns: int) -> bool:
        """Tell whether all triggers before this time are here."""
        with self._lock:
            return self._has_ended or self._complete_until_ns >= time_ns

    def find(self, start_ns: int, end_ns: int, limit: int) -> TriggerBatch:
        """Return the triggers with start <= time < end, at most `limit`; `remove` frees them.

        Triggers before `start_ns` belong to no frame; they are removed with the batch, as are those
        beyond the limit.
        """
        with self._lock:
            removed, stored = self._removed, self._written - self._removed
        times = self._times(removed, stored)
        first = int(np.searchsorted(times, start_ns, side="left"))
        last = int(np.searchsorted(times, end_ns, side="left"))
        kept = min(last - first, limit)
        spans = tuple(self._spans(removed + first, kept))
        return TriggerBatch(spans, before=first, over_limit=last - first - kept)

    def remove(self, batch: TriggerBatch, is_kept: bool) -> None:
        """Free what `find` returned; views on it are then no longer valid."""
        in_frame = batch.count + batch.over_limit
        self.counts.outside_frames += batch.before
        if is_kept:
            self.counts.in_events += batch.count
            self.counts.over_limit += batch.over_limit
        else:
            self.counts.outside_frames += in_frame
        with self._lock:
            self._removed += batch.before + in_frame

    def drop_all(self) -> None:
        """Forget what is stored, at the end of a run: it belongs to no frame."""
        with self._lock:
            self.counts.outside_frames += self._written - self._removed
            self._removed = self._written

    def _times(self, begin: int, count: int) -> npt.NDArray[np.int64]:
        parts = [span.triggers["time_ns"] for span in self._spans(begin, count)]
        return np.concatenate(parts) if parts else np.empty(0, np.int64)

    def _spans(self, begin: int, count: int) -> list[Span]:
        spans = []
        while count:
            place = begin % self.capacity
            length = min(count, self.capacity - place)
            part = slice(place, place + length)
            spans.append(Span(self._waveforms[part], self._triggers[part]))
            begin, count = begin + length, count - length
        return spans
