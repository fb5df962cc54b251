"""One run as the online analyzer sees it: what came in, what became of it, how much was missed."""

import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from analyzer.analysis import EventResult, RunAnalysis
from analyzer.arrivals import Arrivals, count_of
from analyzer.background_writer import BackgroundWriter
from analyzer.consumer import Consumer, Rows
from analyzer.consumers import Consumers
from analyzer.errors import AnalyzerError
from analyzer.lookup import PedestalLookup
from analyzer.pipeline import Pipeline
from analyzer.record import Counts, begin_attributes
from analyzer.slots import Slot, Slots
from analyzer.view import EventView, view_event
from rawdata.errors import EventError
from rawdata.event import Event, parse_event

VIEW_PERIOD_S: Final = 0.5
"""Time between two events that are kept to be looked at."""

MAX_MESSAGES: Final = 20
"""Events of a run whose problems are told one by one; the rest is counted."""


@dataclass(frozen=True)
class _Analyzed:
    result: EventResult
    slot: Slot
    view: EventView | None


class OnlineRun:
    """A run that is analyzed while it goes on.

    Only the main thread calls it, until `Finisher` takes it over after the run.

    :param joined: the analyzer came when the run was on already.
    :param output: where the results shall be.
    :param consumers: who takes the results beside those that take them from file as well.
    """

    def __init__(
        self,
        analysis: RunAnalysis,
        lookup: PedestalLookup,
        output: Path,
        slots: Slots,
        workers: int,
        *,
        joined: bool = False,
        consumers: Sequence[Consumer] = (),
    ) -> None:
        self.analysis = analysis
        self.run = analysis.conditions.run
        self.arrivals = Arrivals(joined=joined)
        self.output = output
        self.counts = Counts()
        self.messages: deque[tuple[str, bool]] = deque()
        self.consumers = Consumers(analysis, self._tell, consumers)
        self.view: EventView | None = None
        """The latest event, twice a second."""
        self.end_time = 0
        self.bytes = 0
        self._problems = 0
        self._view_due_s = 0.0
        self.workers = workers
        self.lookup_folders = lookup.folders
        self._lookup = lookup
        self._slots = slots
        self._equipping: Future[bool] | None = None
        self._waits_for_next: int | None = None
        """Index of an event that is held until the next one says which shape frames have."""
        self._is_over = False
        self._pending: deque[tuple[Event, int, Slot, Rows]] = deque()
        attributes = begin_attributes(analysis.conditions, analysis.settings, "SYSTEM buffer")
        self.writer = BackgroundWriter(output, attributes)
        self._pipeline: Pipeline[_Analyzed] = Pipeline(workers)
        self._helper = ThreadPoolExecutor(1, thread_name_prefix="pedestal")

    # events come in ------------------------------------------------------------------------------
    @property
    def has_room(self) -> bool:
        """Tell whether another event may be taken from the buffer now."""
        self._go_on()
        return len(self._pending) + len(self._pipeline) < self._pipeline.depth

    def take(self, data: memoryview, slot: Slot) -> None:
        """Take an event over, whose bytes `data` lie in `slot`."""
        try:
            event = parse_event(data)
        except EventError as error:
            self._slots.give(slot)
            self.miss(f"an event that came is damaged: {error}")
            return
        index = self.arrivals.add(event)
        self.counts.seen = self.arrivals.seen
        self.end_time = event.timestamp
        self.bytes += len(data)
        self._pending.append((event, index, slot, self.analysis.slow.rows_before(index)))
        self._go_on()

    def note(self, data: memoryview) -> None:
        """Take what an event of slow control tells; its bytes are not kept."""
        try:
            trouble = self.analysis.slow.note(parse_event(data))
        except EventError as error:
            trouble = f"an event of slow control is damaged: {error}"
        if trouble:
            self._tell(f"run {self.run}: {trouble}", True)

    def miss(self, why: str) -> None:
        """Count an event that came but cannot be analyzed."""
        self.arrivals.damaged()
        self._tell(f"run {self.run}: {why}", True)

    def _go_on(self) -> None:
        """Hand pending events to the workers, as long as their cameras have pedestals."""
        while self._pending and self._pipeline.has_room:
            event, index, slot, slow = self._pending[0]
            if not self._is_equipped(event, index):
                return
            self._pending.popleft()
            now = time.monotonic()
            is_viewed = now >= self._view_due_s
            if is_viewed:
                self._view_due_s = now + VIEW_PERIOD_S
            self._pipeline.submit(partial(self._analyze, event, index, slot, slow, is_viewed))

    def _is_equipped(self, event: Event, index: int) -> bool:
        """Tell whether all has been tried to give an event's cameras their pedestals."""
        if self._equipping is None:
            if not self.analysis.cameras_without_pedestal(event):
                return True
            following = self._pending[1][0] if len(self._pending) > 1 else None
            may_wait = following is None and not self._is_over
            if may_wait and self._waits_for_next == index:
                return False
            # Reading a pedestal takes a second: not in the thread that answers transitions.
            equip = partial(self._lookup.equip, following=following, may_wait=may_wait)
            self._equipping = self._helper.submit(equip, self.analysis, event, index, self._tell)
        if not self._equipping.done():
            return False
        equipping, self._equipping = self._equipping, None
        try:
            if not equipping.result():
                self._waits_for_next = index
                return False
        except (AnalyzerError, OSError) as error:
            self._tell(f"run {self.run}: no pedestal: {error}", True)
        return True

    def _analyze(
        self, event: Event, index: int, slot: Slot, slow: Rows, is_viewed: bool
    ) -> _Analyzed:
        result = self.analysis.analyze(event, index, slow)
        view = None
        if is_viewed:
            with suppress(Exception):  # a look at an event must not cost its results
                view = view_event(self.analysis, event, result)
        return _Analyzed(result, slot, view)

    # results come out ----------------------------------------------------------------------------
    def collect(self) -> None:
        """Take the results that are there."""
        for analyzed in self._pipeline.ready():
            self._take(analyzed)
        self._go_on()

    def wait(self, timeout_s: float) -> None:
        """Wait a little for a result, and take it."""
        if len(self._pipeline):
            self._pipeline.wait(timeout_s)
        elif self._equipping is not None:
            end = time.monotonic() + timeout_s
            while not self._equipping.done() and time.monotonic() < end:
                time.sleep(0.001)
        self.collect()

    def finish_work(self) -> None:
        """Wait for all events that came in; then only `counts` and `writer` are of use."""
        self._is_over = True
        while self._pending or len(self._pipeline):
            self.wait(0.1)
        self.close()

    def close(self) -> None:
        """End the threads, forgetting what is under way."""
        self._helper.shutdown(wait=True, cancel_futures=True)
        self._pipeline.close()

    def _take(self, analyzed: _Analyzed) -> None:
        self._slots.give(analyzed.slot)
        result = analyzed.result
        self.view = analyzed.view or self.view
        self.counts.add(result)
        self.consumers.take(result)
        self.writer.append(result.rows)
        if result.problems:
            self._problems += 1
            if self._problems <= MAX_MESSAGES:
                text = "; ".join(result.problems)
                self._tell(f"run {self.run}, event {result.index}: {text}", True)
            elif self._problems == MAX_MESSAGES + 1:
                self._tell(f"run {self.run}: more events with problems, counted only", True)

    def _tell(self, text: str, is_error: bool) -> None:
        self.messages.append((text, is_error))

    # how much was seen ---------------------------------------------------------------------------
    def missed_of(self, sent: int | None) -> str:
        """Return why this run was not seen whole; empty if it was.

        :param sent: events that the frontend sent, None if it is not known.
        """
        reasons = self.arrivals.in_words()
        if self.arrivals.joined and not reasons:
            reasons.append("the analyzer joined in mid-run")
        rest = 0 if sent is None else sent - self.counts.seen - self.arrivals.total_missed
        if rest > 0:
            reasons.append(f"{count_of(rest)} not read before the run was over")
        elif rest < 0 and not reasons:
            reasons.append(f"{count_of(-rest)} more than were sent")
        if self.writer.failure:
            reasons.append(self.writer.failure)
        return "; ".join(reasons)
