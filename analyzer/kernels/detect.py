"""Find lit macro-pixels: significance of 3x3 macro-pixels, with CYGNO's rule of neighbours.

Three steps, each of a row and the rows beside it, follow each other so closely that all they need
stays in the core's cache. Rows have a rim of one macro-pixel that holds zero at either end, and the
frame a rim of such rows, so that no loop asks for edges.
"""

import numpy as np
from numba import njit

from analyzer.kernels.arrays import F32, I32, I64, U8

_f4 = np.float32


@njit(nogil=True, cache=True)
def _correct(sums: I32, scale: F32, shift: float, target: F32) -> None:
    """Turn sums of residuals [1/32 ADU] into means [ADU] without the shift of their row."""
    common = _f4(shift)
    inner = target[1 : sums.shape[0] + 1]
    for column in range(inner.shape[0]):
        mean = _f4(_f4(sums[column]) * scale[column])
        inner[column] = _f4(mean - common) if scale[column] > _f4(0) else _f4(0)


@njit(nogil=True, cache=True)
def _stack(above: F32, here: F32, below: F32, column_sum: F32) -> None:
    """Sum three rows."""
    for column in range(column_sum.shape[0]):
        column_sum[column] = _f4(_f4(above[column] + here[column]) + below[column])


@njit(nogil=True, cache=True)
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


@njit(nogil=True, cache=True)
def _mark(
    here: F32, column_sum: F32, significance: F32, grow: float, least: float, mark: U8
) -> int:
    """Mark a row; return how many are lit."""
    eighth = _f4(0.125)
    grow_sigma = _f4(grow)
    least_around = _f4(least)
    highest = _f4(127)
    lit = np.int32(0)
    n = significance.shape[0]
    left, middle, right = column_sum[:n], column_sum[1 : n + 1], column_sum[2 : n + 2]
    centres = here[1 : n + 1]
    for column in range(n):
        box = _f4(_f4(left[column] + right[column]) + middle[column])
        sigmas = _f4(box * significance[column])
        around = _f4(_f4(box - centres[column]) * eighth)
        is_lit = sigmas > grow_sigma
        weight = np.int32(min(sigmas, highest))
        weight += np.int32(128) if around > least_around else np.int32(0)
        mark[column] = np.uint8(weight) if is_lit else np.uint8(0)
        lit += np.int32(is_lit)
    return int(lit)


@njit(nogil=True, cache=True)
def find_lit(
    sums: I32,
    scale: F32,
    row_shift: F32,
    significance: F32,
    spike_adu: float,
    grow_sigma: float,
    min_neighbors_average: float,
    mark: U8,
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
    :param mark: out, (rows, columns) uint8: 0 where dark; else the significance in whole sigmas, at
        most 127, and `SEED` of ``dbscan`` where a cluster may start.
    :param ys: out, rows of the marked macro-pixels; `xs` their columns.
    :param row_light: out, (rows,) int64, sum of each row of `sums`.
    :returns: how many are marked.
    """
    rows, columns = sums.shape
    value = np.zeros((3, columns + 2), np.float32)
    flat = np.zeros((3, columns + 2), np.float32)
    column_sum = np.zeros(columns + 2, np.float32)
    padded = np.zeros(-(-columns // 8) * 8, np.uint8)
    words = padded.view(np.uint64)
    n = 0
    for step in range(rows + 2):
        # Row `step` is corrected, the one above flattened, the one above that marked.
        if step < rows:
            _correct(sums[step], scale[step], row_shift[step], value[step % 3])
            total = np.int64(0)
            for column in range(columns):
                total += sums[step, column]
            row_light[step] = total
        else:
            value[step % 3] = 0
        row = step - 1
        if 0 <= row < rows:
            _stack(value[(row + 2) % 3], value[row % 3], value[step % 3], column_sum)
            _flatten(value[row % 3], column_sum, spike_adu, flat[row % 3])
        elif row == rows:
            flat[row % 3] = 0
        row = step - 2
        if row < 0:
            continue
        _stack(flat[(row + 2) % 3], flat[row % 3], flat[(row + 1) % 3], column_sum)
        line = padded[:columns]
        lit = _mark(
            flat[row % 3], column_sum, significance[row], grow_sigma, min_neighbors_average, line
        )
        mark[row] = line
        if lit:
            for word in range(words.shape[0]):
                if words[word]:
                    for column in range(8 * word, min(8 * word + 8, columns)):
                        if line[column]:
                            ys[n] = row
                            xs[n] = column
                            n += 1
    return n
