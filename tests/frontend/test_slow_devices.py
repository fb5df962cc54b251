"""Polling slow devices: readings, failures, patience."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from frontend.slow_devices import Poller
from hardware.errors import DeviceError
from tests.conftest import wait_until


@dataclass
class Thermometer:
    """Gives 0, 1, 2 ...; raises what it was told instead."""

    failures: dict[int, Exception] = field(default_factory=dict)
    names: tuple[str, ...] = ("inside", "outside")
    readings: int = 0
    connections: int = 0
    is_open: bool = False

    def ensure_ready(self) -> None:
        self.connections += 1
        self.is_open = True

    def read(self) -> int:
        assert self.is_open
        self.readings += 1
        if self.readings in self.failures:
            raise self.failures[self.readings]
        return self.readings

    def ensure_stopped(self) -> None:
        self.is_open = False


Make = Callable[..., Poller[int]]


@pytest.fixture
def make() -> Iterator[Make]:
    """Make a started poller; all are stopped at the end."""
    pollers: list[Poller[int]] = []

    def make(open_device: Callable[[], Thermometer], period_s: float = 0.001) -> Poller[int]:
        poller: Poller[int] = Poller("oven (sim)", open_device, period_s, first_retry_s=0.001)
        poller.start()
        pollers.append(poller)
        return poller

    yield make
    for poller in pollers:
        poller.stop(5.0)
        assert not poller.is_alive()


def number_of(poller: Poller[int]) -> int:
    return poller.sample.number if poller.sample is not None else -1


def test_readings_come_with_number_time_and_names(make: Make) -> None:
    poller = make(Thermometer)
    wait_until(lambda: number_of(poller) >= 2, 10, "readings")
    sample = poller.sample
    assert sample is not None
    assert sample.reading == sample.number + 1
    assert sample.names == ("inside", "outside")
    assert sample.time_s > 1.7e9
    assert poller.error is None


def test_a_failure_is_told_and_the_device_is_connected_again(make: Make) -> None:
    device = Thermometer({2: DeviceError("oven does not answer: check the plug")})
    poller = make(lambda: device, period_s=1000.0)
    wait_until(lambda: number_of(poller) == 0, 10, "the first reading")
    poller.read_now()
    wait_until(lambda: number_of(poller) == 1, 10, "the reading after the failure")
    assert device.connections == 2
    assert poller.error is None


def test_it_stays_in_error_while_the_device_is_gone(make: Make) -> None:
    failures: dict[int, Exception] = {n: DeviceError("gone") for n in range(1, 10_000)}
    device = Thermometer(failures)
    poller = make(lambda: device)
    wait_until(lambda: device.connections >= 3, 10, "retries")
    assert poller.error == "gone"
    assert poller.sample is None


def test_a_driver_that_is_not_there_is_looked_for_again(make: Make) -> None:
    tries: list[int] = []

    def open_device() -> Thermometer:
        tries.append(1)
        if len(tries) < 3:
            raise DeviceError("no driver 'sim' for sensors")
        return Thermometer()

    poller = make(open_device)
    wait_until(lambda: number_of(poller) >= 0, 10, "a reading")
    assert len(tries) == 3


def test_a_bug_in_a_driver_does_not_end_polling(make: Make) -> None:
    device = Thermometer({1: ZeroDivisionError("division by zero")})
    poller = make(lambda: device)
    wait_until(lambda: number_of(poller) >= 0, 10, "a reading")


def test_a_reading_can_be_asked_for(make: Make) -> None:
    poller = make(Thermometer, period_s=1000.0)
    for number in range(3):
        wait_until(lambda number=number: number_of(poller) == number, 10, "the reading")
        poller.read_now()


def test_stopping_closes_the_device() -> None:
    device = Thermometer()
    poller: Poller[int] = Poller("oven", lambda: device, 1000.0)
    poller.start()
    wait_until(lambda: number_of(poller) == 0, 10, "a reading")
    poller.stop(10.0)
    assert not device.is_open


def test_a_failure_that_is_over_is_still_known(make: Make) -> None:
    device = Thermometer({1: DeviceError("gone for a moment")})
    poller = make(lambda: device)
    wait_until(lambda: number_of(poller) >= 0, 10, "a reading")
    assert poller.error is None
    assert (poller.failure.number, poller.failure.reason) == (1, "gone for a moment")
