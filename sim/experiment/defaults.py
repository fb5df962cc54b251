"""What a new ODB holds, under MIDAS's names, types and sizes.

Taken from the ODB that a real experiment (``odbinit``, ``mlogger``, ``mhttpd``; develop, December
2022) writes into its runs. Limits of events and buffers are those a 2304x2304 camera needs.
"""

from pathlib import Path
from typing import Any, Final

from experiment.constants import STATE_STOPPED
from rawdata.tid import Tid
from sim.experiment.odb import Odb

SYSTEM_BUFFER_BYTES: Final = 256 * 1024 * 1024
MAX_EVENT_BYTES: Final = 32 * 1024 * 1024
SYSMSG_BUFFER_BYTES: Final = 100_000
TRANSITION_TIMEOUT_MS: Final = 120_000
CONNECT_TIMEOUT_MS: Final = 10_000
WATCHDOG_TIMEOUT_MS: Final = 10_000
_CHECKSUMS: Final = ["NONE", "CRC32C", "SHA256", "SHA512", "ZLIB"]

Entry = tuple[str, Tid, Any, int]
"""Path, type, value, and for strings the capacity in bytes (0: as long as the text)."""

PROGRAM: Final[list[Entry]] = [
    ("Required", Tid.BOOL, False, 0),
    ("Watchdog timeout", Tid.INT, WATCHDOG_TIMEOUT_MS, 0),
    ("Check interval", Tid.DWORD, 180_000, 0),
    ("Start command", Tid.STRING, "", 256),
    ("Auto start", Tid.BOOL, False, 0),
    ("Auto stop", Tid.BOOL, False, 0),
    ("Auto restart", Tid.BOOL, False, 0),
    ("Alarm class", Tid.STRING, "", 32),
    ("First failed", Tid.DWORD, 0, 0),
]
"""``/Programs/<name>`` (midas.h ``PROGRAM_INFO_STR``)."""

ALARM: Final[list[Entry]] = [
    ("Active", Tid.BOOL, False, 0),
    ("Triggered", Tid.INT, 0, 0),
    ("Type", Tid.INT, 3, 0),
    ("Check interval", Tid.INT, 60, 0),
    ("Checked last", Tid.DWORD, 0, 0),
    ("Time triggered first", Tid.STRING, "", 32),
    ("Time triggered last", Tid.STRING, "", 32),
    ("Condition", Tid.STRING, "/Runinfo/Run number > 100", 256),
    ("Alarm Class", Tid.STRING, "Alarm", 32),
    ("Alarm Message", Tid.STRING, "Run number became too large", 80),
]
"""``/Alarms/Alarms/<name>`` (midas.h ``ALARM_ODB_STR``)."""

ALARM_CLASS: Final[list[Entry]] = [
    ("Write system message", Tid.BOOL, True, 0),
    ("Write Elog message", Tid.BOOL, False, 0),
    ("System message interval", Tid.INT, 60, 0),
    ("System message last", Tid.DWORD, 0, 0),
    ("Execute command", Tid.STRING, "", 256),
    ("Execute interval", Tid.INT, 0, 0),
    ("Execute last", Tid.DWORD, 0, 0),
    ("Stop run", Tid.BOOL, False, 0),
    ("Display BGColor", Tid.STRING, "red", 32),
    ("Display FGColor", Tid.STRING, "black", 32),
]
"""``/Alarms/Classes/<name>`` (midas.h ``ALARM_CLASS_STR``)."""

_EXPERIMENT: Final[list[Entry]] = [
    ("ODB timeout", Tid.INT, 10_000, 0),
    ("Buffer sizes/SYSMSG", Tid.DWORD, SYSMSG_BUFFER_BYTES, 0),
    ("Buffer sizes/SYSTEM", Tid.DWORD, SYSTEM_BUFFER_BYTES, 0),
    ("MAX_EVENT_SIZE", Tid.DWORD, MAX_EVENT_BYTES, 0),
    ("Pause-Resume Buttons", Tid.BOOL, True, 0),
    ("Run Parameters/Run description", Tid.STRING, "", 256),
    ("Prevent start on alarms", Tid.BOOL, False, 0),
    ("Prevent start on required progs", Tid.BOOL, False, 0),
    ("Transition debug flag", Tid.INT, 0, 0),
    ("Transition connect timeout", Tid.INT, CONNECT_TIMEOUT_MS, 0),
    ("Transition timeout", Tid.INT, TRANSITION_TIMEOUT_MS, 0),
]
_RUNINFO: Final[list[Entry]] = [
    ("State", Tid.INT, STATE_STOPPED, 0),
    ("Online Mode", Tid.INT, 1, 0),
    ("Run number", Tid.INT, 0, 0),
    ("Transition in progress", Tid.INT, 0, 0),
    ("Start abort", Tid.INT, 0, 0),
    ("Requested transition", Tid.INT, 0, 0),
    ("Start time", Tid.STRING, "", 32),
    ("Start time binary", Tid.DWORD, 0, 0),
    ("Stop time", Tid.STRING, "", 32),
    ("Stop time binary", Tid.DWORD, 0, 0),
]
_LOGGER: Final[list[Entry]] = [
    ("Message file date format", Tid.STRING, "", 1),
    ("Message dir", Tid.STRING, "", 1),
    ("History dir", Tid.STRING, "", 256),
    ("Write data", Tid.BOOL, True, 0),
    ("ODB Dump", Tid.BOOL, False, 0),
    ("ODB Dump File", Tid.STRING, "run%05d.json", 256),
    ("ODB Last Dump File", Tid.STRING, "last.json", 256),
    ("Auto restart", Tid.BOOL, False, 0),
    ("Auto restart delay", Tid.INT, 0, 0),
    ("Tape message", Tid.BOOL, True, 0),
]
_CHANNEL_SETTINGS: Final[list[Entry]] = [
    ("Active", Tid.BOOL, True, 0),
    ("Type", Tid.STRING, "Disk", 8),
    ("Filename", Tid.STRING, "run%05d.mid", 256),
    ("Format", Tid.STRING, "MIDAS", 8),
    ("Compression", Tid.INT, 0, 0),
    ("ODB dump", Tid.BOOL, True, 0),
    ("ODB dump format", Tid.STRING, "json", 32),
    ("Options ODB dump format", Tid.STRING, ["odb", "xml", "json"], 32),
    ("Log messages", Tid.DWORD, 0, 0),
    ("Buffer", Tid.STRING, "SYSTEM", 32),
    ("Event ID", Tid.INT, -1, 0),
    ("Trigger mask", Tid.INT, -1, 0),
    ("Event limit", Tid.DOUBLE, 0.0, 0),
    ("Byte limit", Tid.DOUBLE, 0.0, 0),
    ("Subrun Byte limit", Tid.DOUBLE, 0.0, 0),
    ("Tape capacity", Tid.DOUBLE, 0.0, 0),
    ("Subdir format", Tid.STRING, "", 32),
    ("Current filename", Tid.STRING, "", 256),
    ("Data checksum", Tid.STRING, "CRC32C", 256),
    ("Options Data checksum", Tid.STRING, _CHECKSUMS, 32),
    ("File checksum", Tid.STRING, "CRC32C", 256),
    ("Options File checksum", Tid.STRING, _CHECKSUMS, 32),
    ("Compress", Tid.STRING, "none", 256),
    ("Options Compress", Tid.STRING, ["none", "gzip", "lz4", "bzip2", "zstd"], 32),
    ("Output", Tid.STRING, "FILE", 256),
    ("Options Output", Tid.STRING, ["NULL", "FILE", "FTP", "ROOT", "PIPE"], 32),
    ("Gzip compression", Tid.DWORD, 0, 0),
    ("Bzip2 compression", Tid.DWORD, 0, 0),
    ("Pbzip2 num cpu", Tid.DWORD, 0, 0),
    ("Pbzip2 compression", Tid.DWORD, 0, 0),
    ("Pbzip2 options", Tid.STRING, "", 256),
]
_CHANNEL_STATISTICS: Final = (
    "Events written",
    "Bytes written",
    "Bytes written uncompressed",
    "Bytes written total",
    "Bytes written subrun",
    "Files written",
    "Disk level",
)
_LOGGER_TAIL: Final[list[Entry]] = [
    ("Run duration", Tid.DWORD, 0, 0),
    ("Next subrun", Tid.BOOL, False, 0),
    ("Subrun duration", Tid.DWORD, 0, 0),
]
_PROGRAMS: Final[list[Entry]] = [
    ("Execute on start run", Tid.STRING, "", 256),
    ("Execute on start abort", Tid.STRING, "", 256),
    ("Execute on stop run", Tid.STRING, "", 256),
]


def declare(odb: Odb, directory: str, entries: list[Entry]) -> None:
    """Create what a directory lacks; never change what is there."""
    for name, tid, value, item_size in entries:
        odb.default(f"{directory}/{name}", tid, value, item_size)


def declare_experiment(odb: Odb, folder: Path) -> None:
    """Create what the ODB of an experiment in this folder lacks."""
    odb.default("/Experiment/Name", Tid.STRING, folder.name or "experiment", 32)
    declare(odb, "/Experiment", _EXPERIMENT)
    for directory in ("/System/Clients", "/System/Tmp", "/Programs"):
        odb.default(directory, Tid.KEY, [])
    odb.default("/System/Client Notify", Tid.INT, 0)
    declare(odb, "/Programs", _PROGRAMS)
    odb.default("/Logger/Data dir", Tid.STRING, str(folder / "data"), 256)
    declare(odb, "/Logger", _LOGGER)
    declare(odb, "/Logger/Channels/0/Settings", _CHANNEL_SETTINGS)
    for name in _CHANNEL_STATISTICS:
        odb.default(f"/Logger/Channels/0/Statistics/{name}", Tid.DOUBLE, 0.0)
    declare(odb, "/Logger", _LOGGER_TAIL)
    declare(odb, "/Runinfo", _RUNINFO)
    odb.default("/Alarms/Alarm system active", Tid.BOOL, True)
    odb.default("/Alarms/Alarms", Tid.KEY, [])
    for name in ("Alarm", "Warning"):
        declare(odb, f"/Alarms/Classes/{name}", ALARM_CLASS)
