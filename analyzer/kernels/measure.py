"""Measure clusters on the pixels of the raw frame, in whole numbers."""

import numpy as np
from numba import njit

from analyzer.kernels.arrays import F32, F64, I32, I64, U16
from analyzer.kernels.frame import (
    DEFECT,
    MAX_CLIP,
    ROW_SQUARES,
    ROW_SUM,
    ROW_USED,
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
                        if row % rebin == 0:
                            rows[row, ROW_SQUARES] -= residual * residual


@njit(nogil=True, cache=True)
def sum_clusters(
    frame: U16,
    level: U16,
    noise: F32,
    shift: I64,
    cimax: int,
    nsigma: float,
    rebin: int,
    labels: I32,
    ys: I32,
    xs: I32,
    n_core: int,
    n: int,
    sums: I64,
) -> None:
    """Sum over the pixels of each cluster.

    Residuals are in 1/32 ADU, without the shift of their row; coordinates in pixels. The sums
    from `CORE_SIZE` on leave out the rim.

    :param frame: (rows, columns) uint16 [ADU].
    :param level: (rows, columns) uint16, pedestal mean [1/32 ADU] or `DEFECT`.
    :param noise: (rows, columns) float32, noise of each pixel [ADU].
    :param shift: (rows,) int64, common shift of each row [1/32 ADU].
    :param nsigma: a pixel is a hit if its residual is above `nsigma` times its noise.
    :param labels: (macro rows, macro columns) int32, from 1.
    :param ys: rows of `n` labelled macro-pixels, the first `n_core` of them without rim.
    :param sums: in and out, (clusters, `N_SUMS`) int64, of zeros: number of pixels, hits,
        macro-pixels, residuals; then without rim: pixels, residuals, their squares, x, y, xx, yy,
        xy weighted with the residual, and the range of x and y.
    """
    threshold = nsigma * SCALE
    for index in range(n):
        target = sums[labels[ys[index], xs[index]] - 1]
        is_core = index < n_core
        y0 = ys[index] * rebin
        x0 = xs[index] * rebin
        y1 = min(y0 + rebin, frame.shape[0])
        x1 = min(x0 + rebin, frame.shape[1])
        if is_core:
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
        for y in range(y0, y1):
            row_shift = shift[y]
            for x in range(x0, x1):
                value = np.int64(frame[y, x])
                pedestal = np.int64(level[y, x])
                if pedestal == DEFECT or value >= cimax:
                    continue
                residual = value * SCALE - pedestal - row_shift
                target[SIZE] += 1
                target[LIGHT] += residual
                if is_core:
                    target[HITS] += np.int64(residual > threshold * noise[y, x])
                    target[CORE_SIZE] += 1
                    target[CORE_LIGHT] += residual
                    target[CORE_SQUARES] += residual * residual
                    target[SUM_X] += residual * x
                    target[SUM_Y] += residual * y
                    target[SUM_XX] += residual * x * x
                    target[SUM_YY] += residual * y * y
                    target[SUM_XY] += residual * x * y


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
