"""Compressed run files: which format it is, by content, and the bytes within.

Several members (gzip members, lz4 and zstd frames, bz2 streams), also of different formats, may
follow one another; NUL padding and skippable frames between them are passed over.
"""

import bz2
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

import lz4.frame
import zstandard
from isal import igzip_lib

from rawdata.errors import RawDataError

READ_BYTES: Final = 1 << 20
CHUNK_BYTES: Final = 1 << 22
"""Largest piece that is uncompressed at once; lz4 blocks of mlogger are of this size."""
_ZSTD_READ_BYTES: Final = 1 << 15  # zstd expands all it is given at once

_SKIPPABLE_MAGICS: Final = tuple(bytes([low, 0x2A, 0x4D, 0x18]) for low in range(0x50, 0x60))
_SKIPPABLE_HEADER_BYTES: Final = 8


class CompressionError(RawDataError):
    """The compressed bytes are damaged or cut."""


class _ZstdDecompressor:
    """python-zstandard with the interface of the others, except that it ignores max_length."""

    needs_input = True

    def __init__(self) -> None:
        self._inner = zstandard.ZstdDecompressor().decompressobj()

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        return self._inner.decompress(data)


_MAGICS: Final[dict[bytes, str]] = {
    b"\x1f\x8b": "gzip",
    b"\x04\x22\x4d\x18": "lz4",
    b"BZh": "bzip2",
    b"\x28\xb5\x2f\xfd": "zstd",
}
_DECOMPRESSORS: Final[dict[str, Callable[[], Any]]] = {
    "gzip": lambda: igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP),
    "lz4": lz4.frame.LZ4FrameDecompressor,
    "bzip2": bz2.BZ2Decompressor,
    "zstd": _ZstdDecompressor,
}
_FAILURES: Final[tuple[type[Exception], ...]] = (
    EOFError,
    MemoryError,
    OSError,
    RuntimeError,
    ValueError,
    igzip_lib.error,
    zstandard.ZstdError,
)


def detect_compression(start: bytes) -> str:
    """Return gzip, lz4, bzip2, zstd or none for the first bytes of a file.

    >>> detect_compression(b"BZh91AY&SY")
    'bzip2'
    """
    for magic, name in _MAGICS.items():
        if start.startswith(magic):
            return name
    return "zstd" if start.startswith(_SKIPPABLE_MAGICS) else "none"


def uncompressed_chunks(path: Path) -> Iterator[bytes]:
    """Yield the bytes within all members of a file, in pieces of any size.

    :raises CompressionError: after all bytes before the damage; also at a cut end, and where
        bytes follow that begin no member.
    """
    with path.open("rb", buffering=0) as file:
        pending = file.read(READ_BYTES)
        while pending := _find_member(file, pending):
            name = detect_compression(pending)
            if name == "none":
                raise CompressionError(
                    f"behind the compressed data stands something else ({pending[:8].hex(' ')})"
                )
            try:
                pending = yield from _member_chunks(name, file, pending)
            except _FAILURES as error:
                raise CompressionError(f"the {name} data are damaged: {error}") from error


def _find_member(file: BinaryIO, pending: bytes) -> bytes:
    """Pass over padding and skippable frames; return the first bytes of the next member, or b""."""
    while True:
        pending = pending.lstrip(b"\0")
        while len(pending) < _SKIPPABLE_HEADER_BYTES and (more := file.read(READ_BYTES)):
            pending = (pending + more).lstrip(b"\0")
        if not pending.startswith(_SKIPPABLE_MAGICS):
            return pending
        skip = _SKIPPABLE_HEADER_BYTES + int.from_bytes(pending[4:8], "little")
        while skip > len(pending):
            skip -= len(pending)
            pending = file.read(READ_BYTES)
            if not pending:
                raise CompressionError(f"a skippable frame is cut, {skip} bytes are missing")
        pending = pending[skip:]


def _member_chunks(name: str, file: BinaryIO, pending: bytes) -> Generator[bytes, None, bytes]:
    """Yield what one member holds; return the bytes read behind it."""
    decompressor = _DECOMPRESSORS[name]()
    step = _ZSTD_READ_BYTES if name == "zstd" else READ_BYTES
    while not decompressor.eof:
        if decompressor.needs_input:
            if not pending:
                pending = file.read(READ_BYTES)
                if not pending:
                    raise CompressionError(f"the {name} data end too early")
            given, pending = pending[:step], pending[step:]
        else:
            given = b""
        chunk = decompressor.decompress(given, CHUNK_BYTES)
        if chunk:
            yield chunk
    return (decompressor.unused_data or b"") + pending
