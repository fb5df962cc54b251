"""Compressors of run files: settings as mlogger's, and a flush that ends no file.

mlogger writes lz4 frames at level 0 with linked blocks of 4 MiB and a content checksum
(``progs/mlogger.cxx``, ``WriterLZ4``). `flush` brings all that was written into the file, so that a
killed writer loses little.
"""

import bz2
from collections.abc import Callable
from typing import Any, Final, Protocol

import lz4.frame
import zstandard
from isal import isal_zlib

_GZIP_WINDOW_BITS: Final = 31  # 15 for the window, 16 for a gzip header
_GZIP_LEVEL: Final = 1  # ratio 3.03 at 354 MB/s on frames; level 3 gains 1 % (measured)
_ZSTD_LEVEL: Final = 1


class Compressor(Protocol):
    """Turns bytes into a stream; each call may return nothing."""

    def compress(self, data: memoryview) -> bytes:
        """Take data; return what is ready."""
        ...

    def flush(self) -> bytes:
        """Return all that is held back; more data may follow."""
        ...

    def finish(self) -> bytes:
        """Return the end of the stream."""
        ...


class Uncompressed:
    """Gives back what it takes; the caller writes it before the data change."""

    def compress(self, data: memoryview) -> Any:
        """Return the data themselves."""
        return data

    def flush(self) -> bytes:
        """Return nothing: nothing is held back."""
        return b""

    finish = flush


class Lz4:
    """One lz4 frame, as mlogger writes it."""

    _BLOCK_BYTES: Final = 1 << 22

    def __init__(self) -> None:
        self._context = lz4.frame.create_compression_context()
        self._header: bytes = lz4.frame.compress_begin(
            self._context,
            block_size=lz4.frame.BLOCKSIZE_MAX4MB,
            block_linked=True,
            compression_level=0,
            content_checksum=True,
        )

    def compress(self, data: memoryview) -> bytes:
        """Compress in pieces of a block, so that memory stays bounded."""
        parts = [self._header]
        self._header = b""
        for begin in range(0, len(data), self._BLOCK_BYTES):
            piece = data[begin : begin + self._BLOCK_BYTES]
            parts.append(lz4.frame.compress_chunk(self._context, piece))
        return b"".join(parts)

    def flush(self) -> bytes:
        """End the block."""
        header, self._header = self._header, b""
        return header + bytes(lz4.frame.compress_flush(self._context, end_frame=False))

    def finish(self) -> bytes:
        """End the frame."""
        header, self._header = self._header, b""
        return header + bytes(lz4.frame.compress_flush(self._context, end_frame=True))


class Gzip:
    """One gzip member, made by ISA-L."""

    def __init__(self) -> None:
        self._inner = isal_zlib.compressobj(_GZIP_LEVEL, wbits=_GZIP_WINDOW_BITS)

    def compress(self, data: memoryview) -> bytes:
        """Deflate."""
        return bytes(self._inner.compress(data))

    def flush(self) -> bytes:
        """End the deflate block on a byte."""
        return bytes(self._inner.flush(isal_zlib.Z_SYNC_FLUSH))

    def finish(self) -> bytes:
        """End the member with CRC and size."""
        return bytes(self._inner.flush(isal_zlib.Z_FINISH))


class Zstd:
    """One zstd frame with a checksum; mlogger has no zstd."""

    def __init__(self) -> None:
        self._inner = zstandard.ZstdCompressor(_ZSTD_LEVEL, write_checksum=True).compressobj()

    def compress(self, data: memoryview) -> bytes:
        """Compress."""
        return self._inner.compress(data)

    def flush(self) -> bytes:
        """End the block."""
        return self._inner.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)

    def finish(self) -> bytes:
        """End the frame."""
        return self._inner.flush(zstandard.COMPRESSOBJ_FLUSH_FINISH)


class Bzip2:
    """bz2 streams, one after the other: bz2 can only be flushed by ending a stream."""

    def __init__(self) -> None:
        self._inner: bz2.BZ2Compressor | None = None
        self._wrote = False

    def compress(self, data: memoryview) -> bytes:
        """Compress, into a new stream after a flush."""
        if self._inner is None:
            self._inner = bz2.BZ2Compressor()
        self._wrote = True
        return self._inner.compress(data)

    def flush(self) -> bytes:
        """End the stream."""
        inner, self._inner = self._inner, None
        return inner.flush() if inner is not None else b""

    def finish(self) -> bytes:
        """End the last stream; a file of nothing holds one empty stream."""
        return self.flush() if self._wrote else bz2.compress(b"")


COMPRESSORS: Final[dict[str, Callable[[], Compressor]]] = {
    "none": Uncompressed,
    "gzip": Gzip,
    "lz4": Lz4,
    "bzip2": Bzip2,
    "zstd": Zstd,
}
"""By the names of mlogger's ``Compress`` setting, and zstd."""

SUFFIXES: Final = {"none": "", "gzip": ".gz", "lz4": ".lz4", "bzip2": ".bz2", "zstd": ".zst"}
