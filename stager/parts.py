"""Parts of a file, as bodies of requests that stream and can be read again."""

import base64
import hashlib
import io
import os
import threading
from dataclasses import dataclass
from typing import Any, Final

from rawdata.checksum import crc32c
from stager.bandwidth import Limiter, Schedule
from stager.errors import FileError, Stopped

MAX_PARTS: Final = 10_000
"""Most parts that an object may have (S3's limit)."""
MIB: Final = 1 << 20
_BLOCK_BYTES: Final = 1 << 20
_SEND_BYTES: Final = 1 << 18


@dataclass(frozen=True)
class Part:
    """A piece of a file; numbers begin with 1."""

    number: int
    offset: int
    size_bytes: int


def part_size(file_bytes: int, wanted_bytes: int) -> int:
    """Return the size of parts: as wanted, but no more than 10,000 of them, in whole MiB.

    >>> part_size(100 * MIB, 16 * MIB) // MIB, part_size(5 * 2**40, 16 * MIB) // MIB
    (16, 525)
    """
    smallest = -(-file_bytes // MAX_PARTS)
    return max(wanted_bytes, -(-smallest // MIB) * MIB)


def cut(file_bytes: int, part_bytes: int) -> list[Part]:
    """Return the parts of a file.

    >>> [part.size_bytes for part in cut(12, 5)]
    [5, 5, 2]
    """
    return [
        Part(number, offset, min(part_bytes, file_bytes - offset))
        for number, offset in enumerate(range(0, file_bytes, part_bytes), start=1)
    ]


@dataclass(frozen=True)
class PartSums:
    """CRC32C in S3's base64, and MD5 in hexadecimal, of a part."""

    crc32c: str
    md5: str


def sums(descriptor: int, part: Part, stop: threading.Event, with_md5: bool = False) -> PartSums:
    """Read a part and return its checksums.

    :raises FileError: if the file has become shorter.
    :raises Stopped: once `stop` is set.
    """
    crc, md5 = 0, hashlib.md5(usedforsecurity=False)
    position, end = part.offset, part.offset + part.size_bytes
    while position < end:
        if stop.is_set():
            raise Stopped("asked to end")
        block = os.pread(descriptor, min(_BLOCK_BYTES, end - position), position)
        if not block:
            raise FileError(f"the file ends at byte {position}, it had {end} when it was hashed")
        crc = crc32c(block, crc)
        if with_md5:
            md5.update(block)
        position += len(block)
    return PartSums(base64.b64encode(crc.to_bytes(4, "big")).decode(), md5.hexdigest())


class PartBody(io.RawIOBase):
    """A part of an open file as a seekable stream: signing reads it once, sending again.

    :param stop: once set, reading raises Stopped, which ends the request.
    :param limiter: asked for each block that is sent, not for what signing reads.
    """

    def __init__(
        self, descriptor: int, part: Part, stop: threading.Event, limiter: Limiter | None = None
    ) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._part = part
        self._stop = stop
        self._limiter = limiter or Limiter(Schedule())
        self._position = 0

    def __len__(self) -> int:
        return self._part.size_bytes

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def seekable(self) -> bool:
        """Tell that it can be read again."""
        return True

    def tell(self) -> int:
        """Return the position within the part."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move within the part."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: len(self)}[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer; this is how botocore's signer reads, which prints what is raised here.

        So nothing is raised: a part that could not be read to its end fails when it is sent.
        """
        view = memoryview(buffer).cast("B")
        left = len(self) - self._position
        if self._stop.is_set() or left <= 0:
            return 0
        count = os.preadv(self._descriptor, [view[:left]], self._part.offset + self._position)
        self._position += count
        return count

    def read(self, size: int | None = -1) -> bytes:
        """Return the next block, nothing at the end of the part; this is how it is sent.

        Blocks are of 256 KiB even where http.client asks for its 16 KiB: it sends what it is given,
        and the loop around it then takes a third of the processor time.

        :raises Stopped: once `stop` is set.
        :raises FileError: if the file has become shorter.
        """
        if self._stop.is_set():
            raise Stopped("asked to end")
        left = len(self) - self._position
        wanted = left if size is None or size < 0 else min(left, max(size, _SEND_BYTES))
        if not wanted:
            return b""
        block = os.pread(self._descriptor, wanted, self._part.offset + self._position)
        if not block:
            raise FileError("the file has become shorter since it was hashed")
        self._position += len(block)
        self._limiter.take(len(block), self._stop.is_set)
        return block
