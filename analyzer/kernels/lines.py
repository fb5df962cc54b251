"""Straight lines in a cluster: seek them, put them in their place, measure how far they run.

Points are macro-pixels, by their distances from the cluster's middle. A line is a row of eight
numbers, `LINE_X` and so on: a point of it, its direction, from where to where it runs along, half
its width, and its light.
"""

import math

import numpy as np
from numba import njit

from analyzer.kernels.arrays import F64, I64

LINE_X, LINE_Y, LINE_COSINE, LINE_SINE, LINE_LOW, LINE_HIGH, LINE_WIDTH, LINE_LIGHT = range(8)

ANGLES = 180
"""Directions that are tried."""

MAX_WEIGHT = 3.0
"""A macro-pixel counts as its light, up to so many times the median: a bright spot is no line."""

HALF_WIDTH = 3.0
"""Macro-pixels up to this far from a line may belong to it."""

MAX_GAP = 4
"""Dark places that do not end a line [macro-pixels]."""

MAX_WIDTH = 16
"""Largest half width of a line [macro-pixels]."""


@njit(nogil=True, cache=True)
def seek_line(y: F64, x: F64, weight: I64, band: int, is_free: I64, line: F64) -> int:
    """Find the line with most weight of free points near it, in bins of one macro-pixel.

    :param band: bins to either side of a line that are near, 1 or 2.
    :returns: how many free points are within two bins.
    """
    n = y.shape[0]
    reach = 0.0
    for i in range(n):
        reach = max(reach, math.hypot(x[i], y[i]))
    offset = int(reach) + 4
    weights = np.zeros(2 * offset + 2, np.int64)
    counts = np.zeros(2 * offset + 2, np.int64)
    best = 0
    count = 0
    for step in range(ANGLES):
        angle = math.pi * step / ANGLES
        cosine = math.cos(angle)
        sine = math.sin(angle)
        weights[:] = 0
        counts[:] = 0
        for i in range(n):
            if is_free[i]:
                place = int(y[i] * cosine - x[i] * sine + offset + 0.5)
                weights[place] += weight[i]
                counts[place] += 1
        for place in range(2, 2 * offset):
            near = weights[place - band : place + band + 1].sum()
            if near > best:
                best = near
                count = counts[place - 2 : place + 3].sum()
                line[LINE_COSINE] = cosine
                line[LINE_SINE] = sine
                line[LINE_X] = -(place - offset) * sine
                line[LINE_Y] = (place - offset) * cosine
    return count


@njit(nogil=True, cache=True)
def refine_line(y: F64, x: F64, is_free: I64, line: F64, reach: float) -> None:
    """Put a line through the middle of the free points up to `reach` from it."""
    for _ in range(3):
        count = 0
        sx = 0.0
        sy = 0.0
        sxx = 0.0
        syy = 0.0
        sxy = 0.0
        for i in range(y.shape[0]):
            dx = x[i] - line[LINE_X]
            dy = y[i] - line[LINE_Y]
            if is_free[i] and abs(dy * line[LINE_COSINE] - dx * line[LINE_SINE]) <= reach:
                count += 1
                sx += x[i]
                sy += y[i]
                sxx += x[i] * x[i]
                syy += y[i] * y[i]
                sxy += x[i] * y[i]
        if count == 0:
            return
        mx = sx / count
        my = sy / count
        theta = 0.5 * math.atan2(
            2.0 * (sxy / count - mx * my), (sxx / count - mx * mx) - (syy / count - my * my)
        )
        line[LINE_X] = mx
        line[LINE_Y] = my
        line[LINE_COSINE] = math.cos(theta)
        line[LINE_SINE] = math.sin(theta)


@njit(nogil=True, cache=True)
def measure_run(y: F64, x: F64, chosen: I64, line: F64, length: int) -> None:
    """Measure from where to where a line runs without a gap, and half its width.

    A line is as wide as three quarters of its length are lit beside it. Only chosen points count.
    """
    n = y.shape[0]
    middle = length // 2
    lit = np.zeros(length, np.int64)
    for i in range(n):
        dx = x[i] - line[LINE_X]
        dy = y[i] - line[LINE_Y]
        across = abs(dy * line[LINE_COSINE] - dx * line[LINE_SINE])
        if chosen[i] and across <= HALF_WIDTH:
            along = dx * line[LINE_COSINE] + dy * line[LINE_SINE]
            lit[math.floor(along + 0.5) + middle] = 1
    best = 0
    begin = -1
    last = 0
    for place in range(length):
        if not lit[place]:
            continue
        if begin < 0 or place - last > MAX_GAP:
            begin = place
        last = place
        if last - begin >= best:
            best = last - begin
            line[LINE_LOW] = begin - middle
            line[LINE_HIGH] = last - middle
    beside = np.zeros(MAX_WIDTH + 1, np.int64)
    for i in range(n):
        dx = x[i] - line[LINE_X]
        dy = y[i] - line[LINE_Y]
        along = dx * line[LINE_COSINE] + dy * line[LINE_SINE]
        if chosen[i] and line[LINE_LOW] <= along <= line[LINE_HIGH]:
            across = abs(dy * line[LINE_COSINE] - dx * line[LINE_SINE])
            if across < MAX_WIDTH + 0.5:
                beside[int(across + 0.5)] += 1
    width = 1
    while width < MAX_WIDTH and beside[width] >= 1.5 * (line[LINE_HIGH] - line[LINE_LOW]):
        width += 1
    line[LINE_WIDTH] = max(HALF_WIDTH, width + 1.0)


@njit(nogil=True, cache=True)
def distance(y: float, x: float, line: F64) -> float:
    """Return how far a point is from where a line runs."""
    dx = x - line[LINE_X]
    dy = y - line[LINE_Y]
    along = dx * line[LINE_COSINE] + dy * line[LINE_SINE]
    beyond = max(0.0, max(line[LINE_LOW] - along, along - line[LINE_HIGH]))
    return math.hypot(beyond, dy * line[LINE_COSINE] - dx * line[LINE_SINE])


@njit(nogil=True, cache=True)
def explain(y: F64, x: F64, line: F64, is_free: I64) -> int:
    """Take the points of a line out of the free ones; return how many are left."""
    free = 0
    for i in range(y.shape[0]):
        if is_free[i]:
            if distance(y[i], x[i], line) <= line[LINE_WIDTH]:
                is_free[i] = 0
            else:
                free += 1
    return free
