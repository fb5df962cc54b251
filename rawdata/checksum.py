r"""CRC32C, and the sidecar files that mlogger writes beside run files.

A sidecar is one line ``%08lx %.0f %s\n``: CRC32C, number of bytes, path. mlogger writes
``run00042.mid.crc32c`` for the uncompressed stream (``Data checksum``) and, where it compresses
itself with lz4 or not at all, ``<file>.crc32c`` for the bytes of the file (``File checksum``); for
an uncompressed file both are the same file. Source: ``progs/mlogger.cxx``, ``WriterCRC32C`` and
``log_create_writer`` (develop, December 2022).
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from awscrt import checksums

from rawdata.errors import RawDataError

COMPRESSION_SUFFIXES: Final = (".gz", ".lz4", ".bz2", ".zst")
SIDECAR_SUFFIX: Final = ".crc32c"


def crc32c(data: Any, previous: int = 0) -> int:
    """Return the CRC32C (Castagnoli) of contiguous bytes, continuing from `previous`.

    >>> f"{crc32c(b'123456789'):08x}"
    'e3069283'
    """
    return cast(int, checksums.crc32c(data, previous))


@dataclass(frozen=True)
class Sidecar:
    """What a sidecar file says."""

    crc32c: int
    size_bytes: int
    path: str
    """Where the file was when it was written."""


def data_path(path: Path) -> Path:
    """Return the path that names the uncompressed stream: without the compression's suffix.

    >>> data_path(Path("run00042.mid.lz4")).name
    'run00042.mid'
    """
    return path.with_suffix("") if path.suffix in COMPRESSION_SUFFIXES else path


def sidecar_path(path: Path) -> Path:
    """Return where the sidecar of a file or stream of this name stands."""
    return path.with_name(path.name + SIDECAR_SUFFIX)


def read_sidecar(path: Path) -> Sidecar | None:
    """Read a sidecar file; None if there is none.

    :raises RawDataError: if it is not one line of CRC, size and path.
    """
    try:
        text = path.read_text(encoding="utf-8", errors="surrogateescape")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RawDataError(f"{path}: cannot be read: {error.strerror}") from error
    fields = text.strip().split(" ", maxsplit=2)
    try:
        if len(fields) != 3 or len(fields[0]) != 8:
            raise ValueError
        return Sidecar(int(fields[0], 16), int(fields[1]), fields[2])
    except ValueError:
        raise RawDataError(
            f"{path}: not a CRC32C sidecar of mlogger ('crc32c bytes path'): {text[:80]!r}"
        ) from None


def write_sidecar(path: Path, crc: int, size_bytes: int) -> Path:
    """Write the sidecar of `path` as mlogger does, in one piece; return where it stands."""
    target = sidecar_path(path)
    temporary = target.with_name(f".{target.name}.tmp")
    line = f"{crc:08x} {size_bytes} {path}\n"
    with temporary.open("wb") as file:
        file.write(os.fsencode(line))
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(target)
    return target
