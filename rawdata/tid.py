"""MIDAS data types (TIDs) and what they are in NumPy.

Source: MIDAS ``include/midas.h`` (develop, December 2022), ``TID_*``.
"""

from enum import IntEnum

import numpy as np


class Tid(IntEnum):
    """Type of a bank or of an ODB key, with MIDAS's old and new names.

    >>> Tid.WORD is Tid.UINT16, Tid.WORD.dtype.str, Tid.DOUBLE.size
    (True, '<u2', 8)
    """

    BYTE = 1
    SBYTE = 2
    CHAR = 3
    WORD = 4
    SHORT = 5
    DWORD = 6
    INT = 7
    BOOL = 8
    FLOAT = 9
    DOUBLE = 10
    BITFIELD = 11
    STRING = 12
    ARRAY = 13
    STRUCT = 14
    KEY = 15
    LINK = 16
    INT64 = 17
    UINT64 = 18

    UINT8 = 1
    INT8 = 2
    UINT16 = 4
    INT16 = 5
    UINT32 = 6
    INT32 = 7
    FLOAT32 = 9
    FLOAT64 = 10
    QWORD = 18

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """Little-endian dtype of one element; types without a fixed element are single bytes."""
        return _DTYPES[self]

    @property
    def size(self) -> int:
        """Bytes of one element."""
        return _DTYPES[self].itemsize


_DTYPES: dict[int, np.dtype[np.generic]] = {
    Tid.BYTE: np.dtype("u1"),
    Tid.SBYTE: np.dtype("i1"),
    Tid.CHAR: np.dtype("u1"),
    Tid.WORD: np.dtype("<u2"),
    Tid.SHORT: np.dtype("<i2"),
    Tid.DWORD: np.dtype("<u4"),
    Tid.INT: np.dtype("<i4"),
    Tid.BOOL: np.dtype("<u4"),
    Tid.FLOAT: np.dtype("<f4"),
    Tid.DOUBLE: np.dtype("<f8"),
    Tid.BITFIELD: np.dtype("<u4"),
    Tid.STRING: np.dtype("u1"),
    Tid.ARRAY: np.dtype("u1"),
    Tid.STRUCT: np.dtype("u1"),
    Tid.KEY: np.dtype("u1"),
    Tid.LINK: np.dtype("u1"),
    Tid.INT64: np.dtype("<i8"),
    Tid.UINT64: np.dtype("<u8"),
}
