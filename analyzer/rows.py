"""Rows of results before they are filled."""

from typing import Any

import numpy as np
import numpy.typing as npt


def zeros(dtype: np.dtype[Any], count: int) -> npt.NDArray[Any]:
    """Return rows of zeros; ``np.zeros`` takes three times as long where they have fields.

    >>> zeros(np.dtype([("event", np.uint32)]), 2)["event"]
    array([0, 0], dtype=uint32)
    """
    return np.ndarray(count, dtype, bytearray(count * dtype.itemsize))
