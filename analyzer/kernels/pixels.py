"""The pixels of clusters, gathered from the frame once for all that is measured on them."""

import numpy as np
from numba import njit

from analyzer.kernels.arrays import I32, I64, U16
from analyzer.kernels.residual import DEFECT, SCALE

NONE = -(1 << 31)
"""Residual of a pixel that takes no part: saturated, or beyond the edge of the frame."""


@njit(nogil=True, cache=True)
def _mend(frame: U16, level: U16, shift: I64, cimax: int, row: int, column: int) -> int:
    """Return the mean residual of a defect's good neighbours, rounded; `NONE` if it has none."""
    total = 0
    count = 0
    for y in range(max(0, row - 1), min(frame.shape[0], row + 2)):
        for x in range(max(0, column - 1), min(frame.shape[1], column + 2)):
            value = np.int64(frame[y, x])
            if level[y, x] != DEFECT and value < cimax:
                total += value * SCALE - np.int64(level[y, x]) - shift[y]
                count += 1
    return (2 * total + count) // (2 * count) if count else NONE


@njit(nogil=True, cache=True)
def gather_residuals(
    frame: U16, level: U16, shift: I64, cimax: int, ys: I32, xs: I32, residuals: I32
) -> None:
    """Gather the residuals of the pixels of macro-pixels, without the shift of their rows.

    A defect gets the mean of its good neighbours: in the core of a 55Fe spot it would take up to
    1 % of the light.

    :param frame: (rows, columns) uint16 [ADU].
    :param level: (rows, columns) uint16, pedestal mean [1/32 ADU] or `DEFECT`.
    :param shift: (rows,) int64, common shift of each row [1/32 ADU].
    :param cimax: pixels of at least this [ADU] are saturated.
    :param ys: rows of macro-pixels; `xs` their columns.
    :param residuals: out, (macro-pixels, rebin, rebin) int32 [1/32 ADU], `NONE` for pixels that
        take no part.
    """
    rebin = residuals.shape[1]
    residuals[:] = NONE
    for index in range(residuals.shape[0]):
        y0 = ys[index] * rebin
        x0 = xs[index] * rebin
        for y in range(min(rebin, frame.shape[0] - y0)):
            for x in range(min(rebin, frame.shape[1] - x0)):
                row = y0 + y
                column = x0 + x
                value = np.int64(frame[row, column])
                pedestal = np.int64(level[row, column])
                if value < cimax and pedestal != DEFECT:
                    residuals[index, y, x] = value * SCALE - pedestal - shift[row]
                elif value < cimax:
                    residuals[index, y, x] = _mend(frame, level, shift, cimax, row, column)
