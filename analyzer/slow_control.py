"""Slow control as a run saw it: gas, temperatures and voltages from the events beside the frames.

The inputs of bank INPT become quantities by a straight line each (settings, ``Slow control``; the
defaults are those of LNGS's history panels, run 42901). Voltages and temperatures come as they
are. Only readings up to the last trigger event count, and of those before the first one the last:
so what counts does not depend on when a program began to listen or was stopped.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from analyzer.dtypes import SLOW
from analyzer.figure_table import HV_CHANNELS, INPUT_QUANTITIES
from analyzer.settings import AnalyzerSettings
from rawdata import odbdump
from rawdata.errors import RawDataError
from rawdata.event import Event
from rawdata.layouts import high_voltage, slow

ODB_KEYS: Final = (
    "/Equipment/Environment/Settings/Names Input",
    "/Equipment/Environment/Variables/Input",
    "/Equipment/HV/Settings/Names",
    "/Equipment/HV/Variables/Measured",
    "/Equipment/CATHODE/Variables/Measured",
    "/Equipment/CameraStatus/Variables/TCAM",
    "/Equipment/TriggerModule/Variables/TMOD",
)
"""What is looked at in the ODB at begin of run."""

_EVENT_IDS: Final = (
    high_voltage.HIGH_VOLTAGE_ID,
    high_voltage.CATHODE_ID,
    slow.ENVIRONMENT_ID,
    slow.CAMERA_STATUS_ID,
    slow.TRIGGER_MODULE_ID,
)

Reading = tuple[int, int, dict[str, float]]
"""Event id, unix time, quantity -> value."""


def is_slow_event(event_id: int) -> bool:
    """Tell whether events of this id hold readings of slow control."""
    return event_id in _EVENT_IDS


class SlowControl:
    """Readings of one run.

    :param odb: the ODB at begin of run, or the part of it that has `ODB_KEYS`.
    :param at_begin: quantity -> what the ODB said at begin of run.
    """

    def __init__(self, settings: AnalyzerSettings, odb: Mapping[str, Any]) -> None:
        self._settings = settings.slow_control
        self._inputs = _names(odbdump.get(odb, ODB_KEYS[0]))
        self._channels = _names(odbdump.get(odb, ODB_KEYS[2]))
        self.at_begin: dict[str, float] = {}
        self._pending: list[Reading] = []
        self._has_begun = False
        for reading in (
            self._from_inputs(_values(odbdump.get(odb, ODB_KEYS[1]))),
            self._from_channels(_values(odbdump.get(odb, ODB_KEYS[3]))),
            _first("hv_cathode_v", _values(odbdump.get(odb, ODB_KEYS[4]))),
            _first("sensor_temperature_c", _values(odbdump.get(odb, ODB_KEYS[5]))),
            _first("trigger_module_rate_hz", _values(odbdump.get(odb, ODB_KEYS[6]))),
        ):
            self.at_begin.update(reading)

    def note(self, event: Event) -> str:
        """Take a reading from an event, if it is one of slow control.

        :returns: what is wrong with it, empty if nothing is.
        """
        try:
            reading = dict(self._read(event))
        except RawDataError as error:
            return f"slow control, event id {event.event_id}: {error}"
        if not reading:
            return ""
        if not self._has_begun:
            self._pending = [one for one in self._pending if one[0] != event.event_id]
        self._pending.append((event.event_id, event.timestamp, reading))
        return ""

    def rows_before(self, index: int) -> npt.NDArray[Any]:
        """Return the readings that came before a trigger event and since the one before it.

        :param index: of the trigger event.
        :returns: rows of `SLOW`.
        """
        self._has_begun = True
        rows = [
            (index, time, quantity.encode(), value)
            for _, time, reading in self._pending
            for quantity, value in reading.items()
        ]
        self._pending.clear()
        return np.array(rows, SLOW)

    def _read(self, event: Event) -> Iterator[tuple[str, float]]:
        if event.event_id == slow.ENVIRONMENT_ID:
            yield from self._from_inputs(slow.decode_inputs(event).tolist()).items()
        elif event.event_id == high_voltage.HIGH_VOLTAGE_ID:
            measured = high_voltage.decode_high_voltage(event).measured.tolist()
            yield from self._from_channels(measured).items()
        elif event.event_id == high_voltage.CATHODE_ID:
            measured = high_voltage.decode_high_voltage(event).measured.tolist()
            yield from _first("hv_cathode_v", measured).items()
        elif event.event_id == slow.CAMERA_STATUS_ID:
            temperatures = slow.decode_camera_temperatures(event).tolist()
            yield from _first("sensor_temperature_c", temperatures).items()
        elif event.event_id == slow.TRIGGER_MODULE_ID:
            rates = slow.decode_trigger_rates(event).tolist()
            yield from _first("trigger_module_rate_hz", rates).items()

    def _from_inputs(self, values: list[float]) -> dict[str, float]:
        by_name = dict(zip(self._inputs, values, strict=False))
        reading = {}
        for quantity in INPUT_QUANTITIES:
            line = getattr(self._settings, quantity)
            if line.input in by_name:
                reading[quantity] = line.offset + line.slope * by_name[line.input]
        return reading

    def _from_channels(self, values: list[float]) -> dict[str, float]:
        by_name = dict(zip(self._channels, values, strict=False))
        return {q: by_name[name] for q, name in HV_CHANNELS.items() if name in by_name}


def _names(value: object) -> list[str]:
    """Return names of the ODB as a list; MIDAS gives an array of one as a plain value."""
    if isinstance(value, str):
        return [value]
    return [str(name) for name in value] if isinstance(value, list | tuple) else []


def _values(value: object) -> list[float]:
    """Return numbers of the ODB as a list, in the same way."""
    values = value if isinstance(value, list | tuple) else [] if value is None else [value]
    return [float(one) for one in values if isinstance(one, int | float)]


def _first(quantity: str, values: list[float]) -> dict[str, float]:
    return {quantity: values[0]} if values else {}
