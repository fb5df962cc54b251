"""Ask the server what it has, and compare it with the local file; only then a replica counts."""

import base64
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rawdata.checksum import crc32c
from stager.errors import ConflictError
from stager.parts import cut, sums
from stager.store import Contents, RemoteObject, Store


@dataclass(frozen=True)
class Verification:
    """What was found equal.

    :param checksum: as the server has it, hexadecimal; equals the local file's CRC32C.
    :param verified_by: ``server checksum`` (of the whole object), ``part checksums`` (the server's
        checksum over its parts, computed again from the file) or ``read back``.
    """

    object_bytes: int
    checksum_algorithm: str
    checksum: str
    verified_by: str


def verify(
    store: Store,
    path: Path | None,
    remote: RemoteObject,
    contents: Contents,
    part_size_bytes: int | None,
    progress: Callable[[int], None],
) -> Verification:
    """Compare an object with the local file.

    Where the server knows no CRC32C of the object (it is old, or another program put it there), the
    object is read back.

    :param path: the local file; None if it is gone, its checksums are known.
    :param part_size_bytes: size of the parts in which we sent it, if we did.
    :raises ConflictError: if the object has another content.
    """
    name = path.name if path else "the file that was staged"
    differs = ConflictError(
        f"{store.object_name(remote.key)} exists and has another content than {name} "
        f"({_shown(remote)} there, {contents.size_bytes} bytes, CRC32C {contents.crc32c} here); "
        "it was not overwritten: find out which is right, then settle it with cygno-stager retry"
    )
    if remote.size_bytes != contents.size_bytes:
        raise differs
    if remote.crc32c is not None:
        if remote.crc32c != contents.crc32c:
            raise differs
        return Verification(remote.size_bytes, "CRC32C", remote.crc32c, "server checksum")
    if remote.composite and part_size_bytes and path:
        composite = composite_crc32c(path, contents.size_bytes, part_size_bytes)
        if remote.composite == composite:
            return Verification(remote.size_bytes, "CRC32C", contents.crc32c, "part checksums")
        # Another program may have cut it differently: only its bytes can tell.
    found = store.read_back(remote.key, progress)
    if found != contents:
        raise differs
    return Verification(found.size_bytes, "CRC32C", found.crc32c, "read back")


def composite_crc32c(path: Path, size_bytes: int, part_size_bytes: int) -> str:
    """Return S3's checksum of checksums of a file that was sent in parts: ``base64-number``."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        parts = cut(size_bytes, part_size_bytes)
        all_sums = b"".join(
            base64.b64decode(sums(descriptor, part, threading.Event()).crc32c) for part in parts
        )
    finally:
        os.close(descriptor)
    return f"{base64.b64encode(crc32c(all_sums).to_bytes(4, 'big')).decode()}-{len(parts)}"


def _shown(remote: RemoteObject) -> str:
    checksum = f", CRC32C {remote.crc32c}" if remote.crc32c else ""
    return f"{remote.size_bytes} bytes{checksum}"
