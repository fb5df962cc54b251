"""Compressed run files: which format it is, by content, and the bytes within.

Several members (gzip members, lz4 and zstd frames, bz2 streams), also of different formats, may
follow one another; NUL padding and skippable frames between them are passed over.
"""

import bz2
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

import lz4.frame
import zstandard
from isal import igzip_lib

from rawdata.errors import RawDataError

READ_BYTES: Final = 1 << 20
CHUNK_BYTES: Final = 1 << 22
"""Largest piece that is uncompressed at once; lz4 blocks of mlogger are of this size."""
_STEP_BYTES: Final = {
    "gzip": 1 << 16,
    "lz4": 1 << 17,
    "bzip2": 1 << 12,
    "zstd": 1 << 15,  # it expands at once all that it is given
}
"""How much a decompressor is given in one call: a call that fails loses what it uncompressed."""

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

    def decompress(self, data: bytes | memoryview, max_length: int = -1) -> bytes:
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
    zstandard.ZstdError,
    cast("type[Exception]", igzip_lib.error),
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


def uncompressed_chunks(
    path: Path, on_read: Callable[[int], object] = lambda position: None
) -> Iterator[bytes]:
    """Yield the bytes within all members of a file, in pieces of any size.

    :param on_read: called with the number of bytes of the file that were read so far.
    :raises CompressionError: after all bytes before the damage; also at a cut end, and where
        bytes follow that begin no member.
    :raises OSError: if the file cannot be read.
    """
    with path.open("rb", buffering=0) as file:
        pending = file.read(READ_BYTES)
        while pending := _find_member(file, pending):
            name = detect_compression(pending)
            if name == "none":
                raise CompressionError(
                    f"behind the compressed data stands something else ({pending[:8].hex(' ')})"
                )
            pending = yield from _member_chunks(name, file, pending, on_read)


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


def _member_chunks(
    name: str, file: BinaryIO, pending: bytes, on_read: Callable[[int], object]
) -> Generator[bytes, None, bytes]:
    """Yield what one member holds; return the bytes read behind it."""
    begin = file.tell() - len(pending)
    decompressor = _DECOMPRESSORS[name]()
    step = _STEP_BYTES[name]
    rest = memoryview(pending)
    given = memoryview(b"")
    fed = produced = 0
    while not decompressor.eof:
        more = memoryview(b"")
        if decompressor.needs_input:
            if not rest:
                rest = memoryview(file.read(READ_BYTES))
                on_read(file.tell())
                if not rest:
                    raise CompressionError(f"the {name} data end too early")
            given, rest = rest[:step], rest[step:]
            fed += len(given)
            more = given
        try:
            chunk = decompressor.decompress(more, CHUNK_BYTES)
        except _FAILURES as error:
            if name != "bzip2":
                file.seek(begin)
                yield from _chunks_before_damage(name, file, fed, len(given), produced)
            raise CompressionError(_damage_text(name, error)) from error
        if chunk:
            produced += len(chunk)
            yield chunk
    return (decompressor.unused_data or b"") + bytes(rest)


def _damage_text(name: str, error: Exception) -> str:
    text = f"the {name} data are damaged: {error}"
    if "checksum" in text.lower():
        text += "; it stands at their end, so any event in them may be wrong"
    return text


def _chunks_before_damage(
    name: str, file: BinaryIO, fed: int, last_bytes: int, produced: int
) -> Iterator[bytes]:
    """Yield what stands before a damage and was lost with the call that failed.

    A second pass feeds the last bytes one by one, so that only the damaged one fails. Not for
    bz2: its blocks are verified only after their last byte came out.

    :param file: at the member's begin.
    :param fed: how many bytes of the member were read, the piece that failed included.
    :param last_bytes: size of that piece.
    :param produced: how many uncompressed bytes were yielded before.
    """
    decompressor = _DECOMPRESSORS[name]()
    rescued = []
    seen = 0
    try:
        for piece in _pieces(file, fed - last_bytes, last_bytes, _STEP_BYTES[name]):
            chunk = decompressor.decompress(piece)
            seen += len(chunk)
            if seen > produced:
                rescued.append(chunk[max(0, len(chunk) - (seen - produced)) :])
    except _FAILURES:
        pass
    yield b"".join(rescued)


def _pieces(file: BinaryIO, whole_bytes: int, single_bytes: int, step: int) -> Iterator[bytes]:
    """Yield the next bytes of a file in pieces of `step`, then in single bytes."""
    while whole_bytes > 0 and (piece := file.read(min(step, whole_bytes))):
        whole_bytes -= len(piece)
        yield piece
    tail = file.read(single_bytes)
    for i in range(len(tail)):
        yield tail[i : i + 1]
