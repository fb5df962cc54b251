"""Groups as trees: each thing knows one that it belongs to, up to the root of its group."""

from numba import njit

from analyzer.kernels.arrays import I64


@njit(nogil=True, cache=True)
def root_of(parent: I64, index: int) -> int:
    """Return the root of a thing's group, and make the way to it shorter.

    :param parent: in and out, (things,) int64; a root is its own parent.
    """
    while parent[index] != index:
        parent[index] = parent[parent[index]]
        index = parent[index]
    return index
