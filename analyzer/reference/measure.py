"""Twin of `analyzer.kernels.measure`."""

import numpy as np
import numpy.typing as npt

from analyzer.kernels.arrays import F32, I32, I64, U16
from analyzer.kernels.pixels import NONE
from analyzer.kernels.residual import DEFECT, ROW_SQUARES, ROW_SUM, ROW_USED, SAMPLED, SCALE

Mask = npt.NDArray[np.bool_]


def to_pixels(macro: I32, rebin: int, shape: tuple[int, ...]) -> I32:
    """Return a map of macro-pixels as a map of pixels."""
    full = macro.repeat(rebin, axis=0).repeat(rebin, axis=1)
    return full[: shape[0], : shape[1]]


def exclude_clusters(
    frame: U16, level: U16, cimax: int, clip: int, rebin: int, labels: I32, rows: I64
) -> I64:
    """Return the row statistics without the pixels of clusters."""
    residual = frame.astype(np.int64) * SCALE - level
    inside = (level != DEFECT) & (frame < cimax) & (np.abs(residual) <= clip)
    inside &= to_pixels(labels, rebin, frame.shape) > 0
    kept = np.where(inside, residual, 0)
    rest = rows.copy()
    rest[:, ROW_USED] -= inside.sum(axis=1)
    rest[:, ROW_SUM] -= kept.sum(axis=1)
    step = SAMPLED * rebin
    rest[::step, ROW_SQUARES] -= (kept[::step] ** 2).sum(axis=1)
    return rest


def sum_clusters(
    residual: I64, noise: F32, nsigma: float, rebin: int, labels: I32, cores: I32
) -> I64:
    """Return the sums of each cluster, (clusters, 16); see the kernel.

    :param residual: (rows, columns) of all pixels, `NONE` where they take no part.
    :param labels: (macro rows, macro columns), with rim; `cores` is the same without.
    """
    valid = residual != NONE
    is_hit = (residual > nsigma * SCALE * noise.astype(np.float64)) & (noise > 0)
    whole = to_pixels(labels, rebin, residual.shape)
    core = to_pixels(cores, rebin, residual.shape)
    ys = np.arange(residual.shape[0])[:, np.newaxis] + np.zeros(residual.shape, np.int64)
    xs = np.arange(residual.shape[1])[np.newaxis, :] + np.zeros(residual.shape, np.int64)
    sums = []
    for label in range(1, int(labels.max(initial=0)) + 1):
        everything = valid & (whole == label)
        inner = valid & (core == label)
        light = residual[inner]
        x, y = xs[inner], ys[inner]
        box_y, box_x = np.nonzero(core == label)
        sums.append(
            [
                everything.sum(),
                (inner & is_hit).sum(),
                (cores == label).sum(),
                residual[everything].sum(),
                inner.sum(),
                light.sum(),
                (light**2).sum(),
                (light * x).sum(),
                (light * y).sum(),
                (light * x * x).sum(),
                (light * y * y).sum(),
                (light * x * y).sum(),
                box_x.min(),
                box_x.max(),
                box_y.min(),
                box_y.max(),
            ]
        )
    return np.array(sums, np.int64).reshape(-1, 16)
