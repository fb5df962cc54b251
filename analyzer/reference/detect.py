"""Twin of `analyzer.kernels.detect`.

Sums of 32-bit floats are taken in the kernel's order, so that marks agree to the last bit.
"""

import numpy as np

from analyzer.kernels.arrays import F32, I32, U8


def correct_macro(sums: I32, scale: F32, row_shift: F32) -> F32:
    """Return mean residuals of macro-pixels without their row's shift, inside a rim of zeros."""
    mean = sums.astype(np.float32) * scale - row_shift[:, np.newaxis]
    return np.pad(np.where(scale > 0, mean, np.float32(0)), 1)


def _around(values: F32) -> F32:
    """Return the sum of the eight neighbours; the rim is lost."""
    above, here, below = values[:-2], values[1:-1], values[2:]
    left = (above[:, :-2] + here[:, :-2]) + below[:, :-2]
    middle = above[:, 1:-1] + below[:, 1:-1]
    right = (above[:, 2:] + here[:, 2:]) + below[:, 2:]
    return np.asarray((left + middle) + right, np.float32)


def flatten_spikes(value: F32, limit: float) -> F32:
    """Return the map with macro-pixels that stand out replaced by their neighbours' mean."""
    mean = _around(value) * np.float32(0.125)
    centre = value[1:-1, 1:-1]
    is_spike = np.abs(centre - mean) > np.float32(limit)
    return np.pad(np.where(is_spike, mean, centre), 1)


def mark_lit(
    flat: F32, noise: F32, grow_sigma: float, seed_sigma: float, min_neighbors_average: float
) -> U8:
    """Return 0 for dark, 1 for lit macro-pixels, 2 for seeds."""
    around = _around(flat)
    mean = (around + flat[1:-1, 1:-1]) * np.float32(1 / 9)
    is_lit = (mean > np.float32(grow_sigma) * noise) & (noise > 0)
    is_seed = is_lit & (mean > np.float32(seed_sigma) * noise)
    is_seed &= around * np.float32(0.125) > np.float32(min_neighbors_average)
    return is_lit.astype(np.uint8) + is_seed.astype(np.uint8)
