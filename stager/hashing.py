"""Hash a file once, while reading it once, in constant memory."""

import hashlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from isal import isal_zlib

from rawdata.checksum import (
    COMPRESSION_SUFFIXES,
    crc32c,
    data_path,
    read_sidecar,
    sidecar_path,
)
from rawdata.errors import RawDataError
from stager.errors import ChangingError, FileError
from stager.models import File
from stager.runscan import RunScan

_BLOCK_BYTES: Final = 1 << 22


@dataclass(frozen=True)
class FileHashes:
    """Content of a file, in a few numbers; checksums are hexadecimal."""

    size_bytes: int
    mtime_ns: int
    sha256: str
    crc32c: str
    adler32: str
    md5: str | None = None


def hash_file(path: Path, progress: Callable[[int], None], *, with_md5: bool = False) -> FileHashes:
    """Read a file once and return its hashes.

    :param with_md5: MD5, too, which takes twice as long as all others together.
    :param progress: called with the number of bytes after each block; what it raises ends it.
    :raises FileError: if the file cannot be read; ChangingError if it changes meanwhile.
    """
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    crc, adler, size = 0, 1, 0
    block = memoryview(bytearray(_BLOCK_BYTES))
    try:
        slow = [sha256.update, md5.update] if with_md5 else [sha256.update]
        # They run beside each other: hashlib lets go of the GIL.
        with path.open("rb", buffering=0) as file, ThreadPoolExecutor(2, "hash") as beside:
            before = os.fstat(file.fileno())
            while count := file.readinto(block):
                part = block[:count]
                begun = [beside.submit(update, part) for update in slow]
                crc = crc32c(part, crc)
                adler = isal_zlib.adler32(part, adler)
                for done in begun:
                    done.result()
                size += count
                progress(count)
            after = os.fstat(file.fileno())
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror}") from error
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns) or (
        size != after.st_size
    ):
        raise ChangingError(f"{path.name} changed while it was read: something writes to it")
    return FileHashes(
        size,
        after.st_mtime_ns,
        sha256.hexdigest(),
        f"{crc:08x}",
        f"{adler:08x}",
        md5.hexdigest() if with_md5 else None,
    )


@dataclass(frozen=True)
class Md5Reading:
    """MD5 of a file that is hashed apart from it, and what tells whether both read the same."""

    md5: str
    size_bytes: int
    crc32c: str

    def doubt(self, file: File) -> str:
        """Return why it is not the MD5 of what was hashed; nothing if it is."""
        if (self.size_bytes, self.crc32c) == (file.size_bytes, file.crc32c):
            return ""
        return (
            f"{file.name} has changed since it was hashed ({file.size_bytes} bytes, CRC32C "
            f"{file.crc32c} then; {self.size_bytes} bytes, {self.crc32c} now)"
        )


def read_md5(path: Path, pulse: Callable[[], None]) -> Md5Reading:
    """Read a file once and return its MD5.

    :param pulse: called after each block; what it raises ends it.
    :raises FileError: if the file cannot be read.
    """
    md5, crc, size = hashlib.md5(usedforsecurity=False), 0, 0
    block = memoryview(bytearray(_BLOCK_BYTES))
    try:
        with path.open("rb", buffering=0) as source:
            while count := source.readinto(block):
                md5.update(block[:count])
                crc = crc32c(block[:count], crc)
                size += count
                pulse()
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror}") from error
    return Md5Reading(md5.hexdigest(), size, f"{crc:08x}")


def check_sidecars(path: Path, hashes: FileHashes, scan: RunScan) -> list[str]:
    """Compare a run file with what its logger wrote beside it.

    :returns: names of the sidecar files that it agrees with; none if there are none.
    :raises FileError: if it disagrees with one; the file then is not what the logger wrote.
    """
    agreed = []
    compressed = path.suffix in COMPRESSION_SUFFIXES
    comparisons = [(path, "file", int(hashes.crc32c, 16), hashes.size_bytes)]
    if compressed and scan.stream_crc32c is not None:
        stream = (data_path(path), "uncompressed content", scan.stream_crc32c, scan.stream_bytes)
        comparisons.append(stream)
    for described, what, crc, size in comparisons:
        beside = sidecar_path(described)
        try:
            sidecar = read_sidecar(beside)
        except RawDataError as error:
            raise FileError(f"{error}; mend or remove it") from error
        if sidecar is None:
            continue
        if (sidecar.crc32c, sidecar.size_bytes) != (crc, size):
            raise FileError(
                f"{path.name} is damaged: the CRC32C of its {what} is {crc:08x} over {size} bytes,"
                f" its logger wrote {sidecar.crc32c:08x} over {sidecar.size_bytes} bytes in "
                f"{beside.name}{f' ({scan.damage})' if scan.damage else ''}; not uploaded. "
                "Look at the disk, mend the file or its sidecar"
            )
        agreed.append(beside.name)
    return agreed
