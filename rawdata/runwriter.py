"""Write run files in a background thread, as mlogger writes them."""

import os
import queue
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from rawdata.checksum import crc32c, data_path, write_sidecar
from rawdata.compressors import COMPRESSORS, SUFFIXES
from rawdata.errors import EventError, RawDataError
from rawdata.event import BEGIN_OF_RUN, END_OF_RUN, EVENT_HEADER, MIDAS_MAGIC, event_size
from rawdata.odbdump import format_dump

FLUSH_S: Final = 0.5
"""How long an event may wait inside the compressor: what a killed writer loses at most."""

CHECKS_OF_THE_FILE: Final = ("none", "lz4", "zstd")
"""Compressions with a sidecar of the file's bytes; in mlogger gzip and bzip2 have none."""

_SPARE_BUFFERS: Final = 24
_WINDOW_BYTES: Final = 1 << 24
_KEPT_WINDOWS: Final = 3


class RunWriteError(RawDataError):
    """A run file cannot be written (further).

    :param path: the file; what is in it up to the last whole event stays readable.
    :param reason: what failed.
    """

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


@dataclass(frozen=True)
class WrittenFile:
    """A run file that was closed."""

    path: Path
    events: int
    """Events of the experiment, without ODB dumps and messages."""
    bytes_uncompressed: int
    bytes_file: int
    crc32c: int
    """Of the uncompressed stream."""
    file_crc32c: int
    """Of the file's bytes."""
    sidecars: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class _Handed:
    """An event on its way to the thread, and the writer's own memory that holds it, if so."""

    event: memoryview
    buffer: npt.NDArray[np.uint8] | None


class RunWriter:
    """Writes events to a run file from a thread of its own.

    :param path: the file without the compression's suffix, e.g. ``run00042.mid``; `path` of the
        writer has it.
    :param compress: none, gzip, lz4, bzip2 or zstd.
    :param checksum: write mlogger's CRC32C sidecars.
    :param queue_bytes: how many bytes may wait to be written; one event always may.
    :param flush_s: how long an event may wait inside the compressor; None is until the end, which
        makes the file's bytes a function of its events alone.
    :raises RunWriteError: if the file exists already or cannot be made.

    What fails in the thread (a full disk) is raised by the next `write` and by `close`. What was
    written is in the hands of the operating system within `flush_s`, so that also a killed process
    leaves whole events.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        compress: str = "none",
        checksum: bool = True,
        *,
        queue_bytes: int = 1 << 28,
        flush_s: float | None = FLUSH_S,
    ) -> None:
        plain = Path(path)
        if compress not in COMPRESSORS:
            raise RunWriteError(
                plain, f"compression {compress!r} is unknown, use one of {', '.join(COMPRESSORS)}"
            )
        self.path = plain.with_name(plain.name + SUFFIXES[compress])
        self.compress = compress
        self.events = 0
        """Events handed over, without ODB dumps and messages."""
        self.bytes_uncompressed = 0
        """Bytes written, before compression."""
        self.bytes_file = 0
        """Bytes in the file."""
        self._checksum = checksum
        self._compressor = COMPRESSORS[compress]()
        self._data_crc = 0
        self._file_crc = 0
        self._queue_bytes = queue_bytes
        self._flush_s = flush_s
        self._waiting_bytes = 0
        self._room = threading.Condition()
        self._spare: list[npt.NDArray[np.uint8]] = []
        self._queue: queue.SimpleQueue[_Handed | None] = queue.SimpleQueue()
        self._behind = 0
        """Up to here the file's pages were given back to the system."""
        self._failure: BaseException | None = None
        self._written: WrittenFile | None = None
        self._closing = False
        try:
            self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        except FileExistsError:
            raise RunWriteError(
                self.path, "exists already; a run file is never overwritten: move it away"
            ) from None
        except OSError as error:
            raise RunWriteError(self.path, f"cannot be made: {error.strerror}") from error
        self._thread = threading.Thread(
            target=self._run, name=f"run writer {self.path.name}", daemon=True
        )
        self._thread.start()

    def __enter__(self) -> "RunWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.close()
            return
        try:
            self.close()
        except RunWriteError as also:
            error.add_note(str(also))

    @property
    def waiting_bytes(self) -> int:
        """Bytes handed over and not yet written."""
        return self._waiting_bytes

    def lend(self, size_bytes: int) -> npt.NDArray[np.uint8]:
        """Return memory for an event that `write` is to be given; used memory where there is some.

        :returns: (n,) uint8, n >= `size_bytes`.
        """
        with self._room:
            fitting = [i for i, spare in enumerate(self._spare) if spare.size >= size_bytes]
            return self._spare.pop(fitting[0]) if fitting else np.empty(size_bytes, np.uint8)

    def write(
        self,
        event: Any,
        *,
        copy: bool = True,
        lent: npt.NDArray[np.uint8] | None = None,
        timeout_s: float | None = None,
    ) -> bool:
        """Hand over one event.

        :param event: its bytes, header included, contiguous.
        :param copy: False gives the memory away: it must not be changed any more.
        :param lent: memory of `lend` that the event lies in: it is taken back, without a copy.
        :param timeout_s: how long to wait for room in the queue; None is as long as it takes.
        :returns: False if there was no room in time; the event was not taken.
        :raises RunWriteError: if these are not an event's bytes, or the writer is closed or failed.
        """
        view = memoryview(event).cast("B")
        try:
            size = event_size(view)
        except EventError as error:
            raise RunWriteError(self.path, f"refuses what is no event: {error}") from error
        if size != len(view):
            raise RunWriteError(
                self.path, f"refuses an event of {len(view)} bytes whose header says {size}"
            )
        if self._closing:
            raise RunWriteError(self.path, "is closed")
        with self._room:
            fits = self._room.wait_for(lambda: self._has_room(size), timeout_s)
            self._raise_failure()
            if not fits:
                return False
            self._waiting_bytes += size
        if lent is None and copy:  # used memory: new pages cost time
            lent = self.lend(size)
            lent[:size] = view
            view = lent[:size].data
        self._queue.put(_Handed(view, lent))
        if int.from_bytes(view[:2], "little") < BEGIN_OF_RUN:
            self.events += 1
        return True

    def write_odb_dump(self, run_number: int, odb: Mapping[str, Any], begin: bool = True) -> None:
        """Write the ODB at begin or end of run, as JSON text like mlogger's.

        :param odb: nested dicts, best with their ``Name/key`` entries; see `odbdump.format_dump`.
        :raises OdbDumpError: if a value has no MIDAS type.
        """
        now = int(time.time())
        text = format_dump(odb, now).encode()
        event_id = BEGIN_OF_RUN if begin else END_OF_RUN
        header = EVENT_HEADER.pack(event_id, MIDAS_MAGIC, run_number, now, len(text))
        self.write(header + text, copy=False)

    def close(self) -> WrittenFile:
        """Write what waits, close the file, write the sidecars; return what was written.

        :raises RunWriteError: if not all could be written; the file then holds whole events only,
            as far as it goes, and has no sidecar.
        """
        if not self._closing:
            self._closing = True
            self._queue.put(None)
        self._thread.join()
        self._raise_failure()
        if self._written is None:
            raise RunWriteError(self.path, "was not closed by its thread")
        return self._written

    # in the calling thread ---------------------------------------------------------------------
    def _has_room(self, size: int) -> bool:
        waiting = self._waiting_bytes
        return self._failure is not None or not waiting or waiting + size <= self._queue_bytes

    def _raise_failure(self) -> None:
        if isinstance(self._failure, OSError):
            reason = f"cannot be written: {self._failure.strerror}"
            raise RunWriteError(self.path, reason) from self._failure
        if self._failure is not None:
            raise RunWriteError(
                self.path, f"cannot be written: {self._failure!r}"
            ) from self._failure

    # in the thread -----------------------------------------------------------------------------
    def _run(self) -> None:
        try:
            try:
                self._write_all()
                os.fsync(self._file)
            finally:
                os.close(self._file)
            self._written = WrittenFile(
                self.path,
                self.events,
                self.bytes_uncompressed,
                self.bytes_file,
                self._data_crc,
                self._file_crc,
                self._write_sidecars() if self._checksum else (),
            )
        except BaseException as error:
            with self._room:
                self._failure = error
                self._room.notify_all()

    def _write_all(self) -> None:
        flushed_at = time.monotonic()
        dirty = False
        while True:
            try:
                handed = self._queue.get(timeout=self._flush_in_s(flushed_at) if dirty else None)
            except queue.Empty:
                self._append(self._compressor.flush())
                dirty, flushed_at = False, time.monotonic()
                continue
            if handed is None:
                self._append(self._compressor.finish())
                return
            event = handed.event
            if not dirty:
                dirty, flushed_at = True, time.monotonic()
            self._append(self._compressor.compress(event))
            is_plain = self.compress == "none"
            self._data_crc = self._file_crc if is_plain else crc32c(event, self._data_crc)
            self.bytes_uncompressed += len(event)
            self._recycle(handed)
            if self._flush_in_s(flushed_at) == 0.0:
                self._append(self._compressor.flush())
                dirty, flushed_at = False, time.monotonic()

    def _flush_in_s(self, flushed_at: float) -> float | None:
        if self._flush_s is None:
            return None
        return max(0.0, flushed_at + self._flush_s - time.monotonic())

    def _append(self, data: bytes | memoryview) -> None:
        rest = memoryview(data)
        whole = self.bytes_file
        try:
            while rest:
                rest = rest[os.write(self._file, rest) :]
        except OSError:
            if self.compress == "none":  # leave no part of an event behind
                os.ftruncate(self._file, whole)
            raise
        self._file_crc = crc32c(data, self._file_crc)
        self.bytes_file += len(data)
        self._drop_behind()

    def _drop_behind(self) -> None:
        """Give pages of the file back to the system once they are on the disk.

        This starts to write those that are not yet there, and does not wait. Without it a long run
        fills all memory with its file, and each new page costs more than what is written to it: a
        frame of 2.8 MB takes 3.6 ms of the kernel's time in place of 0.9 (on a virtual machine,
        whose memory the host gives page by page).
        """
        if self.bytes_file - self._behind < (_KEPT_WINDOWS + 1) * _WINDOW_BYTES:
            return
        with suppress(OSError):  # some file systems cannot
            os.posix_fadvise(
                self._file, self._behind, self.bytes_file - self._behind, os.POSIX_FADV_DONTNEED
            )
        self._behind = self.bytes_file - _KEPT_WINDOWS * _WINDOW_BYTES

    def _recycle(self, handed: "_Handed") -> None:
        with self._room:
            self._waiting_bytes -= len(handed.event)
            if handed.buffer is not None and len(self._spare) < _SPARE_BUFFERS:
                self._spare.append(handed.buffer)
            self._room.notify_all()

    def _write_sidecars(self) -> tuple[Path, ...]:
        sidecars = [write_sidecar(data_path(self.path), self._data_crc, self.bytes_uncompressed)]
        if self.compress in CHECKS_OF_THE_FILE and self.compress != "none":
            sidecars.append(write_sidecar(self.path, self._file_crc, self.bytes_file))
        return tuple(sidecars)
