"""The fast method of the frame codec: pixels packed to as many bits as most of them need.

The frame's pixels, row after row, are cut into blocks of B pixels, one row where that is possible;
the last block may be shorter. In each block most pixels lie within 2^w of a base and are packed
to w bits above it; the others are *exceptions*, kept as they are. With n blocks, all numbers being
little-endian::

    0            u32      B, a multiple of 16
    4            u16 [n]  base of each block
    4 + 2n       u16 [n]  exceptions of each block, how many
    4 + 4n       u8 [n]   w of each block, 0 to 16; then a byte 0 if n is odd
    then         u16      block after block: w * B/16 packed words, places of the exceptions, their
                          pixels

Of a block, pixel k * B/16 + i (k = 0 ... 15) is in lane i. The words of a block are w rows of
B/16; column i is lane i. Read as one number of 16 * w bits, its first word the lowest, it holds
pixel k at bits k * w to k * w + w - 1. So 16 or 32 lanes are packed at once by one instruction.
``docs/reference/fast-frames.md`` has a reader in 20 lines of NumPy.
"""

import struct
from typing import Final

import numpy as np
import numpy.typing as npt

from rawdata.errors import LayoutError

_START: Final = struct.Struct("<I")
_GROUPS: Final = 16
_SMALLEST, _LARGEST = 256, 2304
"""Blocks as long as a Fusion row are the best of those tried: 5.3 bytes a block matter little, a
row shares its level, and loops are long (docs/decisions/0010)."""
_MAX_BLOCK: Final = 65_520
"""Places of exceptions are 16 bits."""
_MAX_WIDTH: Final = 16
_WORD: Final = np.dtype("<u2")
_BLOCK_BYTES: Final = 5


def block_pixels(shape: tuple[int, int]) -> int:
    """Return how long blocks are: a row or a whole part of it, where that is a multiple of 16.

    >>> block_pixels((2304, 2304)), block_pixels((2304, 4096)), block_pixels((3, 5))
    (2304, 2048, 16)
    """
    rows, columns = shape
    for parts in range(1, columns // _SMALLEST + 1):
        size, rest = divmod(columns, parts)
        if size <= _LARGEST and not rest and not size % _GROUPS:
            return size
    return min(_LARGEST, -(-rows * columns // _GROUPS) * _GROUPS)


def compress_into(pixels: npt.NDArray[np.uint16], chunk: npt.NDArray[np.uint8]) -> int | None:
    """Write the chunk of a frame and return its bytes; None if it does not fit.

    :param pixels: (rows, columns) uint16, C-contiguous and aligned, at least one.
    :param chunk: (n,) uint8 at an even address.
    """
    from rawdata import fast_kernels  # numba: 0.5 s that most commands do without

    size = block_pixels((pixels.shape[0], pixels.shape[1]))
    blocks = -(-pixels.size // size)
    begin = _table_bytes(blocks)
    if chunk.size < begin:
        return None
    words = chunk[begin : begin + (chunk.size - begin) // _WORD.itemsize * _WORD.itemsize]
    _START.pack_into(chunk.data, 0, size)
    chunk[begin - 1] = 0
    used = fast_kernels.compress(
        pixels.reshape(-1), size, *_tables(chunk, blocks), words.view(_WORD)
    )
    return None if used == fast_kernels.TOO_LARGE else begin + _WORD.itemsize * used


def check(chunk: memoryview, pixel_bytes: int) -> None:
    """Refuse a chunk whose sizes contradict each other.

    :raises LayoutError: naming what does not agree.
    """
    if len(chunk) < _START.size:
        raise LayoutError(f"{len(chunk)} bytes cannot hold packed blocks")
    (size,) = _START.unpack_from(chunk)
    if not _GROUPS <= size <= _MAX_BLOCK or size % _GROUPS:
        raise LayoutError(
            f"blocks of {size} pixels, allowed are multiples of {_GROUPS} up to {_MAX_BLOCK}"
        )
    blocks = -(-pixel_bytes // _WORD.itemsize // size)
    begin = _table_bytes(blocks)
    if len(chunk) < begin:
        raise LayoutError(f"{len(chunk)} bytes cannot hold {blocks} packed blocks")
    _, counts, widths = _tables(np.frombuffer(chunk, np.uint8), blocks)
    if int(widths.max(initial=0)) > _MAX_WIDTH or int(counts.max(initial=0)) > size:
        raise LayoutError(
            f"a block has {widths.max()} bits a pixel and one {counts.max()} exceptions, allowed "
            f"are {_MAX_WIDTH} and {size}"
        )
    packed = int(widths.sum(dtype=np.int64)) * (size // _GROUPS)
    claimed = begin + _WORD.itemsize * (packed + 2 * int(counts.sum(dtype=np.int64)))
    if claimed != len(chunk):
        raise LayoutError(f"the packed blocks claim {claimed} bytes, {len(chunk)} are there")


def uncompress(chunk: memoryview, pixels: npt.NDArray[np.uint16]) -> None:
    """Write the pixels of a chunk that was checked.

    :param pixels: (rows, columns) uint16, C-contiguous, of any alignment.
    :raises LayoutError: if the place of an exception is outside its block.
    """
    from rawdata import fast_kernels

    bank = np.frombuffer(chunk, np.uint8)
    if bank.ctypes.data % _WORD.itemsize:
        bank = bank.copy()
    (size,) = _START.unpack_from(bank.data)
    blocks = -(-pixels.size // size)
    words = bank[_table_bytes(blocks) :].view(_WORD)
    target = pixels if pixels.flags.aligned else np.empty(pixels.shape, _WORD)
    failed = fast_kernels.uncompress(*_tables(bank, blocks), words, size, target.reshape(-1))
    if failed:
        raise LayoutError("an exception's place is outside its block")
    if target is not pixels:
        pixels[...] = target


def _table_bytes(blocks: int) -> int:
    table_bytes = _START.size + _BLOCK_BYTES * blocks
    return table_bytes + table_bytes % _WORD.itemsize


def _tables(
    chunk: npt.NDArray[np.uint8], blocks: int
) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.uint16], npt.NDArray[np.uint8]]:
    """Return bases, numbers of exceptions and widths, (blocks,) each, views on the chunk."""
    counts_at = _START.size + _WORD.itemsize * blocks
    widths_at = counts_at + _WORD.itemsize * blocks
    return (
        chunk[_START.size : counts_at].view(_WORD),
        chunk[counts_at:widths_at].view(_WORD),
        chunk[widths_at : widths_at + blocks],
    )
