"""The run that the logger is writing."""

import time
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from rawdata.runwriter import RunWriter
from sim.logger_channel import ChannelSettings, LoggerSettings, disk_level

NOTHING_YET = dict.fromkeys(
    ("Events written", "Bytes written", "Bytes written uncompressed", "Bytes written subrun"), 0.0
)
"""The statistics that begin anew with each run."""


@dataclass
class OpenRun:
    """Its settings, its file, what has come and why it must end."""

    number: int
    logger: LoggerSettings
    channel: ChannelSettings
    writer: RunWriter
    buffer: int
    """Handle of the event buffer, 0 when the client has left it."""
    request: int
    event_bytes: int
    """No event is larger."""
    bytes_before: float
    """Bytes written total, at begin of run."""
    began_at: float = field(default_factory=time.monotonic)
    dumps: int = 0
    received: int = 0
    dropped: int = 0
    failure: str = ""
    """Why the file cannot be written further."""
    into: npt.NDArray[np.uint8] | None = None
    """The writer's memory that the next event goes to."""
    pending: memoryview | None = None
    """An event that the writer had no room for; it comes before the next."""
    stop_reason: str = ""
    restart: bool = False
    """The run ends because of a limit, so that the next may begin."""

    def limit_reached(self) -> str:
        """Say which limit of the settings is reached, or nothing."""
        events, size = self.channel.event_limit, self.channel.byte_limit
        if 0 < events <= self.writer.events:
            return f"event limit of {events:.0f} reached"
        if 0 < size <= self.writer.bytes_file:
            return f"byte limit of {size:.0f} reached"
        if 0 < self.logger.run_duration_s <= time.monotonic() - self.began_at:
            return f"run duration of {self.logger.run_duration_s} s reached"
        return ""

    def statistics(self) -> dict[str, float]:
        """Return what mlogger tells of a channel.

        As there, the ODB dumps count as events; limits and messages leave them out.
        """
        written = float(self.writer.bytes_file)
        return {
            "Events written": float(self.writer.events + self.dumps),
            "Bytes written": written,
            "Bytes written uncompressed": float(self.writer.bytes_uncompressed),
            "Bytes written total": self.bytes_before + written,
            "Bytes written subrun": written,
            "Disk level": disk_level(self.writer.path.parent),
        }
