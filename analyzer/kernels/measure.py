"""Measure clusters on the pixels of the raw frame, in whole numbers."""

import numpy as np
from numba import njit

from analyzer.kernels.arrays import F32, F64, I32, I64, U16
from analyzer.kernels.pixels import NONE
from analyzer.kernels.residual import (
    DEFECT,
    MAX_CLIP,
    ROW_SQUARES,
    ROW_SUM,
    ROW_USED,
    SAMPLED,
    SCALE,
)

(
    SIZE,
    HITS,
    MACRO,
    LIGHT,
    CORE_SIZE,
    CORE_LIGHT,
    CORE_SQUARES,
    SUM_X,
    SUM_Y,
    SUM_XX,
    SUM_YY,
    SUM_XY,
    X_MIN,
    X_MAX,
    Y_MIN,
    Y_MAX,
) = range(16)
"""Columns of the cluster sums; see `sum_clusters`."""
N_SUMS = 16


@njit(nogil=True, cache=True)
def exclude_clusters(
    frame: U16, level: U16, cimax: int, clip: int, rebin: int, ys: I32, xs: I32, n: int, rows: I64
) -> None:
    """Take the pixels of clusters out of the clipped statistics of their rows.

    :param frame: (rows, columns) uint16 [ADU]; `level`, `cimax`, `clip`, `rebin` as they were
        given to ``rebin_frame``.
    :param ys: rows of the `n` macro-pixels of clusters; `xs` their columns.
    :param rows: in and out, the row statistics of ``rebin_frame``.
    """
    high = min(clip, MAX_CLIP)
    for index in range(n):
        first = xs[index] * rebin
        for row in range(ys[index] * rebin, min((ys[index] + 1) * rebin, frame.shape[0])):
            for column in range(first, min(first + rebin, frame.shape[1])):
                value = np.int64(frame[row, column])
                pedestal = np.int64(level[row, column])
                if pedestal != DEFECT and value < cimax:
                    residual = value * SCALE - pedestal
                    if -high <= residual <= high:
                        rows[row, ROW_USED] -= 1
                        rows[row, ROW_SUM] -= residual
                        if row % (SAMPLED * rebin) == 0:
                            rows[row, ROW_SQUARES] -= residual * residual


@njit(nogil=True, cache=True)
def sum_clusters(
    residuals: I32,
    noise: F32,
    nsigma: float,
    labels: I32,
    ys: I32,
    xs: I32,
    n_core: int,
    sums: I64,
) -> None:
    """Sum over the pixels of each cluster.

    Coordinates are in pixels. The sums from `CORE_SIZE` on leave out the rim.

    :param residuals: (macro-pixels, rebin, rebin) int32 of ``gather_residuals`` [1/32 ADU].
    :param noise: (rows, columns) float32, noise of each pixel [ADU], 0 of defects.
    :param nsigma: a pixel is a hit if its residual is above `nsigma` times its noise.
    :param labels: (macro rows, macro columns) int32, from 1.
    :param ys: rows of the macro-pixels, the first `n_core` of them without rim; `xs` their columns.
    :param sums: in and out, (clusters, `N_SUMS`) int64, of zeros: number of pixels, hits,
        macro-pixels, residuals; then without rim: pixels, residuals, their squares, x, y, xx, yy,
        xy weighted with the residual, and the range of x and y.
    """
    threshold = nsigma * SCALE
    rebin = residuals.shape[1]
    for index in range(residuals.shape[0]):
        target = sums[labels[ys[index], xs[index]] - 1]
        y0 = np.int64(ys[index]) * rebin
        x0 = np.int64(xs[index]) * rebin
        size = 0
        light = 0
        for y in range(rebin):
            for x in range(rebin):
                if residuals[index, y, x] != NONE:
                    size += 1
                    light += residuals[index, y, x]
        target[SIZE] += size
        target[LIGHT] += light
        if index >= n_core:
            continue
        x1 = min(x0 + rebin, noise.shape[1])
        y1 = min(y0 + rebin, noise.shape[0])
        if target[MACRO] == 0:
            target[X_MIN] = x0
            target[X_MAX] = x1 - 1
            target[Y_MIN] = y0
            target[Y_MAX] = y1 - 1
        target[MACRO] += 1
        target[X_MIN] = min(target[X_MIN], x0)
        target[X_MAX] = max(target[X_MAX], x1 - 1)
        target[Y_MIN] = min(target[Y_MIN], y0)
        target[Y_MAX] = max(target[Y_MAX], y1 - 1)
        target[CORE_SIZE] += size
        target[CORE_LIGHT] += light
        # Moments about the corner of the macro-pixel, then moved to the corner of the frame.
        mx = 0
        my = 0
        mxx = 0
        myy = 0
        mxy = 0
        squares = 0
        hits = 0
        for y in range(rebin):
            for x in range(rebin):
                residual = int(residuals[index, y, x])
                if residual == NONE:
                    continue
                sigma = noise[y0 + y, x0 + x]
                hits += int((residual > threshold * sigma) & (sigma > 0))
                squares += residual * residual
                mx += residual * x
                my += residual * y
                mxx += residual * x * x
                myy += residual * y * y
                mxy += residual * x * y
        target[HITS] += hits
        target[CORE_SQUARES] += squares
        target[SUM_X] += mx + x0 * light
        target[SUM_Y] += my + y0 * light
        target[SUM_XX] += mxx + 2 * x0 * mx + x0 * x0 * light
        target[SUM_YY] += myy + 2 * y0 * my + y0 * y0 * light
        target[SUM_XY] += mxy + x0 * my + y0 * mx + x0 * y0 * light


@njit(nogil=True, cache=True)
def extend_along_axes(
    labels: I32,
    ys: I32,
    xs: I32,
    n_core: int,
    rebin: int,
    centre_x: F64,
    centre_y: F64,
    theta: F64,
    extent: F64,
) -> None:
    """Find how far each cluster reaches along and across its main axis.

    :param centre_x: (clusters,) float64 [pixel]; `centre_y` likewise, `theta` [rad].
    :param extent: out, (clusters, 4) float64: lowest and highest coordinate along the axis, then
        across it, of the middles of the macro-pixels without rim, from the centre [pixel].
    """
    extent[:, 0] = np.inf
    extent[:, 1] = -np.inf
    extent[:, 2] = np.inf
    extent[:, 3] = -np.inf
    half = 0.5 * (rebin - 1)
    for index in range(n_core):
        k = labels[ys[index], xs[index]] - 1
        dx = xs[index] * rebin + half - centre_x[k]
        dy = ys[index] * rebin + half - centre_y[k]
        cosine = np.cos(theta[k])
        sine = np.sin(theta[k])
        along = dx * cosine + dy * sine
        across = dy * cosine - dx * sine
        extent[k, 0] = min(extent[k, 0], along)
        extent[k, 1] = max(extent[k, 1], along)
        extent[k, 2] = min(extent[k, 2], across)
        extent[k, 3] = max(extent[k, 3], across)
