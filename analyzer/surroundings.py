"""What the online analyzer looks up in the ODB: places, sizes, conditions, counts of others."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from analyzer.conditions import ODB_FOLDERS, RunConditions, conditions_of
from experiment.client import Client
from rawdata.datamodel import is_trigger_equipment

DEFAULT_EVENT_BYTES: Final = 4 << 20
"""MIDAS's own default of /Experiment/MAX_EVENT_SIZE."""


def look_up(client: Client, path: str) -> Any:
    """Return a value of the ODB, None if there is none."""
    return client.odb_get(path) if client.odb_exists(path) else None


def largest_event(client: Client) -> int:
    """Return the largest size of an event [bytes]."""
    size = look_up(client, "/Experiment/MAX_EVENT_SIZE")
    return size if isinstance(size, int) else DEFAULT_EVENT_BYTES


def data_folder(client: Client) -> Path:
    """Return the folder of the run files."""
    return Path(str(look_up(client, "/Logger/Data dir") or "."))


def run_conditions(client: Client, run_number: int) -> RunConditions:
    """Return the conditions of the run that begins or goes on."""
    return conditions_of(odb_part(client, ODB_FOLDERS), run_number)


def odb_part(client: Client, paths: Iterable[str]) -> dict[str, Any]:
    """Return a part of the ODB as a tree of its own."""
    part: dict[str, Any] = {}
    for path in paths:
        if client.odb_exists(path):
            *folders, name = path.strip("/").split("/")
            folder = part
            for above in folders:
                folder = folder.setdefault(above, {})
            folder[name] = client.odb_get(path)
    return part


def odb_at_end(client: Client) -> dict[str, Any]:
    """Return what is wanted of the ODB at end of run: times, and the frontends' records."""
    names = client.odb_get("/Equipment", recurse_dir=False)
    records = [f"/Equipment/{name}/Run" for name in names if is_trigger_equipment(name)]
    return odb_part(client, ["/Runinfo", *records])


def events_sent(client: Client, run_number: int) -> int | None:
    """Return how many events the trigger frontends sent in a run, None if none says it."""
    names = client.odb_get("/Equipment", recurse_dir=False)
    equipment = [f"/Equipment/{name}" for name in names if is_trigger_equipment(name)]
    took_part = [
        f"{path}/Run"
        for path in equipment
        if look_up(client, f"{path}/Run/Run number") == run_number
    ]
    places = took_part or ["/Equipment/Trigger/Statistics"]
    counts = [look_up(client, f"{place}/Events sent") for place in places]
    sent = [int(count) for count in counts if isinstance(count, int | float)]
    return sum(sent) if sent else None


def live_percent(client: Client) -> float:
    """Return the lowest live time that a trigger frontend shows now [%], nan if none does.

    Of a frontend that is not running, what the ODB holds is of an earlier run.
    """
    names = client.odb_get("/Equipment", recurse_dir=False)
    paths = [f"/Equipment/{name}" for name in names if is_trigger_equipment(name)]
    running = {entry.get("Name") for entry in client.odb_get("/System/Clients").values()}
    shown = [
        look_up(client, f"{path}/Variables/Live time %")
        for path in paths
        if look_up(client, f"{path}/Common/Frontend name") in running
    ]
    known = [float(value) for value in shown if isinstance(value, int | float)]
    return min(known) if known else float("nan")


def run_file(client: Client) -> Path | None:
    """Return the file that the logger wrote, None if it wrote none."""
    name = look_up(client, "/Logger/Channels/0/Settings/Current filename")
    if not name:
        return None
    path = data_folder(client) / str(name)
    return path if path.is_file() else None
