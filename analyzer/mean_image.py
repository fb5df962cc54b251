"""The mean image of a run, in cells of some 8x8 pixels, with its defects.

Each thread sums the macro-pixels of its own frames, in whole numbers, so that the sum of all
threads is the same for any number of them. Sparks are left out: one would outshine the run.
"""

from collections.abc import Iterable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from analyzer.dtypes import MEAN_IMAGE
from analyzer.kernels.frame import SCALE
from analyzer.kernels.mean_image import add_to_cells
from analyzer.levels import Levels

MAX_CELLS: Final = 288
"""Most cells on a side: 8x8 pixels each for a Fusion frame."""


class MeanImage:
    """Sums frames of one camera.

    :param levels: the camera's pedestal.
    """

    def __init__(self, levels: Levels) -> None:
        self.levels = levels
        self.frames = 0
        self.factor = -(-max(levels.macro_shape) // MAX_CELLS)
        rows, columns = (-(-side // self.factor) for side in levels.macro_shape)
        self.cells = np.zeros((rows, columns), np.int64)

    def add(self, sums: npt.NDArray[np.int32]) -> None:
        """Add a frame: (macro rows, macro columns) int32, sums of its pixels [1/32 ADU]."""
        add_to_cells(sums, self.factor, self.cells)
        self.frames += 1

    def merge(self, other: "MeanImage") -> None:
        """Add the frames of another of the same camera."""
        self.cells += other.cells
        self.frames += other.frames

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
        rows["defects"] = _cell_sums((levels.pedestal.defects != 0).astype(np.int64), side)
        return rows.reshape(-1)


def merged_rows(parts: Iterable[tuple[int, MeanImage]]) -> npt.NDArray[Any]:
    """Return the rows of all cameras from what the threads summed: (camera, image)."""
    images: dict[int, MeanImage] = {}
    for camera, part in parts:
        images.setdefault(camera, MeanImage(part.levels)).merge(part)
    rows = [image.rows(camera) for camera, image in sorted(images.items())]
    return np.concatenate([np.zeros(0, MEAN_IMAGE), *rows])


def _cell_sums(values: npt.NDArray[Any], side: int) -> npt.NDArray[Any]:
    rows, columns = values.shape
    padded = np.pad(values, ((0, -rows % side), (0, -columns % side)))
    shape = (padded.shape[0] // side, side, padded.shape[1] // side, side)
    return np.asarray(padded.reshape(shape).sum(axis=(1, 3)))
