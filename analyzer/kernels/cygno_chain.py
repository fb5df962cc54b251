"""The steps of CYGNO's reconstruction from frame to points, each as it does them.

Sources: CYGNUS-RD/reconstruction, branch winter23: ``cameraChannel.py`` (pedsub, zsfullres,
acceptance, arrrebin), ``snakes.py`` (median filter, points and weights), ``cython_cygno.pyx``
(nred). Residuals are in steps of 1/32 ADU, as everywhere here; all else is the same to the bit.
"""

import numpy as np
from numba import njit

from analyzer.kernels.arrays import F32, F64, I32, U16
from analyzer.kernels.dbscan import SEED, WEIGHT
from analyzer.kernels.residual import DEFECT, SCALE

NOISY_ADU = 10.0
"""Macro-pixels that differ by more from the mean of their neighbours become that mean [ADU]."""
LEAST_LIT = 3
"""Lit macro-pixels of 3x3 that one needs to stay."""
BORDER = 2
"""Macro-pixels at each side of the frame that are left out."""


@njit(nogil=True, cache=True)
def suppress(
    frame: U16,
    level: U16,
    noise: F32,
    cimax: int,
    nsigma: float,
    xmin: int,
    xmax: int,
    ymin: int,
    ymax: int,
    kept: I32,
) -> None:
    """Subtract the pedestal and keep what is above `nsigma` times its noise, in the acceptance.

    :param frame: (rows, columns) uint16 [ADU].
    :param level: (rows, columns) uint16, pedestal mean [1/32 ADU] or `DEFECT`, which keeps nothing.
    :param noise: (rows, columns) float32 [ADU].
    :param cimax: pixels of at least this [ADU] are saturated and keep nothing.
    :param xmin: first column of the acceptance, `xmax` its end; `ymin` and `ymax` of the rows.
    :param kept: out, (rows, columns) int32, residual or 0 [1/32 ADU].
    """
    limit = np.float32(nsigma * SCALE)
    for row in range(frame.shape[0]):
        target = kept[row]
        if row < ymin or row >= ymax:
            target[:] = 0
            continue
        values, levels, sigmas = frame[row], level[row], noise[row]
        for column in range(frame.shape[1]):
            value = np.int32(values[column])
            pedestal = np.int32(levels[column])
            residual = np.int32(value * np.int32(SCALE) - pedestal)
            is_good = (pedestal != np.int32(DEFECT)) & (value < np.int32(cimax))
            is_lit = np.float32(residual) > limit * sigmas[column]
            target[column] = residual if is_good & is_lit else np.int32(0)
        target[:xmin] = 0
        target[xmax:] = 0


@njit(nogil=True, cache=True)
def filter_median(image: I32, filtered: I32) -> None:
    """Replace each pixel by the upper median of 2x2: it, and those to its left and above.

    That is ``scipy.ndimage.median_filter(size=2)``: the third smallest of four, the frame mirrored
    at its edges.

    :param image: (rows, columns) int32.
    :param filtered: out, the same shape.
    """
    for row in range(image.shape[0]):
        above, here, target = image[max(row - 1, 0)], image[row], filtered[row]
        for column in range(image.shape[1]):
            left = max(column - 1, 0)
            a, b = above[left], above[column]
            c, d = here[left], here[column]
            low = max(min(a, b), min(c, d))
            high = min(max(a, b), max(c, d))
            target[column] = max(low, high)


@njit(nogil=True, cache=True)
def rebin_mean(image: I32, rebin: int, means: F64) -> None:
    """Average `rebin` x `rebin` pixels; what is left at the right and below is left out.

    :param image: (rows, columns) int32 [1/32 ADU].
    :param means: out, (rows // rebin, columns // rebin) float64 [ADU].
    """
    for row in range(means.shape[0]):
        line = means[row]
        for column in range(means.shape[1]):
            total = np.int64(0)
            for y in range(row * rebin, (row + 1) * rebin):
                for x in range(column * rebin, (column + 1) * rebin):
                    total += image[y, x]
            line[column] = total / (SCALE * rebin * rebin)


@njit(nogil=True, cache=True)
def reduce_noise(means: F64, least: float) -> None:
    """Drop macro-pixels without light around.

    One after the other, column by column in each row: each sees what became of those before it.

    :param means: in and out, (rows, columns) float64 [ADU].
    :param least: least mean of the eight neighbours [ADU] (min_neighbors_average).
    """
    rows, columns = means.shape
    means[:BORDER] = 0.0
    means[max(rows - BORDER, 0) :] = 0.0
    means[:, :BORDER] = 0.0
    means[:, max(columns - BORDER, 0) :] = 0.0
    cut = np.float32(least)
    for row in range(1, rows - 2):
        for column in range(1, columns - 2):
            here = np.float32(means[row, column])
            total = np.float32(0.0)
            lit = 0
            for x in range(column - 1, column + 2):
                for y in range(row - 1, row + 2):
                    value = np.float32(means[y, x])
                    lit += int(value != np.float32(0.0))
                    if y != row or x != column:
                        total = np.float32(total + value)
            around = np.float32(np.float64(total) / 8.0)
            if abs(np.float32(here - around)) > np.float32(NOISY_ADU):
                means[row, column] = around
            if around < cut:
                means[row, column] = 0.0
            if lit < LEAST_LIT:
                means[row, column] = 0.0


@njit(nogil=True, cache=True)
def list_points(reduced: F64, means: F64, ys: I32, xs: I32, marks: U16) -> int:
    """List the points of clusters: what is left and not rounded to zero.

    :param reduced: (rows, columns) float64, what ``reduce_noise`` left [ADU].
    :param means: (rows, columns) float64, zero-suppressed but neither filtered nor reduced [ADU]:
        its whole part is a point's weight, at least 1.
    :param ys: out, rows of the points in the order of the raster; `xs` their columns.
    :param marks: out, uint16, their weight and `SEED`.
    :returns: number of points.
    """
    n = 0
    for row in range(reduced.shape[0]):
        for column in range(reduced.shape[1]):
            if np.rint(reduced[row, column]) != 0.0:
                weight = min(max(int(means[row, column]), 1), WEIGHT)
                marks[n] = np.uint16(weight) | np.uint16(SEED)
                ys[n] = row
                xs[n] = column
                n += 1
    return n
