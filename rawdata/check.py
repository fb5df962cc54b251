"""Check run files: read them through, count, uncompress frames, compare mlogger's checksums."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from rawdata.checksum import (
    COMPRESSION_SUFFIXES,
    crc32c,
    data_path,
    read_sidecar,
    sidecar_path,
)
from rawdata.errors import LayoutError, RawDataError
from rawdata.event import BEGIN_OF_RUN, END_OF_RUN, Event
from rawdata.layouts import camera
from rawdata.odbdump import parse_dump
from rawdata.runfile import RunFile, RunFileError

_READ_BYTES: Final = 1 << 22
_CRC_MASK: Final = 0xFFFFFFFF


@dataclass
class BankCount:
    """What was seen of one bank in events of one id."""

    events: int = 0
    bytes: int = 0


@dataclass
class EventCount:
    """What was seen of events of one id."""

    events: int = 0
    bytes: int = 0
    first_time: int = 0
    """Header time of the first event."""
    last_time: int = 0
    missing: int = 0
    """Serial numbers that were left out between two events."""
    banks: dict[str, BankCount] = field(default_factory=dict)
    _next_serial: int | None = None

    def add(self, event: Event) -> None:
        """Count an event."""
        if not self.events:
            self.first_time = event.timestamp
        self.last_time = event.timestamp
        self.events += 1
        self.bytes += len(event.raw)
        if self._next_serial is not None:
            gap = (event.serial_number - self._next_serial) & _CRC_MASK
            self.missing += gap if gap < 1 << 31 else 0
        self._next_serial = (event.serial_number + 1) & _CRC_MASK
        for name, bank in event.banks.items():
            count = self.banks.setdefault(name, BankCount())
            count.events += 1
            count.bytes += bank.size_bytes


@dataclass(frozen=True)
class ChecksumResult:
    """A sidecar file against what was read."""

    sidecar: Path
    of: str
    """data: of the uncompressed stream; file: of the file's bytes."""
    expected: str
    found: str
    matches: bool


@dataclass
class FileReport:
    """The outcome of a check; whole if `problems` is empty."""

    path: Path
    compression: str = ""
    file_bytes: int = 0
    bytes_uncompressed: int = 0
    """Of whole events."""
    run_number: int | None = None
    complete: bool = False
    """The last event is the ODB dump at end of run."""
    first_time: int | None = None
    """Unix time of the begin-of-run dump, else of the first event."""
    last_time: int | None = None
    events: dict[int, EventCount] = field(default_factory=dict)
    """By event id."""
    compressed_frames: int = 0
    """Frames in CZ<i> banks, damaged ones included."""
    damaged_frames: int = 0
    """Those of them that differ from their checksums or cannot be uncompressed."""
    checksums: list[ChecksumResult] = field(default_factory=list)
    damage: RunFileError | None = None
    problems: list[str] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Tell whether no problem was found."""
        return not self.problems

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        damage = self.damage
        return {
            "file": str(self.path),
            "whole": self.whole,
            "compression": self.compression,
            "file_bytes": self.file_bytes,
            "bytes_uncompressed": self.bytes_uncompressed,
            "run_number": self.run_number,
            "complete": self.complete,
            "first_time": self.first_time,
            "last_time": self.last_time,
            "events": {
                str(event_id): {
                    "events": count.events,
                    "bytes": count.bytes,
                    "first_time": count.first_time,
                    "last_time": count.last_time,
                    "missing": count.missing,
                    "banks": {name: vars(bank) for name, bank in count.banks.items()},
                }
                for event_id, count in sorted(self.events.items())
            },
            "compressed_frames": self.compressed_frames,
            "damaged_frames": self.damaged_frames,
            "checksums": [{**vars(item), "sidecar": str(item.sidecar)} for item in self.checksums],
            "damage": None
            if damage is None
            else {
                "byte": damage.byte,
                "event_index": damage.event_index,
                "reason": damage.reason,
            },
            "problems": self.problems,
        }


def check_file(
    path: Path, on_progress: Callable[[int, int], object] = lambda done, total: None
) -> FileReport:
    """Read a run file through and report what is in it and what is wrong with it.

    :param on_progress: called with bytes of the file read so far, and in all.
    """
    report = FileReport(path)
    try:
        with RunFile(path) as run:
            report.compression = run.compression
            report.file_bytes = run.file_bytes
            data_crc = _read_through(run, report, on_progress)
            report.complete = run.complete
    except RunFileError as error:
        report.damage = error
        report.problems.append(str(error))
        return report
    if not report.complete and report.damage is None:
        report.problems.append(
            f"{path}: there is no end-of-run dump: the run was not ended, or the file is cut"
        )
    _compare_checksums(report, data_crc)
    return report


def _read_through(
    run: RunFile, report: FileReport, on_progress: Callable[[int, int], object]
) -> int:
    crc = 0
    try:
        for index, event in enumerate(run):
            crc = crc32c(event.raw, crc)
            report.bytes_uncompressed += len(event.raw)
            report.events.setdefault(event.event_id, EventCount()).add(event)
            if report.first_time is None:
                report.first_time = event.timestamp
            if event.is_odb_dump:
                _check_dump(event, report)
            _check_frames(index, event, report)
            report.last_time = event.timestamp
            on_progress(run.bytes_read, run.file_bytes)
    except RunFileError as damage:
        report.damage = damage
        report.problems.append(str(damage))
    return crc


def _check_dump(event: Event, report: FileReport) -> None:
    name = {BEGIN_OF_RUN: "begin", END_OF_RUN: "end"}[event.event_id]
    if event.event_id == BEGIN_OF_RUN and report.run_number is None:
        report.run_number = event.serial_number
    try:
        parse_dump(event.text)
    except RawDataError as error:
        report.problems.append(f"{report.path}: dump at {name} of run: {error}")


def _check_frames(index: int, event: Event, report: FileReport) -> None:
    for name in event:
        if not camera.is_compressed_bank(name):
            continue
        report.compressed_frames += 1
        try:
            camera.decode_compressed(event, name)
        except LayoutError as error:
            report.damaged_frames += 1
            report.problems.append(f"{report.path}: index {index}: {error}")


def stream_problem(path: Path, crc: int, size_bytes: int) -> str:
    """Compare the CRC32C of a run's uncompressed stream with what its logger noted.

    :param path: the run file; the sidecar is that of the stream, without the compression's suffix.
    :returns: what is wrong; empty if they agree or there is no sidecar.
    :raises RawDataError: if the sidecar cannot be read.
    """
    sidecar = sidecar_path(data_path(path))
    expected = read_sidecar(sidecar)
    if expected is None or (crc, size_bytes) == (expected.crc32c, expected.size_bytes):
        return ""
    return (
        f"{path}: CRC32C of the uncompressed data is {crc:08x} of {size_bytes} bytes, "
        f"{sidecar.name} says {expected.crc32c:08x} of {expected.size_bytes} bytes: the file is "
        "not what the logger wrote; fetch it again, or see cygno-rawdata check"
    )


def _compare_checksums(report: FileReport, data_crc: int) -> None:
    path = report.path
    candidates = [(sidecar_path(path), "file" if path.suffix in COMPRESSION_SUFFIXES else "data")]
    if path.suffix in COMPRESSION_SUFFIXES:
        candidates.append((sidecar_path(data_path(path)), "data"))
    for sidecar, kind in candidates:
        try:
            expected = read_sidecar(sidecar)
        except RawDataError as error:
            report.problems.append(str(error))
            continue
        if expected is None:
            continue
        if kind == "data":
            if report.damage is not None:
                continue  # what is missing is reported already
            found, size = data_crc, report.bytes_uncompressed
        else:
            found, size = _file_crc(path)
        matches = (found, size) == (expected.crc32c, expected.size_bytes)
        wanted = f"{expected.crc32c:08x} of {expected.size_bytes} bytes"
        seen = f"{found:08x} of {size} bytes"
        report.checksums.append(ChecksumResult(sidecar, kind, wanted, seen, matches))
        if not matches:
            report.problems.append(
                f"{path}: CRC32C of the {'uncompressed data' if kind == 'data' else 'file'} is "
                f"{seen}, {sidecar.name} says {wanted}"
            )


def _file_crc(path: Path) -> tuple[int, int]:
    crc = size = 0
    with path.open("rb", buffering=0) as file:
        while chunk := file.read(_READ_BYTES):
            crc = crc32c(chunk, crc)
            size += len(chunk)
    return crc, size
