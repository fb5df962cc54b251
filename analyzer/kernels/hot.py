"""Count where single macro-pixels stand out of a frame."""

import numba as nb
import numpy as np

from analyzer.kernels.arrays import I32, U16


@nb.njit(nogil=True, cache=True)
def count_spikes(sums: I32, limit: int, counts: U16) -> None:
    """Count macro-pixels that are more than `limit` above the four beside them, which are dark.

    Light reaches into those beside: one that is above `limit` itself shows that it is light. Those
    at the edge of the frame are left out.

    :param sums: (rows, columns) int32 of ``rebin_frame`` [1/32 ADU].
    :param counts: (rows, columns) uint16, added to.
    """
    rows, columns = sums.shape
    least = np.int32(limit)
    for row in range(1, rows - 1):
        above, here, below, line = sums[row - 1], sums[row], sums[row + 1], counts[row]
        for column in range(1, columns - 1):
            beside = max(here[column - 1], here[column + 1])
            highest = max(beside, max(above[column], below[column]))
            stands_out = (here[column] - highest > least) & (highest <= least)
            line[column] += np.uint16(stands_out)
