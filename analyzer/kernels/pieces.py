"""Join the pieces of clusters: those that nearly touch, and those that lie in one line."""

import math

import numpy as np
from numba import njit

from analyzer.kernels.arrays import F64, I32
from analyzer.kernels.forest import root_of

COUNT, X, Y, COSINE, SINE, LOW, HIGH, LONG, WIDE, LIGHT = range(10)
"""Columns of axes; see `measure_axes`."""
N_AXES = 10

MIN_LENGTH, MIN_ELONGATION = 8.0, 2.0
"""A piece that is at least this long [macro-pixels], and so many times longer than wide, has a
direction."""

MAX_TURN = math.sin(0.2)
"""Pieces of one track differ less in direction than this [sine]."""

SIDE, SIDE_SLOPE = 2.0, 0.1
"""A piece ends within `SIDE` of the other's axis [macro-pixels], and `SIDE_SLOPE` for each of the
gap between them."""

ALIKE = 2.5
"""A piece without a direction has at most so many times more or less light in a macro-pixel than
the track to which it belongs."""


@njit(nogil=True, cache=True)
def join_near(labels: I32, ys: I32, xs: I32, n: int, link: int, clusters: int) -> None:
    """Give clusters with macro-pixels up to `link` apart the lowest of their labels.

    :param labels: in and out, (rows, columns) int32, from 1 to `clusters`, 0 elsewhere.
    :param ys: rows of `n` macro-pixels, labelled or not; `xs` their columns.
    :param link: largest difference of rows and columns [macro-pixels].
    """
    columns = labels.shape[1]
    parent = np.arange(clusters + 1)
    for index in range(n):
        row = ys[index]
        column = xs[index]
        if labels[row, column] == 0:
            continue
        mine = root_of(parent, labels[row, column])
        for other_row in range(max(0, row - link), row + 1):
            last = min(columns, column + link + 1) if other_row < row else column
            for other_column in range(max(0, column - link), last):
                there = labels[other_row, other_column]
                if there:
                    other = root_of(parent, there)
                    if other < mine:
                        parent[mine] = other
                        mine = other
                    elif mine < other:
                        parent[other] = mine
    for index in range(n):
        labels[ys[index], xs[index]] = root_of(parent, labels[ys[index], xs[index]])


@njit(nogil=True, cache=True)
def measure_axes(labels: I32, sums: I32, ys: I32, xs: I32, n: int, axes: F64) -> None:
    """Measure place, direction and extent of clusters, each macro-pixel counting the same.

    :param sums: (rows, columns) int32, light of macro-pixels.
    :param axes: out, (clusters, 10) float64: macro-pixels, mean column and row, cosine and sine of
        the main axis, lowest and highest place along it, rms along and across [macro-pixels], mean
        light of a macro-pixel.
    """
    axes[:] = 0.0
    moments = np.zeros((axes.shape[0], 5), np.int64)
    for index in range(n):
        y = np.int64(ys[index])
        x = np.int64(xs[index])
        k = labels[y, x] - 1
        axes[k, COUNT] += 1.0
        axes[k, LIGHT] += sums[y, x]
        moments[k, 0] += x
        moments[k, 1] += y
        moments[k, 2] += x * x
        moments[k, 3] += y * y
        moments[k, 4] += x * y
    for k in range(axes.shape[0]):
        count = max(axes[k, COUNT], 1.0)
        x = moments[k, 0] / count
        y = moments[k, 1] / count
        xx = moments[k, 2] / count - x * x
        yy = moments[k, 3] / count - y * y
        xy = moments[k, 4] / count - x * y
        theta = 0.5 * math.atan2(2.0 * xy, xx - yy)
        middle = 0.5 * (xx + yy)
        half = math.hypot(0.5 * (xx - yy), xy)
        axes[k, X] = x
        axes[k, Y] = y
        axes[k, COSINE] = math.cos(theta)
        axes[k, SINE] = math.sin(theta)
        axes[k, LOW] = np.inf
        axes[k, HIGH] = -np.inf
        axes[k, LONG] = math.sqrt(max(middle + half, 0.0))
        axes[k, WIDE] = math.sqrt(max(middle - half, 0.0))
        axes[k, LIGHT] /= count
    for index in range(n):
        axis = axes[labels[ys[index], xs[index]] - 1]
        along = (xs[index] - axis[X]) * axis[COSINE] + (ys[index] - axis[Y]) * axis[SINE]
        axis[LOW] = min(axis[LOW], along)
        axis[HIGH] = max(axis[HIGH], along)


@njit(nogil=True, cache=True)
def _are_in_line(one: F64, other: F64, max_gap: float) -> bool:
    """Tell whether two pieces lie in one line, end to end."""
    if abs(one[COSINE] * other[SINE] - one[SINE] * other[COSINE]) > MAX_TURN:
        return False
    for a, b in ((one, other), (other, one)):
        best = np.inf
        side = 0.0
        for end in (b[LOW], b[HIGH]):
            dx = b[X] + end * b[COSINE] - a[X]
            dy = b[Y] + end * b[SINE] - a[Y]
            along = dx * a[COSINE] + dy * a[SINE]
            gap = max(along - a[HIGH], a[LOW] - along)
            if gap < best:
                best = gap
                side = abs(dy * a[COSINE] - dx * a[SINE])
        # A negative gap means that they lie beside each other for a while.
        if best < -MIN_LENGTH or best > max_gap or side > SIDE + SIDE_SLOPE * max(best, 0.0):
            return False
    return True


@njit(nogil=True, cache=True)
def _belongs(piece: F64, track: F64, max_gap: float) -> bool:
    """Tell whether a piece without a direction lies at the end of a track, and is like it."""
    if max(piece[LIGHT], track[LIGHT]) > ALIKE * min(piece[LIGHT], track[LIGHT]):
        return False
    dx = piece[X] - track[X]
    dy = piece[Y] - track[Y]
    along = dx * track[COSINE] + dy * track[SINE]
    gap = max(along - track[HIGH], track[LOW] - along) - math.sqrt(piece[COUNT] / math.pi)
    side = abs(dy * track[COSINE] - dx * track[SINE])
    return 0.0 <= gap <= max_gap and side <= SIDE + SIDE_SLOPE * gap


@njit(nogil=True, cache=True)
def join_in_line(labels: I32, ys: I32, xs: I32, n: int, max_gap: int, axes: F64) -> int:
    """Give pieces that lie in one line, end to end, one label; number all clusters anew.

    Of two pieces with a direction each lies in the line of the other; one without lies at the end
    of one with, at most half of `max_gap` away.

    :param labels: in and out, (rows, columns) int32, from 1.
    :param ys: rows of the `n` labelled macro-pixels; `xs` their columns.
    :param max_gap: largest distance between the ends of two pieces [macro-pixels].
    :param axes: (clusters, 10) float64 of ``measure_axes``.
    :returns: number of clusters.
    """
    clusters = axes.shape[0]
    parent = np.arange(clusters)
    has_direction = np.zeros(clusters, np.bool_)
    for k in range(clusters):
        is_long = axes[k, HIGH] - axes[k, LOW] >= MIN_LENGTH
        has_direction[k] = is_long and axes[k, LONG] >= MIN_ELONGATION * axes[k, WIDE]
    for i in range(clusters):
        if not has_direction[i]:
            continue
        for j in range(clusters):
            if has_direction[j]:
                is_one = j < i and _are_in_line(axes[i], axes[j], max_gap)
            else:
                is_one = _belongs(axes[j], axes[i], 0.5 * max_gap)
            if is_one:
                one = root_of(parent, i)
                other = root_of(parent, j)
                parent[max(one, other)] = min(one, other)
    name = np.zeros(clusters, np.int32)
    found = 0
    for k in range(clusters):
        root = root_of(parent, k)
        if root == k:
            found += 1
            name[k] = found
        else:
            name[k] = name[root]
    if found < clusters:
        for index in range(n):
            labels[ys[index], xs[index]] = name[labels[ys[index], xs[index]] - 1]
    return found
