"""Lossless compression of frames, as bank ``CZ<i>`` holds them.

A compressed frame is a header of 32 bytes and what a method made of the pixels, the chunk; all
numbers are little-endian::

     0  char[4]  "CYCZ"
     4  u16      version of this layout: 1
     6  u16      codec: 1 dense, a Blosc2 chunk (byte shuffle, zstd); 2 fast, packed blocks
     8  u32      rows
    12  u32      columns
    16  u32      bytes of the pixels: 2 * rows * columns
    20  u32      bytes of the chunk, which is all that follows the header
    24  u32      CRC32C of the pixels
    28  u32      CRC32C of the 28 bytes before and of the chunk
    32           the chunk; uncompressed it is the pixels, uint16, row after row

*dense* comes within 6 % of what noise allows; *fast* needs a third of the processor time for 15 %
more bytes (docs/decisions/0010). ``docs/how-to/compress-frames.md`` and
``docs/reference/fast-frames.md`` read them without this package. All functions release the GIL
while they work, and any number of threads may call them: frames in parallel is how to use many
cores.
"""

import struct
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from rawdata import dense_chunk, fast_chunk
from rawdata.checksum import crc32c
from rawdata.errors import LayoutError

MAGIC: Final = b"CYCZ"
VERSION: Final = 1
Method = Literal["dense", "fast"]
CODECS: Final[dict[Method, int]] = {"dense": 1, "fast": 2}
HEADER: Final = struct.Struct("<4sHHIIIIII")

_BYTES_A_PIXEL: Final = 2
_PIXEL: Final = np.dtype("<u2")
_CRC_BYTES: Final = 4
_CRC_PLACE: Final = HEADER.size - _CRC_BYTES
_MAX_PIXEL_BYTES: Final = (1 << 31) - (1 << 10)  # a Blosc2 chunk has 32-bit sizes and some overhead


@dataclass(frozen=True, slots=True)
class FrameHeader:
    """What a compressed frame says of itself."""

    version: int
    codec: int
    rows: int
    columns: int
    pixel_bytes: int
    chunk_bytes: int
    pixel_crc32c: int
    bank_crc32c: int
    """Of the header before it, and of the chunk."""

    @property
    def method(self) -> Method:
        """How the chunk was made."""
        return next(method for method, codec in CODECS.items() if codec == self.codec)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.rows, self.columns


@dataclass(frozen=True, slots=True)
class CompressedFrame:
    """A frame on its way into a bank.

    :param bank: (n,) uint8, all of it.
    """

    bank: npt.NDArray[np.uint8]

    @property
    def size_bytes(self) -> int:
        """Bytes of the bank."""
        return self.bank.size

    def write_into(self, bank: npt.NDArray[np.uint8]) -> None:
        """Copy it to a bank, (size_bytes,) uint8."""
        bank[...] = self.bank


def encode(frame: npt.NDArray[np.uint16], method: Method = "dense") -> CompressedFrame | None:
    """Compress a frame; None if the bank would be no smaller than the pixels are.

    :param frame: (rows, columns) uint16 [ADU]; copied first if it is not C-contiguous.
    :raises LayoutError: if it is no such array, or larger than 2 GB.

    >>> frame = np.full((64, 64), 100, np.uint16)
    >>> encode(frame).size_bytes < frame.nbytes / 10
    True
    """
    _check_frame(frame)
    memory = np.empty(frame.nbytes, np.uint8)
    size = encode_into(frame, memory, method)
    return None if size is None else CompressedFrame(memory[:size].copy())


def encode_into(
    frame: npt.NDArray[np.uint16], bank: npt.NDArray[np.uint8], method: Method = "dense"
) -> int | None:
    """Compress a frame into memory that is there already.

    :param frame: as for `encode`.
    :param bank: (n,) uint8; what it holds afterwards behind the frame is undefined.
    :returns: the bytes written; None if they do not fit, or are no fewer than those of the pixels.
    :raises LayoutError: as `encode`.
    """
    _check_frame(frame)
    bank = bank[: max(0, frame.nbytes - 1)]
    if bank.size < HEADER.size:
        return None
    pixels = np.require(frame, _PIXEL, ["C", "A"])
    room = bank[HEADER.size :]
    if method == "dense":
        chunk = dense_chunk.compress(pixels)
        chunk_bytes = len(chunk)
        if chunk_bytes > room.size:
            return None
        room[:chunk_bytes] = np.frombuffer(chunk, np.uint8)
    else:
        packed_bytes = _pack_into(pixels, room)
        if packed_bytes is None:
            return None
        chunk_bytes = packed_bytes
    rows, columns = pixels.shape
    sizes = (pixels.nbytes, chunk_bytes)
    fields = (MAGIC, VERSION, CODECS[method], rows, columns, *sizes, crc32c(pixels))
    start = HEADER.pack(*fields, 0)[:_CRC_PLACE]
    HEADER.pack_into(bank.data, 0, *fields, crc32c(room[:chunk_bytes], crc32c(start)))
    return HEADER.size + chunk_bytes


def _check_frame(frame: npt.NDArray[np.uint16]) -> None:
    if frame.ndim != 2 or frame.dtype != _PIXEL:
        raise LayoutError(
            f"a frame to compress is (rows, columns) uint16, not {frame.dtype} {frame.shape}"
        )
    if frame.nbytes > _MAX_PIXEL_BYTES:
        raise LayoutError(f"a frame of {frame.nbytes} bytes is larger than {_MAX_PIXEL_BYTES}")


def _pack_into(pixels: npt.NDArray[np.uint16], room: npt.NDArray[np.uint8]) -> int | None:
    if room.ctypes.data % _BYTES_A_PIXEL == 0:
        return fast_chunk.compress_into(pixels, room)
    even = np.empty(room.size, np.uint8)
    chunk_bytes = fast_chunk.compress_into(pixels, even)
    if chunk_bytes is not None:
        room[:chunk_bytes] = even[:chunk_bytes]
    return chunk_bytes


def read_header(bank: Any) -> FrameHeader:
    """Return the header of a compressed frame, checked against itself and the bank's size.

    :param bank: its bytes: (n,) uint8, or anything contiguous.
    :raises LayoutError: if it contradicts itself, or is of a version or codec not known here.
    """
    view = memoryview(bank)
    if view.nbytes < HEADER.size:
        raise LayoutError(f"{view.nbytes} bytes cannot hold the header of a compressed frame")
    magic, *fields = HEADER.unpack_from(view)
    if magic != MAGIC:
        raise LayoutError(f"a compressed frame begins with {MAGIC!r}, not {magic!r}")
    header = FrameHeader(*fields)
    if header.version != VERSION or header.codec not in CODECS.values():
        raise LayoutError(
            f"the frame is compressed in version {header.version} with codec {header.codec}; known "
            f"is version {VERSION} with codecs {sorted(CODECS.values())}: use a newer cygno-rawdata"
        )
    if header.chunk_bytes != view.nbytes - HEADER.size:
        raise LayoutError(
            f"the header claims {header.chunk_bytes} compressed bytes, "
            f"{view.nbytes - HEADER.size} are there"
        )
    if header.pixel_bytes > _MAX_PIXEL_BYTES:
        raise LayoutError(
            f"the header claims {header.pixel_bytes} bytes of pixels, allowed are "
            f"{_MAX_PIXEL_BYTES}"
        )
    if header.pixel_bytes != _BYTES_A_PIXEL * header.rows * header.columns:
        raise LayoutError(
            f"the header claims {header.pixel_bytes} bytes for {header.rows}x{header.columns} "
            "pixels of 2 bytes"
        )
    return header


def decode(bank: Any, *, prove: bool = True) -> npt.NDArray[np.uint16]:
    """Return the pixels of a compressed frame, (rows, columns) uint16 [ADU], a new array.

    :param bank: its bytes: (n,) uint8, or anything contiguous.
    :param prove: compare the checksum of the pixels, too, and not of the bank alone: that finds
        what went wrong between the camera and the bank, and costs a third of the fast method.
    :raises LayoutError: as `decode_into`.
    """
    header = read_header(bank)
    chunk = _checked_chunk(bank, header)  # before memory is taken for what may be damage
    pixels = np.empty(header.shape, np.uint16)
    _uncompress(chunk, header, pixels, prove)
    return pixels


def decode_into(bank: Any, pixels: npt.NDArray[np.uint16]) -> FrameHeader:
    """Write the pixels of a compressed frame into memory that is there already.

    :param bank: its bytes: (n,) uint8, or anything contiguous.
    :param pixels: (rows, columns) uint16 of the frame's shape, C-contiguous, of any alignment.
    :returns: the header.
    :raises LayoutError: if a byte of the bank is damaged, or `pixels` does not fit; what `pixels`
        holds then is undefined.
    """
    header = read_header(bank)
    chunk = _checked_chunk(bank, header)
    if pixels.shape != header.shape or pixels.dtype != _PIXEL:
        raise LayoutError(
            f"the frame is uint16 {header.shape}, the array for it {pixels.dtype} {pixels.shape}"
        )
    if not (pixels.flags.c_contiguous and pixels.flags.writeable):
        raise LayoutError("the array for a frame's pixels must be C-contiguous and writable")
    _uncompress(chunk, header, pixels, prove=True)
    return header


def _checked_chunk(bank: Any, header: FrameHeader) -> memoryview:
    """Return the chunk; refuses damage before anything believes the chunk's own sizes."""
    view = memoryview(bank).cast("B")
    chunk = view[HEADER.size :]
    crc = crc32c(chunk, crc32c(view[:_CRC_PLACE]))
    if crc != header.bank_crc32c:
        raise LayoutError(
            f"CRC32C of the compressed frame is {crc:08x}, its header says "
            f"{header.bank_crc32c:08x}: it is damaged"
        )
    if header.method == "dense":
        dense_chunk.check(chunk, header.pixel_bytes)
    else:
        fast_chunk.check(chunk, header.pixel_bytes)
    return chunk


def _uncompress(
    chunk: memoryview, header: FrameHeader, pixels: npt.NDArray[np.uint16], prove: bool
) -> None:
    if header.method == "dense":
        dense_chunk.uncompress(chunk, pixels)
    else:
        fast_chunk.uncompress(chunk, pixels)
    crc = crc32c(pixels) if prove else header.pixel_crc32c
    if crc != header.pixel_crc32c:
        raise LayoutError(
            f"CRC32C of the pixels is {crc:08x}, the header says {header.pixel_crc32c:08x}"
        )
