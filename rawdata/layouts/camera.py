"""Camera frames: bank ``CAM<i>`` as the camera gives them, or ``CZ<i>`` losslessly compressed.

``CAM<i>`` (TID_WORD) is row-major pixels in ADU and nothing else. It does not say its shape;
readers infer it from its size as CYGNO's library does (``cygno/__init__.py: daq_cam2array``,
v1.0.20), or are told. ``CZ<i>`` (TID_BYTE) says its shape; see `rawdata.codec`.
"""

import math
import re
from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from rawdata import codec
from rawdata.build import EventBuilder
from rawdata.errors import LayoutError
from rawdata.event import Event
from rawdata.tid import Tid

MAX_CAMERAS: Final = 6
"""NCAM_MAX of CYGNO's frontend, generations B and C."""

FUSION_SHAPE: Final = (2304, 2304)
FLASH_SHAPE: Final = (2048, 2048)
QUEST_SHAPE: Final = (2304, 4096)
"""(rows, columns); the one camera that is not square."""

_FRAME_BANK: Final = re.compile(r"(?:CAM|CZ)(\d)")
_BYTES_A_PIXEL: Final = 2
_FUSION_BYTES: Final = _BYTES_A_PIXEL * 2304 * 2304
_LARGEST_SQUARE: Final = 1.1
"""Up to this many times a Fusion frame the library takes a frame for square."""


def bank_name(index: int = 0) -> str:
    """Return the bank's name for camera `index`, 0 to 5.

    >>> bank_name(1)
    'CAM1'
    """
    if not 0 <= index < MAX_CAMERAS:
        raise LayoutError(f"camera {index}: cameras are 0 to {MAX_CAMERAS - 1}")
    return f"CAM{index}"


def compressed_bank_name(index: int = 0) -> str:
    """Return the name of the compressed frame's bank for camera `index`, 0 to 5.

    Three characters and a NUL, as MIDAS writes short names.

    >>> compressed_bank_name(1)
    'CZ1'
    """
    return bank_name(index).replace("CAM", "CZ")


def is_frame_bank(name: str) -> bool:
    """Tell whether a bank of this name holds a frame, compressed or not."""
    return _FRAME_BANK.fullmatch(name) is not None


def is_compressed_bank(name: str) -> bool:
    """Tell whether a bank of this name holds a compressed frame."""
    return is_frame_bank(name) and name.startswith("CZ")


def camera_indices(event: Event) -> list[int]:
    """Return which cameras have a frame in this event, compressed or not."""
    matches = (_FRAME_BANK.fullmatch(name) for name in event)
    return list(dict.fromkeys(int(match[1]) for match in matches if match))


def infer_shape(size_bytes: int) -> tuple[int, int]:
    """Return (rows, columns) of a frame of this size, as CYGNO's library sees it.

    :raises LayoutError: if the size is neither square nor that of a Quest frame.

    >>> infer_shape(10_616_832), infer_shape(18_874_368)
    ((2304, 2304), (2304, 4096))
    """
    if size_bytes / _FUSION_BYTES < _LARGEST_SQUARE:
        side = math.isqrt(size_bytes // _BYTES_A_PIXEL)
        shape = (side, side)
    else:
        shape = QUEST_SHAPE
    if not size_bytes or shape[0] * shape[1] * _BYTES_A_PIXEL != size_bytes:
        raise LayoutError(
            f"a frame of {size_bytes} bytes is neither square nor {QUEST_SHAPE[0]}x"
            f"{QUEST_SHAPE[1]} pixels: say its shape"
        )
    return shape


def reserve_frame(
    builder: EventBuilder, shape: tuple[int, int], index: int = 0
) -> npt.NDArray[np.uint16]:
    """Append the bank of a frame and return its (rows, columns) uint16 pixels, to be filled."""
    rows, columns = shape
    return builder.reserve(bank_name(index), Tid.WORD, rows * columns).reshape(shape)


def encode_frame(builder: EventBuilder, frame: npt.NDArray[np.uint16], index: int = 0) -> None:
    """Append a frame, with one copy.

    :param frame: (rows, columns) uint16 [ADU]
    """
    if frame.ndim != 2:
        raise LayoutError(f"a frame has two dimensions, not {frame.ndim}")
    builder.add(bank_name(index), Tid.WORD, frame)


Encode = Callable[[npt.NDArray[np.uint16], npt.NDArray[np.uint8]], int | None]
"""As `codec.encode_into`: bytes of the bank, None if the frame would become no smaller."""


def compress_frame(
    builder: EventBuilder,
    frame: npt.NDArray[np.uint16],
    index: int = 0,
    encode: Encode = codec.encode_into,
) -> int | None:
    """Append a frame compressed, without a copy; the buffer must have room for all its pixels.

    :param frame: (rows, columns) uint16 [ADU]
    :returns: bytes of the bank; None if the frame becomes no smaller, and then there is no bank.
    """
    name, mark = compressed_bank_name(index), builder.mark
    size_bytes = encode(frame, builder.reserve(name, Tid.BYTE, frame.nbytes))
    if size_bytes is None:
        builder.rewind(mark)
    else:
        builder.shorten(name, size_bytes)
    return size_bytes


def decode_frame(
    event: Event, index: int = 0, shape: tuple[int, int] | None = None, *, prove: bool = True
) -> npt.NDArray[np.uint16]:
    """Return the pixels of camera `index`, compressed or not.

    :param shape: (rows, columns) where known, for frames that are neither square nor Quest's.
    :param prove: of a compressed frame, as `codec.decode`.
    :returns: (rows, columns) uint16 [ADU]. A view, read-only where the event is, if the frame is
        not compressed; else a new array.
    :raises BankMissingError: if the event has no such frame.
    :raises LayoutError: if the bank is of the wrong type, does not fit the shape, or is a
        compressed frame that is damaged.
    """
    name = bank_name(index)
    compressed = compressed_bank_name(index)
    if compressed in event and name not in event:
        frame = decode_compressed(event, compressed, prove=prove)
        if shape not in (None, frame.shape):
            raise LayoutError(f"bank {compressed} is {frame.shape} pixels, not {shape}")
        return frame
    pixels = event[name]
    _check_type(event, name, Tid.WORD)
    rows, columns = shape or infer_shape(pixels.nbytes)
    if rows * columns != pixels.size:
        raise LayoutError(f"bank {name} holds {pixels.size} pixels, not {rows}x{columns}")
    return pixels.reshape(rows, columns)


def decode_compressed(event: Event, name: str, *, prove: bool = True) -> npt.NDArray[np.uint16]:
    """Return the pixels of the compressed frame in bank `name`, a new array.

    :param prove: as `codec.decode`.
    :raises LayoutError: naming event and bank, if it is no such bank or is damaged.
    """
    try:
        _check_type(event, name, Tid.BYTE)
        return codec.decode(event[name], prove=prove)
    except LayoutError as error:
        raise damage(event, name, error) from error


def read_compressed_header(event: Event, name: str) -> codec.FrameHeader:
    """Return what the compressed frame in bank `name` says of itself.

    :raises LayoutError: naming event and bank, if it is no such bank.
    """
    try:
        _check_type(event, name, Tid.BYTE)
        return codec.read_header(event[name])
    except LayoutError as error:
        raise damage(event, name, error) from error


def damage(event: Event, name: str, error: LayoutError) -> LayoutError:
    """Return an error that also says in which event and bank it is."""
    return LayoutError(f"event {event.serial_number} (id {event.event_id}), bank {name}: {error}")


def _check_type(event: Event, name: str, wanted: Tid) -> None:
    tid = event.banks[name].tid
    if tid is not wanted:
        raise LayoutError(f"bank {name} is TID_{tid.name}, wanted TID_{wanted.name}")
