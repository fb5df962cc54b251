"""High voltage and sensors: live values of LNGS, ramps, limits, trips, days."""

import math

import numpy as np
import pytest

from hardware.errors import DeviceError
from sim.devices.high_voltage import (
    STATUS_ON,
    STATUS_OVER_CURRENT,
    STATUS_RAMPS_DOWN,
    STATUS_RAMPS_UP,
    STATUS_TRIPPED,
    SimulatedHighVoltage,
)
from sim.devices.sensors import SimulatedSensors, raw_inputs

VGEM1 = 5


class Clock:
    def __init__(self) -> None:
        self.time_s = 1000.0

    def __call__(self) -> float:
        return self.time_s


def supply(**options: object) -> tuple[SimulatedHighVoltage, Clock]:
    clock = Clock()
    device = SimulatedHighVoltage(now=clock, seed=1, **options)
    device.ensure_ready()
    return device, clock


def test_channels_are_those_of_lngs_at_their_voltages() -> None:
    device, _ = supply()
    reading = device.read()
    assert len(device.names) == 26
    assert device.names[:7] == (
        "Offset", "VGEM3", "Transf2", "VGEM2", "Transf1", "VGEM1", "Drift",
    )  # fmt: skip
    assert reading.demand_v[:7].tolist() == [10, 400, 500, 400, 500, 400, 960]
    assert np.abs(reading.measured_v[:7] - reading.demand_v[:7]).max() < 1
    pmts = [device.names.index(f"PMT{number}") for number in (1, 2, 3, 4)]
    assert np.all((reading.current[pmts] > 175) & (reading.current[pmts] < 190))
    assert set(reading.status[:7].tolist()) == {STATUS_ON}
    for values, dtype in (
        (reading.measured_v, "f4"),
        (reading.current, "f4"),
        (reading.status, "u4"),
    ):
        assert values.shape == (26,)
        assert values.dtype == dtype


def test_voltages_ramp_at_their_speed_and_say_so() -> None:
    device, clock = supply()
    device.set_voltage(VGEM1, 430.0)
    clock.time_s += 2.0
    reading = device.read()
    assert reading.demand_v[VGEM1] == 430.0
    assert reading.measured_v[VGEM1] == pytest.approx(410.0, abs=1)  # 5 V/s up
    assert reading.status[VGEM1] == STATUS_ON | STATUS_RAMPS_UP
    clock.time_s += 10.0
    reading = device.read()
    assert reading.measured_v[VGEM1] == pytest.approx(430.0, abs=1)
    assert reading.status[VGEM1] == STATUS_ON
    device.set_voltage(VGEM1, 0.0)
    clock.time_s += 1.0
    reading = device.read()
    assert reading.measured_v[VGEM1] == pytest.approx(410.0, abs=1)  # 20 V/s down
    assert reading.status[VGEM1] == STATUS_RAMPS_DOWN


@pytest.mark.parametrize(
    ("channel", "voltage"), [(VGEM1, 443.1), (0, -1.0), (2, 506.0), (VGEM1, math.nan)]
)
def test_voltages_beyond_the_limit_are_refused(channel: int, voltage: float) -> None:
    device, _ = supply()
    with pytest.raises(DeviceError, match=r"cannot be set to .* allowed: 0 to"):
        device.set_voltage(channel, voltage)
    assert device.read().demand_v[channel] != voltage


def test_an_unknown_channel_is_refused() -> None:
    with pytest.raises(DeviceError, match="channel is 26; allowed: 0 to 25"):
        supply()[0].set_voltage(26, 0.0)


def test_a_trip_discharges_a_channel_until_it_is_set_again() -> None:
    device, clock = supply(faults={"trip_channel": VGEM1, "trip_after_s": 30.0})
    assert device.read().status[VGEM1] == STATUS_ON
    clock.time_s += 31.0
    spark = device.read()
    assert spark.status[VGEM1] & (STATUS_TRIPPED | STATUS_OVER_CURRENT | STATUS_ON) == (
        STATUS_TRIPPED | STATUS_OVER_CURRENT
    )
    assert spark.current[VGEM1] > 5
    assert spark.measured_v[VGEM1] < 100
    clock.time_s += 10.0
    after = device.read()
    assert after.status[VGEM1] == STATUS_TRIPPED
    assert after.measured_v[VGEM1] < 1
    device.set_voltage(VGEM1, 400.0)
    clock.time_s += 100.0
    assert device.read().status[VGEM1] == STATUS_ON


def test_a_supply_that_went_silent_answers_after_reconnecting() -> None:
    device, _ = supply(faults="silent_after=2")
    device.read()
    device.read()
    for _ in range(2):
        with pytest.raises(DeviceError, match=r"answer|connected"):
            device.read()
    device.ensure_ready()
    for _ in range(5):
        device.read()


def test_slow_devices_must_be_made_ready_and_refuse_unknown_options() -> None:
    for driver in (SimulatedHighVoltage, SimulatedSensors):
        device = driver()
        device.ensure_stopped()
        with pytest.raises(DeviceError, match="ensure_ready"):
            device.read()
        with pytest.raises(DeviceError, match="knows no option volume"):
            driver(volume=11)
        with pytest.raises(DeviceError, match="knows no option volume"):
            device.ensure_ready(volume=11)


def gas_temperature_c(values: np.ndarray) -> float:
    return float((values[0] - 4) / 16 * 200 - 50)


def atmosphere_bar(values: np.ndarray) -> float:
    return float((values[3] - 4) / 16 * 1.6 * 1.007618)


def test_inputs_convert_to_the_conditions_of_lngs() -> None:
    for hour in range(0, 24 * 30, 5):
        values = raw_inputs(1.7e9 + 3600.0 * hour)
        assert gas_temperature_c(values) == pytest.approx(21.3, abs=0.6)
        assert -22.7 * values[9] + 82.3 == pytest.approx(21.4, abs=0.8)
        assert atmosphere_bar(values) == pytest.approx(0.905, abs=0.007)
        chamber = (values[5] - 4) / 16 * 1.6 * 1.005454
        assert 0.002 < chamber - atmosphere_bar(values) < 0.006
        assert 37.5 * values[13] - 37.7 == pytest.approx(3, abs=1)  # humidity of the gas [%]
        assert (values[22] - 4) * 10 / 16 == pytest.approx(1.40, abs=0.02)


def test_it_is_warmer_in_the_afternoon() -> None:
    midnight = 19_700 * 86_400.0
    cold = gas_temperature_c(raw_inputs(midnight + 3 * 3600))
    assert gas_temperature_c(raw_inputs(midnight + 15 * 3600)) > cold + 0.3


def test_sensors_are_reproducible_by_seed_and_time() -> None:
    clock = Clock()

    def read(seed: int) -> list[float]:
        device = SimulatedSensors(now=clock, seed=seed)
        device.ensure_ready()
        values = device.read()
        assert values.shape == (24,)
        assert values.dtype == np.float32
        return [float(value) for value in values]

    assert read(1) == read(1) != read(2)
    assert len(SimulatedSensors().names) == 24


def test_sensors_that_went_silent_answer_after_reconnecting() -> None:
    device = SimulatedSensors(seed=1, faults="silent_after=1")
    device.ensure_ready()
    device.read()
    with pytest.raises(DeviceError, match="do not answer since reading 1"):
        device.read()
    device.ensure_ready()
    device.read()
    device.read()
