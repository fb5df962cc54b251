"""Sum the macro-pixels of many frames to one small image."""

import numba as nb

from analyzer.kernels.arrays import I32, I64


@nb.njit(nogil=True, cache=True)
def _add_pairs(sums: I32, cells: I64) -> None:
    """As `add_to_cells`, for 2x2 (a Fusion frame): 40 us in place of 290, for it needs no index."""
    rows, columns = cells.shape
    for i in range(rows):
        upper, lower, line = sums[2 * i], sums[2 * i + 1], cells[i]
        for j in range(columns):
            left, right = 2 * j, 2 * j + 1
            line[j] += upper[left] + upper[right] + lower[left] + lower[right]


@nb.njit(nogil=True, cache=True)
def add_to_cells(sums: I32, factor: int, cells: I64) -> None:
    """Add each macro-pixel to its cell.

    :param sums: (rows, columns) int32 of ``rebin_frame`` [1/32 ADU].
    :param factor: macro-pixels on each side of a cell.
    :param cells: (cell rows, cell columns) int64, added to.
    """
    if factor == 2 and sums.shape[0] % 2 == 0 and sums.shape[1] % 2 == 0:
        _add_pairs(sums, cells)
        return
    rows, columns = sums.shape
    for i in range(rows):
        line = cells[i // factor]
        for j in range(columns):
            line[j // factor] += sums[i, j]
