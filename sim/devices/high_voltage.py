"""A simulated CAEN SY4527 with CYGNO's channels: GEMs, fields and PMTs."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from hardware.errors import DeviceError
from hardware.slow_control import HighVoltageReading
from sim.detector.randomness import stream
from sim.devices.options import DeviceOptions, check_options

STATUS_ON: Final = 1 << 0
STATUS_RAMPS_UP: Final = 1 << 1
STATUS_RAMPS_DOWN: Final = 1 << 2
STATUS_OVER_CURRENT: Final = 1 << 3
STATUS_TRIPPED: Final = 1 << 9
"""Bits of the channel status word, as CAEN's power supplies have them."""


@dataclass(frozen=True, slots=True)
class _Channel:
    name: str
    demand_v: float
    limit_v: float
    up_v_per_s: float = 5.0
    down_v_per_s: float = 20.0
    current_ua: float = 0.0
    """Current at the demanded voltage [uA]."""
    is_on: bool = True


def _pmt(name: str, demand_v: float, current_ua: float, is_on: bool = True) -> _Channel:
    return _Channel(name, demand_v, 1000.0, 50.0, 100.0, current_ua, is_on)


# Values of LNGS, run 42901 (December 2023): slot 0 A1515TG with 14 floating channels, slot 10
# A1833 with 12; names are as they stand there.
_CHANNELS: Final = (
    _Channel("Offset", 10.0, 1000.0),
    _Channel("VGEM3", 400.0, 443.0),
    _Channel("Transf2", 500.0, 505.0),
    _Channel("VGEM2", 400.0, 443.0),
    _Channel("Transf1", 500.0, 505.0),
    _Channel("VGEM1", 400.0, 443.0),
    _Channel("Drift", 960.0, 1000.0, 10.0, 40.0),
    *(
        _Channel(f"Ch00.{number:03d}", 0.0, limit)
        for number, limit in enumerate((100, 470, 655, 470, 505, 470, 10), 7)
    ),
    _pmt("PMT1", 772.0, 180.2),
    _pmt("PMT2", 772.0, 180.8),
    _pmt("broken", 0.0, 0.0, is_on=False),
    _pmt("broken", 0.0, 0.0, is_on=False),
    _pmt("PMT4", 770.0, 179.4),
    _pmt("broken", 0.0, 0.0, is_on=False),
    _pmt("PMT3", 800.0, 187.2),
    *(
        _Channel(f"Ch10.{number:03d}", demand, limit, 100.0, 100.0, 0.0, is_on=False)
        for number, demand, limit in (
            (7, 770.0, 2800.0), (8, 935.0, 3000.0), (9, 825.0, 3000.0),
            (10, 935.0, 3000.0), (11, 0.0, 3000.0),
        )
    ),
)  # fmt: skip


class SimulatedHighVoltage:
    """A high-voltage supply whose channels ramp, waver a little, and trip on request.

    :param address: of no meaning.
    :param now: the time [s].
    :param options: see `sim.devices.options.DeviceOptions`.
    :raises DeviceError: for a bad option.
    """

    def __init__(
        self, address: str = "", *, now: Callable[[], float] = time.monotonic, **options: Any
    ) -> None:
        self._name = f"high voltage sim:{address}".rstrip(":")
        self._given = options
        self._options = check_options(DeviceOptions, self._name, options)
        self._now = now
        self._lock = threading.Lock()
        self._is_connected = False
        self._readings = 0
        self._ready_s = now()
        self._updated_s = now()
        self._spent_faults: set[str] = set()
        self._demand = np.array([channel.demand_v for channel in _CHANNELS])
        self._is_on = np.array([channel.is_on for channel in _CHANNELS])
        self._is_tripped = np.zeros(len(_CHANNELS), bool)
        self._voltage = np.where(self._is_on, self._demand, 0.0)

    @property
    def names(self) -> Sequence[str]:
        """Channel names."""
        return tuple(channel.name for channel in _CHANNELS)

    def ensure_ready(self, **options: Any) -> None:
        """Connect."""
        with self._lock:
            self._options = check_options(DeviceOptions, self._name, self._given, options)
            self._is_connected = True
            self._readings = 0
            self._ready_s = self._now()

    def set_voltage(self, channel: int, voltage_v: float) -> None:
        """Set a channel's demand, and switch the channel on (0: off).

        :raises DeviceError: beyond the channel's limit, or if there is no such channel.
        """
        if not 0 <= channel < len(_CHANNELS):
            raise DeviceError(
                f"{self._name}: channel is {channel}; allowed: 0 to {len(_CHANNELS) - 1}"
            )
        limits = _CHANNELS[channel]
        if not 0.0 <= voltage_v <= limits.limit_v:
            raise DeviceError(
                f"{self._name}: channel {channel} ({limits.name}) cannot be set to {voltage_v} V; "
                f"allowed: 0 to {limits.limit_v:g} V"
            )
        with self._lock:
            self._require_connection()
            self._ramp()
            self._demand[channel] = voltage_v
            self._is_on[channel] = voltage_v > 0
            self._is_tripped[channel] = False

    def read(self) -> HighVoltageReading:
        """Read all channels."""
        with self._lock:
            self._require_connection()
            faults = self._options.faults.without(self._spent_faults)
            if faults.silent_after is not None and self._readings >= faults.silent_after:
                self._spent_faults.add("silent_after")
                self._is_connected = False
                raise DeviceError(
                    f"{self._name} does not answer since reading {self._readings}: check its power "
                    "and network"
                )
            self._ramp()
            sparks = self._trip(faults.trip_channel, faults.trip_after_s)
            self._readings += 1
            return self._measure(sparks)

    def ensure_stopped(self) -> None:
        """Close the connection; voltages stay."""
        with self._lock:
            self._is_connected = False

    def _require_connection(self) -> None:
        if not self._is_connected:
            raise DeviceError(f"{self._name} is not connected: call ensure_ready first")

    def _targets(self) -> npt.NDArray[np.float64]:
        return np.where(self._is_on & ~self._is_tripped, self._demand, 0.0)

    def _ramp(self) -> None:
        """Let voltages move by as much as the time since the last look allows."""
        now_s = self._now()
        passed_s, self._updated_s = max(now_s - self._updated_s, 0.0), now_s
        up = np.array([channel.up_v_per_s for channel in _CHANNELS]) * passed_s
        down = np.array([channel.down_v_per_s for channel in _CHANNELS]) * passed_s
        self._voltage += np.clip(self._targets() - self._voltage, -down, up)

    def _trip(self, channel: int | None, after_s: float) -> npt.NDArray[np.float64]:
        """Trip the channel that shall; return the currents of sparks, (channels,) [uA]."""
        sparks = np.zeros(len(_CHANNELS))
        if channel is None or channel >= len(_CHANNELS) or self._now() - self._ready_s < after_s:
            return sparks
        self._spent_faults.add("trip_channel")
        self._is_tripped[channel] = True
        self._voltage[channel] *= 0.2  # a spark discharges it at once
        sparks[channel] = 10.0
        return sparks

    def _measure(self, sparks_ua: npt.NDArray[np.float64]) -> HighVoltageReading:
        random = stream(self._options.settled_seed, "high voltage", self._readings)
        targets = self._targets()
        nominal = np.array([max(channel.demand_v, 1.0) for channel in _CHANNELS])
        load = np.array([channel.current_ua for channel in _CHANNELS]) * self._voltage / nominal
        status = np.where(self._is_on & ~self._is_tripped, STATUS_ON, 0)
        status |= np.where(self._voltage < targets - 0.1, STATUS_RAMPS_UP, 0)
        status |= np.where(self._voltage > targets + 0.1, STATUS_RAMPS_DOWN, 0)
        status |= np.where(self._is_tripped, STATUS_TRIPPED, 0)
        status |= np.where(sparks_ua > 0, STATUS_OVER_CURRENT, 0)
        count = len(_CHANNELS)
        measured = self._voltage + random.normal(0.0, 0.15, count) * (self._voltage > 1.0)
        return HighVoltageReading(
            demand_v=self._demand.astype(np.float32),
            measured_v=measured.astype(np.float32),
            current=(load + sparks_ua + random.normal(0.0, 0.003, count)).astype(np.float32),
            status=status.astype(np.uint32),
            temperature_c=(31.0 + random.normal(0.0, 0.3, count)).astype(np.float32),
        )
