"""The logger's channel: its settings as mlogger has them, and where a run's file goes.

Source: MIDAS ``progs/mlogger.cxx``, ``CHN_TREE_STR`` and ``log_generate_file_name`` (develop,
December 2022). Settings of mlogger that this logger does not have are refused, not ignored.
"""

import os
import re
import shutil
import time
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, field_validator

from experiment.client import Client
from experiment.errors import SettingsError
from experiment.settings import Settings, declare, load, setting
from rawdata.compressors import SUFFIXES

CHANNEL = "/Logger/Channels/0"
SETTINGS = f"{CHANNEL}/Settings"
STATISTICS = f"{CHANNEL}/Statistics"
MEBIBYTE = 1 << 20


def _choice(value: Any) -> Any:
    """Read a choice as mlogger writes it: ``lz4 (one of: none gzip lz4 bzip2 pbzip2)``."""
    return value.split(" (one of")[0].strip() if isinstance(value, str) else value


Choice = BeforeValidator(_choice)
Checksum = Annotated[Literal["NONE", "CRC32C"], Choice]
Compression = Annotated[Literal["none", "gzip", "lz4", "bzip2", "zstd"], Choice]


class LoggerSettings(Settings):
    """What holds for all channels."""

    data_dir: str = setting("", "Data dir", "Folder of the run files.")
    write_data: bool = setting(True, "Write data", "Write run files at all.")
    odb_dump: bool = setting(False, "ODB Dump", "Save the ODB to a file at end of run.")
    odb_dump_file: str = setting(
        "run%05d.json", "ODB Dump File", "Name of that file, in the data folder.", min_length=1
    )
    odb_last_dump_file: str = setting(
        "last.json", "ODB Last Dump File", "The ODB at the last begin of run; empty for none."
    )
    run_duration_s: int = setting(
        0, "Run duration", "Stop a run after that long; 0: never.", unit="s", ge=0
    )
    subrun_duration_s: int = setting(
        0, "Subrun duration", "There are no subruns here: 0.", unit="s", ge=0, le=0
    )
    auto_restart: bool = setting(
        False, "Auto restart", "Start the next run after one that a limit has stopped."
    )
    auto_restart_delay_s: int = setting(
        0, "Auto restart delay", "How long to wait before that.", unit="s", ge=0
    )
    free_space_floor_mib: float = setting(
        0.0,
        "Free space floor MiB",
        "Below this a run is refused or stopped; 0 takes mlogger's rule: 10 MB, 100 MB on a disk "
        "of more than 10 GB, 1 GB on one of more than 100 GB.",
        unit="MiB",
        ge=0,
    )


class ChannelSettings(Settings):
    """What holds for the one channel there is."""

    active: bool = setting(True, "Active", "Write this channel's file.")
    kind: Literal["Disk"] = setting("Disk", "Type", "Where to.")
    filename: str = setting(
        "run%05d.mid", "Filename", "Name of the run file; %05d becomes the run number."
    )
    form: Literal["MIDAS"] = setting("MIDAS", "Format", "Format of the file.")
    odb_dump: bool = setting(True, "ODB dump", "Write the ODB at begin and end of the file.")
    odb_dump_format: Literal["json"] = setting("json", "ODB dump format", "Its form.")
    log_messages: Literal[0] = setting(0, "Log messages", "Messages are not logged to run files.")
    buffer: str = setting("SYSTEM", "Buffer", "Event buffer to log.", min_length=1, max_length=31)
    event_id: int = setting(-1, "Event ID", "Log only this event id; -1 is all.", ge=-1, le=65535)
    trigger_mask: int = setting(
        -1, "Trigger mask", "Log only events with one of these bits; -1 is all.", ge=-1, le=65535
    )
    event_limit: float = setting(0.0, "Event limit", "Stop after that many events; 0: never.", ge=0)
    byte_limit: float = setting(
        0.0, "Byte limit", "Stop after that many bytes in the file; 0: never.", unit="bytes", ge=0
    )
    subrun_byte_limit: float = setting(
        0.0, "Subrun Byte limit", "There are no subruns here: 0.", ge=0, le=0
    )
    subdir_format: str = setting(
        "", "Subdir format", "Folder below the data folder, as strftime: %Y-%m."
    )
    data_checksum: Checksum = setting("CRC32C", "Data checksum", "Of the data; NONE or CRC32C.")
    file_checksum: Checksum = setting("CRC32C", "File checksum", "Of the file; NONE or CRC32C.")
    compress: Compression = setting("lz4", "Compress", "none, gzip, lz4, bzip2 or zstd.")
    output: Annotated[Literal["FILE"], Choice] = setting("FILE", "Output", "Kind of output.")

    @field_validator("filename")
    @classmethod
    def _one_number(cls, name: str) -> str:
        if len(re.findall(r"%0?\d*d", name)) != 1 or name.count("%") != 1 or name[:1] in ("|", ""):
            raise ValueError("a name with one place for the run number, such as run%05d.mid")
        return name

    @property
    def has_checksums(self) -> bool:
        """True if sidecar files are asked for."""
        return "CRC32C" in (self.data_checksum, self.file_checksum)


def declare_settings(client: Client, folder: Path) -> None:
    """Add the keys that the ODB lacks, and make the data folder if it is the experiment's own."""
    declare(client, "/Logger", LoggerSettings())
    declare(client, SETTINGS, ChannelSettings())
    if not client.odb_exists(f"{SETTINGS}/Current filename"):
        client.odb_set(f"{SETTINGS}/Current filename", "")
    data = folder / "data"
    if not client.odb_get("/Logger/Data dir"):
        client.odb_set("/Logger/Data dir", os.fspath(data))
    if Path(client.odb_get("/Logger/Data dir")) == data:
        data.mkdir(exist_ok=True)


def load_settings(client: Client) -> tuple[LoggerSettings, ChannelSettings]:
    """Read and validate the settings.

    :raises SettingsError: naming each bad key, the value and what is allowed.
    """
    return load(client, "/Logger", LoggerSettings), load(client, SETTINGS, ChannelSettings)


def run_file(logger: LoggerSettings, channel: ChannelSettings, run_number: int) -> Path:
    """Return a run's file, without the suffix of its compression."""
    folder = Path(logger.data_dir)
    if channel.subdir_format:
        folder /= time.strftime(channel.subdir_format)
    return folder / (channel.filename % run_number)


def require_place(logger: LoggerSettings, plain: Path) -> None:
    """Check that a run's file can be written.

    :raises SettingsError: saying why not and what to do.
    """
    data_dir = Path(logger.data_dir)
    if not data_dir.is_dir():
        raise SettingsError(
            f"/Logger/Data dir is {logger.data_dir!r}, which is not a folder: make it, or set "
            "another one"
        )
    try:
        plain.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"{plain.parent} cannot be made: {error.strerror}") from error
    if not os.access(plain.parent, os.W_OK | os.X_OK):
        raise SettingsError(
            f"{plain.parent} cannot be written by this user: change its owner or rights, or set "
            "another /Logger/Data dir"
        )
    for suffix in SUFFIXES.values():
        other = plain.with_name(plain.name + suffix)
        if other.exists():
            raise SettingsError(
                f"{other} exists already; a run file is never overwritten: move it away, or set "
                "/Runinfo/Run number higher"
            )
    problem = missing_space(logger, plain.parent)
    if problem:
        raise SettingsError(problem)


def missing_space(logger: LoggerSettings, folder: Path) -> str:
    """Say that the disk is too full to go on, or nothing. The rule is mlogger's ``log_write``."""
    usage = shutil.disk_usage(folder)
    floor = logger.free_space_floor_mib * MEBIBYTE
    if not floor:
        floor = 1e9 if usage.total > 100e9 else 1e8 if usage.total > 10e9 else 1e7
    if usage.free >= floor:
        return ""
    return (
        f"the disk of {folder} is almost full: {usage.free / MEBIBYTE:.0f} MiB free of "
        f"{usage.total / MEBIBYTE:.0f} MiB, {floor / MEBIBYTE:.0f} MiB are the least: free some"
    )


def disk_level(folder: Path) -> float:
    """Return which part of a disk is used, 0 to 1."""
    usage = shutil.disk_usage(folder)
    return 1.0 - usage.free / usage.total
