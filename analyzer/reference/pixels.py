"""Twin of `analyzer.kernels.pixels`."""

import numpy as np

from analyzer.kernels.arrays import I64, U16
from analyzer.kernels.pixels import NONE
from analyzer.kernels.residual import DEFECT, SCALE


def residuals(frame: U16, level: U16, shift: I64, cimax: int) -> I64:
    """Return the residuals of all pixels of a frame [1/32 ADU], `NONE` where saturated."""
    plain = frame.astype(np.int64) * SCALE - level - shift[:, np.newaxis]
    good = (level != DEFECT) & (frame < cimax)
    rows, columns = frame.shape
    around = [(y, x) for y in range(3) for x in range(3)]
    sums, counts = (
        sum(np.pad(part, 1)[y : y + rows, x : x + columns] for y, x in around)
        for part in (np.where(good, plain, 0), good.astype(np.int64))
    )
    mean = (2 * sums + counts) // np.maximum(2 * counts, 1)
    mended = np.where(good, plain, np.where(counts > 0, mean, NONE))
    return np.where(frame < cimax, mended, NONE)
