"""Sums over a zero-suppressed frame: CYGNO's ``cmos_*`` are taken of pixels above their noise."""

import numpy as np
from numba import njit

from analyzer.kernels.arrays import F32, I64, U16
from analyzer.kernels.residual import DEFECT, SCALE


@njit(nogil=True, cache=True)
def sum_suppressed(
    frame: U16, level: U16, noise: F32, cimax: int, nsigma: float, sums: I64
) -> None:
    """Sum the pixels above ``nsigma`` times their noise.

    :param frame: (rows, columns) uint16 [ADU].
    :param level: (rows, columns) uint16, the pedestal mean [1/32 ADU], `DEFECT` where ignored.
    :param noise: (rows, columns) float32 [ADU].
    :param cimax: pixels of at least this [ADU] count nothing.
    :param sums: out, (2,) int64: sum of residuals [1/32 ADU] and of their squares.
    """
    total = np.int64(0)
    squares = np.int64(0)
    limit = np.float32(nsigma * SCALE)
    for row in range(frame.shape[0]):
        for column in range(frame.shape[1]):
            value = np.int32(frame[row, column])
            pedestal = np.int32(level[row, column])
            residual = value * np.int32(SCALE) - pedestal
            is_good = pedestal != DEFECT and value < cimax
            if is_good and np.float32(residual) > limit * noise[row, column]:
                total += np.int64(residual)
                squares += np.int64(residual) * np.int64(residual)
    sums[0] = total
    sums[1] = squares
