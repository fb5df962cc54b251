"""The camera contract: what a driver promises, and the frame's own facts.

Four life-cycle hooks after ophyd-async's detectors (ADR 0015 there), plus `Camera.read_into`,
which a reader thread calls in a loop with the GIL released in the driver.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class CameraInfo:
    """What a camera is."""

    model: str
    serial_number: str
    rows: int
    columns: int
    bits: int = 16

    @property
    def frame_bytes(self) -> int:
        """Size of one raw frame: two bytes a pixel."""
        return 2 * self.rows * self.columns


@dataclass(frozen=True, slots=True)
class CameraConfig:
    """What the next acquisition shall be.

    :param exposure_s: exposure time [s].
    :param rate_hz: frames per second of a free-running camera; 0 is as fast as it can.
    :param trigger: "internal" (free-running) or "external" (sync-readout).
    :param run_number: of the coming run; a driver may use it for its own records only.
    :param options: what only this driver understands.
    """

    exposure_s: float = 0.3
    rate_hz: float = 0.0
    trigger: str = "internal"
    run_number: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)


class FrameInfo(NamedTuple):
    """Facts that come with one frame.

    :param counter: the camera's own cumulative frame number; gaps are lost frames. 32 bit, rolls
        over.
    :param exposure_start_ns: start of exposure on the camera's clock, whose zero is the start of
        acquisition [ns].
    :param exposure_end_ns: end of exposure on the same clock [ns].
    :param host_time_ns: when the host had the frame, since the epoch [ns].
    :param lost_before: frames that the driver knows were lost just before this one.
    """

    counter: int
    exposure_start_ns: int
    exposure_end_ns: int
    host_time_ns: int
    lost_before: int = 0


class Camera(Protocol):
    """One camera. Constructed as ``Driver(address, **options)``."""

    @property
    def info(self) -> CameraInfo:
        """Model, serial number and shape; valid after `ensure_ready`."""
        ...

    @property
    def sensor_temperature_c(self) -> float:
        """Sensor temperature [deg C]; may be asked while acquiring."""
        ...

    def ensure_ready(self, config: CameraConfig) -> None:
        """Connect if need be and set up the coming acquisition.

        :raises DeviceError: naming the camera, the value seen and the values allowed.
        """
        ...

    def start_acquiring(self) -> None:
        """Start exposures; the camera's clock and counter begin at zero."""
        ...

    def read_into(self, pixels: npt.NDArray[np.uint16], timeout_s: float) -> FrameInfo | None:
        """Wait for the next frame and write it to `pixels`, (rows, columns) uint16, row-major.

        :returns: None if no frame came in `timeout_s`; the reader then looks whether to go on.
        :raises DeviceError: if the camera is gone or says it failed.
        """
        ...

    def wait_for_idle(self, timeout_s: float) -> bool:
        """Stop new exposures; return True when those under way can be read or were read."""
        ...

    def ensure_stopped(self) -> None:
        """Stop at once, from any state. May be called twice and never raises."""
        ...
