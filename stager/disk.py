"""How full the data disk is, and how long it will do at the present rate."""

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from stager.discovery import FoundFile
from stager.settings import StagerSettings

_RATE_OVER_S: Final = 3600.0
"""The present rate is that of the last hour: one run more or less does not change it much."""


@dataclass(frozen=True)
class Disk:
    """The disk of the data folder.

    :param rate_bytes_s: what runs have brought to it, per second.
    """

    folder: Path
    total_bytes: int
    free_bytes: int
    rate_bytes_s: float

    @property
    def percent_full(self) -> float:
        """How full it is [%]."""
        return 100.0 * (1.0 - self.free_bytes / self.total_bytes) if self.total_bytes else 0.0

    @property
    def hours_left(self) -> float | None:
        """When it will be full at this rate [h], None if nothing comes."""
        return self.free_bytes / self.rate_bytes_s / 3600.0 if self.rate_bytes_s > 0 else None

    def trouble(self, settings: StagerSettings) -> str:
        """Return one line if it is nearly full, for an alarm; else nothing."""
        free_percent = 100.0 - self.percent_full
        hours = self.hours_left
        low = free_percent < settings.low_disk_percent
        soon = hours is not None and hours < settings.low_disk_hours
        if not low and not soon:
            return ""
        left = f", full in {hours:.1f} h at {self.rate_bytes_s / 1e6:.3g} MB/s" if hours else ""
        return (
            f"data disk {free_percent:.1f} % free{left}: {self.folder}; allowed: at least "
            f"{settings.low_disk_percent:g} % and {settings.low_disk_hours:g} h; make room, such as"
            " with cygno-stager prune"
        )


def look_at_disk(folder: Path, found: Sequence[FoundFile]) -> Disk:
    """Return how full the disk of a folder is.

    :param found: the files of runs that are there, which tell the rate.
    :raises OSError: if the folder is gone.
    """
    usage = shutil.disk_usage(folder)
    since_ns = time.time_ns() - int(_RATE_OVER_S * 1e9)
    recent = sum(file.size_bytes for file in found if file.mtime_ns >= since_ns)
    # As df has it: what only root may use counts for nobody.
    return Disk(folder, usage.used + usage.free, usage.free, recent / _RATE_OVER_S)
