"""Twin of `analyzer.kernels.pedestal`."""

import numpy as np

from analyzer.kernels.arrays import I64, U16, U32


def center_and_spread(stack: U16) -> tuple[U16, U16]:
    """Return each pixel's upper median and upper median absolute deviation over frames."""
    middle = len(stack) // 2
    center = np.sort(stack, axis=0)[middle]
    deviation = np.abs(stack.astype(np.int32) - center)
    return center, np.sort(deviation, axis=0)[middle].astype(np.uint16)


def accumulate(frames: U16, center: U16, clip: U16) -> tuple[U32, I64, I64]:
    """Return count, sum and sum of squares of the residuals within the clip, over all frames."""
    residual = frames.astype(np.int64) - center
    inside = np.abs(residual) <= clip
    kept = np.where(inside, residual, 0)
    return inside.sum(axis=0).astype(np.uint32), kept.sum(axis=0), (kept**2).sum(axis=0)
