"""Twin of `analyzer.kernels.detect`.

Sums of 32-bit floats are taken in the kernel's order, so that marks agree to the last bit.
"""

import numpy as np

from analyzer.kernels.arrays import F32, I32, U16
from analyzer.kernels.dbscan import SEED, WEIGHT
from analyzer.kernels.detect import PART


def correct(sums: I32, scale: F32, row_shift: F32) -> F32:
    """Return mean residuals of macro-pixels without their row's shift, inside a rim of zeros."""
    mean = sums.astype(np.float32) * scale - row_shift[:, np.newaxis]
    return np.pad(np.where(scale > 0, mean, np.float32(0)), 1)


def _stack(values: F32) -> F32:
    """Return sums of three rows."""
    return np.asarray((values[:-2] + values[1:-1]) + values[2:], np.float32)


def flatten(value: F32, limit: float) -> F32:
    """Return the map with macro-pixels that stand out replaced by their neighbours' mean."""
    stack, centre = _stack(value), value[1:-1, 1:-1]
    mean = ((stack[:, :-2] + stack[:, 2:]) + (stack[:, 1:-1] - centre)) * np.float32(0.125)
    return np.pad(np.where(np.abs(centre - mean) > np.float32(limit), mean, centre), 1)


def significance_of(significance: U16, unit: F32) -> F32:
    """Return 1 / noise of the sum of 3x3 macro-pixels [1/ADU]; see the kernel."""
    units = np.repeat(unit, PART, axis=1)[:, : significance.shape[1]]
    return np.asarray(significance * units, np.float32)


def mark(flat: F32, significance: F32, grow_sigma: float, min_neighbors_average: float) -> U16:
    """Return 0 for dark macro-pixels, for the others whole sigmas and perhaps `SEED`."""
    stack = _stack(flat)
    box = (stack[:, :-2] + stack[:, 2:]) + stack[:, 1:-1]
    sigmas = box * significance
    around = (box - flat[1:-1, 1:-1]) * np.float32(0.125)
    is_seed = around > np.float32(min_neighbors_average)
    weight = np.minimum(np.trunc(sigmas), WEIGHT) + SEED * is_seed
    return np.where(sigmas > np.float32(grow_sigma), weight, 0).astype(np.uint16)
