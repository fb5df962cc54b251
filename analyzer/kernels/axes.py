"""Main axes of clusters, from their sums."""

import math

from numba import njit

from analyzer.kernels.arrays import F64, I64
from analyzer.kernels.measure import (
    CORE_LIGHT,
    SUM_X,
    SUM_XX,
    SUM_XY,
    SUM_Y,
    SUM_YY,
    X_MAX,
    X_MIN,
    Y_MAX,
    Y_MIN,
)

X, Y, THETA, LONG_RMS, LAT_RMS = range(5)
"""Rows of the axes; see `find_axes`."""
N_AXES = 5


@njit(nogil=True, cache=True)
def find_axes(sums: I64, axes: F64) -> None:
    """Find centre and main axis of clusters.

    :param sums: (clusters, N_SUMS) int64 of ``sum_clusters``.
    :param axes: out, (N_AXES, clusters) float64: mean x and mean y [pixel], angle of the main axis
        [rad] in (-pi/2, pi/2], rms along and across it [pixel]. A cluster whose light sums to
        nothing has the middle of its box and no extent.
    """
    for k in range(sums.shape[0]):
        row = sums[k]
        light = float(row[CORE_LIGHT])
        x = (row[X_MIN] + row[X_MAX]) / 2
        y = (row[Y_MIN] + row[Y_MAX]) / 2
        xx = yy = xy = 0.0
        if light > 0.0:
            x = row[SUM_X] / light
            y = row[SUM_Y] / light
            xx = row[SUM_XX] / light - x * x
            yy = row[SUM_YY] / light - y * y
            xy = row[SUM_XY] / light - x * y
        middle = (xx + yy) / 2
        half = math.hypot((xx - yy) / 2, xy)
        axes[X, k] = x
        axes[Y, k] = y
        axes[THETA, k] = 0.5 * math.atan2(2 * xy, xx - yy)
        axes[LONG_RMS, k] = math.sqrt(max(middle + half, 0.0))
        axes[LAT_RMS, k] = math.sqrt(max(middle - half, 0.0))
