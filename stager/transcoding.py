"""Transcode run files on their way to a place: other compression, frames expanded, or both.

The transcoded file stands in a scratch folder until its copy is verified; what it holds is on
record before it is sent, so that a stager that was killed goes on with it.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rawdata.checksum import data_path
from rawdata.compressors import SUFFIXES
from rawdata.errors import RawDataError
from rawdata.event import Event
from rawdata.recode import Recoded, expand_event
from rawdata.transcode import Transcoded, transcode_file
from stager.crash import reached
from stager.errors import FileError
from stager.hashing import FileHashes, hash_file
from stager.models import File
from stager.places.configured import PlaceConfiguration

_COMPRESSIONS: Final = {suffix: name for name, suffix in SUFFIXES.items()}
_ROOM: Final = 2.0
"""How much more than the file must be free for it to be transcoded: it may grow by expansion."""


@dataclass(frozen=True)
class Wanted:
    """How the object of a file shall differ from it.

    :param compression: as `rawdata.runwriter` names it.
    """

    name: str
    compression: str
    expand: bool

    @property
    def shown(self) -> str:
        """What the catalog says of it."""
        return f"expanded, {self.compression}" if self.expand else self.compression


def wanted(file: File, place: PlaceConfiguration) -> Wanted | None:
    """Return how a file is to be transcoded for a place; None if it goes as it is.

    A file that cannot be read to its end goes as it is, so that not a byte of it is lost.
    """
    if file.kind != "raw" or not place.transcodes or file.stream_crc32c is None:
        return None
    path = Path(file.path)
    plain = data_path(path)
    present = _COMPRESSIONS[path.name.removeprefix(plain.name)]
    compression = place.settings.compression or present
    if compression == present and not place.settings.expand:
        return None
    return Wanted(plain.name + SUFFIXES[compression], compression, place.settings.expand)


def transcode(
    file: File, how: Wanted, folder: Path, advance: Callable[[int], None]
) -> tuple[FileHashes, str]:
    """Write the transcoded file into an empty folder of its own; return what it holds.

    :param advance: told of bytes read; what it raises ends it, and leaves nothing.
    :returns: its hashes, and the CRC32C of its uncompressed events, which was read back.
    :raises FileError: if the file is not what was hashed, or there is no room.
    """
    path = Path(file.path)
    shutil.rmtree(folder, ignore_errors=True)
    try:
        folder.mkdir(parents=True)
        free = shutil.disk_usage(folder).free
        if free < _ROOM * file.size_bytes:
            raise FileError(
                f"no room to transcode {file.name}: {free} bytes are free in {folder.parent}, "
                f"{_ROOM * file.size_bytes:.0f} are wanted; make room, or name another Scratch dir"
            )
        done = 0

        def progress(read_bytes: int, _total: int) -> None:
            nonlocal done
            advance(max(0, read_bytes - done))
            done = max(done, read_bytes)

        reached("transcode-begun")
        made = transcode_file(path, folder, _recode(how), how.compression, progress)
        _require_same(file, how, made)
        hashes = hash_file(made.output, advance)
        reached("transcode-done")
        return hashes, made.crc32c
    except RawDataError as error:
        raise FileError(f"{file.name} could not be transcoded: {error}") from error
    except OSError as error:
        raise FileError(
            f"{file.name} could not be transcoded in {folder.parent}: {error.strerror}"
        ) from error


def _recode(how: Wanted) -> Callable[[Event], Recoded]:
    return expand_event if how.expand else (lambda event: Recoded(event.raw))


def _require_same(file: File, how: Wanted, made: Transcoded) -> None:
    """See that the events that were read are those that were hashed, and none was changed."""
    if made.crc32c_before != file.stream_crc32c:
        raise FileError(
            f"{file.name} has changed since it was hashed: CRC32C of its events is "
            f"{made.crc32c_before}, it was {file.stream_crc32c}; not transcoded"
        )
    if not how.expand and made.crc32c != file.stream_crc32c:
        raise FileError(
            f"{file.name} reads back otherwise after it was transcoded: CRC32C of its events is "
            f"{made.crc32c}, not {file.stream_crc32c}: memory or disk is faulty"
        )
