"""Settle how far clusters reach: tracks get a rim, bright spots lose their outermost part.

The core of a spot reaches beyond all of its light that can be seen: a rim would add noise alone.
That of a bright one reaches farther than it needs to; it ends at a part of its peak, and so loses
the same small part of its light however bright it is. Of a faint track the threshold cuts off the
wings, and light in gaps.
"""

import numpy as np
from numba import njit

from analyzer.kernels.arrays import I32, U8, U16
from analyzer.kernels.dbscan import WEIGHT


@njit(nogil=True, cache=True)
def mark_tracks(
    labels: I32, ys: I32, xs: I32, n: int, min_macro: int, elongation: float, is_track: U8
) -> None:
    """Tell which clusters are tracks: large, and longer than wide.

    :param labels: (rows, columns) int32, from 1.
    :param ys: rows of the `n` labelled macro-pixels; `xs` likewise.
    :param min_macro: a track has at least so many macro-pixels.
    :param elongation: and an rms along its axis of at least so many times that across.
    :param is_track: out, (clusters,) uint8.
    """
    sums = np.zeros((is_track.shape[0], 6), np.int64)
    for index in range(n):
        y = np.int64(ys[index])
        x = np.int64(xs[index])
        target = sums[labels[y, x] - 1]
        target[0] += 1
        target[1] += x
        target[2] += y
        target[3] += x * x
        target[4] += y * y
        target[5] += x * y
    limit = elongation * elongation
    for cluster in range(is_track.shape[0]):
        count, x, y, xx, yy, xy = sums[cluster]
        is_track[cluster] = 0
        if count >= min_macro:
            # Integers up to here: variances are exact before they are divided.
            width = float(count * xx - x * x)
            height = float(count * yy - y * y)
            both = float(count * xy - x * y)
            middle = 0.5 * (width + height)
            half = np.sqrt(0.25 * (width - height) ** 2 + both * both)
            is_track[cluster] = middle + half >= limit * (middle - half)


@njit(nogil=True, cache=True)
def trim_spots(
    marks: U16, labels: I32, ys: I32, xs: I32, n: int, is_track: U8, fraction: float
) -> int:
    """Take from spots what is less significant than a part of their peak.

    :param marks: in and out, (n,) uint16 of ``find_lit``.
    :param labels: in and out, (rows, columns) int32.
    :param ys: in and out, rows of the `n` labelled macro-pixels; `xs` their columns.
    :param is_track: (clusters,) uint8: tracks stay as they are.
    :param fraction: of the highest significance.
    :returns: labelled macro-pixels that are left.
    """
    least = np.zeros(is_track.shape[0])
    for index in range(n):
        label = labels[ys[index], xs[index]]
        weight = fraction * (marks[index] & WEIGHT)
        least[label - 1] = max(least[label - 1], weight)
    kept = 0
    for index in range(n):
        row = ys[index]
        column = xs[index]
        label = labels[row, column]
        if is_track[label - 1] or (marks[index] & WEIGHT) >= least[label - 1]:
            marks[kept] = marks[index]
            ys[kept] = row
            xs[kept] = column
            kept += 1
        else:
            labels[row, column] = 0
    return kept


@njit(nogil=True, cache=True)
def add_rim(labels: I32, wanted: U8, width: int, ys: I32, xs: I32, n: int) -> int:
    """Give clusters a rim, ring by ring; a macro-pixel between two goes to the lower label.

    :param labels: in and out, (rows, columns) int32.
    :param wanted: (clusters,) uint8, 0 for those that get none.
    :param width: rings to add [macro-pixels].
    :param ys: in and out, rows of the `n` labelled macro-pixels; those of the rim follow.
    :param xs: the same for columns.
    :returns: labelled macro-pixels, rim included.
    """
    rows, columns = labels.shape
    begin = 0
    for _ in range(width):
        end = n
        for index in range(begin, end):
            row = ys[index]
            column = xs[index]
            label = labels[row, column]
            if not wanted[label - 1]:
                continue
            for other_row in range(max(0, row - 1), min(rows, row + 2)):
                for other_column in range(max(0, column - 1), min(columns, column + 2)):
                    there = labels[other_row, other_column]
                    if there == 0:
                        labels[other_row, other_column] = -label
                        ys[n] = other_row
                        xs[n] = other_column
                        n += 1
                    elif there < 0 and -there > label:
                        labels[other_row, other_column] = -label
        for index in range(end, n):  # negative: claimed in this ring only
            labels[ys[index], xs[index]] *= -1
        begin = end
    return n
