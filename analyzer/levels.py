"""A pedestal made ready for the kernels, once a run."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from analyzer.kernels.detect import FULL, PART
from analyzer.kernels.residual import DEFECT, MAX_CLIP, MAX_LEVEL, SCALE
from analyzer.pedestal import Pedestal
from analyzer.settings import AnalyzerSettings
from analyzer.vignetting import Vignetting, load_vignetting


class Grid(NamedTuple):
    """What a pedestal says of macro-pixels, as ``find_lit`` takes it, which explains it.

    Not a type of the kernels' signatures: numba's cache on disk would keep its name, and fail to be
    read after a change of it.
    """

    full: float
    odd: npt.NDArray[np.int32]
    odd_scale: npt.NDArray[np.float32]
    significance: npt.NDArray[np.uint16]
    unit: npt.NDArray[np.float32]


@dataclass(frozen=True)
class Levels:
    """What the kernels need of a pedestal; all arrays are read-only, so threads may share it.

    :param level: (rows, columns) uint16, mean [1/32 ADU], ``DEFECT`` for pixels to ignore.
    :param noise: (rows, columns) float32, noise of each pixel [ADU].
    :param scale: (macro rows, macro columns) float32, 1 / (32 * good pixels), 0 without any.
    :param grid: what is known of the macro-pixels.
    :param clip: largest residual of a pixel without light [1/32 ADU].
    :param vignetting: what light is multiplied by for energies.
    """

    pedestal: Pedestal
    rebin: int
    level: npt.NDArray[np.uint16]
    noise: npt.NDArray[np.float32]
    scale: npt.NDArray[np.float32]
    grid: Grid
    clip: int
    vignetting: Vignetting

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the frames."""
        return self.level.shape[0], self.level.shape[1]

    @property
    def macro_shape(self) -> tuple[int, int]:
        """Rows and columns of the rebinned frames."""
        return self.scale.shape[0], self.scale.shape[1]


def prepare_levels(pedestal: Pedestal, settings: AnalyzerSettings) -> Levels:
    """Round a pedestal to 1/32 ADU and work out the noise of macro-pixels.

    :raises VignettingError: if the map that the settings name cannot be read or does not fit.

    >>> flat = np.full((8, 8), 2.4, np.float32)
    >>> pedestal = Pedestal(flat + 97.6, flat, np.zeros((8, 8), np.uint8), frames=100)
    >>> levels = prepare_levels(pedestal, AnalyzerSettings())
    >>> levels.macro_shape, int(levels.level[0, 0]), 1 / levels.scale[0, 0]
    ((2, 2), 3200, np.float32(512.0))
    """
    rebin = settings.rebin
    unknown = ~np.isfinite(pedestal.mean) | ~np.isfinite(pedestal.sigma)
    fixed = np.rint(np.where(unknown, 0, pedestal.mean) * SCALE)
    bad = (pedestal.defects != 0) | unknown | (fixed < 0) | (fixed > MAX_LEVEL)
    level = np.where(bad, DEFECT, fixed).astype(np.uint16)
    noise = np.where(bad, 0, pedestal.sigma).astype(np.float32)
    good = _macro_sum((~bad).astype(np.float64), rebin)
    variance = _macro_sum(noise.astype(np.float64) ** 2, rebin)
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = np.where(good > 0, 1 / (SCALE * good), 0).astype(np.float32)
        macro_variance = np.where(good > 0, variance / good**2, 0)
    noise_of_sum = np.sqrt(_box_sum(macro_variance))
    significance = np.divide(
        1, noise_of_sum, where=noise_of_sum > 0, out=np.zeros_like(noise_of_sum)
    ).astype(np.float32)
    known = pedestal.sigma[(pedestal.defects == 0) & ~unknown]
    typical = float(np.median(known)) if known.size else 0.0
    clip = min(MAX_CLIP, round(settings.clip_sigma * typical * SCALE))
    shape = (level.shape[0], level.shape[1])
    vignetting = load_vignetting(settings.vignetting_map, shape, rebin)
    grid = make_grid(scale, 1 / (SCALE * rebin**2), significance)
    levels = Levels(pedestal, rebin, level, noise, scale, grid, clip, vignetting)
    for array in (level, noise, scale, *grid[1:]):
        array.flags.writeable = False
    return levels


def make_grid(
    scale: npt.NDArray[np.float32], full: float, significance: npt.NDArray[np.float32]
) -> Grid:
    """Return what the search for lit macro-pixels needs to know of them.

    :param scale: (macro rows, macro columns) float32, `full` for those with all their pixels.

    >>> grid = make_grid(np.float32([[2, 0, 2], [2, 2, 2], [4, 2, 3]]), 2, np.ones((3, 3), "f4"))
    >>> grid.odd, grid.odd_scale
    (array([0, 1, 1, 3, 1, 0, 2], dtype=int32), array([0., 4., 3.], dtype=float32))
    >>> grid = make_grid(np.ones((1, 200), "f4"), 1, np.float32([np.arange(200)]))
    >>> grid.unit * FULL, grid.significance[0, [0, 1, 191, 192]]
    (array([[191., 199.]], dtype=float32), array([    0,   343, 65535, 63230], dtype=uint16))
    """
    rows, columns = np.nonzero(scale != np.float32(full))
    begins = np.searchsorted(rows, np.arange(len(scale) + 1))
    odd = np.concatenate([begins, columns]).astype(np.int32)
    starts = np.arange(0, significance.shape[1], PART)
    highest = np.maximum.reduceat(significance, starts, axis=1)
    unit = (highest / FULL).astype(np.float32)
    units = np.repeat(unit, PART, axis=1)[:, : significance.shape[1]]
    steps = np.divide(significance, units, where=units > 0, out=np.zeros_like(significance))
    return Grid(full, odd, scale[rows, columns], np.rint(steps).astype(np.uint16), unit)


def _macro_sum(values: npt.NDArray[np.float64], rebin: int) -> npt.NDArray[np.float64]:
    rows, columns = values.shape
    padded = np.pad(values, ((0, -rows % rebin), (0, -columns % rebin)))
    shape = (padded.shape[0] // rebin, rebin, padded.shape[1] // rebin, rebin)
    return np.asarray(padded.reshape(shape).sum(axis=(1, 3)))


def _box_sum(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    padded = np.pad(values, 1)
    rows, columns = values.shape
    parts = [padded[i : i + rows, j : j + columns] for i in range(3) for j in range(3)]
    return np.asarray(np.sum(parts, axis=0))
