"""Slow control over a run: what the events in its file say of voltages, currents, temperatures.

Each channel is kept as its number of readings, first, last, lowest, highest, mean and spread: runs
take minutes, so a year is seen well in the runs' means, and a run's file has every reading.
"""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from sqlalchemy import delete, insert
from sqlalchemy.orm import Session

from rawdata.datamodel import BANKS, FIRST_INDEXED_STATUS_ID, MAX_INDEX
from rawdata.event import Event
from rawdata.odbdump import get
from stager.models import File
from stager.records import SlowControl

EQUIPMENT: Final = {
    3: "HV",
    4: "CATHODE",
    5: "Environment",
    6: "GasSystem",
    7: "CameraStatus",
    8: "TriggerModule",
    9: "SourceMotor",
    **{
        FIRST_INDEXED_STATUS_ID + index: f"CameraStatus{index:02}" for index in range(MAX_INDEX + 1)
    },
}
"""Event id -> equipment, of those that send readings."""

_BANKS: Final = ("INPT", "DMND", "MSRD", "CRNT", "TPTR", "TCAM", "TMOD")
_NOT_KEPT: Final = {("GasSystem", "DMND")}
"""The gas controller's 323 demands follow its readings."""

UNITS: Final = {"V": "V", "uA": "uA", "Hz": "Hz", "degrees Celsius": "C"}
_INPUT_UNITS: Final = {"II": "mA", "UI": "V"}
"""LNGS's inputs are named P<board><kind>n<channel>: II 4-20 mA, UI volts."""
_LONGEST_NAME: Final = 64


class _Readings:
    """Running statistics of one bank's channels."""

    def __init__(self) -> None:
        self.count = np.zeros(0, np.int64)
        self.mean = np.zeros(0)
        self.squares = np.zeros(0)
        self.first = np.zeros(0)
        self.last = np.zeros(0)
        self.lowest = np.zeros(0)
        self.highest = np.zeros(0)
        self.first_s = self.last_s = 0

    def add(self, values: npt.NDArray[np.float64], time_s: int) -> None:
        """Add one reading of all channels; those that are no numbers are passed over."""
        self._grow(values.size)
        self.first_s = self.first_s or time_s
        self.last_s = time_s
        ok = np.flatnonzero(np.isfinite(values))
        seen = values[ok]
        new = ok[self.count[ok] == 0]
        self.first[new] = self.lowest[new] = self.highest[new] = values[new]
        self.last[ok] = seen
        self.lowest[ok] = np.minimum(self.lowest[ok], seen)
        self.highest[ok] = np.maximum(self.highest[ok], seen)
        # Welford's: stable where the spread is small against the mean.
        self.count[ok] += 1
        step = seen - self.mean[ok]
        self.mean[ok] += step / self.count[ok]
        self.squares[ok] += step * (seen - self.mean[ok])

    def _grow(self, size: int) -> None:
        more = size - self.count.size
        if more > 0:
            for name in ("count", "mean", "squares", "first", "last", "lowest", "highest"):
                setattr(self, name, np.pad(getattr(self, name), (0, more)))


@dataclass
class SlowReadings:
    """What the events of one run file say."""

    _banks: dict[tuple[str, str], _Readings] = field(default_factory=dict)

    def add(self, event: Event) -> None:
        """Take an event; those without slow-control readings are passed over."""
        equipment = EQUIPMENT.get(event.event_id)
        if equipment is None:
            return
        for bank in _BANKS:
            if bank not in event or (equipment, bank) in _NOT_KEPT:
                continue
            readings = self._banks.setdefault((equipment, bank), _Readings())
            readings.add(event[bank].astype(np.float64).ravel(), event.timestamp)

    def rows(self, odb: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the columns of `SlowControl` for each channel that has a reading.

        :param odb: at begin of run, which names the channels.
        """
        return [
            row
            for (equipment, bank), readings in self._banks.items()
            for row in _rows(equipment, bank, readings, odb)
        ]


def _rows(
    equipment: str, bank: str, readings: _Readings, odb: Mapping[str, Any]
) -> Iterable[dict[str, Any]]:
    names = channel_names(odb, equipment, bank)
    for channel in np.flatnonzero(readings.count):
        count = int(readings.count[channel])
        name = names[channel] if channel < len(names) and names[channel] else f"{bank}{channel}"
        yield {
            "equipment": equipment,
            "bank": bank,
            "channel": int(channel),
            "name": name[:_LONGEST_NAME],
            "unit": unit_of(bank, name),
            "readings": count,
            "first": float(readings.first[channel]),
            "last": float(readings.last[channel]),
            "lowest": float(readings.lowest[channel]),
            "highest": float(readings.highest[channel]),
            "mean": float(readings.mean[channel]),
            "sigma": math.sqrt(readings.squares[channel] / (count - 1)) if count > 1 else 0.0,
            "first_at": _moment(readings.first_s),
            "last_at": _moment(readings.last_s),
        }


def channel_names(odb: Mapping[str, Any], equipment: str, bank: str) -> list[str]:
    """Return the names that the ODB has for the channels of a bank; empty if it has none."""
    for key in ("Names Input", "Names") if bank == "INPT" else ("Names",):
        names = get(odb, f"/Equipment/{equipment}/Settings/{key}")
        if isinstance(names, list):
            return [str(name) for name in names]
    return []


def unit_of(bank: str, name: str) -> str | None:
    """Return the unit of a channel, None where nobody says.

    >>> unit_of("MSRD", "VGEM1"), unit_of("INPT", "P0IIn3"), unit_of("INPT", "Target")
    ('V', 'mA', None)
    """
    if bank == "INPT":
        match = re.fullmatch(r"P\d(II|UI)n\d+", name)
        return _INPUT_UNITS[match[1]] if match else None
    return next((UNITS.get(kind.unit) for kind in BANKS if kind.name == bank), None)


def write_slow_control(
    session: Session, file: File, readings: SlowReadings, odb: Mapping[str, Any]
) -> None:
    """Write down what a file says, in place of what was written before."""
    of_file = (SlowControl.run_number == file.run_number, SlowControl.subrun == file.subrun)
    session.execute(delete(SlowControl).where(*of_file))
    rows = readings.rows(odb)
    if rows:
        own = {"run_number": file.run_number, "subrun": file.subrun}
        session.execute(insert(SlowControl), [{**own, **row} for row in rows])


def _moment(seconds: int) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if seconds else None
