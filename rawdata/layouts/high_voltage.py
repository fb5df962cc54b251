"""High voltage: five banks of one element a channel, in the order of the ODB's ``Names``.

``DMND`` demand [V], ``MSRD`` measured [V], ``CRNT`` current, ``STAT`` channel status word, ``TPTR``
temperature. Source: CYGNUS-RD/daq ``online/gem_hv.cxx``; 26 channels at LNGS.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from rawdata.build import EventBuilder
from rawdata.errors import LayoutError
from rawdata.event import Event
from rawdata.tid import Tid

HIGH_VOLTAGE_ID: Final = 3
CATHODE_ID: Final = 4

_BANKS: Final = {
    "demand": ("DMND", Tid.FLOAT),
    "measured": ("MSRD", Tid.FLOAT),
    "current": ("CRNT", Tid.FLOAT),
    "status": ("STAT", Tid.DWORD),
    "temperature": ("TPTR", Tid.FLOAT),
}


@dataclass(frozen=True, eq=False)
class HighVoltage:
    """One reading of all channels."""

    demand: npt.NDArray[np.float32]
    """(channels,) float32 [V]"""
    measured: npt.NDArray[np.float32]
    """(channels,) float32 [V]"""
    current: npt.NDArray[np.float32]
    """(channels,) float32, in the crate's unit: uA"""
    status: npt.NDArray[np.uint32]
    """(channels,) uint32, CAEN channel status word"""
    temperature: npt.NDArray[np.float32]
    """(channels,) float32 [degrees Celsius]"""

    @property
    def channels(self) -> int:
        """Number of channels."""
        return len(self.demand)


def encode_high_voltage(builder: EventBuilder, reading: HighVoltage) -> None:
    """Append the five banks.

    :raises LayoutError: if they are not of one length.
    """
    values: dict[str, npt.NDArray[Any]] = {
        field: np.asarray(getattr(reading, field), tid.dtype) for field, (_, tid) in _BANKS.items()
    }
    _check_lengths(values)
    for field, (name, tid) in _BANKS.items():
        builder.add(name, tid, values[field])


def decode_high_voltage(event: Event) -> HighVoltage:
    """Return the reading, as views on the event.

    :raises BankMissingError: if a bank is missing.
    :raises LayoutError: if a bank is of another type or length than the others.
    """
    values = {field: event[name] for field, (name, _) in _BANKS.items()}
    for name, tid in _BANKS.values():
        if event.banks[name].tid is not tid:
            raise LayoutError(
                f"bank {name} is TID_{event.banks[name].tid.name}, wanted TID_{tid.name}"
            )
    _check_lengths(values)
    return HighVoltage(**values)


def _check_lengths(values: dict[str, npt.NDArray[Any]]) -> None:
    lengths = {_BANKS[field][0]: len(array) for field, array in values.items()}
    if len(set(lengths.values())) != 1:
        raise LayoutError(f"high voltage banks of different lengths: {lengths}")
