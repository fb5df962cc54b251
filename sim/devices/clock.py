"""The time that the simulated devices of one process share.

The first camera that starts begins an acquisition; digitizers wait for it. Frame n is exposed from
``n * period_ns`` on, exactly. In a paced acquisition that time passes with the wall clock; in one
that is not (rate 0, "max") it jumps from frame to frame as the cameras deliver them.
"""

import threading
import time
from dataclasses import replace

from sim.detector.event import Run, View

NEVER = 1 << 62
"""A time [ns] or a frame that does not come."""


class Acquisition:
    """One acquisition, from the first camera's start to the last one's stop."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._views: dict[int, View] = {}
        self._running: set[int] = set()
        self._run: Run | None = None
        self._is_paced = True
        self._start_s = 0.0
        self._taken: dict[int, int] = {}
        self._delivered: dict[int, int] = {}
        self._end_frame = NEVER
        self._end_ns: int | None = None

    # what devices ask ------------------------------------------------------------------------

    @property
    def run(self) -> Run | None:
        """What happens in the detector; None before the first camera started."""
        with self._condition:
            return self._run

    @property
    def is_paced(self) -> bool:
        """True if time passes with the wall clock."""
        with self._condition:
            return self._is_paced

    @property
    def is_over(self) -> bool:
        """True once the last camera stopped."""
        with self._condition:
            return self._end_ns is not None

    @property
    def end_frame(self) -> int:
        """The first frame that is not exposed any more."""
        with self._condition:
            return self._end_frame

    def now_ns(self) -> int:
        """Return the time since the first camera started [ns]; before that 0.

        Without pace it is the end of the last frame that every running camera delivered.
        """
        with self._condition:
            return self._now_ns()

    def wait_past(self, time_ns: int, timeout_s: float, until: threading.Event) -> bool:
        """Wait until the time is at least `time_ns`; False after `timeout_s`, or if `until` is set.

        Who sets `until` calls `wake`. It returns at once when the acquisition is over.
        """
        deadline_s = time.monotonic() + timeout_s
        with self._condition:
            while not until.is_set():
                now_ns = self._now_ns()
                if now_ns >= time_ns:
                    return True
                left_s = deadline_s - time.monotonic()
                if left_s <= 0 or self._end_ns is not None:
                    break
                if self._run is not None and self._is_paced:
                    left_s = min(left_s, (time_ns - now_ns) * 1e-9)
                self._condition.wait(left_s)
        return False

    def wake(self) -> None:
        """Let all that wait look again."""
        with self._condition:
            self._condition.notify_all()

    # what cameras do -------------------------------------------------------------------------

    def declare(self, view: View) -> None:
        """Say that a camera will take part; it may do so until the first one starts."""
        with self._condition:
            self._views[view.index] = view

    def withdraw(self, index: int) -> None:
        """Say that a camera will not take part after all."""
        with self._condition:
            if self._run is None:
                self._views.pop(index, None)

    def begin(self, index: int, run: Run, is_paced: bool) -> Run:
        """Start a camera; the first one starts the clock.

        :param run: with no views; they are those of the cameras declared.
        :returns: the run with its views.
        :raises ValueError: if the acquisition has begun without this camera, or otherwise.
        """
        with self._condition:
            if self._run is None:
                views = tuple(self._views[key] for key in sorted(self._views))
                self._run = replace(run, views=views)
                self._is_paced = is_paced
                self._taken = {view.index: 0 for view in views}
                self._delivered = dict(self._taken)
                self._start_s = time.monotonic()
            begun = self._run
            if index not in self._taken or index in self._running or self._end_ns is not None:
                others = ", ".join(str(number) for number in sorted(self._running)) or "none"
                raise ValueError(
                    f"a camera with index {index} runs already, or an acquisition has begun "
                    f"without it (running: {others}); stop all cameras and start again"
                )
            if replace(run, views=begun.views) != begun or is_paced != self._is_paced:
                raise ValueError(
                    f"cameras disagree: one runs with seed {begun.seed}, run {begun.number}, "
                    f"period {begun.period_ns} ns, exposure {begun.exposure_ns} ns, this one is "
                    f"set to {run.seed}, {run.number}, {run.period_ns}, {run.exposure_ns}"
                )
            self._running.add(index)
            self._condition.notify_all()
            return begun

    def take(self, index: int, frame: int) -> bool:
        """Begin to deliver a frame; False if it is not exposed any more."""
        with self._condition:
            if frame >= self._end_frame:
                return False
            self._taken[index] = frame + 1
            return True

    def deliver(self, index: int, frame: int) -> None:
        """Say that a frame was delivered or lost."""
        with self._condition:
            self._delivered[index] = frame + 1
            self._condition.notify_all()

    def stop_exposures(self) -> int:
        """Begin no exposure any more, on any camera; return the number of those begun."""
        with self._condition:
            if self._is_paced and self._run is not None:
                begun = self._now_ns() // self._run.period_ns + 1
            else:
                begun = max(self._taken.values(), default=0)
            self._end_frame = min(self._end_frame, begun)
            self._condition.notify_all()
            return self._end_frame

    def end(self, index: int) -> None:
        """Stop a camera; the last one ends the acquisition."""
        with self._condition:
            now_ns = self._now_ns()
            self._running.discard(index)
            if self._run is not None and not self._running and self._end_ns is None:
                self._end_ns = now_ns
            self._condition.notify_all()

    def _now_ns(self) -> int:
        if self._end_ns is not None:
            return self._end_ns
        if self._run is None:
            return 0
        if self._is_paced:
            return int((time.monotonic() - self._start_s) * 1e9)
        return min((self._delivered[i] for i in self._running), default=0) * self._run.period_ns


_lock = threading.Lock()
_current: dict[str, Acquisition] = {}


def join(clock: str = "") -> Acquisition:
    """Return the acquisition of a clock that runs or, if none does, the coming one.

    :param clock: devices that shall share nothing with others name a clock of their own.
    """
    with _lock:
        acquisition = _current.get(clock)
        if acquisition is None or acquisition.is_over:
            acquisition = _current[clock] = Acquisition()
        return acquisition
