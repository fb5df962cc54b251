"""Twin of `analyzer.kernels.suppress`."""

import numpy as np

from analyzer.kernels.arrays import F32, U16
from analyzer.kernels.residual import DEFECT, SCALE


def sum_suppressed(
    frame: U16, level: U16, noise: F32, cimax: int, nsigma: float
) -> tuple[int, int]:
    """Return the sum of residuals above the noise and of their squares."""
    residual = frame.astype(np.int64) * SCALE - level
    is_good = (level != DEFECT) & (frame < cimax)
    kept = residual[is_good & (residual.astype(np.float32) > np.float32(nsigma * SCALE) * noise)]
    return int(kept.sum()), int((kept**2).sum())
