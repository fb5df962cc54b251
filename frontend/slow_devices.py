"""Slow devices, each polled by a thread of its own, which keeps the last reading.

A device that fails is closed and tried again with growing patience; the thread never ends of it.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from hardware.errors import DeviceError

FIRST_RETRY_S = 1.0
LONGEST_RETRY_S = 60.0

Reading = TypeVar("Reading")
_log = logging.getLogger(__name__)


class SlowDevice(Protocol):
    """What supplies and sensors have in common."""

    @property
    def names(self) -> Any:
        """Channel names."""
        ...

    def ensure_ready(self) -> None:
        """Connect."""
        ...

    def read(self) -> Any:
        """Read all channels."""
        ...

    def ensure_stopped(self) -> None:
        """Close the connection."""
        ...


@dataclass(frozen=True)
class Sample(Generic[Reading]):
    """One reading, when it was taken and what it is of."""

    reading: Reading
    names: tuple[str, ...]
    time_s: float
    number: int


@dataclass(frozen=True)
class Failure:
    """One failure of a device.

    :param number: failures so far, this one included.
    """

    number: int
    reason: str


class Poller(threading.Thread, Generic[Reading]):
    """Reads one device every period.

    :param device: how operators call it.
    :param open_device: opens the driver; asked again until it has done so once.
    :param period_s: time between readings.
    :param first_retry_s: patience after a failure; it doubles with each one that follows.
    """

    def __init__(
        self,
        device: str,
        open_device: Callable[[], SlowDevice],
        period_s: float,
        first_retry_s: float = FIRST_RETRY_S,
    ) -> None:
        super().__init__(name=f"poller of {device}", daemon=True)
        self.device = device
        self._period_s = period_s
        self._open = open_device
        self._driver: SlowDevice | None = None
        self._is_ready = False
        self._changed = threading.Condition()
        self._is_over = False
        self._asks_now = False
        self._sample: Sample[Reading] | None = None
        self._error: str | None = None
        self._failure = Failure(0, "")
        self._busy_since_s: float | None = None
        self._first_retry_s = self._retry_s = first_retry_s

    @property
    def sample(self) -> Sample[Reading] | None:
        """The last reading; None before the first."""
        with self._changed:
            return self._sample

    @property
    def error(self) -> str | None:
        """Why the device does not answer; None while it does."""
        with self._changed:
            if self._error is None and self._busy_since_s is not None:
                busy_s = time.monotonic() - self._busy_since_s
                if busy_s > self._period_s + LONGEST_RETRY_S:
                    return f"its driver does not return since {busy_s:.0f} s"
            return self._error

    @property
    def failure(self) -> "Failure":
        """The last failure; also one that is over already."""
        with self._changed:
            return self._failure

    def set_period(self, period_s: float) -> None:
        """Change the time between readings; counts at once."""
        with self._changed:
            if period_s != self._period_s:
                self._period_s = period_s
                self._changed.notify()

    def read_now(self) -> None:
        """Ask for a reading before the period is over."""
        with self._changed:
            self._asks_now = True
            self._changed.notify()

    def stop(self, timeout_s: float) -> None:
        """End the thread and close the device."""
        with self._changed:
            self._is_over = True
            self._changed.notify()
        if self.ident is not None:
            self.join(timeout_s)

    def run(self) -> None:
        """Read until stopped."""
        while not self._is_over:
            self._read()
            self._rest()
        self._close()

    def _read(self) -> None:
        with self._changed:
            self._busy_since_s = time.monotonic()
        try:
            if self._driver is None:
                self._driver = self._open()
            if not self._is_ready:
                self._driver.ensure_ready()
                self._is_ready = True
            reading = self._driver.read()
            names = tuple(self._driver.names)
        except Exception as error:  # a driver may raise what it likes; polling goes on
            if not isinstance(error, DeviceError):
                _log.exception("%s", self.device)
            self._close()
            with self._changed:
                self._error = str(error) or type(error).__name__
                self._failure = Failure(self._failure.number + 1, self._error)
                self._busy_since_s = None
            return
        with self._changed:
            number = self._sample.number + 1 if self._sample is not None else 0
            self._sample = Sample(reading, names, time.time(), number)
            self._error = self._busy_since_s = None
            self._retry_s = self._first_retry_s

    def _rest(self) -> None:
        """Wait for the period, or as long as a failed device is left alone."""
        begin_s = time.monotonic()
        with self._changed:
            while not (self._is_over or self._asks_now):
                pause_s = self._period_s if self._error is None else self._retry_s
                left_s = begin_s + pause_s - time.monotonic()
                if left_s <= 0:
                    break
                self._changed.wait(left_s)
            self._asks_now = False
            if self._error is not None:
                self._retry_s = min(2 * self._retry_s, LONGEST_RETRY_S)

    def _close(self) -> None:
        self._is_ready = False
        if self._driver is not None:
            self._driver.ensure_stopped()
