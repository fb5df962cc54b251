"""Weighted DBSCAN of lit macro-pixels, on the grid they lie on.

The distance of two macro-pixels is the larger of those of their rows and columns, or the sum of the
two, as CYGNO has it. Labels are those of ``sklearn.cluster.DBSCAN(eps, min_samples, metric)``, with
metric ``chebyshev`` or ``cityblock`` and the weights as sample weights, but count from 1; 0 is
noise. Since points lie on a grid, a window around each gives its neighbours, and the time is
proportional to the number of points.
"""

import numpy as np
from numba import njit

from analyzer.kernels.arrays import I32, U16
from analyzer.kernels.forest import root_of

SEED = 0x8000
"""Bit of a mark: a cluster may start here. The other bits are the weight."""

WEIGHT = 0x7FFF
"""Bits of a mark that are the weight."""


@njit(nogil=True, cache=True, inline="always")
def _reach(eps: int, rows: int, is_cityblock: bool) -> int:
    """Return how far a neighbourhood reaches along a row that is so many rows away."""
    return eps - abs(rows) if is_cityblock else eps


@njit(nogil=True, cache=True)
def _sum_weights(mark: U16, row: int, column: int, eps: int, is_cityblock: bool) -> int:
    total = 0
    for other in range(max(0, row - eps), min(mark.shape[0], row + eps + 1)):
        reach = _reach(eps, other - row, is_cityblock)
        for place in range(max(0, column - reach), min(mark.shape[1], column + reach + 1)):
            total += mark[other, place] & WEIGHT
    return total


@njit(nogil=True, cache=True)
def dbscan(
    mark: U16,
    ys: I32,
    xs: I32,
    n: int,
    eps: int,
    min_samples: int,
    labels: I32,
    weights: I32,
    is_cityblock: bool = False,
) -> int:
    """Label lit macro-pixels.

    A macro-pixel whose neighbours up to `eps` away, itself among them, have together a weight of
    at least `min_samples` is a core. Cores within `eps` of each other are one cluster; others that
    are near a core belong to its cluster, to the lowest if there are more. Clusters are numbered
    from 1 as their first cores come in the raster.

    :param mark: (rows, columns) uint16, 0 where dark.
    :param ys: rows of the `n` lit macro-pixels, in the order of the raster; `xs` their columns.
    :param labels: in and out, (rows, columns) int32, of zeros; then the labels.
    :param weights: out, sum of weights around each of the `n` lit macro-pixels.
    :param is_cityblock: distances are sums of rows and columns, not the larger of the two.
    :returns: number of clusters.
    """
    columns = mark.shape[1]
    parent = np.arange(n)
    for index in range(n):
        weights[index] = _sum_weights(mark, ys[index], xs[index], eps, is_cityblock)
        if weights[index] >= min_samples:
            labels[ys[index], xs[index]] = index + 1
    for index in range(n):
        if weights[index] < min_samples:
            continue
        row = ys[index]
        column = xs[index]
        mine = root_of(parent, index)
        for other_row in range(max(0, row - eps), row + 1):
            reach = _reach(eps, other_row - row, is_cityblock)
            last = min(columns, column + reach + 1) if other_row < row else column
            for other_column in range(max(0, column - reach), last):
                there = labels[other_row, other_column]
                if there:
                    other = root_of(parent, there - 1)
                    if other < mine:
                        parent[mine] = other
                        mine = other
                    elif mine < other:
                        parent[other] = mine
    clusters = 0
    name = np.zeros(n, np.int32)
    for index in range(n):  # a root is the first core of its cluster, so names follow the raster
        if weights[index] >= min_samples:
            root = root_of(parent, index)
            if root == index:
                clusters += 1
                name[index] = clusters
            else:
                name[index] = name[root]
    for index in range(n):
        if weights[index] >= min_samples:
            continue
        lowest = 0
        for other_row in range(max(0, ys[index] - eps), min(mark.shape[0], ys[index] + eps + 1)):
            reach = _reach(eps, other_row - ys[index], is_cityblock)
            first = max(0, xs[index] - reach)
            for other_column in range(first, min(columns, xs[index] + reach + 1)):
                there = labels[other_row, other_column]
                if there > 0 and (lowest == 0 or name[there - 1] < lowest):
                    lowest = name[there - 1]
        name[index] = lowest
    for index in range(n):
        labels[ys[index], xs[index]] = name[index]
    return clusters


@njit(nogil=True, cache=True)
def keep_clusters(
    mark: U16,
    ys: I32,
    xs: I32,
    n: int,
    weights: I32,
    seed_weight: int,
    min_size: int,
    max_clusters: int,
    clusters: int,
    labels: I32,
) -> tuple[int, int, bool]:
    """Drop clusters without a seed, and those that are too small or too many; number the rest anew.

    A seed has the bit `SEED` in its mark, and at least `seed_weight` around it.

    :param ys: in and out, rows of the `n` lit macro-pixels, then of those that keep a label; `xs`
        their columns.
    :param weights: sums of weights of ``dbscan``.
    :param labels: in and out, (rows, columns) int32.
    :returns: (clusters, labelled macro-pixels, whether clusters were dropped for their number).
    """
    size = np.zeros(clusters + 1, np.int32)
    seeds = np.zeros(clusters + 1, np.int32)
    for index in range(n):
        label = labels[ys[index], xs[index]]
        size[label] += 1
        if weights[index] >= seed_weight and mark[ys[index], xs[index]] & SEED:
            seeds[label] += 1
    name = np.zeros(clusters + 1, np.int32)
    found = 0
    dropped = False
    for label in range(1, clusters + 1):
        if seeds[label] and size[label] >= min_size:
            if found == max_clusters:
                dropped = True
            else:
                found += 1
                name[label] = found
    kept = 0
    for index in range(n):
        row = ys[index]
        column = xs[index]
        label = name[labels[row, column]]
        labels[row, column] = label
        if label:
            ys[kept] = row
            xs[kept] = column
            kept += 1
    return found, kept, dropped


@njit(nogil=True, cache=True)
def clear_labels(labels: I32, ys: I32, xs: I32, n: int) -> None:
    """Set the labels of `n` macro-pixels to zero again."""
    for index in range(n):
        labels[ys[index], xs[index]] = 0
