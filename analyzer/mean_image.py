"""The mean image of a run, in cells of some 8x8 pixels, with defects and pixels that turned hot.

Each thread sums the macro-pixels of its own frames, in whole numbers, so that the sum of all
threads is the same for any number of them. Sparks are left out: one would outshine the run.

A pixel that turns hot after the pedestal run makes its macro-pixel stand out of those beside it, by
`Hot pixel` or more, in frame after frame, and of none else; light reaches into those beside it.
"""

from collections.abc import Iterable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from analyzer.dtypes import MEAN_IMAGE
from analyzer.kernels.hot import count_spikes
from analyzer.kernels.mean_image import add_to_cells
from analyzer.kernels.residual import SCALE
from analyzer.levels import Levels

MAX_CELLS: Final = 288
"""Most cells on a side: 8x8 pixels each for a Fusion frame."""


LOOK_EVERY: Final = 8
"""Frames of whose serial numbers one is searched for pixels that turned hot: it takes 0.06 ms."""

HOT_PART: Final = 0.2
"""A macro-pixel is hot if it stands out in that part of the frames that were searched,"""
LEAST_HOT: Final = 3
"""and in so many of them; chance makes that in none of 330,000, of 5e-6 each in a frame."""


class MeanImage:
    """Sums frames of one camera.

    :param levels: the camera's pedestal.
    :param hot_adu: the setting Hot pixel.
    """

    def __init__(self, levels: Levels, hot_adu: float) -> None:
        self.levels = levels
        self.frames = 0
        self.searched = 0
        self.hot_adu = hot_adu
        self.spikes = np.zeros(levels.macro_shape, np.uint16)
        self.factor = -(-max(levels.macro_shape) // MAX_CELLS)
        rows, columns = (-(-side // self.factor) for side in levels.macro_shape)
        self.cells = np.zeros((rows, columns), np.int64)

    def add(self, sums: npt.NDArray[np.int32], serial: int) -> None:
        """Add a frame.

        :param sums: (macro rows, macro columns) int32, sums of its pixels [1/32 ADU].
        :param serial: number of its event, which says whether it is searched for hot pixels.
        """
        add_to_cells(sums, self.factor, self.cells)
        self.frames += 1
        if serial % LOOK_EVERY == 0 and self.searched < np.iinfo(np.uint16).max:
            count_spikes(sums, round(self.hot_adu * SCALE), self.spikes)
            self.searched += 1

    def merge(self, other: "MeanImage") -> None:
        """Add the frames of another of the same camera."""
        self.cells += other.cells
        self.frames += other.frames
        self.spikes += other.spikes
        self.searched += other.searched

    def hot(self) -> npt.NDArray[np.bool_]:
        """Tell which macro-pixels hold pixels that turned hot."""
        least = max(LEAST_HOT, int(np.ceil(HOT_PART * self.searched)))
        return np.asarray(self.spikes >= least)

    def rows(self, camera: int) -> npt.NDArray[Any]:
        """Return rows of `MEAN_IMAGE`, one a cell."""
        levels, factor = self.levels, self.factor
        scale = levels.scale.astype(np.float64)
        good = np.divide(1, SCALE * scale, out=np.zeros_like(scale), where=scale > 0)
        pixels = _cell_sums(np.rint(good), factor)
        norm = SCALE * pixels * max(self.frames, 1)
        light = np.divide(self.cells, norm, out=np.full(pixels.shape, np.nan), where=pixels > 0)
        side = factor * levels.rebin
        rows = np.zeros(self.cells.shape, MEAN_IMAGE)
        rows["camera"] = camera
        rows["y"] = side * np.arange(rows.shape[0])[:, np.newaxis]
        rows["x"] = side * np.arange(rows.shape[1])
        rows["light"] = light
        rows["hot"] = _cell_sums(self.hot().astype(np.int64), factor)
        rows["defects"] = _cell_sums((levels.pedestal.defects != 0).astype(np.int64), side)
        return rows.reshape(-1)


def merged_rows(parts: Iterable[tuple[int, MeanImage]]) -> npt.NDArray[Any]:
    """Return the rows of all cameras from what the threads summed: (camera, image)."""
    images: dict[int, MeanImage] = {}
    for camera, part in parts:
        image = images.setdefault(camera, MeanImage(part.levels, part.hot_adu))
        image.merge(part)
    rows = [image.rows(camera) for camera, image in sorted(images.items())]
    return np.concatenate([np.zeros(0, MEAN_IMAGE), *rows])


def _cell_sums(values: npt.NDArray[Any], side: int) -> npt.NDArray[Any]:
    rows, columns = values.shape
    padded = np.pad(values, ((0, -rows % side), (0, -columns % side)))
    shape = (padded.shape[0] // side, side, padded.shape[1] // side, side)
    return np.asarray(padded.reshape(shape).sum(axis=(1, 3)))
