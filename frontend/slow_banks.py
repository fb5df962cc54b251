"""What the slow equipments send and show: high voltage (event 3) and environment (event 5)."""

import ctypes
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from hardware.slow_control import HighVoltageReading
from rawdata.build import EventBuilder
from rawdata.layouts import high_voltage, slow

Reading_contra = TypeVar("Reading_contra", contravariant=True)


class SlowBanks(Protocol[Reading_contra]):
    """How readings of one kind become banks and ODB values."""

    @property
    def event_id(self) -> int:
        """Event id of the equipment."""
        ...

    @property
    def names_key(self) -> str:
        """Key below ``Settings`` that names the channels, for history and pages."""
        ...

    def encode(self, builder: EventBuilder, reading: Reading_contra) -> None:
        """Append the banks."""
        ...

    def variables(self, reading: Reading_contra) -> dict[str, Any]:
        """Return what goes below ``Variables``."""
        ...


class HighVoltageBanks:
    """DMND, MSRD, CRNT, STAT, TPTR; the ODB's keys are those of CYGNO's HV equipment."""

    event_id = high_voltage.HIGH_VOLTAGE_ID
    names_key = "Names"

    def encode(self, builder: EventBuilder, reading: HighVoltageReading) -> None:
        """Append the five banks."""
        high_voltage.encode_high_voltage(
            builder,
            high_voltage.HighVoltage(
                demand=reading.demand_v,
                measured=reading.measured_v,
                current=reading.current,
                status=reading.status,
                temperature=reading.temperature_c,
            ),
        )

    def variables(self, reading: HighVoltageReading) -> dict[str, Any]:
        """Return demand, measured, current, status and temperature of all channels."""
        return {
            "Demand": _floats(reading.demand_v),
            "Measured": _floats(reading.measured_v),
            "Current": _floats(reading.current),
            "ChStatus": (ctypes.c_uint32 * len(reading.status))(*reading.status.tolist()),
            "Temperature": _floats(reading.temperature_c),
        }


class EnvironmentBanks:
    """INPT, raw inputs in mA or V."""

    event_id = slow.ENVIRONMENT_ID
    names_key = "Names Input"

    def encode(self, builder: EventBuilder, reading: npt.NDArray[np.float32]) -> None:
        """Append the bank."""
        slow.encode_inputs(builder, reading)

    def variables(self, reading: npt.NDArray[np.float32]) -> dict[str, Any]:
        """Return the inputs."""
        return {"Input": _floats(reading)}


def _floats(values: npt.NDArray[np.float32]) -> Any:
    """Return an array for the ODB, of type FLOAT as in CYGNO's equipment."""
    return (ctypes.c_float * len(values))(*values.tolist())
