"""Places that are folders: a second disk, a NAS, whatever is mounted.

A copy is written under a temporary name, brought to the disk, read back, and only then gets its own
name, which nothing must have yet.
"""

import errno
import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rawdata.checksum import crc32c
from rawdata.naming import give_name
from stager.crash import reached
from stager.errors import ConflictError, FileError, MissingError, StoreError, StoreUnusableError
from stager.places.place import Past, Subject, Watch
from stager.settings import PlaceSettings
from stager.store import Contents
from stager.verify import Verification

_BLOCK_BYTES: Final = 1 << 22
_OF_THE_WHOLE_FOLDER: Final = (
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EROFS,
    errno.EACCES,
    errno.EIO,
    errno.ESTALE,
    errno.ENOTCONN,
    errno.EHOSTDOWN,
)
"""Errors that the next file would meet as well."""


@dataclass
class FolderPlace:
    """A folder with copies, under their keys."""

    name: str
    settings: PlaceSettings

    @property
    def location(self) -> str:
        """The folder."""
        return self.settings.folder

    @property
    def _root(self) -> Path:
        return Path(self.settings.folder).expanduser()

    def check(self) -> None:
        """See that the folder is there, mounted if it must be, and can be written to."""
        root = self._root
        if not root.is_dir():
            raise StoreUnusableError(
                f"place {self.name}: there is no folder {root}: mount or make it (it is never made "
                "by itself, lest copies end up on the wrong disk)"
            )
        if self.settings.mounted and not _is_mounted(root):
            raise StoreUnusableError(f"place {self.name}: nothing is mounted at {root}: mount it")
        if not os.access(root, os.W_OK | os.X_OK):
            raise StoreUnusableError(f"place {self.name}: the folder {root} cannot be written to")

    def bring(self, subject: Subject, past: Past, watch: Watch) -> Verification:
        """Copy what is not there yet, and read it back."""
        target = self._root / subject.key
        with self._translated(target):
            # Of a stager that was killed, perhaps when the copy had its name already; the claim is
            # ours.
            for left in _left_over(target):
                left.unlink(missing_ok=True)
            if not os.path.lexists(target):
                self._copy(subject, target, watch)
            reached("object-done")
        return self.ask(subject, past, watch)

    def ask(
        self, subject: Subject, past: Past, watch: Watch, *, read_back: bool = False
    ) -> Verification:
        """Read the copy; a folder can be asked in no other way."""
        target = self._root / subject.key
        with self._translated(target):
            if not os.path.lexists(target):
                self.check()  # a folder that is not mounted has not lost its copies
                raise MissingError(f"{target} is not there")
            size = target.stat().st_size
            if size == subject.contents.size_bytes:
                watch.begin(f"verifying {subject.name}", size)
                found = _read(target, watch)
            else:
                found = Contents(size, "", "")
        if found != subject.contents:
            checksum = f", CRC32C {found.crc32c}" if found.crc32c else ""
            raise ConflictError(
                f"{target} exists and has another content than {subject.path.name} "
                f"({found.size_bytes} bytes{checksum} there, {subject.contents.size_bytes} bytes, "
                f"CRC32C {subject.contents.crc32c} here); it was not overwritten: find out which is"
                " right, then settle it with cygno-stager retry"
            )
        return Verification(size, "CRC32C", found.crc32c, "read back")

    def _copy(self, subject: Subject, target: Path, watch: Watch) -> None:
        self.check()
        free = shutil.disk_usage(self._root).free
        if free < subject.contents.size_bytes:
            raise StoreUnusableError(
                f"place {self.name}: {self._root} is full: {subject.name} has "
                f"{subject.contents.size_bytes} bytes, {free} are free; make room there"
            )
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.{os.getpid()}.part")
        try:
            watch.begin(f"copying {subject.name}", subject.contents.size_bytes)
            reached("copy-begun")
            _write(subject, temporary, watch)
            reached("copy-written")
            watch.begin(f"reading {subject.name} back", subject.contents.size_bytes)
            found = _read(temporary, watch)
            if found != subject.contents:
                raise StoreError(
                    f"{target}: what was written reads back with CRC32C {found.crc32c}, not "
                    f"{subject.contents.crc32c}: the disk or memory is faulty, or "
                    f"{subject.path.name} changes; the copy was removed"
                )
            reached("copy-read-back")
            try:
                give_name(temporary, target)
            except FileExistsError:
                pass  # somebody was faster; whether with the same content, we ask now
        finally:
            temporary.unlink(missing_ok=True)

    @contextmanager
    def _translated(self, target: Path) -> Iterator[None]:
        """Turn what the file system says into one line for operators."""
        try:
            yield
        except OSError as error:
            whole = error.errno in _OF_THE_WHOLE_FOLDER or not self._root.is_dir()
            kind = StoreUnusableError if whole else StoreError
            what = {errno.ENOSPC: "its disk is full", errno.EDQUOT: "the quota is used up"}
            reason = what.get(error.errno or 0, error.strerror)
            raise kind(
                f"place {self.name}: {target} cannot be written or read: {reason}; mend the folder "
                f"{self._root}"
            ) from error


def _left_over(target: Path) -> list[Path]:
    """Return temporary files of a copy, and not those of others whose names begin as its does."""
    if not target.parent.is_dir():
        return []
    name = re.compile(re.escape(f".{target.name}.") + r"\d+\.part")
    return [path for path in target.parent.iterdir() if name.fullmatch(path.name)]


def _write(subject: Subject, temporary: Path, watch: Watch) -> None:
    """Copy a file and bring it to the disk, so that reading it back asks the disk."""
    try:
        source = os.open(subject.path, os.O_RDONLY)
    except OSError as error:
        raise FileError(f"{subject.path} cannot be read: {error.strerror}") from error
    try:
        status = os.fstat(source)
        if (status.st_size, status.st_mtime_ns) != (subject.contents.size_bytes, subject.mtime_ns):
            raise FileError(f"{subject.path.name} has changed since it was hashed; not copied")
        with temporary.open("wb", buffering=0) as file:
            block = memoryview(bytearray(_BLOCK_BYTES))
            while count := os.readv(source, [block]):
                position = 0
                while position < count:
                    position += file.write(block[position:count])
                watch.sent(count)
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            # As its source is dated, but never changed later: times are metadata, not content.
        os.utime(temporary, ns=(status.st_atime_ns, status.st_mtime_ns))
    finally:
        os.close(source)


def _read(path: Path, watch: Watch) -> Contents:
    sha256, crc, size = hashlib.sha256(), 0, 0
    block = memoryview(bytearray(_BLOCK_BYTES))
    with path.open("rb", buffering=0) as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_SEQUENTIAL)
        while count := file.readinto(block):
            sha256.update(block[:count])
            crc = crc32c(block[:count], crc)
            size += count
            watch.advance(count)
    return Contents(size, sha256.hexdigest(), f"{crc:08x}")


def _is_mounted(folder: Path) -> bool:
    """Tell whether a folder is on a file system of its own, not on that of /."""
    return folder.stat().st_dev != Path("/").stat().st_dev
