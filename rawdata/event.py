"""MIDAS events: views on their bytes, never copies.

An event is 16 bytes of header ``<HHIII`` (id, trigger mask, serial number, unix time, size of what
follows), then, unless it is internal to MIDAS, 8 bytes ``<II`` (size of all banks, flags) and the
banks. Bank data are padded to 8 bytes. Source: MIDAS ``include/midas.h`` and ``src/midas.cxx``
(``bk_init``, ``bk_create``, ``bk_close``), develop, December 2022.
"""

import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from rawdata.errors import BankMissingError, EventError
from rawdata.tid import Tid

EVENT_HEADER: Final = struct.Struct("<HHIII")
ALL_BANKS_HEADER: Final = struct.Struct("<II")
MIDAS_MAGIC: Final = 0x494D
"""Trigger mask of events that MIDAS itself makes: 'MI'."""

BEGIN_OF_RUN: Final = 0x8000
END_OF_RUN: Final = 0x8001
MESSAGE: Final = 0x8002

_ODB_DUMPS: Final = (BEGIN_OF_RUN, END_OF_RUN)
_BYTE_SWAPPED_INTERNAL: Final = (0x0080, 0x0180, 0x0280)
_BYTE_SWAPPED_MAGIC: Final = 0x4D49
_BYTE_SWAPPED_FLAGS: Final = (0x01000000, 0x11000000, 0x31000000)
_DUMP_END: Final = re.compile(rb"\}[\s\0]*\Z")
_FRAGMENT_IDS: Final = (0xC000, 0xD000)  # EVENTID_FRAG1, EVENTID_FRAG: parts of a larger event


class BankFormat(IntEnum):
    """How banks are headed; the value is the flags word of the event."""

    BANK = 0x01
    """8-byte bank header ``<4sHH``: at most 65535 bytes a bank (``bk_init``)."""
    BANK32 = 0x11
    """12-byte bank header ``<4sII`` (``bk_init32``); CYGNO's Trigger events."""
    BANK32A = 0x31
    """16-byte bank header ``<4sIII``: data aligned to 8 bytes (``bk_init32a``)."""

    @property
    def header(self) -> struct.Struct:
        """Layout of one bank's header: name, type, size in bytes (and four unused bytes)."""
        return _BANK_HEADERS[self]

    @property
    def max_bank_bytes(self) -> int:
        """Largest size that the bank header can hold."""
        return 0xFFFF if self is BankFormat.BANK else 0xFFFFFFFF


_BANK_HEADERS: Final[dict[int, struct.Struct]] = {
    BankFormat.BANK: struct.Struct("<4sHH"),
    BankFormat.BANK32: struct.Struct("<4sII"),
    BankFormat.BANK32A: struct.Struct("<4sIII"),
}
_FORMATS: Final = {int(form): form for form in BankFormat}
_TIDS: Final = {int(tid): tid for tid in Tid}


@dataclass(frozen=True, slots=True)
class Bank:
    """One bank: a name, a type and a place in its event."""

    name: str
    tid: Tid
    size_bytes: int
    """Bytes of data, without padding."""
    offset: int
    """Where the data begin, in bytes from the start of the event's header."""
    _event: memoryview

    @property
    def data(self) -> npt.NDArray[Any]:
        """The data as a 1-dimensional view of the type's dtype; read-only where the bytes are.

        Views on a run file may lie at odd addresses, since an ODB dump has any length.
        """
        dtype = self.tid.dtype
        return np.frombuffer(self._event, dtype, self.size_bytes // dtype.itemsize, self.offset)


class Event(Mapping[str, npt.NDArray[Any]]):
    """One MIDAS event; a mapping from bank names to typed views, in the order of the file."""

    __slots__ = (
        "bank_format",
        "banks",
        "data_size",
        "event_id",
        "raw",
        "serial_number",
        "timestamp",
        "trigger_mask",
    )

    event_id: int
    trigger_mask: int
    serial_number: int
    """Counts events of an equipment; the run number in ODB dumps."""
    timestamp: int
    """Unix time in seconds (in CYGNO's generations B and C: milliseconds since bank TIME)."""
    data_size: int
    """Bytes after the 16-byte header."""
    raw: memoryview
    """The whole event, header included."""
    banks: Mapping[str, Bank]
    bank_format: BankFormat | None
    """None for events without banks."""

    def __init__(self, raw: memoryview) -> None:
        (
            self.event_id,
            self.trigger_mask,
            self.serial_number,
            self.timestamp,
            self.data_size,
        ) = EVENT_HEADER.unpack_from(raw)
        self.raw = raw
        self.bank_format = None
        self.banks = {}
        if has_banks(self.event_id):
            self._find_banks()
        elif self.event_id in _ODB_DUMPS:
            self._check_dump()

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        bank = self.banks.get(name)
        if bank is None:
            raise BankMissingError(
                f"event {self.serial_number} (id {self.event_id}) has no bank {name}; "
                f"it has: {' '.join(self.banks) or 'none'}"
            )
        return bank.data

    def __contains__(self, name: object) -> bool:
        return name in self.banks

    def __iter__(self) -> Iterator[str]:
        return iter(self.banks)

    def __len__(self) -> int:
        return len(self.banks)

    def __bool__(self) -> bool:
        return True

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Event) and self.raw == other.raw

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return (
            f"Event(id={self.event_id:#x}, serial={self.serial_number}, time={self.timestamp}, "
            f"bytes={len(self.raw)}, banks={list(self.banks)})"
        )

    @property
    def is_odb_dump(self) -> bool:
        """Tell whether this is the ODB dump at the begin or the end of a run."""
        return self.event_id in _ODB_DUMPS

    @property
    def is_internal(self) -> bool:
        """Tell whether MIDAS itself made this event (ODB dump or message): it has no banks."""
        return self.event_id in _ODB_DUMPS or self.event_id == MESSAGE

    @property
    def payload(self) -> memoryview:
        """All bytes after the 16-byte header."""
        return self.raw[EVENT_HEADER.size :]

    @property
    def text(self) -> str:
        """Text of an ODB dump or a message, without the final NUL that some have."""
        if not self.is_internal:
            raise EventError(f"event id {self.event_id} holds banks, not text")
        return bytes(self.payload).rstrip(b"\0").decode("utf-8", errors="replace")

    def _check_dump(self) -> None:
        where = f"ODB dump of run {self.serial_number}"
        if self.trigger_mask != MIDAS_MAGIC:
            raise EventError(f"{where}: trigger mask {self.trigger_mask:#x} is not 'MI'")
        if bytes(self.payload[:1]) == b"{" and _DUMP_END.search(self.payload[-16:]) is None:
            raise EventError(f"{where}: the text of {self.data_size} bytes does not end with }}")

    def _find_banks(self) -> None:
        raw, where = self.raw, f"event {self.serial_number} (id {self.event_id})"
        if self.data_size < ALL_BANKS_HEADER.size:
            raise EventError(f"{where}: {self.data_size} bytes cannot hold a bank header")
        all_bytes, flags = ALL_BANKS_HEADER.unpack_from(raw, EVENT_HEADER.size)
        if flags in _BYTE_SWAPPED_FLAGS:
            raise EventError(f"{where}: the file is big-endian, which is not supported")
        bank_format = _FORMATS.get(flags)
        if bank_format is None:
            raise EventError(
                f"{where}: bank flags {flags:#x} are none of "
                f"{', '.join(f'{form:#x} ({form.name})' for form in BankFormat)}"
            )
        position = EVENT_HEADER.size + ALL_BANKS_HEADER.size
        end = position + all_bytes
        if not end <= len(raw) < end + 8:  # a few bytes of padding at the end are harmless
            raise EventError(
                f"{where}: banks of {all_bytes} bytes in an event of {self.data_size} bytes"
            )
        header = bank_format.header
        banks: dict[str, Bank] = {}
        while position < end:
            if position + header.size > end:
                raise EventError(f"{where}: a bank header is cut at byte {position} of the event")
            name_bytes, type_word, size_bytes = header.unpack_from(raw, position)[:3]
            position += header.size
            name = name_bytes.rstrip(b"\0").decode("latin-1")
            tid = _TIDS.get(type_word)
            if not (name.isascii() and name.isprintable() and name) or tid is None:
                raise EventError(
                    f"{where}: no bank begins at byte {position - header.size} of the event "
                    f"(name {name_bytes!r}, type {type_word})"
                )
            padded_bytes = (size_bytes + 7) & ~7
            if padded_bytes > end - position:
                raise EventError(
                    f"{where}: bank {name} claims {size_bytes} bytes ({padded_bytes} padded), "
                    f"{end - position} are left"
                )
            if size_bytes % tid.size:
                raise EventError(
                    f"{where}: bank {name} has {size_bytes} bytes, "
                    f"not a multiple of the {tid.size} of TID_{tid.name}"
                )
            if name in banks:
                raise EventError(f"{where}: bank {name} is there twice")
            banks[name] = Bank(name, tid, size_bytes, position, raw)
            position += padded_bytes
        self.bank_format = bank_format
        self.banks = banks


def has_banks(event_id: int) -> bool:
    """Tell whether events of this id are made of banks: not ODB dumps, messages, fragments."""
    return event_id not in (*_ODB_DUMPS, MESSAGE) and event_id & 0xF000 not in _FRAGMENT_IDS


def event_size(buffer: memoryview, offset: int = 0) -> int:
    """Return the size of the event at `offset`, header included, as its header claims it.

    :raises EventError: if the header is cut or of a big-endian file.
    """
    if len(buffer) - offset < EVENT_HEADER.size:
        raise EventError(
            f"an event header has {EVENT_HEADER.size} bytes, {len(buffer) - offset} are left"
        )
    event_id, mask, _, _, data_size = EVENT_HEADER.unpack_from(buffer, offset)
    if event_id in _BYTE_SWAPPED_INTERNAL and mask == _BYTE_SWAPPED_MAGIC:
        raise EventError("the file is big-endian, which is not supported")
    return EVENT_HEADER.size + int(data_size)


def parse_event(buffer: Any, offset: int = 0) -> Event:
    """Return the event that begins at `offset`, as views on `buffer`.

    :param buffer: anything with contiguous bytes: memoryview, bytes, mmap, uint8 array.
    :raises EventError: if the bytes contradict the format; no view is given then.
    """
    view = memoryview(buffer).cast("B")
    size = event_size(view, offset)
    if size > len(view) - offset:
        raise EventError(f"the event claims {size} bytes, {len(view) - offset} are left")
    return Event(view[offset : offset + size])
