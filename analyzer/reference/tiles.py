"""Twin of `analyzer.kernels.tiles`."""

import numpy as np

from analyzer.kernels.arrays import F32, I32
from analyzer.kernels.tiles import LEAST, STEP


def average_tiles(
    sums: I32, scale: F32, full: float, labels: I32, wide: int, narrow: int, shape: tuple[int, int]
) -> F32:
    """Return the mean of each tile over macro-pixels without light and defects."""
    tiles = np.full(shape, np.nan, np.float32)
    edges = [np.arange(n + 1) * side // n for n, side in zip(shape, sums.shape, strict=True)]
    for i in range(shape[0]):
        for j in range(shape[1]):
            top, bottom = edges[0][i], edges[0][i + 1]
            left, right = edges[1][j], edges[1][j + 1]
            part = np.s_[top:bottom:STEP, left:right]
            size = (bottom - top) * (right - left)
            is_empty = (labels[part] == 0) & (scale[part] == np.float32(full))
            values = sums[part][is_empty].astype(np.int64)
            near = values[np.abs(values) <= wide]
            least = max(LEAST, size // (4 * STEP))
            if len(near) < least:
                continue
            center = round(float(near.mean()))
            near = values[np.abs(values - center) <= narrow]
            if len(near) >= least:
                tiles[i, j] = near.mean()
    return tiles
