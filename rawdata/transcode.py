"""Rewrite run files with their frames compressed or expanded; all else stays as it is.

The new file appears whole or not at all: it is written under a temporary name, read back, and only
then given its own name, which nothing must have yet.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rawdata.checksum import crc32c, data_path, read_sidecar, sidecar_path, write_sidecar
from rawdata.compressors import SUFFIXES
from rawdata.errors import RawDataError
from rawdata.event import Event
from rawdata.naming import give_name
from rawdata.recode import Recoded
from rawdata.runfile import RunFile
from rawdata.runwriter import CHECKS_OF_THE_FILE, RunWriter, WrittenFile

Recode = Callable[[Event], Recoded]
Progress = Callable[[int, int], object]


class TranscodeError(RawDataError):
    """A run file cannot be rewritten; nothing of the new file is left behind."""


@dataclass
class Transcoded:
    """A run file that was rewritten."""

    source: Path
    output: Path
    run_number: int | None
    compression: str
    """Of the new file."""
    complete: bool
    """The run's last event is the ODB dump at end of run."""
    events: int = 0
    """All events, ODB dumps included."""
    frames: int = 0
    """Frames that were compressed or expanded."""
    frames_kept: int = 0
    """Frames that could not be, and are as they were."""
    bytes_before: int = 0
    """Uncompressed bytes of the old file."""
    bytes_after: int = 0
    file_bytes_before: int = 0
    file_bytes_after: int = 0
    crc32c_before: str = ""
    """Of the old file's uncompressed bytes."""
    crc32c: str = ""
    """Of the new file's uncompressed bytes, as they were read back."""

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {**vars(self), "source": str(self.source), "output": str(self.output)}


def transcode_file(
    source: Path,
    folder: Path,
    recode: Recode,
    compress: str | None = None,
    on_progress: Progress = lambda done, total: None,
) -> Transcoded:
    """Write a run file anew, each event as `recode` gives it, with sidecars as mlogger's.

    :param folder: where the new file goes, under the name of the old one; made if need be.
    :param recode: `recode.expand_event` or `recode.shrink_event`.
    :param compress: none, gzip, lz4, bzip2 or zstd; None is as the old file is compressed.
    :param on_progress: called with bytes of the old file read so far, and in all.
    :raises TranscodeError: if the new file exists, an event is damaged, or the old file differs
        from its sidecar.
    :raises RunFileError: if the old file is damaged.
    :raises RunWriteError: if the new one cannot be written.
    """
    with RunFile(source) as run:
        compression = compress or run.compression
        plain = folder / data_path(source).name
        output = plain.with_name(plain.name + SUFFIXES[compression])
        for path in (output, sidecar_path(plain), sidecar_path(output)):
            _refuse_existing(path)
        folder.mkdir(parents=True, exist_ok=True)
        result = Transcoded(source, output, run.run_number, compression, complete=False)
        temporary = folder / f".{plain.name}.{os.getpid()}.tmp"
        # No flush: nobody reads it before it is whole, and the same run always gives the same file.
        writer = RunWriter(temporary, compression, checksum=False, flush_s=None)
        try:
            with writer:
                _write_events(run, recode, writer, result, on_progress)
            written = writer.close()
            _read_back(written, source, partial(on_progress, run.file_bytes, run.file_bytes))
            try:
                give_name(writer.path, output)
            except FileExistsError:
                _refuse_existing(output)
        finally:
            writer.path.unlink(missing_ok=True)
        result.complete = run.complete
        result.file_bytes_before = run.file_bytes
    result.bytes_after, result.file_bytes_after = written.bytes_uncompressed, written.bytes_file
    result.crc32c = f"{written.crc32c:08x}"
    write_sidecar(plain, written.crc32c, written.bytes_uncompressed)
    if compression in CHECKS_OF_THE_FILE and compression != "none":
        write_sidecar(output, written.file_crc32c, written.bytes_file)
    return result


def _refuse_existing(path: Path) -> None:
    if os.path.lexists(path):
        raise TranscodeError(
            f"{path}: exists already and is not overwritten; move it away, or give another folder"
        )


def _write_events(
    run: RunFile, recode: Recode, writer: RunWriter, result: Transcoded, on_progress: Progress
) -> None:
    crc = 0
    for index, event in enumerate(run):
        crc = crc32c(event.raw, crc)
        try:
            recoded = recode(event)
        except RawDataError as error:
            raise TranscodeError(f"{run.path}: index {index}: {error}") from error
        writer.write(recoded.event, copy=False)
        result.events += 1
        result.frames += recoded.frames
        result.frames_kept += recoded.kept
        result.bytes_before += len(event.raw)
        on_progress(run.bytes_read, run.file_bytes)
    result.crc32c_before = f"{crc:08x}"
    sidecar = sidecar_path(data_path(run.path))
    expected = read_sidecar(sidecar)
    if expected and (expected.crc32c, expected.size_bytes) != (crc, result.bytes_before):
        raise TranscodeError(
            f"{run.path}: CRC32C of the uncompressed data is {crc:08x} of {result.bytes_before} "
            f"bytes, {sidecar.name} says {expected.crc32c:08x} of {expected.size_bytes} bytes: it "
            "is damaged, or the sidecar belongs to another file"
        )


def _read_back(written: WrittenFile, source: Path, on_event: Callable[[], object]) -> None:
    crc = 0
    with RunFile(written.path) as run:
        for event in run:
            on_event()
            crc = crc32c(event.raw, crc)
    if crc != written.crc32c:
        raise TranscodeError(
            f"{source}: what was written reads back with CRC32C {crc:08x}, not "
            f"{written.crc32c:08x}: memory or disk is faulty"
        )
