"""The one pass over a raw frame: pedestal subtraction, statistics and rebinning together.

A frame of 2304x2304 pixels is 10.6 MB, far more than a core's own cache, so the time of this pass
is close to the time to read memory. Frame and pedestal are read once, both as 16-bit words, and all
sums are integers: the result is exact, whatever the compiler or the number of threads does.

Nearly all pixels lie so near to their pedestal that 16 bits hold the sum of a macro-pixel's rows.
So rows of macro-pixels are first taken to be such (`ordinary.py`); where one is not, it is done
again in parts, and a part with bright pixels in wide words.
"""

import numpy as np
from numba import njit

from analyzer.kernels.arrays import I16, I32, I64, U16
from analyzer.kernels.lean import lean
from analyzer.kernels.ordinary import ORDINARY, WIDEST, add_ordinary
from analyzer.kernels.residual import (
    DEFECT,
    MAX_CLIP,
    ROW_MAX,
    ROW_RAW,
    ROW_RAW_SQUARES,
    ROW_SATURATED,
    ROW_SQUARES,
    ROW_SUM,
    ROW_USED,
    SAMPLED,
    SCALE,
)

_PART = 256
"""Pixels of a part of a row, a multiple of any rebinning."""


@lean
def _add_bright(
    frame: U16,
    level: U16,
    first: int,
    end: int,
    start: int,
    stop: int,
    cimax: int,
    clip: int,
    rebin: int,
    sums: I32,
    rows: I64,
) -> None:
    """Do a part with bright pixels, some of them perhaps saturated."""
    sums[:] = 0
    for row in range(first, end):
        statistics = rows[row - first]
        statistics[:] = 0
        is_sampled = row % (SAMPLED * rebin) == 0
        for column in range(start, stop):
            value = np.int64(frame[row, column])
            pedestal = np.int64(level[row, column])
            statistics[ROW_MAX] = max(statistics[ROW_MAX], value)
            if is_sampled:
                statistics[ROW_RAW] += value
                statistics[ROW_RAW_SQUARES] += value * value
            if value >= cimax:
                statistics[ROW_SATURATED] += 1
            elif pedestal != DEFECT:
                residual = value * SCALE - pedestal
                sums[(column - start) // rebin] += residual
                if -clip <= residual <= clip:
                    statistics[ROW_USED] += 1
                    statistics[ROW_SUM] += residual
                    if is_sampled:
                        statistics[ROW_SQUARES] += residual * residual


@lean
def _add_in_parts(
    frame: U16,
    level: U16,
    first: int,
    end: int,
    limit: int,
    cimax: int,
    clip: int,
    rebin: int,
    strips: I16,
    part: I64,
    sums: I32,
    rows: I64,
) -> None:
    """Do a row of macro-pixels with others than ordinary pixels."""
    rows[:] = 0
    for start in range(0, frame.shape[1], _PART):
        stop = min(start + _PART, frame.shape[1])
        part_sums = sums[start // rebin : -(-stop // rebin)]
        part[:] = 0
        if not add_ordinary(
            frame, level, first, end, start, stop, limit, clip, rebin, strips, part_sums, part
        ):
            _add_bright(frame, level, first, end, start, stop, cimax, clip, rebin, part_sums, part)
        for row in range(end - first):
            highest = max(rows[row, ROW_MAX], part[row, ROW_MAX])
            for column in range(rows.shape[1]):
                rows[row, column] += part[row, column]
            rows[row, ROW_MAX] = highest


@lean
def _sum(values: I32) -> int:
    """Sum what may not fit into 32 bits."""
    total = 0
    for index in range(values.shape[0]):
        total += values[index]
    return total


@lean
def _rebin(
    frame: U16,
    level: U16,
    cimax: int,
    clip: int,
    rebin: int,
    strips: I16,
    part: I64,
    sums: I32,
    rows: I64,
) -> int:
    """Do what `rebin_frame` does; `strips` and `part` are room to work."""
    n_rows, n_columns = frame.shape
    limit = min(cimax, ORDINARY)
    high = min(clip, MAX_CLIP)
    rows[:] = 0
    light = 0
    for macro_row in range(sums.shape[0]):
        first = macro_row * rebin
        end = min(first + rebin, n_rows)
        line, target = sums[macro_row], rows[first:end]
        if n_columns > WIDEST or not add_ordinary(
            frame, level, first, end, 0, n_columns, limit, high, rebin, strips, line, target
        ):
            _add_in_parts(
                frame, level, first, end, limit, cimax, high, rebin, strips, part, line, target
            )
        light += _sum(line)
    return light


@njit(nogil=True, cache=True)
def rebin_frame(
    frame: U16, level: U16, cimax: int, clip: int, rebin: int, sums: I32, rows: I64
) -> int:
    """Subtract the pedestal, sum ``rebin x rebin`` pixels and gather statistics of each row.

    :param frame: (rows, columns) uint16 [ADU].
    :param level: (rows, columns) uint16, the pedestal mean [1/32 ADU] up to `MAX_LEVEL`, `DEFECT`
        where ignored.
    :param cimax: pixels of at least this [ADU] are saturated: counted and then ignored.
    :param clip: residuals of at most this size [1/32 ADU] enter the clipped row statistics; at
        most `MAX_CLIP`.
    :param rebin: side of a macro-pixel, up to 8; macro-pixels at the far edges may be smaller.
    :param sums: out, (macro rows, macro columns) int32, sums of residuals [1/32 ADU].
    :param rows: out, (rows, 7) int64: pixels within the clip, their sum [1/32 ADU] and sum of
        squares, raw sum [ADU] and sum of squares of all pixels, saturated pixels, highest pixel.
        Sums of squares and raw sums are taken of the first row of each second row of macro-pixels
        (`SAMPLED`), and are 0 in the others.
    :returns: sum of all macro-pixels [1/32 ADU].
    """
    strips = np.empty((2, min(frame.shape[1], WIDEST)), np.int16)
    part = np.empty((rebin, rows.shape[1]), np.int64)
    return _rebin(frame, level, cimax, clip, rebin, strips, part, sums, rows)


@lean
def find_shifts(rows: I64, limit: int, shift: I64) -> None:
    """Find the common shift of each row: the mean of what is within the clip.

    A row of which less than a quarter is dark says nothing of itself: it takes the frame's shift.

    :param rows: (rows, 7) int64 of ``rebin_frame``.
    :param limit: largest shift [1/32 ADU].
    :param shift: out, (rows,) int64, whole numbers [1/32 ADU].
    """
    used = 0
    total = 0
    most = 1
    for row in range(rows.shape[0]):
        used += rows[row, ROW_USED]
        total += rows[row, ROW_SUM]
        most = max(most, rows[row, ROW_USED])
    common = total / max(used, 1)
    for row in range(rows.shape[0]):
        own = rows[row, ROW_USED]
        mean = rows[row, ROW_SUM] / own if own > 0.25 * most else common
        shift[row] = min(max(int(np.rint(mean)), -limit), limit)
