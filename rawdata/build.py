"""Build MIDAS events in place, in memory that the caller owns.

Stock Python packs sample by sample, 1.3 s for a frame of 2304x2304 pixels (measured, MIDAS develop
December 2022); here each bank is one copy, or none where the driver writes at the final place.
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from rawdata.errors import EventError
from rawdata.event import ALL_BANKS_HEADER, EVENT_HEADER, BankFormat
from rawdata.tid import Tid

_FIRST_BANK: Final = EVENT_HEADER.size + ALL_BANKS_HEADER.size


def bank_bytes(tid: Tid, count: int, bank_format: BankFormat = BankFormat.BANK32) -> int:
    """Return the bytes that a bank takes in an event: header, data and padding.

    >>> bank_bytes(Tid.WORD, 3)
    20
    """
    return bank_format.header.size + ((tid.size * count + 7) & ~7)


def event_bytes(banks: list[tuple[Tid, int]], bank_format: BankFormat = BankFormat.BANK32) -> int:
    """Return the bytes of an event with these banks (type, number of elements)."""
    return _FIRST_BANK + sum(bank_bytes(tid, count, bank_format) for tid, count in banks)


class EventBuilder:
    """Writes one event after the other into the same buffer.

    :param buffer: writable, contiguous, at least as large as the event; its alignment is that of
        the banks, so give it memory from NumPy.
    :param event_id: 1 for Trigger; see `rawdata.datamodel`.

    A slot whose first banks stay at fixed places is reused so::

        builder = EventBuilder(slot, 1)
        pixels = builder.reserve("CAM0", Tid.WORD, rows * columns)
        after_camera = builder.mark
        while True:                      # for each frame: fill pixels, then
            builder.rewind(after_camera)
            builder.add("FID0", Tid.DWORD, [frame_number])
            send(builder.finish(serial_number, timestamp))
    """

    def __init__(
        self,
        buffer: Any,
        event_id: int,
        bank_format: BankFormat = BankFormat.BANK32,
    ) -> None:
        self._buffer = memoryview(buffer).cast("B")
        if self._buffer.readonly:
            raise EventError("an event can only be built in a writable buffer")
        if len(self._buffer) < _FIRST_BANK:
            raise EventError(f"a buffer of {len(self._buffer)} bytes cannot hold an event header")
        if not 0 <= event_id < 0x8000:
            raise EventError(f"event id {event_id}: ids of events with banks are 0 to 32767")
        self.event_id = event_id
        self.bank_format = bank_format
        self._position = _FIRST_BANK
        self._banks: dict[str, int] = {}

    @property
    def mark(self) -> int:
        """Where the next bank will begin; give it to `rewind` to drop all banks from here on."""
        return self._position

    def rewind(self, mark: int) -> None:
        """Forget the banks at and behind `mark`; those before stay as they are."""
        if mark != _FIRST_BANK and mark != self._position and mark not in self._banks.values():
            raise EventError(f"no bank begins at byte {mark} of this event")
        self._banks = {name: begin for name, begin in self._banks.items() if begin < mark}
        self._position = mark

    def reserve(self, name: str, tid: Tid, count: int) -> npt.NDArray[Any]:
        """Append a bank and return its data, to be filled in place.

        :param count: number of elements.
        :returns: (count,) array of the type's dtype; what it holds is undefined.
        :raises EventError: if the name is not three or four ASCII characters or is there already,
            or the bank does not fit.
        """
        header = self.bank_format.header
        size_bytes = tid.size * count
        begin = self._position + header.size
        end = begin + ((size_bytes + 7) & ~7)
        name_bytes = name.encode("ascii", errors="replace")
        if not 3 <= len(name) <= 4 or not name.isascii() or not name.isprintable():
            raise EventError(f"bank {name!r}: a bank name is 3 or 4 printable ASCII characters")
        if name in self._banks:
            raise EventError(f"bank {name} is in this event already")
        if count < 0 or size_bytes > self.bank_format.max_bank_bytes:
            raise EventError(
                f"bank {name}: {size_bytes} bytes, {self.bank_format.name} banks hold 0 to "
                f"{self.bank_format.max_bank_bytes}"
            )
        if end > len(self._buffer):
            raise EventError(
                f"bank {name} needs {end} bytes of event buffer, there are {len(self._buffer)}"
            )
        fields = (name_bytes, int(tid), size_bytes)
        if self.bank_format is BankFormat.BANK32A:
            header.pack_into(self._buffer, self._position, *fields, 0)
        else:
            header.pack_into(self._buffer, self._position, *fields)
        padding = end - begin - size_bytes
        if padding:
            self._buffer[end - padding : end] = bytes(padding)
        self._banks[name] = self._position
        self._position = end
        return np.frombuffer(self._buffer, tid.dtype, count, begin)

    def shorten(self, name: str, count: int) -> None:
        """Let the last bank hold its first `count` elements alone.

        :raises EventError: if `name` is not the last bank, or is shorter than that.
        """
        header = self.bank_format.header
        mark = self._banks.get(name, -1)
        if mark != max(self._banks.values(), default=None):
            raise EventError(f"bank {name} is not the last of this event")
        _, tid, size_bytes = header.unpack_from(self._buffer, mark)[:3]
        elements = size_bytes // Tid(tid).size
        if not 0 <= count <= elements:
            raise EventError(f"bank {name} has {elements} elements and cannot hold {count}")
        self.rewind(mark)
        self.reserve(name, Tid(tid), count)

    def add(self, name: str, tid: Tid, array: Any) -> None:
        """Append a bank with one copy of `array`.

        :param array: bytes, numbers, or an array of any shape (row-major) whose dtype goes into
            the bank's without loss.
        :raises EventError: as `reserve`, and if the values do not fit the type.
        """
        if isinstance(array, (bytes, bytearray, memoryview)):
            values = np.frombuffer(array, tid.dtype)
        elif isinstance(array, np.ndarray):
            values = array
            if not np.can_cast(values.dtype, tid.dtype, casting="safe"):
                raise EventError(
                    f"bank {name}: values of type {values.dtype} do not fit TID_{tid.name} "
                    f"({tid.dtype}) without loss"
                )
        else:
            try:
                values = np.asarray(array, dtype=tid.dtype)
            except (OverflowError, TypeError, ValueError) as error:
                raise EventError(f"bank {name}: {error}, wanted TID_{tid.name}") from error
        self.reserve(name, tid, values.size).reshape(values.shape)[...] = values

    def finish(self, serial_number: int, timestamp: int, trigger_mask: int = 0) -> memoryview:
        """Write the header and return the whole event, a view on the buffer.

        :param timestamp: unix time in seconds.
        """
        EVENT_HEADER.pack_into(
            self._buffer,
            0,
            self.event_id,
            trigger_mask,
            serial_number & 0xFFFFFFFF,
            timestamp & 0xFFFFFFFF,
            self._position - EVENT_HEADER.size,
        )
        ALL_BANKS_HEADER.pack_into(
            self._buffer, EVENT_HEADER.size, self._position - _FIRST_BANK, int(self.bank_format)
        )
        return self._buffer[: self._position]
