"""Run files by number and name."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from analyzer.errors import RunDataError
from rawdata.checksum import SIDECAR_SUFFIX
from rawdata.runfile import RunFile

_NAME: Final = re.compile(r"run(\d+).*\.mid(\.\w+)?$")


def run_number_of(path: Path, file: RunFile) -> int:
    """Return a run's number: from its dump at begin of run, else from the file's name, else 0."""
    number = file.run_number
    return number_in_name(path) if number is None else number


def number_in_name(path: Path) -> int:
    """Return the run number in a file's name, 0 if there is none.

    >>> number_in_name(Path("data/run00042.mid.gz"))
    42
    """
    match = _NAME.match(path.name)
    return int(match[1]) if match else 0


def find_run(text: str, folders: Iterable[Path]) -> Path:
    """Return the file that a person means: a path, or the number of a run in one of the folders.

    :raises RunDataError: if there is none, saying where it was looked for.
    """
    path = Path(text)
    if path.is_file():
        return path
    looked = list(folders)
    if text.isdigit():
        for folder in looked:
            found = sorted(
                entry
                for entry in folder.glob(f"run{int(text):05d}*.mid*")
                if _NAME.match(entry.name) and entry.suffix != SIDECAR_SUFFIX
            )
            if found:
                return found[0]
        places = ", ".join(str(folder) for folder in looked)
        raise RunDataError(f"run {int(text)}: no run{int(text):05d}.mid* in {places}")
    raise RunDataError(f"{text}: no such file; give a run file, or a run number with --data FOLDER")
