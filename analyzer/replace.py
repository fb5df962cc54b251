"""Files that appear only when they are whole."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def publish(temporary: Path, target: Path) -> None:
    """Bring a finished file to the disk and give it its name.

    :raises OSError: as it comes.
    """
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    temporary.replace(target)
    folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def temporary_of(target: Path, process: int) -> Path:
    """Return the name under which a process writes a file, until it is whole."""
    return target.with_name(f"{target.name}.{process}.tmp")


@contextmanager
def replaced_file(target: Path) -> Iterator[Path]:
    """Give a temporary name to write to; at the end it becomes `target`, on an error it goes.

    :raises OSError: as it comes.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_of(target, os.getpid())
    try:
        yield temporary
        publish(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
