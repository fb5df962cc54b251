"""Raw frames as the kernels take them."""

from typing import Any

import numpy as np
import numpy.typing as npt


def as_frame(pixels: npt.NDArray[Any]) -> npt.NDArray[np.uint16]:
    """Return pixels as the one array type that kernels are compiled for.

    That is uint16, C-contiguous, aligned, read-only. No copy is made where the bytes allow it; an
    event in a run file may lie at an odd address, which does not.

    >>> as_frame(np.zeros((2, 3), np.uint16)).flags.writeable
    False
    """
    frame = np.require(pixels, np.uint16, ("C_CONTIGUOUS", "ALIGNED")).view()
    frame.flags.writeable = False
    return frame
