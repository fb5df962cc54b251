"""The methods ``db_*`` of MIDAS's JSON-RPC."""

import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from experiment.constants import STATUS
from experiment.errors import MidasError
from experiment.standalone.client import StandaloneClient
from rawdata.tid import Tid
from sim.web.envelope import array_parameter, invalid, optional
from sim.web.odb_read import (
    ValuesStyle,
    describe_key,
    element,
    listing,
    look_up,
    split_indices,
    values,
)
from sim.web.odb_write import paste
from sim.web.status import DB_INVALID_PARAM, SUCCESS, OdbErrors, status_of

Client = StandaloneClient


def db_get_values(client: Client, params: Any) -> dict[str, Any]:
    """Return values of keys and directories, with types and times."""
    paths = array_parameter(params, "paths")
    style = ValuesStyle(
        lower_case=not optional(params, "preserve_case", False),
        names=not optional(params, "omit_names", False),
        last_written=not optional(params, "omit_last_written", False),
        not_before=int(optional(params, "omit_old_timestamp", 0)),
    )
    rows = [_get_values(client, str(path), style) for path in paths]
    data, statuses, tids, times = ([row[column] for row in rows] for column in range(4))
    result: dict[str, Any] = {"data": data, "status": statuses}
    if not optional(params, "omit_tid", False):
        result["tid"] = tids
    if style.last_written:
        result["last_written"] = times
    return result


def _get_values(client: Client, path: str, style: ValuesStyle) -> tuple[Any, Any, Any, Any]:
    try:
        entry = look_up(client, path.partition("[")[0])
    except OdbErrors as error:
        return None, status_of(error), None, None
    told = entry.tid, int(entry.key.get("last_written", 0))
    try:
        _, indices = split_indices(path)
        if indices is None:
            return values(client, entry, style), SUCCESS, *told
        if len(indices) == 1:
            return element(entry, indices[0]), SUCCESS, *told
    except OdbErrors as error:
        return None, status_of(error), *told
    data: list[Any] = []
    statuses = []
    for index in indices:
        try:
            data.append(element(entry, index))
            statuses.append(SUCCESS)
        except MidasError as error:
            data.append(None)
            statuses.append(error.code)
    return data, statuses, *told


def db_ls(client: Client, params: Any) -> dict[str, Any]:
    """Return what directories hold, one level deep."""
    return _listings(client, params, recurse=False)


def db_copy(client: Client, params: Any) -> dict[str, Any]:
    """Return all below some paths, as in a saved ODB."""
    return _listings(client, params, recurse=True)


def _listings(client: Client, params: Any, recurse: bool) -> dict[str, Any]:
    data: list[Any] = []
    statuses = []
    for path in array_parameter(params, "paths"):
        try:
            data.append(listing(look_up(client, str(path).partition("[")[0], recurse)))
            statuses.append(SUCCESS)
        except OdbErrors as error:
            data.append(None)
            statuses.append(status_of(error))
    return {"data": data, "status": statuses}


def db_key(client: Client, params: Any) -> dict[str, Any]:
    """Return what keys are: type, sizes, times."""
    keys: list[Any] = []
    statuses = []
    for path in array_parameter(params, "paths"):
        try:
            keys.append(describe_key(look_up(client, str(path).partition("[")[0], recurse=False)))
            statuses.append(SUCCESS)
        except OdbErrors as error:
            keys.append(None)
            statuses.append(status_of(error))
    return {"keys": keys, "status": statuses}


def db_paste(client: Client, params: Any) -> dict[str, Any]:
    """Write values; a refusal is explained in the message log, as mhttpd does."""
    paths, given = array_parameter(params, "paths"), array_parameter(params, "values")
    if len(paths) != len(given):
        raise invalid("paths and values should have the same length")
    work = [
        (str(path), partial(paste, client, str(path), value))
        for path, value in zip(paths, given, strict=True)
    ]
    return _each(client, work)


def db_create(client: Client, params: Any) -> dict[str, Any]:
    """Create keys."""
    if not isinstance(params, list):
        raise invalid("parameters must be an array of objects")

    def create(wish: Any) -> int:
        tid = int(optional(wish, "type", 0))
        length, size = (int(optional(wish, f"{n}_length", 0)) for n in ("array", "string"))
        if tid not in Tid._value2member_map_:
            raise MidasError(DB_INVALID_PARAM, f"there is no type {tid}")
        client.odb_create(str(optional(wish, "path", "")), tid, max(length, 1), size)
        return SUCCESS

    work = [(str(optional(wish, "path", "")), partial(create, wish)) for wish in params]
    return _each(client, work)


def db_delete(client: Client, params: Any) -> dict[str, Any]:
    """Delete keys, and directories with all below them."""
    return _pairs(client, params, ("paths",), client.odb_delete)


def db_resize(client: Client, params: Any) -> dict[str, Any]:
    """Give arrays other lengths."""
    return _pairs(
        client, params, ("paths", "new_lengths"), lambda p, n: client.odb_resize(p, int(n))
    )


def db_resize_string(client: Client, params: Any) -> dict[str, Any]:
    """Give string arrays other lengths and capacities."""

    def resize(path: str, length: Any, size: Any) -> None:
        client.odb_resize_string(path, int(size))
        if int(length):
            client.odb_resize(path, int(length))

    names = ("paths", "new_lengths", "new_string_lengths")
    return _pairs(client, params, names, resize)


def db_rename(client: Client, params: Any) -> dict[str, Any]:
    """Rename keys."""

    def rename(path: str, name: Any) -> None:
        if not name:
            raise MidasError(DB_INVALID_PARAM, f"{path} cannot have an empty name")
        client.odb_rename(path, str(name))

    return _pairs(client, params, ("paths", "new_names"), rename)


def db_link(client: Client, params: Any) -> dict[str, Any]:
    """Make links."""
    return _pairs(
        client, params, ("new_links", "target_paths"), lambda a, b: client.odb_link(a, str(b))
    )


def db_reorder(client: Client, params: Any) -> dict[str, Any]:
    """Move keys within their directories."""
    return _pairs(client, params, ("paths", "indices"), lambda p, n: client.odb_reorder(p, int(n)))


def db_scl(client: Client, params: Any) -> dict[str, Any]:
    """Return the programs of the experiment."""
    clients = [
        {
            "slot": slot,
            "pid": int(pid),
            "name": entry.get("Name", ""),
            "host": entry.get("Host", "localhost"),
            "watchdog_timeout_millisec": 10000,
            "last_activity_millisec": 0,
        }
        for slot, (pid, entry) in enumerate(client.odb_get("/System/Clients").items())
        if isinstance(entry, dict) and pid.isdigit()
    ]
    return {"scl": {"now": time.time(), "clients": clients}}


def _pairs(
    client: Client, params: Any, names: tuple[str, ...], work: Callable[..., object]
) -> dict[str, Any]:
    columns = [array_parameter(params, name) for name in names]
    if len({len(column) for column in columns}) > 1:
        quoted = " and ".join(f'"{name}"' for name in names)
        raise invalid(f"arrays {quoted} should have the same length")

    def one(row: tuple[Any, ...]) -> int:
        work(str(row[0]), *row[1:])
        return SUCCESS

    rows = zip(*columns, strict=True)
    return _each(client, [(str(row[0]), partial(one, row)) for row in rows])


def _each(client: Client, work: Iterable[tuple[str, Callable[[], Any]]]) -> dict[str, Any]:
    statuses: list[Any] = []
    for path, do in work:
        try:
            statuses.append(do())
        except OdbErrors as error:
            statuses.append(status_of(error))
            if not isinstance(error, KeyError) and status_of(error) != STATUS["DB_NO_KEY"]:
                client.msg(f"{path} was not changed: {error}", True)
    return {"status": statuses}


METHODS: dict[str, Callable[[Client, Any], Any]] = {
    call.__name__: call
    for call in (
        db_copy,
        db_create,
        db_delete,
        db_get_values,
        db_key,
        db_link,
        db_ls,
        db_paste,
        db_rename,
        db_reorder,
        db_resize,
        db_resize_string,
        db_scl,
    )
}
