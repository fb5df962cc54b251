"""Weighted DBSCAN of lit macro-pixels, on the grid they lie on.

The distance of two macro-pixels is the larger of those of their rows and columns, or the sum of the
two, as CYGNO has it. Labels are those of ``sklearn.cluster.DBSCAN(eps, min_samples, metric)``, with
metric ``chebyshev`` or ``cityblock`` and the weights as sample weights, but count from 1; 0 is
noise. Points come in the order of the raster, so those of a row near a column stand together: the
time is proportional to the number of points and neighbours, and no map of the frame is read.
"""

import numpy as np
from numba import njit

from analyzer.kernels.arrays import I32, U16
from analyzer.kernels.forest import root_of

SEED = 0x8000
"""Bit of a mark: a cluster may start here. The other bits are the weight."""

WEIGHT = 0x7FFF
"""Bits of a mark that are the weight."""


@njit(nogil=True, cache=True)
def _find_neighbours(
    ys: I32, xs: I32, n: int, rows: int, eps: int, is_cityblock: bool, first: I32, last: I32
) -> None:
    """Find the neighbours of each point in each row: points `first` up to, not with, `last`.

    :param rows: of the map.
    :param first: out, (n, 2 * eps + 1) int32, and `last`: for the rows from `eps` above a point to
        `eps` below it.
    """
    begin = np.zeros(rows + 1, np.int32)
    for index in range(n):
        begin[ys[index] + 1] += 1
    for row in range(rows):
        begin[row + 1] += begin[row]
    for row in range(rows):
        for step in range(2 * eps + 1):
            other = row + step - eps
            reach = eps - abs(step - eps) if is_cityblock else eps
            if other < 0 or other >= rows:
                for index in range(begin[row], begin[row + 1]):
                    first[index, step] = 0
                    last[index, step] = 0
                continue
            left = begin[other]
            right = begin[other]
            for index in range(begin[row], begin[row + 1]):
                while left < begin[other + 1] and xs[left] < xs[index] - reach:
                    left += 1
                while right < begin[other + 1] and xs[right] <= xs[index] + reach:
                    right += 1
                first[index, step] = left
                last[index, step] = right


@njit(nogil=True, cache=True)
def dbscan(
    marks: U16,
    ys: I32,
    xs: I32,
    n: int,
    eps: int,
    min_samples: int,
    labels: I32,
    weights: I32,
    is_cityblock: bool = False,
) -> tuple[int, int]:
    """Label lit macro-pixels, and forget those that are noise.

    A macro-pixel whose neighbours up to `eps` away, itself among them, have together a weight of
    at least `min_samples` is a core. Cores within `eps` of each other are one cluster; others that
    are near a core belong to its cluster, to the lowest if there are more. Clusters are numbered
    from 1 as their first cores come in the raster.

    :param marks: in and out, (n,) uint16, of the lit macro-pixels: their weight and `SEED`.
    :param ys: in and out, rows of the `n` lit macro-pixels, in the order of the raster, then of
        those that have a label; `xs` their columns, and `marks` likewise.
    :param labels: in and out, (rows, columns) int32, of zeros; then the labels.
    :param weights: out, sum of weights around each of the macro-pixels that have a label.
    :param is_cityblock: distances are sums of rows and columns, not the larger of the two.
    :returns: numbers of clusters and of macro-pixels that have a label.
    """
    first = np.empty((n, 2 * eps + 1), np.int32)
    last = np.empty((n, 2 * eps + 1), np.int32)
    _find_neighbours(ys, xs, n, labels.shape[0], eps, is_cityblock, first, last)
    for index in range(n):
        total = 0
        for step in range(2 * eps + 1):
            for other in range(first[index, step], last[index, step]):
                total += marks[other] & WEIGHT
        weights[index] = total
    parent = np.arange(n)
    for index in range(n):
        if weights[index] < min_samples:
            continue
        mine = root_of(parent, index)
        for step in range(eps + 1):
            for place in range(first[index, step], min(last[index, step], index)):
                if weights[place] >= min_samples:
                    other = root_of(parent, place)
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
    is_core = weights[:n] >= min_samples
    kept = 0
    for index in range(n):
        lowest = name[index]
        if not is_core[index]:
            for step in range(2 * eps + 1):
                for other in range(first[index, step], last[index, step]):
                    if is_core[other] and (lowest == 0 or name[other] < lowest):
                        lowest = name[other]
        if lowest:
            labels[ys[index], xs[index]] = lowest
            ys[kept] = ys[index]
            xs[kept] = xs[index]
            marks[kept] = marks[index]
            weights[kept] = weights[index]
            kept += 1
    return clusters, kept


@njit(nogil=True, cache=True)
def keep_clusters(
    marks: U16,
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

    :param marks: in and out, (n,) uint16, of the labelled macro-pixels.
    :param ys: in and out, rows of the `n` labelled macro-pixels, then of those that keep a label;
        `xs` their columns.
    :param weights: sums of weights of ``dbscan``.
    :param labels: in and out, (rows, columns) int32.
    :returns: (clusters, labelled macro-pixels, whether clusters were dropped for their number).
    """
    size = np.zeros(clusters + 1, np.int32)
    seeds = np.zeros(clusters + 1, np.int32)
    for index in range(n):
        label = labels[ys[index], xs[index]]
        size[label] += 1
        if weights[index] >= seed_weight and marks[index] & SEED:
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
            marks[kept] = marks[index]
            ys[kept] = row
            xs[kept] = column
            kept += 1
    return found, kept, dropped


@njit(nogil=True, cache=True)
def clear_labels(labels: I32, ys: I32, xs: I32, n: int) -> None:
    """Set the labels of `n` macro-pixels to zero again."""
    for index in range(n):
        labels[ys[index], xs[index]] = 0
