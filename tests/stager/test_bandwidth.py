"""The limit of bandwidth: as people write it, over the day, shared; on a clock of our own."""

import threading
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stager.bandwidth import Limiter, Schedule, parse_schedule

MIDNIGHT = datetime(2026, 11, 27)


class Clock:
    """A clock that moves only when somebody sleeps on it; threads sleep one after the other."""

    def __init__(self, hour: float) -> None:
        self.begin = MIDNIGHT + timedelta(hours=hour)
        self.seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds

    def wall(self) -> datetime:
        return self.begin + timedelta(seconds=self.seconds)

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds

    def limiter(self, text: str) -> Limiter:
        return Limiter(parse_schedule(text), self.monotonic, self.wall, self.sleep)


@pytest.mark.parametrize(
    ("text", "hour", "bytes_per_s"),
    [
        ("", 12, None),
        ("unlimited", 12, None),
        ("50 MB/s", 3, 50e6),
        ("1.5GB/s", 3, 1.5e9),
        ("16 MiB/s", 3, 16 * 2**20),
        ("100 Mbit/s", 3, 12.5e6),
        ("08:00-20:00 50 MB/s; else unlimited", 8, 50e6),
        ("08:00-20:00 50 MB/s; else unlimited", 19.99, 50e6),
        ("08:00-20:00 50 MB/s; else unlimited", 20, None),
        ("08:00-20:00 50 MB/s; else unlimited", 7.99, None),
        ("22:00-06:00 unlimited; else 10 MB/s", 23, None),
        ("22:00-06:00 unlimited; else 10 MB/s", 5.9, None),
        ("22:00-06:00 unlimited; else 10 MB/s", 12, 10e6),
        ("08:00-12:00 5 MB/s; 12:00-24:00 9 MB/s; 20 MB/s", 18, 9e6),
        ("08:00-12:00 5 MB/s; 12:00-24:00 9 MB/s; 20 MB/s", 1, 20e6),
    ],
)
def test_what_people_write(text: str, hour: float, bytes_per_s: float | None) -> None:
    assert parse_schedule(text).at(MIDNIGHT + timedelta(hours=hour)) == bytes_per_s


@pytest.mark.parametrize(
    "text",
    [
        *("50", "50 MB", "fast", "0 MB/s", "-1 MB/s", "5 XB/s", "08:00-20:00"),
        *("25:00-26:00 1 MB/s", "08:61-09:00 1 MB/s", "08:00-08:00 1 MB/s"),
        "50 MB/s; 08:00-20:00 10 MB/s",
    ],
)
def test_what_is_not_understood_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="allowed: a rate such as 50 MB/s"):
        parse_schedule(text)


@given(blocks=st.lists(st.integers(1, 1 << 20), min_size=1, max_size=60))
def test_no_more_goes_than_the_rate_allows(blocks: list[int]) -> None:
    clock = Clock(hour=12)
    limiter = clock.limiter("1 MB/s")
    sent = 0
    for block in blocks:
        limiter.take(block)
        sent += block
        # A quarter of a second's worth may go at once.
        assert sent <= 1e6 * (clock.seconds + 0.25) + 1
    assert clock.seconds == pytest.approx(sum(blocks) / 1e6, abs=0.26)


def test_the_limit_follows_the_time_of_day() -> None:
    clock = Clock(hour=7.5)
    limiter = clock.limiter("08:00-20:00 1 MB/s; else unlimited")
    limiter.take(10**12)
    assert clock.seconds == 0  # nobody is limited before 8 o'clock
    clock.seconds = 1800
    for _ in range(100):
        limiter.take(10**5)
    assert clock.seconds - 1800 == pytest.approx(10, abs=0.3)
    clock.seconds = 12.5 * 3600
    before = clock.seconds
    limiter.take(10**12)
    assert clock.seconds == before


def test_who_waits_when_the_limit_is_lifted_goes_at_once() -> None:
    clock = Clock(hour=19.999)
    clock.limiter("08:00-20:00 1 kB/s; else unlimited").take(10**9)
    assert clock.seconds < 10  # not the 11 days that it would take


def test_who_waits_can_be_ended() -> None:
    clock = Clock(hour=12)
    clock.limiter("1 kB/s").take(10**9, lambda: clock.seconds > 3)
    assert clock.seconds < 4


def test_threads_share_one_bucket() -> None:
    """Each waits until its own bytes fit in; together they keep the rate."""
    granted: list[float] = []
    limiter = Limiter(Schedule(otherwise=1e6), lambda: 0.0, lambda: MIDNIGHT, lambda seconds: None)

    def reserve() -> None:
        for _ in range(50):
            granted.append(limiter._reserve(10_000))

    threads = [threading.Thread(target=reserve) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(granted) == pytest.approx([0.01 * n for n in range(1, 201)])
