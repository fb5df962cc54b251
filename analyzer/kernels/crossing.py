"""Take clusters apart that are two or more straight tracks over each other.

Lines are sought one after the other among the macro-pixels that no line explains yet, by their
distances from the origin in all directions (Hough's transform). Bright ones count more: a line
between two tracks that lie beside each other is near to both, but not to their light. A cluster is
taken apart only if lines explain nearly all of it and each is a track of its own: it goes on beyond
another line on both sides, or meets it somewhere in its middle, or lies beside it with darkness
between them all along. A bent or kinked track stays whole.
"""

import math

import numpy as np
from numba import njit

from analyzer.kernels.arrays import F64, I32, I64
from analyzer.kernels.lines import (
    HALF_WIDTH,
    LINE_COSINE,
    LINE_HIGH,
    LINE_LIGHT,
    LINE_LOW,
    LINE_SINE,
    LINE_WIDTH,
    LINE_X,
    LINE_Y,
    MAX_WEIGHT,
    distance,
    explain,
    measure_run,
    refine_line,
    seek_line,
)

MAX_LINES = 4
"""Lines that are sought in a cluster."""

MIN_ARM = 6.0
"""A line goes on beyond another one for at least this long [macro-pixels]."""

MIN_LENGTH = 20.0
"""A line is at least this long [macro-pixels]."""

MIN_SINE = math.sin(0.3)
"""Lines differ at least that much in direction."""

MIN_EXPLAINED = 0.9
"""Part of a cluster's macro-pixels that its lines have to explain."""

REACH = 16.0
"""A line that meets another one ends that near to its far side [macro-pixels]."""

MIN_BESIDE = 4.0
"""Lines that lie beside each other are at least so far apart [macro-pixels]."""

MIN_OVERLAP = 12.0
"""They do for at least so long [macro-pixels]."""

MAX_VALLEY = 0.5
"""In each third of that, macro-pixels somewhere between them have less than that part of the light
of those on the darker of the two."""

BEND = 6.0
"""So have those between ends of both that are this near, and over this length [macro-pixels]: a
hairpin is one track."""

VALLEYS = (0.35, 0.5, 0.65)
"""Where between them it may be darkest, and half the width of such a place, in their distance."""
HALF_VALLEY = 0.09

_PLACES = (0.0, 1.0, *VALLEYS)
"""On the line, on the other, at each of the valleys; and how far around."""
_REACHES = (2.0 * HALF_VALLEY, 2.0 * HALF_VALLEY, HALF_VALLEY, HALF_VALLEY, HALF_VALLEY)

SPREAD = 2.5
"""Half the width of a line, in sigmas of its light across."""

MAX_SIZE = 20_000
"""Clusters of more macro-pixels are left as they are."""


@njit(nogil=True, cache=True)
def _arms(line: F64, other: F64) -> tuple[float, float]:
    """Return how far a line goes on beyond another one: the shorter and the longer way."""
    sine = line[LINE_COSINE] * other[LINE_SINE] - line[LINE_SINE] * other[LINE_COSINE]
    if abs(sine) < MIN_SINE:
        return -1.0, -1.0
    dx = other[LINE_X] - line[LINE_X]
    dy = other[LINE_Y] - line[LINE_Y]
    place = (dx * other[LINE_SINE] - dy * other[LINE_COSINE]) / sine
    width = other[LINE_WIDTH] / abs(sine)
    forward = line[LINE_HIGH] - place - width
    backward = place - line[LINE_LOW] - width
    return min(forward, backward), max(forward, backward)


@njit(nogil=True, cache=True)
def _are_two(line: F64, other: F64) -> bool:
    """Tell whether lines cross, or one ends at the other's side."""
    short, long = _arms(line, other)
    other_short, other_long = _arms(other, line)
    if short >= MIN_ARM and other_short >= MIN_ARM:
        return True
    if short >= MIN_ARM and other_long >= MIN_LENGTH and other_short >= -REACH:
        return True
    return other_short >= MIN_ARM and long >= MIN_LENGTH and short >= -REACH


@njit(nogil=True, cache=True)
def _are_beside(y: F64, x: F64, light: F64, line: F64, other: F64) -> bool:
    """Tell whether lines lie beside each other, with darkness between them all along."""
    cosine = line[LINE_COSINE]
    sine = line[LINE_SINE]
    turn = cosine * other[LINE_SINE] - sine * other[LINE_COSINE]
    straight = cosine * other[LINE_COSINE] + sine * other[LINE_SINE]
    if abs(turn) >= MIN_SINE:
        return False
    dx = other[LINE_X] - line[LINE_X]
    dy = other[LINE_Y] - line[LINE_Y]
    middle = dx * cosine + dy * sine
    aside = dy * cosine - dx * sine
    first = middle + straight * other[LINE_LOW]
    last = middle + straight * other[LINE_HIGH]
    low = max(line[LINE_LOW], min(first, last))
    high = min(line[LINE_HIGH], max(first, last))
    slope = turn / straight
    if high - low < MIN_OVERLAP or abs(aside + slope * (0.5 * (low + high) - middle)) < MIN_BESIDE:
        return False
    total = np.zeros((5, 5))  # on the line, on the other, at each of the valleys; at both ends
    count = np.zeros((5, 5))  # and in thirds, the ends first
    for i in range(y.shape[0]):
        dx = x[i] - line[LINE_X]
        dy = y[i] - line[LINE_Y]
        along = dx * cosine + dy * sine
        if low <= along < high:
            place = (dy * cosine - dx * sine) / (aside + slope * (along - middle))
            third = min(int(3.0 * (along - low) / (high - low)), 2)
            for where in range(len(_PLACES)):  # valleys overlap: some belong to two of them
                if abs(place - _PLACES[where]) < _REACHES[where]:
                    total[where, 2 + third] += light[i]
                    count[where, 2 + third] += 1.0
                    if along < low + BEND:
                        total[where, 0] += light[i]
                        count[where, 0] += 1.0
                    if along >= high - BEND:
                        total[where, 1] += light[i]
                        count[where, 1] += 1.0
    on_line = total[0, 2:].sum() / max(count[0, 2:].sum(), 1.0)
    on_other = total[1, 2:].sum() / max(count[1, 2:].sum(), 1.0)
    most = MAX_VALLEY * min(on_line, on_other)
    for part in range(5):
        if part == 0 and abs(line[LINE_LOW] - min(first, last)) > BEND:
            continue
        if part == 1 and abs(line[LINE_HIGH] - max(first, last)) > BEND:
            continue
        is_dark = False
        for k in range(2, 5):
            is_dark = is_dark or total[k, part] < most * max(count[k, part], 1.0)
        if not is_dark:
            return False
    return True


@njit(nogil=True, cache=True)
def _is_hollow(y: F64, x: F64, light: F64, line: F64) -> bool:
    """Tell whether it is darker along a line than on both sides of it, in each third of it."""
    reach = int(line[LINE_WIDTH]) + 1
    total = np.zeros((3, 2 * reach + 1))
    count = np.zeros((3, 2 * reach + 1))
    length = line[LINE_HIGH] - line[LINE_LOW]
    for i in range(y.shape[0]):
        dx = x[i] - line[LINE_X]
        dy = y[i] - line[LINE_Y]
        along = dx * line[LINE_COSINE] + dy * line[LINE_SINE] - line[LINE_LOW]
        across = math.floor(dy * line[LINE_COSINE] - dx * line[LINE_SINE] + 0.5)
        if 0 <= along < length and abs(across) <= reach:
            third = min(int(3.0 * along / length), 2)
            total[third, reach + across] += light[i]
            count[third, reach + across] += 1.0
    for third in range(3):
        mean = total[third] / np.maximum(count[third], 1.0)
        if mean[reach] >= MAX_VALLEY * min(mean[:reach].max(), mean[reach + 1 :].max()):
            return False
    return True


@njit(nogil=True, cache=True)
def _explain_by_lines(
    y: F64, x: F64, light: F64, weight: I64, band: int, length: int, lines: F64
) -> int:
    """Seek lines until nearly all of a cluster is explained; return their number, 1 if it is not.

    :param weight: of each point in the search, and `band`: see `seek_line`.
    :param length: room for where a line runs [macro-pixels].
    """
    n = y.shape[0]
    everything = np.ones(n, np.int64)
    is_free = np.ones(n, np.int64)
    free = n
    found = 0
    while found < MAX_LINES and free > (1.0 - MIN_EXPLAINED) * n:
        line = lines[found]
        if seek_line(y, x, weight, band, is_free, line) < 2 * MIN_LENGTH:
            break
        refine_line(y, x, is_free, line, HALF_WIDTH)
        measure_run(y, x, everything, line, length)
        is_own = found == 0
        for k in range(found):
            is_own = is_own or _are_two(line, lines[k])
        is_own = is_own and line[LINE_HIGH] - line[LINE_LOW] >= MIN_LENGTH
        if not is_own:  # one that lies beside another has nothing of that one's points
            measure_run(y, x, is_free, line, length)
            for k in range(found):
                is_own = is_own or _are_beside(y, x, light, lines[k], line)
        if not is_own:
            break
        free = explain(y, x, line, is_free)
        found += 1
    return found if free <= (1.0 - MIN_EXPLAINED) * n else 1


@njit(nogil=True, cache=True)
def _find_lines(y: F64, x: F64, light: F64, lines: F64) -> int:
    """Find the lines that make up a cluster; return their number, 1 if it is to stay whole."""
    n = y.shape[0]
    reach = 0.0
    for i in range(n):
        reach = max(reach, math.hypot(x[i], y[i]))
    is_free = np.ones(n, np.int64)
    everything = np.ones(n, np.int64)
    length = 4 * int(reach) + 16
    lines[0] = 0.0
    refine_line(y, x, is_free, lines[0], np.inf)
    measure_run(y, x, everything, lines[0], length)
    free = explain(y, x, lines[0], is_free)
    is_one = free <= (1.0 - MIN_EXPLAINED) * n  # nearly all clusters
    if is_one and not _is_hollow(y, x, light, lines[0]):
        return 1
    weight = np.empty(n, np.int64)
    most = MAX_WEIGHT * np.median(light)
    for i in range(n):
        weight[i] = 1 + int(max(min(light[i], most), 0.0))
    found = _explain_by_lines(y, x, light, weight, 1, length, lines)
    if found < 2 and not is_one:  # faint and ragged ones may be clearer without their light
        weight[:] = 1
        found = _explain_by_lines(y, x, light, weight, 2, length, lines)
    return found


@njit(nogil=True, cache=True)
def _measure_light(y: F64, x: F64, light: F64, lines: F64) -> None:
    """Measure the light of each line: of a macro-pixel in its middle, where no other is near.

    One that has others near it all along is measured where they are.
    """
    for k in range(lines.shape[0]):
        total = np.zeros(2)
        count = np.zeros(2)
        for i in range(y.shape[0]):
            if distance(y[i], x[i], lines[k]) > 1.0:
                continue
            is_alone = 1
            for other in range(lines.shape[0]):
                if (
                    other != k
                    and distance(y[i], x[i], lines[other]) <= 2 * lines[other, LINE_WIDTH]
                ):
                    is_alone = 0
            total[is_alone] += light[i]
            count[is_alone] += 1.0
        which = 1 if count[1] > 0.0 else 0
        lines[k, LINE_LIGHT] = max(total[which] / max(count[which], 1.0), 1.0)


@njit(nogil=True, cache=True)
def split_crossings(
    labels: I32, sums: I32, ys: I32, xs: I32, n: int, clusters: int, least: int, max_clusters: int
) -> int:
    """Give each of several straight tracks over each other a label of its own.

    Where they are over each other, a macro-pixel goes to the one that has more light there, as far
    as its light elsewhere tells.

    :param labels: in and out, (rows, columns) int32, from 1 to `clusters`.
    :param sums: (rows, columns) int32, light of the macro-pixels.
    :param ys: rows of the `n` labelled macro-pixels; `xs` their columns.
    :param least: clusters of fewer macro-pixels stay whole.
    :param max_clusters: none is taken apart beyond that many.
    :returns: number of clusters.
    """
    size = np.zeros(clusters + 1, np.int64)
    for index in range(n):
        size[labels[ys[index], xs[index]]] += 1
    begin = np.zeros(clusters + 2, np.int64)
    for label in range(1, clusters + 1):
        begin[label + 1] = begin[label] + size[label]
    order = np.empty(n, np.int64)
    filled = begin.copy()
    for index in range(n):
        label = labels[ys[index], xs[index]]
        order[filled[label]] = index
        filled[label] += 1
    lines = np.zeros((MAX_LINES, 8))
    found = clusters
    for label in range(1, clusters + 1):
        count = size[label]
        if count < least or count > MAX_SIZE:
            continue
        mine = order[begin[label] : begin[label + 1]]
        y = np.empty(count)
        x = np.empty(count)
        light = np.empty(count)
        for i in range(count):
            y[i] = ys[mine[i]]
            x[i] = xs[mine[i]]
            light[i] = sums[ys[mine[i]], xs[mine[i]]]
        y -= np.floor(y.mean())
        x -= np.floor(x.mean())
        n_lines = _find_lines(y, x, light, lines)
        if n_lines < 2 or found + n_lines - 1 > max_clusters:
            continue
        own = lines[:n_lines]
        _measure_light(y, x, light, own)
        for i in range(count):
            best = 0
            most = -np.inf
            for k in range(n_lines):
                pull = SPREAD * distance(y[i], x[i], own[k]) / own[k, LINE_WIDTH]
                expected = math.log(own[k, LINE_LIGHT]) - 0.5 * pull * pull
                if expected > most:
                    most = expected
                    best = k
            if best:
                labels[ys[mine[i]], xs[mine[i]]] = found + best
        found += n_lines - 1
    return found
