"""Find the files of runs, and tell which of them are closed."""

import fcntl
import os
import re
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from stager.errors import FileError
from stager.settings import KINDS

_PATTERNS: Final = {
    "raw": re.compile(r"run(\d{5,})(?:_(\d+))?\.mid(?:\.(?:gz|lz4|bz2|zst))?"),
    "reco": re.compile(r"run(\d{5,})(?:_(\d+))?\.reco\.h5"),
    "sidecar": re.compile(r"run(\d{5,})(?:_(\d+))?\.mid(?:\.(?:gz|lz4|bz2|zst))?\.crc32c"),
    "odb": re.compile(r"run(\d{5,})(?:_(\d+))?\.json"),
    "summary": re.compile(r"run(\d{5,})(?:_(\d+))?\.summary\.json"),
    "report": re.compile(r"run(\d{5,})(?:_(\d+))?\.report\.(?:png|pdf|html|svg)"),
    "truth": re.compile(r"run(\d{5,})(?:_(\d+))?\.truth\.h5"),
}


@dataclass(frozen=True)
class FoundFile:
    """A file of a run, as the folder shows it."""

    path: Path
    run_number: int
    subrun: int
    kind: str
    size_bytes: int
    mtime_ns: int


@dataclass(frozen=True)
class Wait:
    """Why a file is not staged yet, and when to look again, where that is known."""

    reason: str
    look_again_s: float | None = None


def find_files(data_dir: Path, truth_dir: Path | None = None) -> list[FoundFile]:
    """Return all files of runs, in the order of their runs, the raw file of each first.

    :raises FileError: if the data folder cannot be read.
    """
    found = list(_scan(data_dir))
    if truth_dir and truth_dir.is_dir() and truth_dir != data_dir:
        found.extend(file for file in _scan(truth_dir) if file.kind == "truth")
    return sorted(found, key=lambda f: (f.run_number, f.subrun, KINDS.index(f.kind), f.path))


def _scan(folder: Path) -> list[FoundFile]:
    found = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                kind = classify(entry.name)
                if kind is None or not entry.is_file():
                    continue
                try:
                    status = entry.stat()
                except FileNotFoundError:
                    continue
                found.append(FoundFile(Path(entry.path), *kind, status.st_size, status.st_mtime_ns))
    except OSError as error:
        raise FileError(
            f"the data folder {folder} cannot be read: {error.strerror}; "
            "name the right one with --data-dir or --experiment"
        ) from error
    return found


def classify(name: str) -> tuple[int, int, str] | None:
    """Return run, subrun and kind of a file by its name, None if it is none of ours.

    >>> classify("run00042.mid.gz"), classify("run00042_003.mid"), classify("notes.txt")
    ((42, 0, 'raw'), (42, 3, 'raw'), None)
    """
    for kind, pattern in _PATTERNS.items():
        match = pattern.fullmatch(name)
        if match:
            return int(match[1]), int(match[2] or 0), kind
    return None


def has_writer(path: Path) -> bool | None:
    """Tell whether any process of this computer has the file open for writing.

    The kernel grants a read lease only on files that nobody writes to (``fcntl(2)``, F_SETLEASE).

    :returns: None where the kernel cannot tell: the file belongs to somebody else, or its file
        system has no leases.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        # Whoever opens it in these microseconds makes the kernel signal us: not by SIGIO, which
        # would end us.
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except BlockingIOError:
        return True
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return False


def why_wait(found: FoundFile, current_run: int | None, settle_s: float) -> Wait | None:
    """Return why a file may not be read yet, None if it is closed as far as its outside tells.

    :param current_run: the run that is being taken, if one is.
    """
    if found.run_number == current_run:
        return Wait(f"run {current_run} is being taken")
    writer = has_writer(found.path)
    if writer:
        return Wait("a program is writing to it")
    if found.kind == "raw" and found.path.suffix != ".mid":
        plain = found.path.with_suffix("")
        if plain.exists():
            return Wait(f"{plain.name} is still beside it: it is being compressed, or remove one")
    if writer is None:
        return why_unsettled(found, settle_s)
    return None


def why_unsettled(found: FoundFile, settle_s: float) -> Wait | None:
    """Return a wait if the file changed in the last `settle_s` seconds."""
    age_s = (time.time_ns() - found.mtime_ns) / 1e9
    if 0 <= age_s < settle_s:
        return Wait(f"it changed {age_s:.0f} s ago", settle_s - age_s)
    return None
