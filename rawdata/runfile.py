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
import numpy.typing as npt

from rawdata.compression import CompressionError, detect_compression, uncompressed_chunks
from rawdata.errors import EventError, OdbDumpError, RawDataError
from rawdata.event import (
    BEGIN_OF_RUN,
    END_OF_RUN,
    EVENT_HEADER,
    MESSAGE,
    Event,
    event_size,
    parse_event,
)
from rawdata.odbdump import parse_dump

_RELEASE_BYTES: Final = 1 << 25
"""Of a mapped file, so much is left in our memory behind the event that is read."""
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
            f"{self.event_index} whole events were read before"
        )


class NotRandomAccessError(RunFileError, TypeError):
    """Events of a compressed file can only be read one after the other."""


class RunFile:
    """A run file; iterating over it gives its events, each time from the start.

    :param path: the file; its compression is found from its content, not its name.
    :raises RunFileError: if it cannot be opened.

    Damage ends the iteration with a RunFileError, after all whole events before it. A file that
    ends between two events is not damaged, but `complete` is False if it lacks the end-of-run dump.
    An uncompressed file must not be shortened by others while it is read, since it is mapped.

    An uncompressed file also has ``len(run)`` (number of whole events) and ``run[i]``.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.bytes_read = 0
        """How far the latest iteration came in the file's own bytes, for progress displays."""
        self._view: memoryview | None = memoryview(b"")
        self._offsets: list[int] | None = None
        self._hop_damage: RunFileError | None = None
        self._first: Event | None = None
        self._summary: _Summary | None = None
        self.compression = "unknown"
        try:
            with self.path.open("rb") as file:
                self.file_bytes = os.fstat(file.fileno()).st_size
                self.compression = detect_compression(file.read(16))
                if self.compression == "none" and self.file_bytes:
                    # unmapped when the last view on it, such as an event, is gone
                    self._view = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
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
        self._view = self._first = self._summary = self._offsets = None

    def __repr__(self) -> str:
        return f"RunFile({str(self.path)!r}, compression={self.compression})"

    def __iter__(self) -> Iterator[Event]:
        summary = _Summary()
        try:
            yield from self._events(summary)
        except RunFileError as damage:
            summary.damage = damage
            self._summary = summary
            raise
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

        :raises RunFileError: if this event is damaged, or the file is before it.
        :raises IndexError: if the file, being whole, has no such event.
        """
        offsets = self._index()
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(offsets)))]
        if index < 0:
            index += len(offsets)
        if not 0 <= index < len(offsets):
            if self._hop_damage is not None and index >= 0:
                raise self._hop_damage
            raise IndexError(f"{self.path}: has events 0 to {len(offsets) - 1}, not {index}")
        try:
            return parse_event(self._open_view(), offsets[index])
        except EventError as error:
            raise RunFileError(self.path, str(error), offsets[index], index) from error

    def _index(self) -> list[int]:
        if self.compression != "none":
            raise NotRandomAccessError(
                self.path,
                f"is {self.compression}-compressed: its events can only be read one after the "
                "other; uncompress it for random access",
            )
        if self._offsets is None:
            self._offsets, self._hop_damage = _hop(self.path, self._open_view())
        return self._offsets

    # what the dumps say ------------------------------------------------------------------------
    @property
    def odb_begin(self) -> dict[str, Any] | None:
        """The ODB at begin of run; None if the file does not begin with a dump."""
        return self._parse(self._begin_event())

    @property
    def odb_end(self) -> dict[str, Any] | None:
        """The ODB at end of run; None if there is no such dump. The file is read through once.

        :raises RunFileError: if the file is damaged before.
        """
        summary = self._seen()
        if summary.damage is not None:
            raise summary.damage
        return self._parse(summary.end)

    @property
    def run_number(self) -> int | None:
        """The run number, from the dump at begin of run; None if there is none."""
        begin = self._begin_event()
        return None if begin is None else begin.serial_number

    @property
    def complete(self) -> bool:
        """Tell whether the file is whole and its run was ended: the last event is an EOR dump.

        A file of several runs is complete if each of them was ended. The file is read through,
        unless it was iterated to its end before.
        """
        return self._seen().complete

    def _begin_event(self) -> Event | None:
        if self._first is None:
            self._first = next(iter(self), None)
        is_dump = self._first is not None and self._first.event_id == BEGIN_OF_RUN
        return self._first if is_dump else None

    def _seen(self) -> "_Summary":
        self._open_view()
        if self._summary is None:
            summary = _Summary()
            try:
                for _ in self._events(summary):
                    pass
            except RunFileError as damage:
                summary.damage = damage
            self._summary = summary
        return self._summary

    def _parse(self, dump: Event | None) -> dict[str, Any] | None:
        if dump is None:
            return None
        try:
            return parse_dump(dump.text)
        except OdbDumpError as error:
            raise RunFileError(self.path, str(error)) from error

    # the events --------------------------------------------------------------------------------
    def _events(self, summary: "_Summary") -> Iterator[Event]:
        view = self._open_view()
        for event in self._mapped(view) if self.compression == "none" else self._streamed():
            summary.see(event)
            yield event

    def _open_view(self) -> memoryview:
        if self._view is None:
            raise RunFileError(self.path, "was closed")
        return self._view

    def _mapped(self, view: memoryview) -> Iterator[Event]:
        offset = index = released = 0
        while offset < len(view):
            if offset - released >= _RELEASE_BYTES:
                released = _release(view, released, offset)
            try:
                event = parse_event(view, offset)
            except EventError as error:
                raise RunFileError(self.path, str(error), offset, index) from error
            offset += len(event.raw)
            index += 1
            self.bytes_read = offset
            yield event

    def _streamed(self) -> Iterator[Event]:
        offset = index = 0
        pieces = _Pieces(uncompressed_chunks(self.path, self._note_bytes_read))
        while True:
            try:
                header = pieces.take(EVENT_HEADER.size)
                if not header.size:
                    return
                size = event_size(header.data)
                buffer = pieces.take(size - EVENT_HEADER.size, header)
                event = parse_event(buffer)
            except OSError as error:
                reason = f"cannot be read: {error.strerror}"
                raise RunFileError(self.path, reason, offset, index) from error
            except (EventError, CompressionError) as error:
                raise RunFileError(self.path, str(error), offset, index) from error
            offset += size
            index += 1
            yield event

    def _note_bytes_read(self, position: int) -> None:
        self.bytes_read = position


def _release(view: memoryview, begin: int, end: int) -> int:
    """Give pages of a mapped file back to the kernel; events in them can be read as before.

    What the kernel reads ahead of us would else count as ours, up to the whole file.

    :returns: the byte up to which they were given back.
    """
    end -= end % mmap.PAGESIZE
    if isinstance(view.obj, mmap.mmap):
        view.obj.madvise(mmap.MADV_DONTNEED, begin, end - begin)
    return end


class _Summary:
    """What is to be remembered of a whole pass over a file."""

    def __init__(self) -> None:
        self.end: Event | None = None
        self.damage: RunFileError | None = None
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
    def complete(self) -> bool:
        ended = self._last_id == END_OF_RUN and self._runs_ended >= self._runs_begun
        return ended and self.damage is None


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


class _Pieces:
    """Takes arrays of wanted sizes from a stream of chunks of any size."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._chunk = memoryview(b"")

    def take(self, count: int, head: npt.NDArray[np.uint8] | None = None) -> npt.NDArray[np.uint8]:
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
