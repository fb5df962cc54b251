"""Exchange the frames of an event: compressed ones for plain ones, or the reverse.

All else stays as it is, byte for byte: other banks, their order, header fields, padding. Shrinking
and then expanding gives the very same bytes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from rawdata import codec
from rawdata.errors import EventError, LayoutError
from rawdata.event import ALL_BANKS_HEADER, EVENT_HEADER, Bank, Event
from rawdata.layouts import camera
from rawdata.tid import Tid

_PIXEL: Final = np.dtype("<u2")


@dataclass(frozen=True, slots=True)
class Recoded:
    """An event whose frames were exchanged.

    :param event: all its bytes; those of the original where nothing was exchanged.
    :param frames: how many frames were exchanged.
    :param kept: how many could have been, but stay as they are.
    """

    event: memoryview
    frames: int = 0
    kept: int = 0


@dataclass(frozen=True, slots=True)
class _NewBank:
    name: str
    tid: Tid
    size_bytes: int
    write: Callable[[npt.NDArray[np.uint8]], object]


def expand_event(event: Event) -> Recoded:
    """Turn each ``CZ<i>`` bank into the ``CAM<i>`` bank it was made from.

    :raises LayoutError: naming event and bank, if a compressed frame is damaged.
    :raises EventError: if the event has both banks, or its bank headers cannot hold the size.
    """
    new_banks = {}
    for name, bank in event.banks.items():
        if camera.is_compressed_bank(name):
            header = camera.read_compressed_header(event, name)
            plain = camera.bank_name(int(name[-1]))
            write = partial(_expand_into, event, name, header.shape)
            new_banks[name] = _NewBank(plain, Tid.WORD, header.pixel_bytes, write)
            _check_free(event, plain, bank)
    return _rebuild(event, new_banks, kept=0)


def shrink_event(event: Event, columns: int = 0, method: codec.Method = "dense") -> Recoded:
    """Turn ``CAM<i>`` banks into ``CZ<i>``, and verify each by uncompressing it.

    A frame is kept as it is if it would not become smaller, if its shape cannot be told from its
    size, or if the way back would not give the same bytes.

    :param columns: of frames that are neither square nor of a Quest; 0 keeps such as they are.
    :param method: how; see `rawdata.codec`.
    :raises LayoutError: if a frame does not come out of its compression as it went in.
    """
    new_banks = {}
    kept = 0
    for name, bank in event.banks.items():
        if not camera.is_frame_bank(name) or camera.is_compressed_bank(name):
            continue
        index = int(name[-1])
        compressed = _compress(event, bank, index, columns, method)
        if compressed is None:
            kept += 1
            continue
        write = partial(_write_verified, event, name, compressed)
        new_banks[name] = _NewBank(
            camera.compressed_bank_name(index), Tid.BYTE, compressed.size_bytes, write
        )
    return _rebuild(event, new_banks, kept)


def _expand_into(
    event: Event, name: str, shape: tuple[int, int], data: npt.NDArray[np.uint8]
) -> None:
    try:
        codec.decode_into(event[name], data.view(_PIXEL).reshape(shape))
    except LayoutError as error:
        raise camera.damage(event, name, error) from error


def _compress(
    event: Event, bank: Bank, index: int, columns: int, method: codec.Method
) -> codec.CompressedFrame | None:
    end = bank.offset + bank.size_bytes
    padding = event.raw[end : bank.offset + _padded(bank.size_bytes)]
    if index >= camera.MAX_CAMERAS or camera.compressed_bank_name(index) in event or any(padding):
        return None
    shape = (bank.data.size // columns, columns) if columns else None
    try:
        return codec.encode(camera.decode_frame(event, index, shape), method)
    except LayoutError:
        return None


def _write_verified(
    event: Event, name: str, compressed: codec.CompressedFrame, data: npt.NDArray[np.uint8]
) -> None:
    compressed.write_into(data)
    try:
        codec.decode(data)  # its checksum of the pixels was made before they were compressed
    except LayoutError as error:
        raise camera.damage(event, name, error) from error


def _check_free(event: Event, plain: str, bank: Bank) -> None:
    if plain in event:
        raise EventError(
            f"event {event.serial_number} (id {event.event_id}) has {bank.name} and {plain}: "
            "one frame twice"
        )


def _padded(size_bytes: int) -> int:
    return (size_bytes + 7) & ~7


def _rebuild(event: Event, new_banks: dict[str, _NewBank], kept: int) -> Recoded:
    """Return the event with some of its banks replaced, in place."""
    form = event.bank_format
    if not new_banks or form is None:
        return Recoded(event.raw, kept=kept)
    growth = sum(
        _padded(new.size_bytes) - _padded(event.banks[name].size_bytes)
        for name, new in new_banks.items()
    )
    raw: npt.NDArray[np.uint8] = np.frombuffer(event.raw, np.uint8)
    rebuilt = np.empty(raw.size + growth, np.uint8)
    source = target = 0
    for name, new in new_banks.items():
        bank = event.banks[name]
        if new.size_bytes > form.max_bank_bytes:
            raise EventError(
                f"event {event.serial_number} (id {event.event_id}): bank {new.name} of "
                f"{new.size_bytes} bytes does not fit a {form.name} header"
            )
        begin = bank.offset - form.header.size
        unchanged = begin - source
        rebuilt[target : target + unchanged] = raw[source:begin]
        target += unchanged
        reserved = form.header.unpack_from(event.raw, begin)[3:]
        fields: tuple[Any, ...] = (new.name.encode("ascii"), int(new.tid), new.size_bytes)
        form.header.pack_into(rebuilt.data, target, *fields, *reserved)
        target += form.header.size
        new.write(rebuilt[target : target + new.size_bytes])
        end = target + _padded(new.size_bytes)
        rebuilt[target + new.size_bytes : end] = 0
        source, target = bank.offset + _padded(bank.size_bytes), end
    rebuilt[target:] = raw[source:]
    *header, data_size = EVENT_HEADER.unpack_from(event.raw)
    EVENT_HEADER.pack_into(rebuilt.data, 0, *header, data_size + growth)
    all_bytes, flags = ALL_BANKS_HEADER.unpack_from(event.raw, EVENT_HEADER.size)
    ALL_BANKS_HEADER.pack_into(rebuilt.data, EVENT_HEADER.size, all_bytes + growth, flags)
    return Recoded(rebuilt.data, len(new_banks), kept)
