"""The ODB as pages write it: JSON values into keys of MIDAS types.

Source: MIDAS ``src/json_paste.cxx`` (develop, December 2022). Unlike there, a number that does not
fit its key is refused, not cut.
"""

from typing import Any, Final

from experiment.errors import MidasError
from experiment.standalone.client import StandaloneClient
from rawdata.tid import Tid
from sim.web.odb_read import KEY, Entry, look_up, split_indices
from sim.web.status import DB_FILE_ERROR, DB_TYPE_MISMATCH, SUCCESS, OdbErrors, status_of

_KEY_EXISTS: Final = 311
_YES: Final = ("y", "Y", "t", "T")
_NO: Final = ("n", "N", "f", "F")
_LIMITS: Final = {
    Tid.BYTE: (0, 0xFF),
    Tid.SBYTE: (-0x80, 0x7F),
    Tid.WORD: (0, 0xFFFF),
    Tid.SHORT: (-0x8000, 0x7FFF),
    Tid.DWORD: (0, 0xFFFFFFFF),
    Tid.INT: (-0x80000000, 0x7FFFFFFF),
}


def paste(client: StandaloneClient, path: str, value: Any) -> int | list[int]:
    """Write a JSON value; return its status, or one for each index of ``path[1,3-5]``."""
    if path.endswith("[*]"):
        entry = look_up(client, path[:-3])
        count = len(entry.value) if isinstance(entry.value, list) else 1
        return _paste_whole(client, path[:-3], entry, [value] * count)
    bare, indices = split_indices(path)
    entry = look_up(client, bare)
    if indices is None:
        return _paste_whole(client, bare, entry, value)
    if len(indices) == 1:
        return _paste_element(client, bare, entry, indices[0], value)
    each = value if isinstance(value, list) else [value] * len(indices)
    if len(each) != len(indices):
        text = f"{path}: {len(each)} values were given for {len(indices)} elements"
        raise MidasError(DB_TYPE_MISMATCH, text)
    return [
        _attempt(client, f"{bare}[{index}]", entry, one)
        for index, one in zip(indices, each, strict=True)
    ]


def _attempt(client: StandaloneClient, path: str, entry: Entry, value: Any) -> int:
    try:
        client.odb_set(path, convert(path, value, entry.tid))
    except OdbErrors as error:
        client.msg(f"{path} was not set: {error}", True)
        return status_of(error)
    return SUCCESS


def _paste_element(
    client: StandaloneClient, bare: str, entry: Entry, index: int, value: Any
) -> int:
    if isinstance(value, list):
        raise MidasError(DB_TYPE_MISMATCH, f"{bare}[{index}] is one value, a list was given")
    client.odb_set(f"{bare}[{index}]", convert(bare, value, entry.tid))
    return SUCCESS


def _paste_whole(client: StandaloneClient, path: str, entry: Entry, value: Any) -> int:
    if entry.tid == Tid.KEY:
        if not isinstance(value, dict):
            raise MidasError(DB_TYPE_MISMATCH, f"{path} is a directory, {value!r} is no object")
        return _paste_directory(client, path.rstrip("/"), value)
    if isinstance(value, dict):
        raise MidasError(DB_TYPE_MISMATCH, f"{path} is no directory, an object was given")
    old = entry.value if isinstance(entry.value, list) else [entry.value]
    given = value if isinstance(value, list) else [value]
    new = [convert(path, one, entry.tid) for one in given]
    # As in MIDAS an array becomes longer if need be, and never shorter.
    whole = new + [_plain(one, entry.tid) for one in old[len(new) :]]
    client.odb_set(path, whole if len(whole) > 1 else whole[0])
    return SUCCESS


def _plain(value: Any, tid: int) -> Any:
    return ord(value[:1] or "\0") if tid == Tid.CHAR and isinstance(value, str) else value


def _paste_directory(client: StandaloneClient, path: str, content: dict[str, Any]) -> int:
    for name, value in content.items():
        if "/" in name:
            continue  # "name/key" and the like
        here, told = f"{path}/{name}", content.get(name + KEY)
        tid = _tid_for(value, told)
        if not client.odb_exists(here):
            length = len(value) if isinstance(value, list) else 1
            size = int(told.get("item_size", 0)) if isinstance(told, dict) else 0
            client.odb_create(here, tid, length, size)
        entry = look_up(client, here)
        if entry.tid != tid:
            text = f"{here} is of type {Tid(entry.tid).name}, not {Tid(tid).name}"
            raise MidasError(_KEY_EXISTS, text)
        _paste_whole(client, here, entry, value)
    return SUCCESS


def _tid_for(value: Any, told: Any) -> int:
    if isinstance(value, dict):
        return Tid.KEY
    if isinstance(told, dict) and int(told.get("type", 0)) > 0:
        return int(told["type"])
    first = value[0] if isinstance(value, list) and value else value
    if isinstance(first, str):
        if first in ("NaN", "Infinity", "-Infinity"):
            return Tid.DOUBLE
        return Tid.DWORD if first[:2] == "0x" and first[2:3].isalnum() else Tid.STRING
    for kind, tid in ((bool, Tid.BOOL), (int, Tid.INT), (float, Tid.DOUBLE)):
        if isinstance(first, kind):
            return tid
    raise MidasError(DB_FILE_ERROR, f"{value!r} has no MIDAS type")


def convert(path: str, value: Any, tid: int) -> Any:
    """Return a JSON value as the ODB takes it for a key of this type.

    :raises MidasError: if it is nothing for such a key.

    >>> convert("/a", "0x10", Tid.WORD), convert("/a", "y", Tid.BOOL), convert("/a", 3.7, Tid.INT)
    (16, True, 3)
    """
    if tid in (Tid.STRING, Tid.LINK):
        if isinstance(value, (list, dict)) or value is None:
            raise _no_value(path, value, tid)
        return value if isinstance(value, str) else str(value)
    if tid == Tid.CHAR and isinstance(value, str):
        return ord(value[:1] or "\0")
    if tid == Tid.BOOL:
        return _to_bool(path, value)
    if isinstance(value, bool):
        raise MidasError(DB_TYPE_MISMATCH, f"{path} is no BOOL, {value} was given")
    number = _to_number(path, value, tid)
    if tid in (Tid.FLOAT, Tid.DOUBLE):
        return float(number)
    low, high = _LIMITS.get(Tid(tid), (0, 0xFFFFFFFF))
    if not low <= number <= high:  # also false for NaN
        raise MidasError(DB_FILE_ERROR, f"{path}: {number} is not in {low}..{high}")
    return int(number)


def _to_bool(path: str, value: Any) -> bool:
    if isinstance(value, str) and value[:1] in _YES:
        return True
    if isinstance(value, str) and value[:1] in _NO:
        return False
    return bool(_to_number(path, value, Tid.BOOL))


def _to_number(path: str, value: Any, tid: int) -> int | float:
    if isinstance(value, (int, float)):
        return value
    if not isinstance(value, str):
        raise _no_value(path, value, tid)
    text = value.strip()
    try:
        if text[:2].lower() == "0x":
            return int(text, 16)
        if text.endswith("b") and set(text[:-1]) <= {"0", "1"} and len(text) > 1:
            return int(text[:-1], 2)
        return float(text) if tid in (Tid.FLOAT, Tid.DOUBLE) else int(float(text))
    except (ValueError, OverflowError):
        raise _no_value(path, value, tid) from None


def _no_value(path: str, value: Any, tid: int) -> MidasError:
    return MidasError(DB_FILE_ERROR, f"{path} is of type {Tid(tid).name}, {value!r} is no such")
