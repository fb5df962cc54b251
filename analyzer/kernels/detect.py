"""Find lit macro-pixels: significance of 3x3 macro-pixels, with CYGNO's rule of neighbours.

All maps here have a rim of one macro-pixel that holds zero, so that no loop asks for edges.
"""

import numpy as np
from numba import njit

from analyzer.kernels.arrays import F32, I32, U8

_f4 = np.float32


@njit(nogil=True, cache=True)
def correct_macro(sums: I32, scale: F32, row_shift: F32, value: F32) -> None:
    """Turn sums of residuals into mean residuals, without the common shift of their rows.

    :param sums: (macro rows, macro columns) int32 [1/32 ADU].
    :param scale: (macro rows, macro columns) float32, 1 / (32 * good pixels), 0 where none is good.
    :param row_shift: (macro rows,) float32, shift that is common to a row of macro-pixels [ADU].
    :param value: out, (macro rows + 2, macro columns + 2) float32 [ADU a pixel]; rim untouched.
    """
    for row in range(sums.shape[0]):
        source = sums[row]
        factor = scale[row]
        target = value[row + 1, 1 : sums.shape[1] + 1]
        shift = row_shift[row]
        for column in range(source.shape[0]):
            mean = _f4(_f4(source[column]) * factor[column])
            target[column] = _f4(mean - shift) if factor[column] > _f4(0) else _f4(0)


@njit(nogil=True, cache=True)
def flatten_spikes(value: F32, limit: float, flat: F32) -> None:
    """Replace macro-pixels that differ from the mean of their neighbours by more than `limit`.

    :param value: (rows + 2, columns + 2) float32 with a rim of zeros.
    :param flat: out, the same shape; rim untouched.
    """
    eighth = _f4(0.125)
    largest = _f4(limit)
    n = value.shape[1] - 2
    for row in range(1, value.shape[0] - 1):
        above = value[row - 1]
        here = value[row]
        below = value[row + 1]
        target = flat[row, 1 : n + 1]
        for column in range(n):
            left = _f4(_f4(above[column] + here[column]) + below[column])
            middle = _f4(above[column + 1] + below[column + 1])
            right = _f4(_f4(above[column + 2] + here[column + 2]) + below[column + 2])
            mean = _f4(_f4(_f4(left + middle) + right) * eighth)
            centre = here[column + 1]
            target[column] = mean if abs(_f4(centre - mean)) > largest else centre


@njit(nogil=True, cache=True)
def mark_lit(
    flat: F32,
    noise: F32,
    grow_sigma: float,
    seed_sigma: float,
    min_neighbors_average: float,
    mark: U8,
) -> int:
    """Mark macro-pixels whose 3x3 mean is significant.

    :param flat: (rows + 2, columns + 2) float32 with a rim of zeros [ADU].
    :param noise: (rows, columns) float32, noise of the mean of 3x3 macro-pixels [ADU]; 0 where
        nothing may be found.
    :param grow_sigma: significance to be marked 1.
    :param seed_sigma: significance to be marked 2, if also the mean of the eight neighbours is
        above `min_neighbors_average`.
    :param mark: out, (rows, columns) uint8.
    :returns: how many are marked.
    """
    ninth = _f4(1.0 / 9.0)
    eighth = _f4(0.125)
    grow = _f4(grow_sigma)
    seed = _f4(seed_sigma)
    least = _f4(min_neighbors_average)
    n = mark.shape[1]
    lit = 0
    for row in range(mark.shape[0]):
        above = flat[row]
        here = flat[row + 1]
        below = flat[row + 2]
        spread = noise[row]
        target = mark[row]
        row_lit = np.int32(0)
        for column in range(n):
            left = _f4(_f4(above[column] + here[column]) + below[column])
            middle = _f4(above[column + 1] + below[column + 1])
            right = _f4(_f4(above[column + 2] + here[column + 2]) + below[column + 2])
            around = _f4(_f4(left + middle) + right)
            mean = _f4(_f4(around + here[column + 1]) * ninth)
            is_lit = (mean > _f4(grow * spread[column])) & (spread[column] > _f4(0))
            is_seed = is_lit & (mean > _f4(seed * spread[column]))
            is_seed = is_seed & (_f4(around * eighth) > least)
            level = np.int32(is_lit) + np.int32(is_seed)
            target[column] = np.uint8(level)
            row_lit += np.int32(is_lit)
        lit += int(row_lit)
    return lit
