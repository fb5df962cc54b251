"""The ODB as pages read it: the three JSON encodings of mhttpd.

Source: MIDAS ``src/odb.cxx``, ``json_write_anything`` and ``json_write_data`` (develop, December
2022): "values" (names in lower case, links followed), "ls" (one level), "save" (all, links kept).
Unsigned numbers of 16 and 32 bits are hexadecimal text there.
"""

from dataclasses import dataclass
from typing import Any, Final

from experiment.errors import MidasError
from experiment.standalone.client import StandaloneClient
from rawdata.tid import Tid
from sim.web.status import DB_OUT_OF_RANGE

KEY: Final = "/key"
_DEPTH: Final = 32  # of links that lead into one another
_DIRECTORY_BYTES: Final = 12  # sizeof(KEYLIST), midas.h


@dataclass(frozen=True)
class Entry:
    """What a path leads to: a value or list, or for a directory a dict with ``name/key``."""

    name: str
    value: Any
    key: dict[str, Any]

    @property
    def tid(self) -> int:
        """MIDAS type."""
        return int(self.key["type"])


def split_indices(path: str) -> tuple[str, list[int] | None]:
    """Return a path without its index, and the indices.

    :raises MidasError: DB_OUT_OF_RANGE if they are none.

    >>> split_indices("/A/b[1,3-5]"), split_indices("/A/b")
    (('/A/b', [1, 3, 4, 5]), ('/A/b', None))
    """
    bare, bracket, rest = path.partition("[")
    if not bracket:
        return path, None
    indices: list[int] = []
    for part in rest.removesuffix("]").split(","):
        first, dash, last = part.partition("-")
        if not first.isdigit() or (dash and not last.isdigit()):
            raise MidasError(DB_OUT_OF_RANGE, f"{path!r} has no array index such as [1] or [1,3-5]")
        begin, end = int(first), int(last or first)
        step = 1 if end >= begin else -1
        indices.extend(range(begin, end + step, step))
    return bare, indices


def look_up(client: StandaloneClient, path: str, recurse: bool = True) -> Entry:
    """Read one path, links followed.

    :raises KeyError: if it is not there.
    """
    found = client.odb_get(path, recurse, include_key_metadata=True)
    name = next(name for name in found if not name.endswith(KEY))
    return Entry(name, found[name], found[name + KEY])


def element(entry: Entry, index: int) -> Any:
    """Return one element as JSON.

    :raises MidasError: DB_OUT_OF_RANGE if there is none.
    """
    values = entry.value if isinstance(entry.value, list) else [entry.value]
    if index >= len(values):
        text = f"{entry.name} has {len(values)} values, there is no [{index}]"
        raise MidasError(DB_OUT_OF_RANGE, text)
    return shown(values[index], entry.tid)


def shown(value: Any, tid: int) -> Any:
    """Return a value as JSON shows it."""
    if isinstance(value, list):
        return [shown(item, tid) for item in value]
    if tid == Tid.WORD:
        return f"0x{value:04x}"
    if tid == Tid.DWORD:
        return f"0x{value:08x}"
    if tid == Tid.CHAR:
        text = chr(value) if isinstance(value, int) else value
        return "" if text == "\0" else text
    return value


@dataclass(frozen=True)
class ValuesStyle:
    """How `values` tells names and times.

    :param not_before: leave out what was written before this unix time; 0 for nothing.
    """

    lower_case: bool = True
    names: bool = True
    last_written: bool = True
    not_before: int = 0


def values(client: StandaloneClient, entry: Entry, style: ValuesStyle, depth: int = 0) -> Any:
    """Return the "values" encoding of an entry."""
    if entry.tid != Tid.KEY:
        return shown(entry.value, entry.tid)
    told: dict[str, Any] = {}
    for name, value in entry.value.items():
        if name.endswith(KEY):
            continue
        below = _below(client, name, value, entry.value.get(name + KEY), depth)
        written = int(below.key.get("last_written", 0))
        if style.not_before and 0 < written < style.not_before:
            continue
        as_told = name.lower() if style.lower_case else name
        if style.lower_case and style.names:
            told[f"{as_told}/name"] = name
        if below.tid != Tid.KEY and style.last_written:
            told[f"{as_told}/last_written"] = written
        told[as_told] = values(client, below, style, depth + (below.value is not value))
    return told


def _below(
    client: StandaloneClient, name: str, value: Any, key: dict[str, Any] | None, depth: int
) -> Entry:
    """Return an entry of a directory; a link is followed, unless it leads nowhere."""
    if isinstance(value, dict):
        return Entry(name, value, {"type": int(Tid.KEY), "last_written": 0})
    if key is None:
        raise MidasError(DB_OUT_OF_RANGE, f"the ODB told no type of {name}")
    if key["type"] == Tid.LINK and depth < _DEPTH:
        try:
            return look_up(client, str(value))
        except (KeyError, MidasError):
            pass
    return Entry(name, value, key)


def listing(entry: Entry) -> dict[str, Any]:
    """Return the "ls" or "save" encoding of an entry, depending on how it was looked up."""
    if entry.tid == Tid.KEY:
        return _listing(entry.value)
    return {entry.name + KEY: entry.key, entry.name: shown(entry.value, entry.tid)}


def _listing(directory: dict[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for name, value in directory.items():
        if isinstance(value, dict):
            told[name] = value if name.endswith(KEY) else _listing(value)
        else:
            told[name] = shown(value, int(directory[name + KEY]["type"]))
    return told


def describe_key(entry: Entry) -> dict[str, Any]:
    """Return what ``db_key`` tells: the KEY structure of midas.h."""
    count = int(entry.key.get("num_values", 1))
    item = entry.key.get("item_size")
    if item is None:
        text = len(str(entry.value).encode()) + 1 if entry.tid == Tid.LINK else 0
        item = _DIRECTORY_BYTES if entry.tid == Tid.KEY else text or Tid(entry.tid).size
    return {
        "type": entry.tid,
        "num_values": count,
        "name": entry.name,
        "total_size": item * count,
        "item_size": item,
        "access_mode": entry.key.get("access_mode", 7),
        "notify_count": entry.key.get("notify_count", 0),
        "last_written": entry.key.get("last_written", 0),
    }
