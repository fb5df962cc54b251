"""Contracts of slow devices: high-voltage supplies and sensors. Polled, seconds apart."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class HighVoltageReading:
    """All channels of a supply at one moment, in the order of ``names``.

    :param demand_v: set voltages [V], float32.
    :param measured_v: voltages [V], float32.
    :param current: currents in the supply's unit (uA), float32.
    :param status: channel status words, uint32.
    :param temperature_c: board temperatures [deg C], float32.
    """

    demand_v: npt.NDArray[np.float32]
    measured_v: npt.NDArray[np.float32]
    current: npt.NDArray[np.float32]
    status: npt.NDArray[np.uint32]
    temperature_c: npt.NDArray[np.float32]


class HighVoltage(Protocol):
    """A high-voltage supply. Constructed as ``Driver(address, **options)``."""

    @property
    def names(self) -> Sequence[str]:
        """Channel names."""
        ...

    def ensure_ready(self, **options: Any) -> None:
        """Connect. :raises DeviceError: if the supply does not answer."""
        ...

    def set_voltage(self, channel: int, voltage_v: float) -> None:
        """Set a channel's demand. :raises DeviceError: beyond the channel's limit."""
        ...

    def read(self) -> HighVoltageReading:
        """Read all channels. :raises DeviceError: if the supply does not answer."""
        ...

    def ensure_stopped(self) -> None:
        """Close the connection; leaves voltages as they are; never raises."""
        ...


class Sensors(Protocol):
    """A set of sensor inputs (gas, temperature, environment). ``Driver(address, **options)``."""

    @property
    def names(self) -> Sequence[str]:
        """Channel names, e.g. CYGNO's ``P0IIn0``."""
        ...

    def ensure_ready(self, **options: Any) -> None:
        """Connect. :raises DeviceError: if the device does not answer."""
        ...

    def read(self) -> npt.NDArray[np.float32]:
        """Read all inputs (names,) float32, in the raw unit of each (mA or V)."""
        ...

    def ensure_stopped(self) -> None:
        """Close the connection; never raises."""
        ...
