"""The dense method of the frame codec: one Blosc2 chunk, byte shuffle and zstd."""

import struct
import threading
from functools import cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from rawdata.errors import LayoutError

_CHUNK_HEADER: Final = struct.Struct("<4BIII")  # versions, flags, item; bytes, block, chunk bytes
_BYTES_A_PIXEL: Final = 2
_LEVEL: Final = 1
_BLOCK_BYTES: Final = 1 << 19
"""With streams above 256 KiB zstd looks for matches of 7 bytes or more only, which noise has few
of: at 2.5 ADU 30 % faster than Blosc2's own choice at 1 % of the size; above 4 MiB the caches end
(measured; see docs/decisions/0007-frame-codec.md)."""


@cache
def _blosc2() -> Any:
    """Import Blosc2 for the first frame: 0.3 s and 300 modules that most commands do without."""
    import blosc2

    blosc2.set_releasegil(True)  # it holds the GIL otherwise; a setting of the whole process
    return blosc2


class _Kept(threading.local):
    """What a thread keeps from frame to frame: Blosc2's context, with memory that is touched."""

    size_bytes = -1
    schunk: Any = None

    def for_frames_of(self, size_bytes: int) -> Any:
        """Return an empty super-chunk whose chunks hold frames of this size."""
        if size_bytes != self.size_bytes:
            blosc2 = _blosc2()
            settings = blosc2.CParams(
                codec=blosc2.Codec.ZSTD,
                clevel=_LEVEL,
                typesize=_BYTES_A_PIXEL,
                filters=[blosc2.Filter.SHUFFLE],
                splitmode=blosc2.SplitMode.NEVER_SPLIT,
                blocksize=_BLOCK_BYTES,
                nthreads=1,
            )
            self.schunk = blosc2.SChunk(chunksize=size_bytes, cparams=settings)
            self.size_bytes = size_bytes
        return self.schunk

    def drop(self) -> None:
        """Keep nothing."""
        self.schunk, self.size_bytes = None, -1


_kept = _Kept()


def compress(pixels: npt.NDArray[np.uint16]) -> bytes:
    """Return the chunk of (rows, columns) uint16, C-contiguous.

    ``blosc2.compress2`` gives the same bytes, but takes new memory and a new context each time.
    """
    schunk = _kept.for_frames_of(pixels.nbytes)
    try:
        schunk.append_data(pixels)
        chunk: bytes = schunk.get_chunk(0)
        schunk.delete_chunk(0)
    except BaseException:
        _kept.drop()
        raise
    return chunk


def check(chunk: memoryview, pixel_bytes: int) -> None:
    """Refuse a chunk that contradicts its bank before Blosc2, which believes its sizes, sees it.

    :raises LayoutError: naming what does not agree.
    """
    if len(chunk) < _CHUNK_HEADER.size:
        raise LayoutError(f"{len(chunk)} bytes cannot hold a Blosc2 chunk")
    claimed_pixels, _, claimed_chunk = _CHUNK_HEADER.unpack_from(chunk)[4:]
    if (claimed_pixels, claimed_chunk) != (pixel_bytes, len(chunk)):
        raise LayoutError(
            f"the Blosc2 chunk claims {claimed_chunk} bytes for {claimed_pixels}, the header "
            f"{len(chunk)} for {pixel_bytes}"
        )


def uncompress(chunk: memoryview, pixels: npt.NDArray[np.uint16]) -> None:
    """Write the pixels of a chunk that was checked.

    :param pixels: (rows, columns) uint16, C-contiguous, of any alignment.
    :raises LayoutError: if Blosc2 cannot read it.
    """
    try:
        _blosc2().decompress2(chunk, dst=pixels, nthreads=1)
    except (RuntimeError, TypeError, ValueError) as error:
        raise LayoutError(f"the Blosc2 chunk cannot be uncompressed: {error}") from error
