"""Lossless compression of frames, as bank ``CZ<i>`` holds them.

A compressed frame is a header of 32 bytes and one Blosc2 chunk; all numbers are little-endian::

     0  char[4]  "CYCZ"
     4  u16      version of this layout: 1
     6  u16      codec: 1 is a Blosc2 chunk (byte shuffle, zstd)
     8  u32      rows
    12  u32      columns
    16  u32      bytes of the pixels: 2 * rows * columns
    20  u32      bytes of the chunk, which is all that follows the header
    24  u32      CRC32C of the pixels
    28  u32      CRC32C of the 28 bytes before and of the chunk
    32           the chunk; uncompressed it is the pixels, uint16, row after row

``docs/how-to/compress-frames.md`` reads one with Blosc2 alone. Both functions release the GIL while
they work, and any number of threads may call them: frames in parallel is how to use many cores.
"""

import struct
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from rawdata.checksum import crc32c
from rawdata.errors import LayoutError

MAGIC: Final = b"CYCZ"
VERSION: Final = 1
BLOSC2_CHUNK: Final = 1
HEADER: Final = struct.Struct("<4sHHIIIIII")

_BYTES_A_PIXEL: Final = 2
_PIXEL: Final = np.dtype("<u2")
_CRC_BYTES: Final = 4
_CRC_PLACE: Final = HEADER.size - _CRC_BYTES
_MAX_PIXEL_BYTES: Final = (1 << 31) - (1 << 10)  # a Blosc2 chunk has 32-bit sizes and some overhead
_CHUNK_HEADER: Final = struct.Struct("<4BIII")  # versions, flags, item; bytes, block, chunk bytes
_LEVEL: Final = 1
_BLOCK_BYTES: Final = 1 << 19
"""With streams above 256 KiB zstd looks for matches of 7 bytes or more only, which noise has few
of: at 2.5 ADU 30 % faster than Blosc2's own choice at 1 % of the size; above 4 MiB the caches end
(measured; see docs/decisions/0007-frame-codec.md)."""


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
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.rows, self.columns


@dataclass(frozen=True, slots=True)
class CompressedFrame:
    """A frame on its way into a bank."""

    header: bytes
    chunk: bytes

    @property
    def size_bytes(self) -> int:
        """Bytes of the bank."""
        return len(self.header) + len(self.chunk)

    def write_into(self, bank: npt.NDArray[np.uint8]) -> None:
        """Copy it to a bank, (size_bytes,) uint8."""
        bank[: len(self.header)] = np.frombuffer(self.header, np.uint8)
        bank[len(self.header) :] = np.frombuffer(self.chunk, np.uint8)


@cache
def _blosc2() -> Any:
    """Import Blosc2 for the first frame: 0.3 s and 300 modules that most commands do without."""
    import blosc2

    blosc2.set_releasegil(True)  # it holds the GIL otherwise; a setting of the whole process
    return blosc2


def encode(frame: npt.NDArray[np.uint16]) -> CompressedFrame | None:
    """Compress a frame; None if the bank would be no smaller than the pixels are.

    :param frame: (rows, columns) uint16 [ADU]; copied first if it is not C-contiguous.
    :raises LayoutError: if it is no such array, or larger than 2 GB.

    >>> frame = np.full((64, 64), 100, np.uint16)
    >>> encode(frame).size_bytes < frame.nbytes / 10
    True
    """
    if frame.ndim != 2 or frame.dtype != _PIXEL:
        raise LayoutError(
            f"a frame to compress is (rows, columns) uint16, not {frame.dtype} {frame.shape}"
        )
    if frame.nbytes > _MAX_PIXEL_BYTES:
        raise LayoutError(f"a frame of {frame.nbytes} bytes is larger than {_MAX_PIXEL_BYTES}")
    if not frame.size:
        return None
    blosc2 = _blosc2()
    pixels = np.ascontiguousarray(frame)
    chunk: bytes = blosc2.compress2(
        pixels,
        codec=blosc2.Codec.ZSTD,
        clevel=_LEVEL,
        typesize=_BYTES_A_PIXEL,
        filters=[blosc2.Filter.SHUFFLE],
        splitmode=blosc2.SplitMode.NEVER_SPLIT,
        blocksize=_BLOCK_BYTES,
        nthreads=1,
    )
    if HEADER.size + len(chunk) >= pixels.nbytes:
        return None
    rows, columns = pixels.shape
    sizes = (pixels.nbytes, len(chunk))
    start = HEADER.pack(MAGIC, VERSION, BLOSC2_CHUNK, rows, columns, *sizes, crc32c(pixels), 0)[
        :_CRC_PLACE
    ]
    bank_crc = crc32c(chunk, crc32c(start))
    return CompressedFrame(start + bank_crc.to_bytes(_CRC_BYTES, "little"), chunk)


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
    if (header.version, header.codec) != (VERSION, BLOSC2_CHUNK):
        raise LayoutError(
            f"the frame is compressed in version {header.version} with codec {header.codec}; known "
            f"is version {VERSION} with codec {BLOSC2_CHUNK}: use a newer cygno-rawdata"
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


def decode(bank: Any) -> npt.NDArray[np.uint16]:
    """Return the pixels of a compressed frame, (rows, columns) uint16 [ADU], a new array.

    :param bank: its bytes: (n,) uint8, or anything contiguous.
    :raises LayoutError: as `decode_into`.
    """
    header = read_header(bank)
    chunk = _checked_chunk(bank, header)  # before memory is taken for what may be damage
    pixels = np.empty(header.shape, np.uint16)
    _uncompress(chunk, header, pixels)
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
    _uncompress(chunk, header, pixels)
    return header


def _checked_chunk(bank: Any, header: FrameHeader) -> memoryview:
    """Return the chunk; refuses damage before Blosc2, which believes its own sizes, sees it."""
    view = memoryview(bank).cast("B")
    chunk = view[HEADER.size :]
    crc = crc32c(chunk, crc32c(view[:_CRC_PLACE]))
    if crc != header.bank_crc32c:
        raise LayoutError(
            f"CRC32C of the compressed frame is {crc:08x}, its header says "
            f"{header.bank_crc32c:08x}: it is damaged"
        )
    if header.chunk_bytes < _CHUNK_HEADER.size:
        raise LayoutError(f"{header.chunk_bytes} bytes cannot hold a Blosc2 chunk")
    pixel_bytes, _, chunk_bytes = _CHUNK_HEADER.unpack_from(chunk)[4:]
    if (pixel_bytes, chunk_bytes) != (header.pixel_bytes, header.chunk_bytes):
        raise LayoutError(
            f"the Blosc2 chunk claims {chunk_bytes} bytes for {pixel_bytes}, the header "
            f"{header.chunk_bytes} for {header.pixel_bytes}"
        )
    return chunk


def _uncompress(chunk: memoryview, header: FrameHeader, pixels: npt.NDArray[np.uint16]) -> None:
    try:
        _blosc2().decompress2(chunk, dst=pixels, nthreads=1)
    except (RuntimeError, TypeError, ValueError) as error:
        raise LayoutError(f"the Blosc2 chunk cannot be uncompressed: {error}") from error
    crc = crc32c(pixels)
    if crc != header.pixel_crc32c:
        raise LayoutError(
            f"CRC32C of the pixels is {crc:08x}, the header says {header.pixel_crc32c:08x}"
        )
