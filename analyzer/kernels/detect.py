"""Find lit macro-pixels: significance of 3x3 macro-pixels, with CYGNO's rule of neighbours.

Three steps, each of a row and the rows beside it, follow each other so closely that all they need
stays in the core's cache. Rows have a rim of one macro-pixel that holds zero at either end, and the
frame a rim of such rows, so that no loop asks for edges.
"""

import numpy as np
from numba import njit

from analyzer.kernels.arrays import F32, I32, I64, U16
from analyzer.kernels.dbscan import SEED, WEIGHT

_f4 = np.float32  # numba widens to 64 bits unless told

_PART = 192
"""Macro-pixels of which all are dark, as a rule."""


@njit(nogil=True, cache=True, inline="always")
def _correct(sums: I32, scale: F32, shift: float, limit: float, target: F32) -> int:
    """Turn sums of residuals [1/32 ADU] into means [ADU] without the shift of their row.

    :returns: how many of them are beyond `limit`, positive or negative.
    """
    common = _f4(shift)
    high = _f4(limit)
    far = np.int32(0)
    inner = target[1 : sums.shape[0] + 1]
    for column in range(inner.shape[0]):
        mean = _f4(_f4(_f4(sums[column]) * scale[column]) - common)
        mean = mean if scale[column] > _f4(0) else _f4(0)
        inner[column] = mean
        far += np.int32(abs(mean) > high)
    return int(far)


@njit(nogil=True, cache=True, inline="always")
def _stack(above: F32, here: F32, below: F32, column_sum: F32) -> None:
    """Sum three rows."""
    for column in range(column_sum.shape[0]):
        column_sum[column] = _f4(_f4(above[column] + here[column]) + below[column])


@njit(nogil=True, cache=True, inline="always")
def _flatten(here: F32, column_sum: F32, limit: float, target: F32) -> None:
    """Replace what differs from the mean of its eight neighbours by more than `limit`."""
    eighth = _f4(0.125)
    largest = _f4(limit)
    inner = target[1 : target.shape[0] - 1]
    n = inner.shape[0]
    left, middle, right = column_sum[:n], column_sum[1 : n + 1], column_sum[2 : n + 2]
    centres = here[1 : n + 1]
    for column in range(n):
        centre = centres[column]
        beside = _f4(left[column] + right[column])
        around = _f4(beside + _f4(middle[column] - centre))
        mean = _f4(around * eighth)
        inner[column] = mean if abs(_f4(centre - mean)) > largest else centre


@njit(nogil=True, cache=True, inline="always")
def _weigh(column_sum: F32, significance: F32, grow: float, sigmas: F32) -> int:
    """Work out the significance of 3x3 macro-pixels; return how many are lit."""
    n = sigmas.shape[0]
    left, middle, right = column_sum[:n], column_sum[1 : n + 1], column_sum[2 : n + 2]
    least = _f4(grow)
    lit = np.int32(0)
    for column in range(n):
        box = _f4(_f4(left[column] + right[column]) + middle[column])
        sigmas[column] = _f4(box * significance[column])
        lit += np.int32(sigmas[column] > least)
    return int(lit)


@njit(nogil=True, cache=True, inline="always")
def _mark(
    here: F32,
    column_sum: F32,
    sigmas: F32,
    first: int,
    grow: float,
    least: float,
    mark: U16,
    xs: I32,
) -> int:
    """Mark some macro-pixels of a row, from `first` on; return how many are lit, and where."""
    n = 0
    for column in range(sigmas.shape[0]):
        if sigmas[column] > _f4(grow):
            place = first + column
            beside = _f4(column_sum[place] + column_sum[place + 2])
            box = _f4(beside + column_sum[place + 1])
            around = _f4(_f4(box - here[place + 1]) * _f4(0.125))
            weight = np.uint16(min(sigmas[column], _f4(WEIGHT)))
            mark[place] = weight | np.uint16(SEED) if around > _f4(least) else weight
            xs[n] = place
            n += 1
    return n


@njit(nogil=True, cache=True)
def find_lit(
    sums: I32,
    scale: F32,
    row_shift: F32,
    significance: F32,
    spike_adu: float,
    grow_sigma: float,
    min_neighbors_average: float,
    mark: U16,
    ys: I32,
    xs: I32,
    row_light: I64,
) -> int:
    """Mark macro-pixels whose 3x3 mean is significant.

    Means of macro-pixels lose the common shift of their row; one that differs from the mean of its
    eight neighbours by more than `spike_adu` is replaced by that mean.

    :param sums: (rows, columns) int32, sums of the residuals of macro-pixels [1/32 ADU].
    :param scale: (rows, columns) float32, 1 / (32 * good pixels), 0 where none is good.
    :param row_shift: (rows,) float32, shift that is common to a row of macro-pixels [ADU].
    :param significance: (rows, columns) float32, 1 / noise of the sum of 3x3 macro-pixels [1/ADU];
        0 where nothing may be found.
    :param grow_sigma: a macro-pixel is lit if the sum of it and its eight neighbours is above so
        many times its noise; at least 1.
    :param min_neighbors_average: least mean of the eight neighbours to start a cluster [ADU].
    :param mark: out, (rows, columns) uint16: 0 where dark; else the significance in whole sigmas,
        and `SEED` of ``dbscan`` where a cluster may start.
    :param ys: out, rows of the marked macro-pixels; `xs` their columns.
    :param row_light: out, (rows,) int64, sum of each row of `sums`.
    :returns: how many are marked.
    """
    rows, columns = sums.shape
    value = np.zeros((3, columns + 2), np.float32)
    flat = np.zeros((3, columns + 2), np.float32)
    far = np.zeros(3, np.int64)
    column_sum = np.zeros(columns + 2, np.float32)
    sigmas = np.zeros(columns, np.float32)
    n = 0
    for step in range(rows + 2):
        # Row `step` is corrected, the one above flattened, the one above that marked.
        here = step % 3
        above = (step + 2) % 3
        if step < rows:
            far[here] = _correct(
                sums[step], scale[step], row_shift[step], 0.5 * spike_adu, value[here]
            )
            total = np.int64(0)
            for column in range(columns):
                total += sums[step, column]
            row_light[step] = total
        else:
            value[here] = 0
            far[here] = 0
        if step == rows + 1:
            flat[above] = 0
        elif step > 0:
            if far.any():
                _stack(value[(step + 1) % 3], value[above], value[here], column_sum)
                _flatten(value[above], column_sum, spike_adu, flat[above])
            else:  # no difference can be that large
                flat[above] = value[above]
        row = step - 2
        if row < 0:
            continue
        line = mark[row]
        line[:] = 0
        centre = flat[row % 3]
        _stack(flat[(row + 2) % 3], centre, flat[(row + 1) % 3], column_sum)
        for start in range(0, columns, _PART):
            part = sigmas[start : start + _PART]
            near = column_sum[start : start + _PART + 2]
            if _weigh(near, significance[row, start : start + _PART], grow_sigma, part):
                lit = _mark(
                    centre, column_sum, part, start, grow_sigma, min_neighbors_average, line, xs[n:]
                )
                ys[n : n + lit] = row
                n += lit
    return n
