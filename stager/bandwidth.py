"""A limit of the bandwidth that follows the time of day, shared by all threads that send.

The limit is written as people say it: ``50 MB/s``; ``08:00-20:00 50 MB/s; else unlimited``.
"""

import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

_UNITS: Final = {"B": 1.0, "kB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 2.0**10, "MiB": 2.0**20}
_BITS: Final = {"kbit": 1e3 / 8, "Mbit": 1e6 / 8, "Gbit": 1e9 / 8}
_RATE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]+)/s")
_HOURS: Final = re.compile(r"(\d\d?):(\d\d)\s*-\s*(\d\d?):(\d\d)")
_DAY_MINUTES: Final = 24 * 60
_BURST_S: Final = 0.25
"""How long one may send at any speed after a rest; longer would defeat the limit's purpose."""
_LONGEST_WAIT_S: Final = 0.1
ALLOWED: Final = "a rate such as 50 MB/s, or 08:00-20:00 50 MB/s; else unlimited"


@dataclass(frozen=True)
class Window:
    """A part of the day [minutes since midnight] and its limit [bytes/s], None for unlimited."""

    begin: int
    end: int
    bytes_per_s: float | None

    def covers(self, minute: int) -> bool:
        """Tell whether a minute of the day is inside; a window may go over midnight."""
        if self.begin < self.end:
            return self.begin <= minute < self.end
        return minute >= self.begin or minute < self.end


@dataclass(frozen=True)
class Schedule:
    """Limits over the day: the first window that covers a moment counts, else `otherwise`."""

    windows: tuple[Window, ...] = ()
    otherwise: float | None = None

    def at(self, moment: datetime) -> float | None:
        """Return the limit [bytes/s] at a local time, None if there is none."""
        minute = moment.hour * 60 + moment.minute
        for window in self.windows:
            if window.covers(minute):
                return window.bytes_per_s
        return self.otherwise


def parse_schedule(text: str) -> Schedule:
    """Return what a setting says.

    >>> parse_schedule("08:00-20:00 50 MB/s; else unlimited")
    Schedule(windows=(Window(begin=480, end=1200, bytes_per_s=50000000.0),), otherwise=None)
    >>> parse_schedule("100 Mbit/s").otherwise
    12500000.0

    :raises ValueError: naming the piece that is not understood, and what is allowed.
    """
    windows: list[Window] = []
    otherwise: float | None = None
    pieces = [piece.strip() for piece in text.split(";") if piece.strip()]
    for index, piece in enumerate(pieces):
        hours = _HOURS.match(piece)
        if hours:
            begin, end = _minute(hours[1], hours[2], piece), _minute(hours[3], hours[4], piece)
            if begin == end:
                raise ValueError(f"{piece!r} begins when it ends; allowed: {ALLOWED}")
            windows.append(Window(begin, end % _DAY_MINUTES, _rate(piece[hours.end() :], piece)))
            continue
        if index != len(pieces) - 1:
            raise ValueError(f"{piece!r} has no hours and is not the last; allowed: {ALLOWED}")
        otherwise = _rate(piece.removeprefix("else"), piece)
    return Schedule(tuple(windows), otherwise)


def _minute(hour: str, minute: str, piece: str) -> int:
    total = int(hour) * 60 + int(minute)
    if int(minute) > 59 or total > _DAY_MINUTES:
        raise ValueError(f"{hour}:{minute} in {piece!r} is no time of day; allowed: {ALLOWED}")
    return total


def _rate(text: str, piece: str) -> float | None:
    text = text.strip()
    if text == "unlimited":
        return None
    match = _RATE.fullmatch(text)
    factor = {**_UNITS, **_BITS}.get(match[2]) if match else None
    if match is None or factor is None or float(match[1]) <= 0:
        raise ValueError(f"{piece!r} is not understood; allowed: {ALLOWED}")
    return float(match[1]) * factor


class Limiter:
    """A token bucket: all threads together send no faster than the schedule allows.

    :param clock: seconds that only grow; `wall` says the local time; `sleep` waits.
    """

    def __init__(
        self,
        schedule: Schedule,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], datetime] = datetime.now,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._schedule = schedule
        self._clock, self._wall, self._sleep = clock, wall, sleep
        self._lock = threading.Lock()
        self._rate: float | None = None
        self._tokens = 0.0
        self._filled_s = clock()

    @property
    def is_unlimited(self) -> bool:
        """True if there is no limit at any time of the day."""
        return self._schedule == Schedule()

    def take(self, count_bytes: int, is_over: Callable[[], bool] = lambda: False) -> None:
        """Wait until so many bytes may be sent.

        The bucket may go below zero for a block larger than it; who comes next waits for it.

        :param is_over: asked between waits; once true there is no more waiting.
        """
        if self.is_unlimited:
            return
        wait_s = self._reserve(count_bytes)
        end = self._clock() + wait_s
        while wait_s > 0 and not is_over():
            self._sleep(min(wait_s, _LONGEST_WAIT_S))
            # A limit that was lifted while we wait for hours must let us go.
            if self._schedule.at(self._wall()) is None:
                return
            wait_s = end - self._clock()

    def _reserve(self, count_bytes: int) -> float:
        with self._lock:
            rate, moment = self._schedule.at(self._wall()), self._clock()
            if rate != self._rate:
                self._rate, self._tokens = rate, 0.0  # debts of another rate mean nothing
            elif rate is not None:
                self._tokens += (moment - self._filled_s) * rate
                self._tokens = min(self._tokens, rate * _BURST_S)
            self._filled_s = moment
            if rate is None:
                return 0.0
            self._tokens -= count_bytes
            return max(0.0, -self._tokens / rate)
