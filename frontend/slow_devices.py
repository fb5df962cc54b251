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


class Poller(threading.Thread, Generic[Reading]):
    """Reads one device every period.

    :param device: how operators call it.
    :param open_device: opens the driver; asked again after a failure.
    :param period_s: time between readings; may be changed while it runs.
    """

    def __init__(self, device: str, open_device: Callable[[], SlowDevice], period_s: float) -> None:
        super().__init__(name=f"poller of {device}", daemon=True)
        self.device = device
        self.period_s = period_s
        self._open = open_device
        self._driver: SlowDevice | None = None
        self._changed = threading.Condition()
        self._is_over = False
        self._asks_now = False
        self._sample: Sample[Reading] | None = None
        self._error: str | None = None
        self._busy_since_s: float | None = None
        self._retry_s = FIRST_RETRY_S

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
                if busy_s > self.period_s + LONGEST_RETRY_S:
                    return f"its driver does not return since {busy_s:.0f} s"
            return self._error

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
                driver = self._open()
                driver.ensure_ready()
                self._driver = driver
            reading = self._driver.read()
            names = tuple(self._driver.names)
        except Exception as error:  # a driver may raise what it likes; polling goes on
            if not isinstance(error, DeviceError):
                _log.exception("%s", self.device)
            self._close()
            with self._changed:
                self._error = str(error) or type(error).__name__
                self._busy_since_s = None
            return
        with self._changed:
            number = self._sample.number + 1 if self._sample is not None else 0
            self._sample = Sample(reading, names, time.time(), number)
            self._error = self._busy_since_s = None
            self._retry_s = FIRST_RETRY_S

    def _rest(self) -> None:
        with self._changed:
            pause_s = self.period_s
            if self._error is not None:
                pause_s = self._retry_s
                self._retry_s = min(2 * self._retry_s, LONGEST_RETRY_S)
            self._changed.wait_for(lambda: self._is_over or self._asks_now, pause_s)
            self._asks_now = False

    def _close(self) -> None:
        driver, self._driver = self._driver, None
        if driver is not None:
            driver.ensure_stopped()
