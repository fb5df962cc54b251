"""Join lit macro-pixels to clusters, bridging small gaps."""

import numpy as np
from numba import njit

from analyzer.kernels.arrays import I32, I64, U8


@njit(nogil=True, cache=True)
def _root(parent: I64, index: int) -> int:
    while parent[index] != index:
        parent[index] = parent[parent[index]]
        index = parent[index]
    return index


@njit(nogil=True, cache=True)
def label_clusters(
    mark: U8, link: int, min_size: int, max_clusters: int, ys: I32, xs: I32, n: int, labels: I32
) -> tuple[int, int, bool]:
    """Label groups of marked macro-pixels that hold a seed.

    Two marked macro-pixels belong together if neither their rows nor their columns differ by more
    than `link`. Labels count from 1, in the order of each group's first macro-pixel.

    :param mark: (rows, columns) uint8: 0 dark, 1 lit, 2 seed.
    :param link: largest distance within a group, at least 1 [macro-pixels].
    :param min_size: groups of fewer macro-pixels are dropped.
    :param max_clusters: groups beyond that many are dropped.
    :param ys: in and out, rows of the `n` marked macro-pixels, then of those labelled.
    :param xs: the same for columns.
    :param labels: out, (rows, columns) int32; must hold zeros, and holds labels where there are.
    :returns: (clusters, labelled macro-pixels, whether clusters were dropped for their number).
    """
    columns = mark.shape[1]
    for index in range(n):
        labels[ys[index], xs[index]] = index + 1
    parent = np.arange(n)
    for index in range(n):
        row = ys[index]
        column = xs[index]
        mine = _root(parent, index)
        for other_row in range(max(0, row - link), row + 1):
            last = min(columns, column + link + 1) if other_row < row else column
            for other_column in range(max(0, column - link), last):
                there = labels[other_row, other_column]
                if there:
                    other = _root(parent, there - 1)
                    if other < mine:
                        parent[mine] = other
                        mine = other
                    elif mine < other:
                        parent[other] = mine
    size = np.zeros(n, np.int32)
    seeds = np.zeros(n, np.int32)
    for index in range(n):
        root = _root(parent, index)
        size[root] += 1
        if mark[ys[index], xs[index]] == 2:
            seeds[root] += 1
    name = np.zeros(n, np.int32)
    clusters = 0
    dropped = False
    for index in range(n):  # a root is the first of its group, so names follow the raster
        if parent[index] == index and seeds[index] and size[index] >= min_size:
            if clusters == max_clusters:
                dropped = True
            else:
                clusters += 1
                name[index] = clusters
    kept = 0
    for index in range(n):
        row = ys[index]
        column = xs[index]
        label = name[_root(parent, index)]
        labels[row, column] = label
        if label:
            ys[kept] = row
            xs[kept] = column
            kept += 1
    return clusters, kept, dropped


@njit(nogil=True, cache=True)
def clear_labels(labels: I32, ys: I32, xs: I32, n: int) -> None:
    """Set the labels of `n` macro-pixels to zero again."""
    for index in range(n):
        labels[ys[index], xs[index]] = 0
