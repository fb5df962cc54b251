"""Read run files of MIDAS, uncompressed or compressed, event for event.

A run file is a sequence of events; the first is the ODB dump at begin of run, the last that at its
end. Events of an uncompressed file are views on the mapped file; those of a compressed one are
views on a buffer of their own.
"""

import mmap
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, overload

import numpy as np

from rawdata import odbdump
from rawdata.compression import CompressionError, detect_compression, uncompressed_chunks
from rawdata.errors import EventError, RawDataError
from rawdata.event import (
    BEGIN_OF_RUN,
    END_OF_RUN,
    EVENT_HEADER,
    MESSAGE,
    Event,
    event_size,
)

_GROW_BYTES: Final = 1 << 26
"""Memory taken at once for an event of a compressed file, whose claimed size may be damage."""


class RunFileError(RawDataError):
    """A run file cannot be read, or not beyond a damage.

    :param path: the file.
    :param reason: what is wrong.
    :param byte: where the first event that is not whole begins, in the uncompressed stream; all
        bytes before are whole events. None if the file cannot be opened at all.
    :param event_index: the index of that event, which is the number of whole events.
    """

    def __init__(
        self,
        path: Path,
        reason: str,
        byte: int | None = None,
        event_index: int | None = None,
    ) -> None:
        super().__init__(path, reason, byte, event_index)
        self.path = path
        self.reason = reason
        self.byte = byte
        self.event_index = event_index

    def __str__(self) -> str:
        if self.byte is None:
            return f"{self.path}: {self.reason}"
        return (
            f"{self.path}: damaged at byte {self.byte} of the uncompressed data, "
            f"event {self.event_index}: {self.reason}; "
            f"the {self.event_index} events before are whole"
        )


class NotRandomAccessError(RunFileError, TypeError):
    """Events of a compressed file can only be read one after the other."""


class RunFile:
    """A run file; iterating over it gives its events, each time from the start.

    :param path: the file; its compression is found from its content, not its name.
    :raises RunFileError: if it cannot be opened.

    Damage ends the iteration with a RunFileError, after all whole events before it. A file that
    ends between two events is not damaged, but `complete` is False if it lacks the end-of-run dump.

    An uncompressed file also has ``len(run)`` (number of whole events) and ``run[i]``.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._map: mmap.mmap | None = None
        self._view = memoryview(b"")
        self._offsets: list[int] | None = None
        self._damage: RunFileError | None = None
        self._summary: _Summary | None = None
        self._begin: _Unread | dict[str, Any] | None = _UNREAD
        try:
            with self.path.open("rb") as file:
                self.file_bytes = os.fstat(file.fileno()).st_size
                self.compression = detect_compression(file.read(16))
                if self.compression == "none" and self.file_bytes:
                    self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
                    self._view = memoryview(self._map)
        except OSError as error:
            raise RunFileError(self.path, f"cannot be opened: {error.strerror}") from error

    def __enter__(self) -> "RunFile":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file; events that were taken from it stay valid."""
        self._view = memoryview(b"")
        self._offsets = []
        self._map = None  # unmapped when the last view on it is gone

    def __repr__(self) -> str:
        return f"RunFile({str(self.path)!r}, compression={self.compression})"

    def __iter__(self) -> Iterator[Event]:
        if self.compression == "none":
            events = _mapped_events(self.path, self._view)
        else:
            events = _streamed_events(self.path)
        summary = _Summary()
        for event in events:
            summary.see(event)
            yield event
        self._summary = summary

    # random access -----------------------------------------------------------------------------
    def __len__(self) -> int:
        return len(self._index())

    @overload
    def __getitem__(self, index: int) -> Event: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Event]: ...
    def __getitem__(self, index: int | slice) -> Event | Sequence[Event]:
        """Return an event by its index in the file; ODB dumps count.

        :raises RunFileError: if this or an earlier event is damaged.
        :raises IndexError: if the file, being whole, has no such event.
        """
        offsets = self._index()
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(offsets)))]
        if index < 0:
            index += len(offsets)
        if not 0 <= index < len(offsets):
            if self._damage is not None and index >= 0:
                raise self._damage
            raise IndexError(f"{self.path}: has events 0 to {len(offsets) - 1}, not {index}")
        offset = offsets[index]
        size = event_size(self._view, offset)
        try:
            return Event(self._view[offset : offset + size])
        except EventError as error:
            raise RunFileError(self.path, str(error), offset, index) from error

    def _index(self) -> list[int]:
        if self.compression != "none":
            raise NotRandomAccessError(
                self.path,
                f"is {self.compression}-compressed: its events can only be read one after the "
                "other; uncompress it for random access",
            )
        if self._offsets is None:
            self._offsets, self._damage = _hop(self.path, self._view)
        return self._offsets

    # what the dumps say ------------------------------------------------------------------------
    @property
    def odb_begin(self) -> dict[str, Any] | None:
        """The ODB at begin of run; None if the file does not begin with a dump."""
        if isinstance(self._begin, _Unread):
            first = next(iter(self), None)
            dump = first is not None and first.event_id == BEGIN_OF_RUN
            self._begin = self._parse(first) if dump and first is not None else None
        return self._begin

    @property
    def odb_end(self) -> dict[str, Any] | None:
        """The ODB at end of run; None if there is no such dump. Compressed files are read through.

        :raises RunFileError: if the file is damaged before.
        """
        return self._parse(self._seen().end) if self._seen().end is not None else None

    @property
    def run_number(self) -> int | None:
        """The run number, from the dump at begin of run."""
        first = next(iter(self), None)
        is_dump = first is not None and first.event_id == BEGIN_OF_RUN
        return first.serial_number if is_dump and first is not None else None

    @property
    def complete(self) -> bool:
        """Tell whether the file is whole and its run was ended: the last event is an EOR dump.

        A file of several runs is complete if each of them was ended. A compressed file is read
        through, unless it was iterated to its end before.
        """
        try:
            return self._seen().ended
        except RunFileError:
            return False

    def _seen(self) -> "_Summary":
        if self._summary is None:
            for _ in self:
                pass
        if self._summary is None:  # pragma: no cover - the iteration sets it or raises
            raise RunFileError(self.path, "was not read to its end")
        return self._summary

    def _parse(self, event: Event | None) -> dict[str, Any] | None:
        if event is None:
            return None
        try:
            return odbdump.parse_dump(event.text)
        except RawDataError as error:
            raise RunFileError(self.path, str(error)) from error


class _Unread:
    """Marks a dump that was not looked for yet."""


_UNREAD: Final = _Unread()


class _Summary:
    """What is to be remembered of a whole pass over a file."""

    def __init__(self) -> None:
        self.end: Event | None = None
        self._runs_begun = 0
        self._runs_ended = 0
        self._last_id: int | None = None

    def see(self, event: Event) -> None:
        if event.event_id == MESSAGE:
            return
        if event.event_id == BEGIN_OF_RUN:
            self._runs_begun += 1
        elif event.event_id == END_OF_RUN:
            self._runs_ended += 1
            self.end = event
        self._last_id = event.event_id

    @property
    def ended(self) -> bool:
        return self._last_id == END_OF_RUN and self._runs_ended >= self._runs_begun


def _hop(path: Path, view: memoryview) -> tuple[list[int], RunFileError | None]:
    """Return where the whole events begin, by hopping from header to header, and the damage."""
    offsets: list[int] = []
    offset = 0
    while offset < len(view):
        try:
            size = event_size(view, offset)
        except EventError as error:
            return offsets, RunFileError(path, str(error), offset, len(offsets))
        if size > len(view) - offset:
            reason = f"the event claims {size} bytes, {len(view) - offset} are left"
            return offsets, RunFileError(path, reason, offset, len(offsets))
        offsets.append(offset)
        offset += size
    return offsets, None


def _mapped_events(path: Path, view: memoryview) -> Iterator[Event]:
    offset = index = 0
    while offset < len(view):
        try:
            size = event_size(view, offset)
            if size > len(view) - offset:
                raise EventError(f"the event claims {size} bytes, {len(view) - offset} are left")
            event = Event(view[offset : offset + size])
        except EventError as error:
            raise RunFileError(path, str(error), offset, index) from error
        yield event
        offset += size
        index += 1


def _streamed_events(path: Path) -> Iterator[Event]:
    offset = index = 0
    pieces = _Pieces(uncompressed_chunks(path))
    while True:
        try:
            header = pieces.take(EVENT_HEADER.size)
            if not header.nbytes:
                return
            size = event_size(memoryview(header))
            buffer = pieces.take(size - EVENT_HEADER.size, header)
            if buffer.nbytes < size:
                raise EventError(f"the event claims {size} bytes, {buffer.nbytes} are left")
            event = Event(memoryview(buffer))
        except OSError as error:
            reason = f"cannot be read: {error.strerror}"
            raise RunFileError(path, reason, offset, index) from error
        except (EventError, CompressionError) as error:
            raise RunFileError(path, str(error), offset, index) from error
        yield event
        offset += size
        index += 1


class _Pieces:
    """Takes arrays of wanted sizes from a stream of chunks of any size."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._chunk = memoryview(b"")

    def take(self, count: int, head: Any = None) -> Any:
        """Return a new uint8 array: `head`, then the next `count` bytes, fewer at the end."""
        filled = 0 if head is None else len(head)
        wanted = filled + count
        taken = np.empty(min(wanted, _GROW_BYTES), np.uint8)
        if head is not None:
            taken[:filled] = head
        while filled < wanted:
            if not self._chunk:
                chunk = next(self._chunks, None)
                if chunk is None:
                    break
                self._chunk = memoryview(chunk)
            if filled == len(taken):
                larger = np.empty(min(wanted, 2 * filled), np.uint8)
                larger[:filled] = taken
                taken = larger
            n = min(len(taken) - filled, len(self._chunk))
            taken[filled : filled + n] = self._chunk[:n]
            self._chunk = self._chunk[n:]
            filled += n
        return taken[:filled]
