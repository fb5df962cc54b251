"""Random numbers that depend on what they are for, and on nothing else.

A stream is named by a path such as ``(seed, "tracks", run, frame)``. Order of use, threads and
skipped frames make no difference.
"""

from functools import cache
from hashlib import blake2b
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from sim.kernels.frame import NOISE_SCALE

Part = int | str


def key_of(*path: Part) -> np.uint64:
    """Return the 64-bit key of a stream, for kernels.

    >>> bool(key_of(1, "noise", 2) == key_of(1, "noise", 3))
    False
    """
    return np.uint64(int.from_bytes(_digest(path, 8), "little"))


def stream(*path: Part) -> np.random.Generator:
    """Return a NumPy generator for a stream."""
    key = int.from_bytes(_digest(path, 16), "little")
    return np.random.Generator(np.random.Philox(key=key))


def _digest(path: tuple[Part, ...], size: int) -> bytes:
    return blake2b(repr(path).encode(), digest_size=size).digest()


@cache
def normal_quantiles() -> npt.NDArray[np.float32]:
    """Return 65536 equally likely values of the standard normal distribution, ascending."""
    inverse = NormalDist().inv_cdf
    half = [inverse((i + 0.5) / 65536) for i in range(32768)]
    return np.array(half + [-value for value in reversed(half)], np.float32)


@cache
def normal_table() -> npt.NDArray[np.int16]:
    """Return 2**20 standard normal values in random order, int16 in `NOISE_SCALE`.

    Mean and variance are exactly 0 and 1, so that long sums over it have no bias.
    """
    values = stream("normal table").standard_normal(1 << 20)
    values = (values - values.mean()) / values.std()
    table: npt.NDArray[np.int16] = np.rint(values * NOISE_SCALE).astype(np.int16)
    return table
