"""Python and ctypes values on their way to the ODB of a standalone experiment.

The type of a new key follows the value exactly as in MIDAS's ``midas.client`` (develop, December
2022): bool BOOL, int INT32, float DOUBLE, str STRING, ctypes by their kind, a list by its first
element. Whether a value fits a key that exists is for the server to say; it gets the leaves
described here.
"""

import ctypes
import operator
from collections import OrderedDict
from typing import Any, Final, SupportsFloat, SupportsIndex

from rawdata.tid import Tid

Encoded = dict[str, Any]
"""A directory ``{"dir": [[name, encoded], ...], "ordered": bool}`` or a leaf ``{"new", "ctype",
"values", "is_list", "string_size"}``: type of a new key (0: it cannot be told), type that ctypes
values insist on (0: plain Python values), values, whether they came as a list, bytes that a string
needs with its final NUL (0: not strings)."""

_CTYPES: Final[dict[type, Tid]] = {
    ctypes.c_bool: Tid.BOOL,
    ctypes.c_ubyte: Tid.BYTE,
    ctypes.c_byte: Tid.SBYTE,
    ctypes.c_ushort: Tid.WORD,
    ctypes.c_short: Tid.SHORT,
    ctypes.c_uint: Tid.DWORD,
    ctypes.c_int: Tid.INT,
    ctypes.c_float: Tid.FLOAT,
    ctypes.c_double: Tid.DOUBLE,
    ctypes.c_int64: Tid.INT64,
    ctypes.c_uint64: Tid.UINT64,
}
_CTYPES_BASE: Final = ctypes.c_int.__mro__[1]  # ctypes._SimpleCData, which is private by name only
_PLAIN: Final[tuple[tuple[type, Tid], ...]] = (
    (bool, Tid.BOOL),
    (int, Tid.INT),
    (float, Tid.DOUBLE),
    (str, Tid.STRING),
)


def encode(content: Any) -> Encoded:
    """Return what the server needs to know of a value.

    :raises TypeError: if it is nothing the ODB could hold.

    >>> encode([1, 2])
    {'new': 7, 'ctype': 0, 'values': [1, 2], 'is_list': True, 'string_size': 0}
    """
    if isinstance(content, dict):
        inside = [[_name(key), encode(value)] for key, value in content.items()]
        return {"dir": inside, "ordered": isinstance(content, OrderedDict)}
    is_list = isinstance(content, list | tuple) or _is_ctypes_list(content)
    items = list(content) if is_list else [content]
    ctype = _ctypes_tid(content if _is_ctypes_list(content) else items[0] if items else None)
    values = [_plain(item) for item in items]
    if ctype and not _is_ctypes_list(content) and not all(_ctypes_tid(i) == ctype for i in items):
        raise TypeError("the ODB takes a list of ctypes values only if all are of one type")
    return {
        "new": int(ctype or (_new_type(items[0]) if items else 0)),
        "ctype": 0 if ctype == Tid.STRING else int(ctype),
        "values": values,
        "is_list": is_list,
        "string_size": max((_string_size(item) for item in items), default=0),
    }


def _name(key: Any) -> str:
    if not isinstance(key, str):
        raise TypeError(f"names of ODB keys are strings, not {key!r}")
    return key


def _is_ctypes_list(content: Any) -> bool:
    return isinstance(content, ctypes.Array) and content._type_ is not ctypes.c_char


def _ctypes_tid(value: Any) -> int:
    if isinstance(value, ctypes.Array):
        return Tid.STRING if value._type_ is ctypes.c_char else _CTYPES.get(value._type_, 0)
    return _CTYPES.get(type(value), 0)


def _new_type(value: Any) -> int:
    return next((tid for plain, tid in _PLAIN if isinstance(value, plain)), 0)


def _plain(value: Any) -> bool | int | float | str:
    if isinstance(value, ctypes.Array):
        return _text(bytes(value))
    if isinstance(value, bytes):
        return _text(value)
    if isinstance(value, str):
        return value.partition("\0")[0]
    if isinstance(value, _CTYPES_BASE):
        value = value.value  # type: ignore[attr-defined]
    if isinstance(value, bool | int | float):
        return value
    if isinstance(value, SupportsIndex):
        return operator.index(value)
    if isinstance(value, SupportsFloat):
        return float(value)
    raise TypeError(f"no MIDAS type for a value of {type(value)}")


def _text(data: bytes) -> str:
    return data.partition(b"\0")[0].decode("utf-8", "replace")


def _string_size(value: Any) -> int:
    if isinstance(value, ctypes.Array) and value._type_ is ctypes.c_char:
        return len(value) + int(value[-1] != b"\0")
    if isinstance(value, str):
        return len(value.partition("\0")[0].encode("utf-8", "replace")) + 1
    return len(value) + 1 if isinstance(value, bytes) else 0
