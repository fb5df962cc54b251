"""Slow control: banks ``INPT`` (inputs), ``TCAM`` (sensor temperatures), ``TMOD`` (trigger rates).

Two equipments emit a bank INPT: Environment (event id 5, 24 or 27 floats, named in the ODB by
``/Equipment/Environment/Settings/Names Input``) and SourceMotor (9, 12 floats), so the event id
counts. Source: CYGNUS-RD/daq ``online/scfe.cxx``, ``online/dev/python_fe.py``.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from rawdata.build import EventBuilder
from rawdata.errors import LayoutError
from rawdata.event import Event
from rawdata.tid import Tid

INPUT_BANK: Final = "INPT"
CAMERA_TEMPERATURE_BANK: Final = "TCAM"
TRIGGER_RATE_BANK: Final = "TMOD"

ENVIRONMENT_ID: Final = 5
CAMERA_STATUS_ID: Final = 7
TRIGGER_MODULE_ID: Final = 8
SOURCE_MOTOR_ID: Final = 9
TRIGGER_RATES: Final = 5

Values = Sequence[float] | npt.NDArray[Any]


def encode_inputs(builder: EventBuilder, values: Values) -> None:
    """Append the inputs of Environment (or SourceMotor), as 32-bit floats."""
    builder.add(INPUT_BANK, Tid.FLOAT, np.asarray(values, "<f4"))


def decode_inputs(event: Event, event_id: int = ENVIRONMENT_ID) -> npt.NDArray[np.float32]:
    """Return the inputs: (n,) float32 [mA or V, see the ODB's names].

    :param event_id: 5 for Environment, 9 for SourceMotor.
    :raises LayoutError: if the event is of another equipment, or the bank of another type.
    """
    return _values(event, INPUT_BANK, Tid.FLOAT, event_id)


def encode_camera_temperatures(builder: EventBuilder, values: Values) -> None:
    """Append the sensor temperature of each camera in degrees Celsius."""
    builder.add(CAMERA_TEMPERATURE_BANK, Tid.DOUBLE, np.asarray(values, "<f8"))


def decode_camera_temperatures(event: Event) -> npt.NDArray[np.float64]:
    """Return the sensor temperature of each camera: (cameras,) float64 [degrees Celsius]."""
    return _values(event, CAMERA_TEMPERATURE_BANK, Tid.DOUBLE, CAMERA_STATUS_ID)


def encode_trigger_rates(builder: EventBuilder, values: Values) -> None:
    """Append the five rates of the trigger module in Hz."""
    rates = np.asarray(values, "<f4")
    if rates.shape != (TRIGGER_RATES,):
        raise LayoutError(f"{rates.size} trigger rates, wanted {TRIGGER_RATES}")
    builder.add(TRIGGER_RATE_BANK, Tid.FLOAT, rates)


def decode_trigger_rates(event: Event) -> npt.NDArray[np.float32]:
    """Return the rates of the trigger module: (5,) float32 [Hz]."""
    rates = _values(event, TRIGGER_RATE_BANK, Tid.FLOAT, TRIGGER_MODULE_ID)
    if len(rates) != TRIGGER_RATES:
        raise LayoutError(f"bank TMOD holds {len(rates)} rates, wanted {TRIGGER_RATES}")
    return rates


def _values(event: Event, name: str, tid: Tid, event_id: int) -> npt.NDArray[Any]:
    if event.event_id != event_id:
        raise LayoutError(f"event id {event.event_id} has another {name}; wanted id {event_id}")
    values = event[name]
    if event.banks[name].tid is not tid:
        raise LayoutError(f"bank {name} is TID_{event.banks[name].tid.name}, wanted TID_{tid.name}")
    return values
