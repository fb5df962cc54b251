"""Kernels that count no references."""

from collections.abc import Callable
from typing import Any, TypeVar

from numba import njit

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def lean(function: Kernel) -> Kernel:
    """Compile a kernel that makes no arrays, but works in those that it is given.

    Numba counts a reference for each slice, with an atomic instruction: where slices are as short
    as waveforms that is a quarter of the time. ``_nrt=False`` leaves it out, as numba does in
    helpers of its own. The caller keeps the arrays alive; one made within would not be compiled.
    """
    return njit(nogil=True, cache=True, _nrt=False)(function)  # type: ignore[call-overload]
