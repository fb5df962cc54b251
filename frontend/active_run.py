"""A run that goes on: from the acquisition to the event buffer, in order, with finite patience."""

import time
from collections.abc import Callable

from frontend.acquisition import Acquisition
from frontend.record import RunRecord, SendCounts, make_record

WAIT_S = 0.005
"""How long the main thread waits for news from the readers before it looks around."""
_MARGIN_S = 2.0

Send = Callable[[memoryview, int], bool]
"""``send(event, timeout_ms)``: True if the event is in the buffer."""


class ActiveRun:
    """Sends what an acquisition gives; for the main thread alone.

    :param send: puts a whole event into the buffer.
    :param show: is shown each event, with its frames as the cameras gave them.
    """

    def __init__(
        self,
        run_number: int,
        acquisition: Acquisition,
        send: Send,
        show: Callable[[memoryview], None] | None = None,
    ) -> None:
        self.run_number = run_number
        self.acquisition = acquisition
        self.sent = SendCounts()
        self.is_paused = False
        self._send = send
        self._show = show
        self._outbox = acquisition.outbox
        self._settings = acquisition.setup.trigger

    @property
    def record(self) -> RunRecord:
        """The counts so far."""
        return make_record(self.run_number, self.acquisition, self.sent)

    @property
    def is_done(self) -> bool:
        """True if as many events are sent as were asked for."""
        limit = self.acquisition.setup.max_events
        return limit is not None and self.sent.events >= limit

    def work(self, budget_s: float) -> bool:
        """Assemble and send for at most this time, or until there is nothing to do.

        :returns: False if there was nothing to do.
        :raises MidasError: if the buffer refuses an event for good.
        """
        end = time.monotonic() + budget_s
        has_worked = False
        while time.monotonic() < end:
            self._assemble()
            first = self._outbox.first()
            if first is None:
                break
            has_worked = True
            if not self._send(first.content, self._settings.send_timeout_ms):
                self.sent.retries += 1
                break
            self._outbox.pop()
            self.sent.events += 1
            self.sent.bytes += len(first.content)
            self.sent.frames += first.counts
        return has_worked

    def _assemble(self) -> None:
        while (event := self.acquisition.next_event()) is not None:
            if self._show is not None:
                self._show(event.content)
            self._outbox.put(event)
        if self.acquisition.assembler.is_done:
            self.acquisition.halt_cameras()

    def _work_until(self, is_over: Callable[[], bool], end_s: float) -> bool:
        """Work until `is_over` and all is sent; return False if the time was over before."""
        while not (is_over() and not self._outbox):
            if time.monotonic() > end_s:
                return False
            if not self.work(budget_s=0.1):
                self.acquisition.wait(WAIT_S)
        return True

    def pause(self) -> None:
        """Keep no more frames; send those that are here, within the drain limit."""
        self.is_paused = True
        assembler = self.acquisition.assembler
        assembler.pause(time.time_ns())
        end_s = time.monotonic() + self._settings.drain_s
        self._work_until(lambda: not assembler.holds_back_pause, end_s)

    def resume(self) -> None:
        """Keep frames again whose exposure begins from now on."""
        self.is_paused = False
        self.acquisition.assembler.resume(time.time_ns())

    def finish(self) -> RunRecord:
        """Stop the trigger, send what is here within the drain limit, stop the devices.

        :returns: the run's record, final.
        :raises MidasError: if the buffer refuses an event for good; the devices are stopped then.
        """
        acquisition = self.acquisition
        end_s = time.monotonic() + self._settings.drain_s
        try:
            acquisition.stop_cameras(self._idle_limit_s)
            self._work_until(lambda: acquisition.is_drained, end_s)
            acquisition.stop_digitizers(self._idle_limit_s)
            self._work_until(lambda: acquisition.is_drained, end_s)
        finally:
            acquisition.disarm()
            self._count_unsent()
        return self.record

    def abort(self) -> None:
        """Stop everything at once; what is in the ring is dropped."""
        self.acquisition.disarm()

    @property
    def _idle_limit_s(self) -> float:
        """How long devices may take to become idle: an exposure, a period and a margin."""
        setup = self.acquisition.setup
        return setup.configurations.exposure_s + (setup.period_ns or 0) / 1e9 + _MARGIN_S

    def _count_unsent(self) -> None:
        """Count what the drain limit left behind, so that the counts close."""
        self._assemble()
        while self._outbox:
            unsent = self._outbox.pop()
            self.sent.unsent_events += 1
            self.sent.unsent_frames += unsent.event.frames
            self._assemble()
