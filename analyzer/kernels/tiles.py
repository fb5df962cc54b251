"""Level of the parts of a frame above their pedestal, from macro-pixels without light."""

import numpy as np
from numba import njit

from analyzer.kernels.arrays import F32, I32

STEP = 2
"""Only every second row is looked at: a tile of 5184 macro-pixels is known to 0.01 ADU as well."""

LEAST = 25
"""Macro-pixels that must be empty for a tile's level to be known: to 0.1 ADU."""

_i4 = np.int32
_u4 = np.uint32


@njit(nogil=True, cache=True)
def _add_row(
    values: I32,
    scales: F32,
    full: float,
    names: I32,
    center: I32,
    reach: int,
    used: I32,
    total: I32,
) -> None:
    """Add a row's empty macro-pixels, about `center`, to the sums of their columns."""
    whole, high, both = np.float32(full), _i4(reach), _u4(2 * reach)
    for x in range(values.shape[0]):
        residual = _i4(values[x] - center[x])
        inside = _u4(residual + high) <= both  # one comparison for both sides
        is_empty = inside & (names[x] == _i4(0)) & (scales[x] == whole)
        used[x] = _i4(used[x] + _i4(is_empty))
        total[x] = _i4(total[x] + (residual if is_empty else _i4(0)))


@njit(nogil=True, cache=True)
def average_tiles(
    sums: I32, scale: F32, full: float, labels: I32, wide: int, narrow: int, tiles: F32
) -> None:
    """Average macro-pixels that belong to no cluster, tile by tile.

    First those within `wide` of the pedestal are averaged, then those within `narrow` of that
    mean: so neither light nor a large drift biases it. Macro-pixels with defects do not count.

    :param sums: (macro rows, macro columns) int32, residuals [1/32 ADU].
    :param scale: likewise, float32; `full` where all pixels are good.
    :param labels: likewise, int32; 0 for macro-pixels in no cluster.
    :param wide: largest residual of a macro-pixel without light, in the unit of `sums`.
    :param narrow: largest distance from the tile's mean, in that unit.
    :param tiles: out, (n, m) float32, mean of each tile in the unit of `sums`; NaN where less than
        a quarter of a tile, or `LEAST`, is empty.
    """
    rows, columns = sums.shape
    down, across = tiles.shape
    # Not three rows of one array: unpacked, they are not known to lie in one piece, and loops over
    # them are not vectorized.
    center = np.zeros(columns, np.int32)
    used = np.zeros(columns, np.int32)
    total = np.zeros(columns, np.int32)
    for i in range(down):
        top, bottom = i * rows // down, (i + 1) * rows // down
        center[:] = 0
        for reach in (wide, narrow):
            used[:] = 0
            total[:] = 0
            for y in range(top, bottom, STEP):
                _add_row(sums[y], scale[y], full, labels[y], center, reach, used, total)
            for j in range(across):
                left, right = j * columns // across, (j + 1) * columns // across
                count, whole = used[left:right].sum(), total[left:right].sum()
                if count < max(LEAST, (bottom - top) * (right - left) // (4 * STEP)):
                    tiles[i, j] = np.nan
                    continue
                mean = center[left] + whole / count
                tiles[i, j] = mean
                center[left:right] = round(mean)
