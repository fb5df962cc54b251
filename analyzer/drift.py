"""Drift of a camera's level against its pedestal, watched in what frames show where they are empty.

A pedestal drifts with the sensor's temperature and the amplifier's glow. Each frame gives the level
of its pixels without light, of the whole frame and of `TILES` x `TILES` parts of it; the mean over
frames says whether a new pedestal run is due, long before clusters suffer.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from analyzer.dtypes import TILES, EventFlag
from analyzer.pedestal import Pedestal

RECENT_FRAMES: Final = 50
"""Frames over which `DriftWatch.recent` looks."""

_UNUSABLE: Final = np.uint16(
    EventFlag.NO_CAMERA | EventFlag.BAD_FRAME | EventFlag.FAILED | EventFlag.SPARK
)


@dataclass(frozen=True)
class Drift:
    """How far a camera's frames are from their pedestal.

    :param frames: how many frames say so.
    :param level_adu: mean of pixels without light above the pedestal [ADU].
    :param noise_ratio: noise of pixels without light, over that of the pedestal.
    :param row_noise_adu: spread of the rows' common shift [ADU].
    :param tiles_adu: (TILES, TILES) level of each part of the frame [ADU], nan where it is lit.
    :param limit_adu: the setting Drift limit.
    """

    camera: int
    frames: int
    level_adu: float
    noise_ratio: float
    row_noise_adu: float
    tiles_adu: npt.NDArray[np.float64]
    limit_adu: float

    @property
    def worst_tile(self) -> tuple[int, int]:
        """Row and column of the part that is farthest from the pedestal."""
        distance = np.nan_to_num(np.abs(self.tiles_adu), nan=-1.0)
        row, column = np.unravel_index(int(distance.argmax()), distance.shape)
        return int(row), int(column)

    @property
    def worst_adu(self) -> float:
        """Level of the worst tile [ADU], nan if none is known."""
        return float(self.tiles_adu[self.worst_tile])

    @property
    def is_exceeded(self) -> bool:
        """Tell whether frame or worst tile is farther from the pedestal than the limit."""
        return exceeds(self.level_adu, self.tiles_adu, self.limit_adu)

    def summary(self) -> dict[str, Any]:
        """Return what is worth keeping of it, as JSON can hold it."""
        row, column = self.worst_tile
        return {
            "frames": self.frames,
            "level_adu": _rounded(self.level_adu),
            "worst_tile_adu": _rounded(self.worst_adu),
            "worst_tile": [row, column],
            "noise_ratio": _rounded(self.noise_ratio),
            "row_noise_adu": _rounded(self.row_noise_adu),
            "limit_adu": self.limit_adu,
            "exceeded": self.is_exceeded,
        }

    def __str__(self) -> str:
        """Return one line for people."""
        row, column = self.worst_tile
        text = (
            f"camera {self.camera}: level {self.level_adu:+.2f} ADU, worst part (row {row}, column "
            f"{column} of {TILES}x{TILES}) {self.worst_adu:+.2f} ADU, noise {self.noise_ratio:.2f} "
            f"of the pedestal's, in {self.frames} frames"
        )
        if self.is_exceeded:
            text += f"; more than {self.limit_adu} ADU (setting Drift limit): take a pedestal run"
        return text


def exceeds(level_adu: float, tiles_adu: npt.NDArray[Any], limit_adu: float) -> bool:
    """Tell whether a level or a tile is farther from the pedestal than the limit; 0: never."""
    if limit_adu <= 0:
        return False
    known = tiles_adu[np.isfinite(tiles_adu)]
    return abs(level_adu) > limit_adu or bool((np.abs(known) > limit_adu).any())


@dataclass
class _Sums:
    """What frames summed to; `used` counts the frames that know a tile."""

    frames: int = 0
    facts: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(3))
    tiles: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros((TILES, TILES)))
    used: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros((TILES, TILES), np.int64))

    def add(self, facts: npt.NDArray[np.float64], tiles: npt.NDArray[Any]) -> None:
        is_known = np.isfinite(tiles)
        self.frames += 1
        self.facts += facts
        self.tiles += np.where(is_known, tiles, 0.0)
        self.used += is_known


class DriftWatch:
    """Follows the drift of all cameras in a run, from the rows of its events.

    :param limit_adu: the setting Drift limit; 0: nothing is too much.
    """

    def __init__(self, limit_adu: float) -> None:
        self.limit_adu = limit_adu
        self._noise: dict[int, float] = {}
        self._run: dict[int, _Sums] = {}
        self._recent: dict[int, deque[tuple[npt.NDArray[np.float64], npt.NDArray[Any]]]] = {}

    def set_pedestal(self, camera: int, pedestal: Pedestal) -> None:
        """Say with what a camera's frames are compared."""
        self._noise[camera] = pedestal.rms_noise()

    def add(self, rows: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take note of an event's rows, datasets `events` and `tiles`."""
        tiles = rows.get("tiles")
        if tiles is None or not len(tiles):
            return
        events = rows["events"]
        for row in events[(events["flags"] & _UNUSABLE) == 0]:
            for part in tiles[tiles["camera"] == row["camera"]]:
                camera = int(row["camera"])
                facts = np.array([row["residual_mean"], row["noise"], row["row_noise"]], np.float64)
                self._run.setdefault(camera, _Sums()).add(facts, part["level"])
                recent = self._recent.setdefault(camera, deque(maxlen=RECENT_FRAMES))
                recent.append((facts, part["level"].copy()))

    def of_run(self) -> dict[int, Drift]:
        """Return the drift over all frames: camera -> drift."""
        return {camera: self._drift(camera, sums) for camera, sums in sorted(self._run.items())}

    def recent(self) -> dict[int, Drift]:
        """Return the drift over the last `RECENT_FRAMES` frames: camera -> drift."""
        drifts = {}
        for camera, frames in sorted(self._recent.items()):
            sums = _Sums()
            for facts, tiles in frames:
                sums.add(facts, tiles)
            drifts[camera] = self._drift(camera, sums)
        return drifts

    def _drift(self, camera: int, sums: _Sums) -> Drift:
        level, noise, row_noise = sums.facts / sums.frames
        usual = self._noise.get(camera, 0.0)
        tiles = np.where(sums.used > 0, sums.tiles / np.maximum(sums.used, 1), np.nan)
        return Drift(
            camera,
            sums.frames,
            float(level),
            float(noise) / usual if usual else float("nan"),
            float(row_noise),
            tiles,
            self.limit_adu,
        )


def _rounded(value: float) -> float | None:
    return round(value, 4) if np.isfinite(value) else None
