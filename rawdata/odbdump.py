"""ODB dumps: the JSON text that mlogger writes at begin and end of run, and plain dicts.

Beside each value ``"Name"`` stands ``"Name/key"`` with its MIDAS type, size, access mode and time.
16- and 32-bit unsigned numbers are hexadecimal strings, floats that are not finite are strings.
Source: MIDAS ``src/odb.cxx``, ``json_write_data`` and ``db_save_json_key_obj`` (develop, December
2022); the text of this module's `format_dump` equals theirs byte for byte.
"""

import json
import math
import re
import time
from collections.abc import Mapping
from typing import Any, Final

from rawdata.errors import OdbDumpError
from rawdata.tid import Tid

KEY_SUFFIX: Final = "/key"
MASK: Final = "********"
_SECRET: Final = re.compile(r"passw|secret|token|credential|webhook|api.?key", re.IGNORECASE)
_ELEMENT: Final = re.compile(r"(.*)\[(\d+)\]")
_ACCESS_MODE: Final = 7  # MODE_READ | MODE_WRITE | MODE_DELETE
_FLOATS: Final = (Tid.FLOAT, Tid.DOUBLE)
_HEX_DIGITS: Final = {Tid.WORD: 4, Tid.DWORD: 8, Tid.UINT64: 16}
_STRINGS: Final = (Tid.STRING, Tid.LINK, Tid.CHAR)
_INTEGERS: Final = (
    Tid.BYTE,
    Tid.SBYTE,
    Tid.WORD,
    Tid.SHORT,
    Tid.DWORD,
    Tid.INT,
    Tid.INT64,
    Tid.UINT64,
)


def parse_dump(text: str, *, keep_keys: bool = False) -> dict[str, Any]:
    """Return the ODB as nested dicts with numbers as numbers.

    :param keep_keys: keep the ``Name/key`` entries, so that types survive into `format_dump`.
    :raises OdbDumpError: if the text is not JSON (dumps can also be XML or ODB text).

    >>> parse_dump('{ "Run number/key" : { "type" : 6 }, "Run number" : "0x0000002a" }')
    {'Run number': 42}
    """
    start = text.lstrip()[:1]
    if start != "{":
        form = "XML" if start == "<" else "ODB text"
        raise OdbDumpError(
            f"the ODB dump is {form}; set /Logger/Channels/0/Settings/ODB dump format to json"
        )
    try:
        odb = json.loads(text, strict=False)
    except (json.JSONDecodeError, RecursionError) as error:
        raise OdbDumpError(f"the ODB dump is damaged: {error}") from error
    return _parse_directory(odb, keep_keys)


def format_dump(odb: Mapping[str, Any], written_at: int | None = None) -> str:
    """Return the JSON text of an ODB, as mlogger writes it.

    :param odb: nested dicts; types come from ``Name/key`` entries where they are, else from the
        values: bool BOOL, int INT32 (larger UINT32, INT64), float DOUBLE, str STRING.
    :param written_at: unix time for ``last_written`` where it is not known; default now.
    :raises OdbDumpError: if a value has no MIDAS type.
    """
    lines: list[str] = []
    _format_directory(odb, 1, "", int(time.time()) if written_at is None else written_at, lines)
    return "{\n" + ",\n".join(lines) + ("\n}" if lines else "}")


def get(odb: Mapping[str, Any], path: str, default: Any = None) -> Any:
    """Return the value at a path such as ``/Runinfo/Run number``, `default` where it is not.

    Letter case does not count, as in MIDAS; ``path[i]`` is an element of an array.

    >>> get({"Runinfo": {"Run number": 42}}, "/runinfo/Run number")
    42
    """
    index: int | None = None
    element = _ELEMENT.fullmatch(path)
    if element is not None:
        path, index = element[1], int(element[2])
    value: Any = odb
    for name in filter(None, path.split("/")):
        if not isinstance(value, Mapping):
            return default
        if name not in value:
            name = next((key for key in value if key.lower() == name.lower()), name)
        if name not in value:
            return default
        value = value[name]
    if index is None:
        return value
    if not isinstance(value, list):
        return value if index == 0 else default
    return value[index] if 0 <= index < len(value) else default


def mask_secrets(odb: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy in which passwords, tokens and the like are replaced by asterisks.

    >>> mask_secrets({"SQL": {"Username": "daq", "Password": "guess"}})
    {'SQL': {'Username': 'daq', 'Password': '********'}}
    """
    return {name: _masked(name, value) for name, value in odb.items()}


def _masked(name: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        return mask_secrets(value)
    if name.endswith(KEY_SUFFIX) or not _SECRET.search(name):
        return value
    if isinstance(value, list):
        return [_masked(name, item) for item in value]
    return MASK if isinstance(value, str) and value else value


def _parse_directory(directory: Mapping[str, Any], keep_keys: bool) -> dict[str, Any]:
    parsed: dict[str, Any] = {}
    for name, value in directory.items():
        if name.endswith(KEY_SUFFIX):
            if keep_keys:
                parsed[name] = value
        elif isinstance(value, dict):
            parsed[name] = _parse_directory(value, keep_keys)
        else:
            key = directory.get(name + KEY_SUFFIX)
            tid = key.get("type") if isinstance(key, dict) else None
            if isinstance(value, list):
                parsed[name] = [_parse_value(item, tid) for item in value]
            else:
                parsed[name] = _parse_value(value, tid)
    return parsed


def _parse_value(value: Any, tid: int | None) -> Any:
    try:
        if tid in _FLOATS:
            return float(value)
        if tid in _INTEGERS and isinstance(value, str):
            return int(value, 16) if value.lower().startswith("0x") else int(value)
    except (TypeError, ValueError):
        return value  # "(TID_UNKNOWN value)" and the like: what MIDAS cannot write, we cannot read
    return value


def _format_directory(
    directory: Mapping[str, Any], level: int, path: str, written_at: int, lines: list[str]
) -> None:
    indent = "  " * level
    for name, value in directory.items():
        if name.endswith(KEY_SUFFIX):
            continue
        given = directory.get(name + KEY_SUFFIX)
        key = dict(given) if isinstance(given, Mapping) else {}
        if isinstance(value, Mapping):
            if key:  # only a link to a directory has one
                lines.append(f"{indent}{_quoted(name + KEY_SUFFIX)} : {_format_key(key)}")
            inner: list[str] = []
            _format_directory(value, level + 1, f"{path}/{name}", written_at, inner)
            body = ",\n".join(inner) + "\n" if inner else ""
            lines.append(f"{indent}{_quoted(name)} : {{\n{body}{indent}}}")
            continue
        values = value if isinstance(value, (list, tuple)) else [value]
        values = [item.item() if hasattr(item, "item") else item for item in values]
        tid = _type_of(values, key.get("type"), f"{path}/{name}")
        key.setdefault("type", int(tid))
        if len(values) > 1:
            key["num_values"] = len(values)
        if tid is Tid.STRING:
            key.setdefault("item_size", max(len(str(item).encode()) for item in values) + 1)
        key.setdefault("access_mode", _ACCESS_MODE)
        key.setdefault("last_written", written_at)
        lines.append(f"{indent}{_quoted(name + KEY_SUFFIX)} : {_format_key(key)}")
        texts = [_format_value(item, tid, f"{path}/{name}") for item in values]
        one = len(texts) == 1 and not isinstance(value, (list, tuple))
        lines.append(
            f"{indent}{_quoted(name)} : " + (texts[0] if one else f"[ {', '.join(texts)} ]")
        )


def _format_key(key: Mapping[str, Any]) -> str:
    order = ("type", "link", "num_values", "item_size", "notify_count", "access_mode")
    parts = []
    for name in (*order, "last_written"):
        if name == "link" and name in key:
            parts.append(f'"link": {_quoted(str(key[name]))}')
        elif name in key:
            parts.append(f'"{name}" : {int(key[name])}')
    return "{ " + ", ".join(parts) + " }"


def _type_of(values: list[Any], given: Any, path: str) -> Tid:
    if given is not None:
        try:
            return Tid(given)
        except ValueError:
            raise OdbDumpError(f"{path}: no MIDAS type has number {given}") from None
    if values and all(isinstance(item, bool) for item in values):
        return Tid.BOOL
    if values and all(isinstance(item, int) for item in values):
        low, high = min(values), max(values)
        if -(2**31) <= low and high < 2**31:
            return Tid.INT
        return Tid.DWORD if low >= 0 and high < 2**32 else Tid.INT64
    if values and all(isinstance(item, (int, float)) for item in values):
        return Tid.DOUBLE
    if values and all(isinstance(item, str) for item in values):
        return Tid.STRING
    raise OdbDumpError(f"{path}: {values!r} has no MIDAS type")


def _format_value(value: Any, tid: Tid, path: str) -> str:
    try:
        if tid in _HEX_DIGITS:
            number = int(value, 0) if isinstance(value, str) else int(value)
            return f'"0x{number:0{_HEX_DIGITS[tid]}x}"'
        if tid is Tid.BOOL:
            return "true" if value else "false"
        if tid in _FLOATS:
            return _format_float(float(value), 7 if tid is Tid.FLOAT else 16)
        if tid in _INTEGERS:
            return str(int(value, 0) if isinstance(value, str) else int(value))
    except (TypeError, ValueError):
        raise OdbDumpError(f"{path}: {value!r} is not a TID_{tid.name}") from None
    return _quoted(str(value))


def _format_float(value: float, digits: int) -> str:
    if math.isnan(value):
        return '"NaN"'
    if math.isinf(value):
        return '"Infinity"' if value > 0 else '"-Infinity"'
    if value == 0:
        return "0"
    if value.is_integer() and abs(value) < 2**31:
        return f"{value:.0f}"
    return f"{value:.{digits}e}"


_ESCAPES: Final = str.maketrans(
    {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
)


def _quoted(text: str) -> str:
    return f'"{text.translate(_ESCAPES)}"'
