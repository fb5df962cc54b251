"""One key of the ODB: a value or an array of them, a directory, or a link."""

import ctypes
from typing import Any, Final

from experiment.errors import MidasError
from rawdata.tid import Tid

MODE_READ: Final = 1
MODE_WRITE: Final = 2
MODE_DELETE: Final = 4
MODE_ALL: Final = MODE_READ | MODE_WRITE | MODE_DELETE
NAME_BYTES: Final = 32  # midas.h NAME_LENGTH, with the final NUL
STRING_BYTES: Final = 256  # midas.h MAX_STRING_LENGTH, with the final NUL

DB_INVALID_NAME: Final = 304
DB_INVALID_PARAM: Final = 309
DB_NO_ACCESS: Final = 318

_INTEGERS: Final = {
    Tid.BYTE: (0, 0xFF),
    Tid.CHAR: (0, 0xFF),
    Tid.SBYTE: (-0x80, 0x7F),
    Tid.WORD: (0, 0xFFFF),
    Tid.SHORT: (-0x8000, 0x7FFF),
    Tid.DWORD: (0, 0xFFFFFFFF),
    Tid.BITFIELD: (0, 0xFFFFFFFF),
    Tid.INT: (-0x80000000, 0x7FFFFFFF),
}
_ALSO_TAKES: Final = {Tid.CHAR: Tid.BYTE, Tid.BITFIELD: Tid.DWORD, Tid.BOOL: Tid.DWORD}
"""ctypes that MIDAS's client accepts besides a key's own: c_ubyte for CHAR and so on."""
_HOLDS_VALUES: Final = {*_INTEGERS, Tid.BOOL, Tid.FLOAT, Tid.DOUBLE, Tid.STRING, Tid.LINK}
CREATABLE: Final = _HOLDS_VALUES | {Tid.KEY}
"""Types a key may have; 64-bit integers may not, as in MIDAS (``db_create_key``)."""


class Key:
    """A node of the ODB tree.

    :param row: its number in the database, for good. Its `position` orders it in its directory.
    :param parent: None for the root.
    """

    __slots__ = (
        "access_mode",
        "children",
        "item_size",
        "last_written",
        "name",
        "parent",
        "position",
        "row",
        "tid",
        "values",
    )

    def __init__(self, row: int, name: str, tid: Tid, parent: "Key | None") -> None:
        self.row = row
        self.position = row  # rows are numbered upwards, so that new keys come last
        self.name = name
        self.tid = tid
        self.parent = parent
        self.children: dict[str, Key] = {}
        self.values: list[Any] = [] if tid is Tid.KEY else [zero(tid)]
        self.item_size = 0 if tid in (Tid.KEY, Tid.STRING, Tid.LINK) else tid.size
        self.access_mode = MODE_ALL
        self.last_written = 0

    @property
    def path(self) -> str:
        """Full path, ``/`` for the root."""
        parts = []
        key: Key | None = self
        while key is not None and key.parent is not None:
            parts.append(key.name)
            key = key.parent
        return "/" + "/".join(reversed(parts))

    @property
    def is_directory(self) -> bool:
        """True for what holds other keys."""
        return self.tid is Tid.KEY

    def require(self, mode: int) -> None:
        """Check that the key may be written or deleted.

        :raises MidasError: DB_NO_ACCESS.
        """
        if not self.access_mode & mode:
            what = "deleted" if mode == MODE_DELETE else "written"
            raise MidasError(DB_NO_ACCESS, f"ODB {self.path} is protected, it cannot be {what}")

    def metadata(self) -> dict[str, int]:
        """Return what MIDAS tells of a key in ``Name/key``, in MIDAS's order."""
        told: dict[str, int] = {"type": int(self.tid)}
        if len(self.values) > 1:
            told["num_values"] = len(self.values)
        if self.tid is Tid.STRING:
            told["item_size"] = self.item_size
        return {**told, "access_mode": self.access_mode, "last_written": self.last_written}


def zero(tid: Tid) -> Any:
    """Return what a key of this type holds before it is set."""
    if tid in (Tid.STRING, Tid.LINK):
        return ""
    if tid is Tid.BOOL:
        return False
    return 0.0 if tid in (Tid.FLOAT, Tid.DOUBLE) else 0


def require_name(name: str) -> None:
    """Check the name of a key (``db_validate_name``).

    :raises MidasError: DB_INVALID_NAME, with the rule that it breaks.
    """
    rules = (
        (not name, "it is empty"),
        ("[" in name or "]" in name, 'it holds "[" or "]"'),
        (name != name.strip(" "), "it begins or ends with a blank"),
        ("/" in name, 'it holds "/"'),
        (len(name.encode()) >= NAME_BYTES, f"it is longer than {NAME_BYTES - 1} bytes"),
    )
    for broken, why in rules:
        if broken:
            raise MidasError(DB_INVALID_NAME, f"{name!r} cannot be the name of an ODB key: {why}")


def cut_string(text: str, size_bytes: int) -> str:
    """Return as much of a text as fits into that many bytes with its final NUL.

    >>> cut_string("12 µm", 5)
    '12 '
    """
    data = text.encode("utf-8", "replace")
    return (
        text if len(data) < size_bytes else data[: max(size_bytes - 1, 0)].decode(errors="ignore")
    )


def convert(key: Key, leaf: dict[str, Any]) -> list[Any]:
    """Return values as a key holds them, with MIDAS's rules of what is accepted.

    Plain numbers and texts are cast (3.9 becomes 3 in an INT32 key, "0x10" becomes 16); ctypes must
    be of the key's own type. Unlike MIDAS, a number out of the type's range is refused.

    :param leaf: see `experiment.standalone.content.encode`.
    :raises TypeError: if the value is of a kind that the key cannot take.
    :raises ValueError: if a text is no number, or a number does not fit.
    """
    values: list[Any] = leaf["values"]
    if key.tid in (Tid.STRING, Tid.LINK):
        if not all(isinstance(value, str) for value in values):
            raise TypeError(f"ODB {key.path} is a {key.tid.name}; {values!r} is no text")
        return [cut_string(value, key.item_size) for value in values]
    if leaf["ctype"] and leaf["ctype"] not in (key.tid, _ALSO_TAKES.get(key.tid)):
        given = Tid(leaf["ctype"]).name
        raise TypeError(f"ODB {key.path} is of type {key.tid.name}; a ctypes {given} was given")
    if leaf["ctype"] == Tid.BOOL and key.tid is not Tid.BOOL:
        raise TypeError(f"ODB {key.path} is of type {key.tid.name}; a ctypes bool was given")
    hexadecimal = bool(values) and isinstance(values[0], str) and values[0].startswith("0x")
    return [_number(key, value, hexadecimal) for value in values]


def _number(key: Key, value: Any, hexadecimal: bool) -> bool | int | float:
    try:
        if key.tid is Tid.DOUBLE:
            return float(value)
        if key.tid is Tid.FLOAT:
            return float(ctypes.c_float(float(value)).value)
        number = int(value, 16) if hexadecimal else int(value)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"ODB {key.path} is of type {key.tid.name}: {error}") from error
    if key.tid is Tid.BOOL:
        return number != 0
    low, high = _INTEGERS[key.tid]
    if not low <= number <= high:
        raise ValueError(
            f"ODB {key.path} is of type {key.tid.name}: {number} is not in {low}..{high}"
        )
    return number
