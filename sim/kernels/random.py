"""Random numbers inside kernels: counter-based, so that order and threads do not matter.

The generator is SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): the i-th number of a key is the
mixed value of ``key + i * GOLDEN``.
"""

from typing import Any

import numpy as np
from numba import njit

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
MASK_16 = np.uint64(0xFFFF)
SHIFT_16 = np.uint64(16)
SHIFT_32 = np.uint64(32)
UNIT_32 = 1.0 / 4294967296.0


@njit(nogil=True, cache=True, inline="always")
def mix(key: Any, index: Any) -> Any:
    """Return the 64-bit random number `index` of `key`, both uint64."""
    z = key + index * GOLDEN
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
