"""Triggers of the simulated detector as time passes, for one digitizer board."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from sim.detector.event import Run, Trigger, make_event
from sim.devices.clock import Acquisition

TICK_NUMERATOR, TICK_DENOMINATOR = 17, 2
"""One count of the trigger time tag: 8.5 ns."""


@dataclass(frozen=True, slots=True)
class BoardTrigger:
    """A trigger as a board meets it.

    :param number: number of the trigger since start of acquisition.
    :param ticks: time since start of acquisition [8.5 ns].
    """

    frame: int
    trigger: Trigger
    number: int
    ticks: int

    @property
    def time_ns(self) -> int:
        """Time that the board can tell, since start of acquisition [ns]."""
        return self.ticks * TICK_NUMERATOR // TICK_DENOMINATOR


class TriggerStream:
    """The triggers of an acquisition, one after the other."""

    def __init__(self, acquisition: Acquisition) -> None:
        self.acquisition = acquisition
        self._next_frame = 0
        self._pending: deque[BoardTrigger] = deque()
        """Those of the frame before `_next_frame` that were not yet yielded."""
        self._number = 0

    def before(self, time_ns: int) -> Iterator[BoardTrigger]:
        """Yield the triggers before a time that were not yet yielded."""
        run = self.acquisition.run
        while run is not None:
            while self._pending and self._pending[0].time_ns < time_ns:
                yield self._pending.popleft()
            if self._pending or self._next_frame * run.period_ns >= time_ns:
                return
            self._load_frame(run)

    def next_ns(self) -> int:
        """Return until when it is sure that no trigger comes and no frame ends [ns]."""
        run = self.acquisition.run
        if run is None:
            return 1
        if self._pending:
            return self._pending[0].time_ns + 1
        return self._next_frame * run.period_ns + 1

    def _load_frame(self, run: Run) -> None:
        frame = self._next_frame
        for trigger in make_event(run, frame).triggers:
            since_start_ns = frame * run.period_ns + trigger.time_ns
            ticks = since_start_ns * TICK_DENOMINATOR // TICK_NUMERATOR
            self._pending.append(BoardTrigger(frame, trigger, self._number, ticks))
            self._number += 1
        self._next_frame = frame + 1
