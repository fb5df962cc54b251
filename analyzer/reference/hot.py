"""NumPy twin of `analyzer.kernels.hot`."""

import numpy as np
import numpy.typing as npt


def spikes(sums: npt.NDArray[np.int32], limit: int) -> npt.NDArray[np.bool_]:
    """Tell which macro-pixels are more than `limit` above the four dark ones beside them."""
    found = np.zeros(sums.shape, np.bool_)
    inner = sums[1:-1, 1:-1]
    beside = (sums[:-2, 1:-1], sums[2:, 1:-1], sums[1:-1, :-2], sums[1:-1, 2:])
    highest = np.maximum.reduce(beside)
    found[1:-1, 1:-1] = (inner - highest > limit) & (highest <= limit)
    return found
