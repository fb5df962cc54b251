"""Simulated sensors: LNGS's 24 inputs for gas, temperatures and environment."""

import math
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from hardware.errors import DeviceError
from sim.detector.randomness import stream
from sim.devices.options import DeviceOptions, check_options

_DAY_S: Final = 86_400.0
_WARMEST_S: Final = 15 * 3600.0
_WEATHER_S: Final = 3.7 * _DAY_S

# Inputs of run 42901 (December 2023): two boards of 4-20 mA inputs (P0II, P3II) [mA], one of
# voltages (P1UI) [V].
_INPUTS: Final = {
    "P0IIn0": 9.70, "P0IIn1": 0.0012, "P0IIn2": 4.51, "P0IIn3": 12.98,
    "P0IIn4": 0.0013, "P0IIn5": 13.04, "P0IIn6": 0.0014, "P0IIn7": 0.0011,
    "P1UIn0": 1.968, "P1UIn1": 2.681, "P1UIn2": 1.163, "P1UIn3": 0.562,
    "P1UIn4": 1.262, "P1UIn5": 0.880, "P1UIn6": 0.344, "P1UIn7": 0.419,
    "P3IIn0": 8.704, "P3IIn1": 8.703, "P3IIn2": 10.319, "P3IIn3": 10.610,
    "P3IIn4": 0.0003, "P3IIn5": 10.996, "P3IIn6": 6.243, "P3IIn7": 6.374,
}  # fmt: skip


class SimulatedSensors:
    """Sensors that follow the day, the weather and one another.

    :param address: of no meaning.
    :param now: the time since the epoch [s].
    :param options: see `sim.devices.options.DeviceOptions`.
    :raises DeviceError: for a bad option.
    """

    def __init__(
        self, address: str = "", *, now: Callable[[], float] = time.time, **options: Any
    ) -> None:
        self._name = f"sensors sim:{address}".rstrip(":")
        self._given = options
        self._options = check_options(DeviceOptions, self._name, options)
        self._now = now
        self._lock = threading.Lock()
        self._is_connected = False
        self._readings = 0
        self._spent_faults: set[str] = set()

    @property
    def names(self) -> Sequence[str]:
        """Channel names, as the ODB of LNGS has them."""
        return tuple(_INPUTS)

    def ensure_ready(self, **options: Any) -> None:
        """Connect."""
        with self._lock:
            self._options = check_options(DeviceOptions, self._name, self._given, options)
            self._is_connected = True
            self._readings = 0

    def read(self) -> npt.NDArray[np.float32]:
        """Read all inputs, (24,) float32 [mA or V]."""
        with self._lock:
            if not self._is_connected:
                raise DeviceError(f"{self._name} are not connected: call ensure_ready first")
            faults = self._options.faults.without(self._spent_faults)
            if faults.silent_after is not None and self._readings >= faults.silent_after:
                self._spent_faults.add("silent_after")
                self._is_connected = False
                raise DeviceError(
                    f"{self._name} do not answer since reading {self._readings}: check the MSCB bus"
                )
            values = raw_inputs(self._now())
            random = stream(self._options.settled_seed, "sensors", self._readings)
            self._readings += 1
            noise = random.normal(0.0, 0.0005, values.size)
            return (values + noise).astype(np.float32)

    def ensure_stopped(self) -> None:
        """Close the connection."""
        with self._lock:
            self._is_connected = False


def raw_inputs(time_s: float) -> npt.NDArray[np.float64]:
    """Return what the inputs show at a time since the epoch, (24,) [mA or V], without noise.

    Conversions are those of LNGS's history panels (run 42901).
    """
    day = math.cos(2 * math.pi * (time_s % _DAY_S - _WARMEST_S) / _DAY_S)
    weather = math.sin(2 * math.pi * time_s / _WEATHER_S)
    room_c = 21.4 + 0.5 * day + 0.2 * weather
    gas_c = 21.3 + 0.3 * day + 0.2 * weather
    atmosphere_bar = 0.9050 + 0.006 * weather - 0.0005 * day
    chamber_bar = atmosphere_bar + 0.003 + 0.0002 * day  # kept a few mbar above
    humidity_percent = 3.0 - 0.3 * day + 0.5 * weather
    density_g_per_l = 1.40 * (chamber_bar / 0.908) * (294.45 / (gas_c + 273.15))
    values = dict(_INPUTS)
    values["P0IIn0"] = 4 + (gas_c + 50) * 16 / 200
    values["P1UIn1"] = (82.3 - room_c) / 22.7
    values["P0IIn3"] = 4 + atmosphere_bar / (1.6 * 1.007618) * 16
    values["P0IIn5"] = 4 + chamber_bar / (1.6 * 1.005454) * 16
    # LNGS's formula makes -4.7 % of the 0.880 V that it had then; here the gas is dry, no more.
    values["P1UIn5"] = (humidity_percent + 37.7) / 37.5
    values["P3IIn6"] = 4 + density_g_per_l * 16 / 10
    values["P3IIn7"] = 4 + (_INPUTS["P3IIn7"] - 4) * density_g_per_l / 1.40
    return np.array(list(values.values()))
