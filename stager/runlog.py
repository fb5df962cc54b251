"""What the ODB dumps of a run file say of the run, in the columns of CYGNO's run log.

Sources of the columns: the links that CYGNO's logger follows at begin and end of run
(``/Logger/Runlog/SQL/Links BOR`` and ``Links EOR`` of the LNGS detector, December 2023).
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from rawdata.odbdump import get

Odb = Mapping[str, Any]
T = TypeVar("T")

HV_CHANNELS: Final = {
    "GEM3_V": "VGEM3",
    "GEM2_V": "VGEM2",
    "GEM1_V": "VGEM1",
    "T2_V": "Transf2",
    "T1_V": "Transf1",
    "DRIFT_V": "Drift",
    "OFFSET_V": "Offset",
    "PMT1_V": "PMT1",
    "PMT2_V": "PMT2",
    "PMT3_V": "PMT3",
    "PMT4_V": "PMT4",
}
"""Run log column -> name of the channel in ``/Equipment/HV/Settings/Names``."""

_LINKS_BEGIN: Final = "/Logger/Runlog/SQL/Links BOR"
_TRIGGER: Final = re.compile(r"Trigger(\d\d)?")
_CTIME: Final = "%a %b %d %H:%M:%S %Y"  # what MIDAS writes: "Thu Dec 14 23:33:17 2023"


def _boolean(value: Any) -> bool:
    return (
        value.strip().lower() in ("y", "yes", "true", "1")
        if isinstance(value, str)
        else (bool(value))
    )


_AT_BEGIN: Final[dict[str, tuple[str, Callable[[Any], Any]]]] = {
    "run_description": ("/Experiment/Run Parameters/Run description", str),
    "exposure_sec": ("/Configurations/Exposure", float),
    "sequencer_running": ("/Sequencer/State/Running", _boolean),
    "sequence_filename": ("/Sequencer/Command/Load filename", str),
    "pmt_acquisition": ("/Configurations/pmt_acquisition", _boolean),
    "pedestal_run": ("/Configurations/Pedestal", _boolean),
    "source_type": ("/Configurations/SourceState/source_type", int),
    "source_position": ("/Configurations/SourceState/source_position", float),
    "discrimination_threshold": ("/Configurations/TriggerState/discrimination_threshold", int),
    "trigger_veto_time": ("/Configurations/TriggerState/trigger_veto_time", int),
    "trigger_logic": ("/Configurations/TriggerState/trigger_logic", int),
    "run_type": ("/Configurations/run_type", int),
    "drs4_correction_active": ("/Configurations/DRS4Correction", _boolean),
    "shielding_configuration": ("/Configurations/shielding_configuration", int),
}
"""Run log column -> ODB path at begin of run, type."""


def values_at_begin(odb: Odb) -> dict[str, Any]:
    """Return the columns that are known at begin of run; what the ODB lacks is not in it."""
    values: dict[str, Any] = {}
    for column, (path, kind) in _AT_BEGIN.items():
        values[column] = _convert(get(odb, path), kind)
    values["start_time"] = local_time(odb, "Start time")
    names = get(odb, "/Equipment/HV/Settings/Names", [])
    demand = get(odb, "/Equipment/HV/Variables/Demand", [])
    if isinstance(names, list) and isinstance(demand, list):
        volts = dict(zip(names, demand, strict=False))
        for column, channel in HV_CHANNELS.items():
            values[column] = _convert(volts.get(channel), float)
    values["HV_STATE"] = _convert(get(odb, "/Equipment/HV/Variables/ChState[0]"), int)
    # The site's own links say where else a value is; the dump holds what they point to.
    links = get(odb, _LINKS_BEGIN, {})
    for column in (*HV_CHANNELS, "HV_STATE", "total_gas_flow"):
        linked = links.get(column) if isinstance(links, Mapping) else None
        if values.get(column) is None and isinstance(linked, (int, float)):
            values[column] = linked
    return {column: value for column, value in values.items() if value is not None}


def values_at_end(odb: Odb) -> dict[str, Any]:
    """Return the columns that are known at end of run."""
    stop = local_time(odb, "Stop time")
    return {} if stop is None else {"stop_time": stop}


def local_time(odb: Odb, which: str) -> datetime | None:
    """Return ``/Runinfo/<which>`` as the DAQ computer's own clock showed it, without a zone."""
    try:
        return datetime.strptime(str(get(odb, f"/Runinfo/{which}")), _CTIME)
    except ValueError:
        moment = utc_time(odb, which)
        return moment.astimezone().replace(tzinfo=None) if moment else None


def utc_time(odb: Odb, which: str) -> datetime | None:
    """Return ``/Runinfo/<which> binary`` as a moment, None if it is not set."""
    seconds = _convert(get(odb, f"/Runinfo/{which} binary"), int)
    return datetime.fromtimestamp(seconds, UTC) if seconds else None


def events_sent(odb: Odb, run_number: int) -> int | None:
    """Return how many events the trigger frontends say they sent in this run, all together."""
    sent = _sum_of_runs(odb, run_number, "Events sent")
    if sent is None:
        return _convert(get(odb, "/Equipment/Trigger/Statistics/Events sent"), int)
    return sent


def frames_lost(odb: Odb, run_number: int) -> int | None:
    """Return how many frames the trigger frontends say they lost in this run, all together."""
    return _sum_of_runs(odb, run_number, "Frames lost")


def _sum_of_runs(odb: Odb, run_number: int, key: str) -> int | None:
    """Add up a key of all trigger frontends that took part: ``Trigger``, ``Trigger00`` to 99."""
    records = [
        get(odb, f"/Equipment/{name}/Run", {})
        for name in get(odb, "/Equipment", {})
        if _TRIGGER.fullmatch(name)
    ]
    took_part = [record for record in records if record.get("Run number") == run_number]
    counts = [_convert(record.get(key), int) for record in took_part]
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _convert(value: Any, kind: Callable[[Any], T]) -> T | None:
    if value is None or isinstance(value, (dict, list)):
        return None
    try:
        return kind(value)
    except (TypeError, ValueError):
        return None
