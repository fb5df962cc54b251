"""What the online analyzer looks up in the ODB: places, sizes, conditions, counts of others."""

from pathlib import Path
from typing import Any, Final

from analyzer.conditions import RunConditions, conditions_of
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
    names = ("Configurations", "Runinfo")
    odb = {name: client.odb_get(f"/{name}") for name in names if client.odb_exists(f"/{name}")}
    return conditions_of(odb, run_number)


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


def run_file(client: Client) -> Path | None:
    """Return the file that the logger wrote, None if it wrote none."""
    name = look_up(client, "/Logger/Channels/0/Settings/Current filename")
    if not name:
        return None
    path = data_folder(client) / str(name)
    return path if path.is_file() else None
