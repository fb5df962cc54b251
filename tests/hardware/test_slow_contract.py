"""What `hardware.slow_control` promises, on every supply and set of sensors."""

from collections.abc import Iterator

import numpy as np
import pytest

from hardware.errors import DeviceError
from hardware.registry import open_device
from hardware.slow_control import HighVoltage, Sensors
from tests.hardware.conftest import devices


@pytest.fixture(params=devices("high_voltage"))
def supply(request: pytest.FixtureRequest) -> Iterator[HighVoltage]:
    device = open_device("high_voltage", request.param)
    yield device
    device.ensure_stopped()


@pytest.fixture(params=devices("sensors"))
def sensors(request: pytest.FixtureRequest) -> Iterator[Sensors]:
    device = open_device("sensors", request.param)
    yield device
    device.ensure_stopped()


class TestHighVoltage:
    def test_a_reading_has_all_channels(self, supply: HighVoltage) -> None:
        supply.ensure_ready()
        reading = supply.read()
        count = len(supply.names)
        for values, dtype in (
            (reading.demand_v, np.float32),
            (reading.measured_v, np.float32),
            (reading.current, np.float32),
            (reading.status, np.uint32),
            (reading.temperature_c, np.float32),
        ):
            assert values.shape == (count,)
            assert values.dtype == dtype

    def test_beyond_its_limit_nothing_is_set(self, supply: HighVoltage) -> None:
        supply.ensure_ready()
        before = supply.read().demand_v
        with pytest.raises(DeviceError, match="allowed"):
            supply.set_voltage(0, 1e6)
        assert np.array_equal(supply.read().demand_v, before)

    def test_a_demand_that_is_set_again_stays(self, supply: HighVoltage) -> None:
        supply.ensure_ready()
        before = supply.read().demand_v
        supply.set_voltage(0, float(before[0]))
        assert np.array_equal(supply.read().demand_v, before)

    def test_voltages_outlast_the_connection(self, supply: HighVoltage) -> None:
        supply.ensure_ready()
        before = supply.read().demand_v
        supply.ensure_stopped()
        supply.ensure_stopped()
        supply.ensure_ready()
        assert np.array_equal(supply.read().demand_v, before)


class TestSensors:
    def test_a_reading_has_all_inputs(self, sensors: Sensors) -> None:
        sensors.ensure_ready()
        values = sensors.read()
        assert values.shape == (len(sensors.names),)
        assert values.dtype == np.float32
        assert np.all(np.isfinite(values))

    def test_it_can_be_closed_twice_and_opened_again(self, sensors: Sensors) -> None:
        sensors.ensure_ready()
        sensors.ensure_stopped()
        sensors.ensure_stopped()
        sensors.ensure_ready()
        sensors.read()
