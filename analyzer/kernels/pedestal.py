"""Accumulate a pedestal frame by frame in whole numbers, leaving out what is not noise."""

import numpy as np
from numba import njit

from analyzer.kernels.arrays import I64, U16, U32


@njit(nogil=True, cache=True)
def center_and_spread(stack: U16, center: U16, spread: U16) -> None:
    """Find each pixel's median and median absolute deviation over a few frames.

    With an even number of frames both are the upper one of the two middle values.

    :param stack: (frames, rows, columns) uint16 [ADU].
    :param center: out, (rows, columns) uint16, median [ADU].
    :param spread: out, (rows, columns) uint16, median absolute deviation [ADU].
    """
    frames, rows, columns = stack.shape
    values = np.empty(frames, np.int32)
    for row in range(rows):
        for column in range(columns):
            for step in range(2):
                for frame in range(frames):
                    value = np.int32(stack[frame, row, column])
                    if step == 1:
                        value = abs(value - np.int32(center[row, column]))
                    place = frame
                    while place > 0 and values[place - 1] > value:
                        values[place] = values[place - 1]
                        place -= 1
                    values[place] = value
                if step == 0:
                    center[row, column] = values[frames // 2]
                else:
                    spread[row, column] = values[frames // 2]


@njit(nogil=True, cache=True)
def accumulate(frame: U16, center: U16, clip: U16, count: U32, total: I64, squares: I64) -> None:
    """Add a frame's residuals about `center` to the sums, where they are not beyond `clip`.

    :param frame: (rows, columns) uint16 [ADU]; `center` and `clip` likewise.
    :param count: in and out, (rows, columns) uint32, accepted values of each pixel.
    :param total: in and out, (rows, columns) int64, their sum about `center`; `squares` likewise.
    """
    for row in range(frame.shape[0]):
        values = frame[row]
        middles = center[row]
        limits = clip[row]
        counts = count[row]
        totals = total[row]
        all_squares = squares[row]
        for column in range(values.shape[0]):
            residual = np.int32(values[column]) - np.int32(middles[column])
            inside = np.int32(abs(residual) <= np.int32(limits[column]))
            kept = residual * inside
            counts[column] += np.uint32(inside)
            totals[column] += kept
            all_squares[column] += np.int64(kept) * kept
