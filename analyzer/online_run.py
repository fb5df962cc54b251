"""One run as the online analyzer sees it: what came in, what became of it, how much was missed."""

import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from analyzer.analysis import EventResult, RunAnalysis
from analyzer.background_writer import BackgroundWriter
from analyzer.consumers import Consumers
from analyzer.errors import AnalyzerError
from analyzer.lookup import PedestalLookup
from analyzer.pipeline import Pipeline
from analyzer.record import Counts, begin_attributes
from analyzer.slots import Slot, Slots
from rawdata.datamodel import TRIGGER_EVENT_ID
from rawdata.errors import EventError
from rawdata.event import Event, parse_event

MAX_MESSAGES: Final = 20
"""Events of a run whose problems are told one by one; the rest is counted."""


@dataclass(frozen=True)
class _Analyzed:
    result: EventResult
    slot: Slot


@dataclass
class _Source:
    """Serial numbers of one frontend: of its first event in a run, and of the last that came."""

    base: int
    last: int


class OnlineRun:
    """A run that is analyzed while it goes on.

    Only the main thread calls it, until `Finisher` takes it over after the run.

    :param joined: the analyzer came when the run was on already.
    :param output: where the results shall be.
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
    ) -> None:
        self.analysis = analysis
        self.run = analysis.conditions.run
        self.joined = joined
        self.output = output
        self.counts = Counts()
        self.messages: deque[tuple[str, bool]] = deque()
        self.consumers = Consumers(analysis, self._tell)
        self.gaps = 0
        """Events that did not come although later ones did."""
        self.broken = 0
        """Events that came damaged, or larger than the memory for them."""
        self.end_time = 0
        self.bytes = 0
        self._sources: dict[int, _Source] = {}
        self._problems = 0
        self.workers = workers
        self.lookup_folders = lookup.folders
        self._lookup = lookup
        self._slots = slots
        self._equipping: Future[None] | None = None
        self._pending: deque[tuple[Event, int, Slot]] = deque()
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
        index = self._count(event)
        self.bytes += len(data)
        self._pending.append((event, index, slot))
        self._go_on()

    def miss(self, why: str) -> None:
        """Count an event that came but cannot be analyzed."""
        self.broken += 1
        self._tell(f"run {self.run}: {why}", True)

    def _count(self, event: Event) -> int:
        """Count an event that came, and return its index in the run."""
        serial = event.serial_number
        source = self._sources.get(event.event_id)
        if source is None:
            # Frontends number the events of a run from 0, some from 1. Which of the two it is, and
            # whether earlier events were missed, is known at the end, from their total number.
            base = 1 if serial == 1 and not self.joined else 0
            source = self._sources[event.event_id] = _Source(base, base - 1)
        self.gaps += max(0, serial - source.last - 1)
        source.last = max(source.last, serial)
        self.counts.seen += 1
        self.end_time = event.timestamp
        if event.event_id != TRIGGER_EVENT_ID:  # one of several frontends: as they came
            return self.counts.seen - 1
        return max(0, serial - source.base)

    def _go_on(self) -> None:
        """Hand pending events to the workers, as long as their cameras have pedestals."""
        while self._pending and self._pipeline.has_room:
            event, index, slot = self._pending[0]
            if not self._is_equipped(event, index):
                return
            self._pending.popleft()
            self._pipeline.submit(partial(self._analyze, event, index, slot))

    def _is_equipped(self, event: Event, index: int) -> bool:
        """Tell whether all has been tried to give an event's cameras their pedestals."""
        if self._equipping is None:
            if not self.analysis.cameras_without_pedestal(event):
                return True
            # Reading a pedestal takes a second: not in the thread that answers transitions.
            self._equipping = self._helper.submit(
                self._lookup.equip, self.analysis, event, index, self._tell
            )
        if not self._equipping.done():
            return False
        equipping, self._equipping = self._equipping, None
        try:
            equipping.result()
        except (AnalyzerError, OSError) as error:
            self._tell(f"run {self.run}: no pedestal: {error}", True)
        return True

    def _analyze(self, event: Event, index: int, slot: Slot) -> _Analyzed:
        return _Analyzed(self.analysis.analyze(event, index), slot)

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
    @property
    def fraction_seen(self) -> float:
        """Events that came in over those that were sent up to the last that came, 0 to 1."""
        sent = sum(source.last - source.base + 1 for source in self._sources.values())
        return self.counts.seen / sent if sent > 0 else 1.0

    def missed_of(self, sent: int | None) -> str:
        """Return why this run was not seen whole; empty if it was.

        :param sent: events that the frontend sent, None if it is not known.
        """
        reasons = []
        if self.joined:
            reasons.append("the analyzer joined in mid-run")
        if self.gaps:
            reasons.append(f"{self.gaps} events were overwritten before they were read")
        if self.broken:
            reasons.append(f"{self.broken} events came damaged or too large")
        if sent is not None and self.counts.seen != sent and not reasons:
            reasons.append(f"{sent} events were sent, {self.counts.seen} came")
        if self.writer.failure:
            reasons.append(self.writer.failure)
        return "; ".join(reasons)
