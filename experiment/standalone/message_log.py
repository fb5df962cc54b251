"""The message log of an experiment: one text file a facility, in MIDAS's format.

A line is ``HH:MM:SS.mmm YYYY/MM/DD [client,TYPE] text``. Source: MIDAS ``src/midas.cxx``,
``cm_msg_log``, ``cm_msg_format`` and ``cm_msg_retrieve1`` (develop, December 2022).
"""

import datetime
import os
import time
from pathlib import Path
from typing import Final

from experiment.constants import MT_DEBUG, MT_ERROR, MT_INFO, MT_LOG, MT_TALK, MT_USER

_TYPE_NAMES: Final = {
    MT_ERROR: "ERROR",
    MT_INFO: "INFO",
    MT_DEBUG: "DEBUG",
    MT_USER: "USER",
    MT_LOG: "LOG",
    MT_TALK: "TALK",
}
_TIME: Final = "%H:%M:%S"
_DATE: Final = "%Y/%m/%d"
_STAMP_LENGTH: Final = len("21:51:34.042 2026/11/22")
_TAIL_BYTES: Final = 10 * 1024 * 1024  # cm_msg_retrieve1 reads no more of a file


def type_name(message_type: int) -> str:
    """Return how the log calls a type of message.

    >>> type_name(MT_ERROR)
    'ERROR'
    """
    return _TYPE_NAMES.get(message_type, "INFO")


def log_file(folder: Path, facility: str) -> Path:
    """Return the file of a facility.

    :raises ValueError: if the facility's name would leave the folder.
    """
    if not facility or Path(facility).name != facility:
        raise ValueError(f"{facility!r} cannot be the name of a message facility")
    return folder / f"{facility}.log"


def append_line(path: Path, text: str, when: datetime.datetime) -> None:
    """Add one line in a single write, so that lines never mix.

    :raises OSError: if it cannot be written.
    """
    stamp = f"{when:{_TIME}}.{when.microsecond // 1000:03d} {when:{_DATE}}"
    line = f"{stamp} {' '.join(text.splitlines())}\n".encode("utf-8", "replace")
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    try:
        os.write(file, line)
    finally:
        os.close(file)


def facilities(folder: Path) -> list[str]:
    """Return the facilities that have written something."""
    return sorted(path.stem for path in folder.glob("*.log"))


def read_recent(path: Path, min_messages: int, before_s: float = 0) -> list[str]:
    """Return messages, newest first, each with its unix time in front, as MIDAS retrieves them.

    Messages of the same second as the last one belong to it, so that there can be more.

    :param min_messages: how many at least, if there are; 0: all since `before_s`.
    :param before_s: unix time; only messages up to this second. 0: the newest.
    """
    found: list[str] = []
    last_s: float | None = None
    for line in _lines_backwards(path):
        stamp_s = _stamp(line)
        if min_messages == 0:
            if stamp_s is not None and stamp_s < before_s:
                break
        elif last_s is not None and stamp_s is not None and stamp_s < last_s:
            break
        elif before_s and stamp_s is not None and stamp_s > int(before_s):
            continue
        found.append(f"{-1 if stamp_s is None else stamp_s} {line}")
        if len(found) == min_messages:
            if min_messages == 1:
                break
            last_s = stamp_s
    return found


def _lines_backwards(path: Path) -> list[str]:
    try:
        with path.open("rb") as log:
            size = log.seek(0, os.SEEK_END)
            log.seek(max(0, size - _TAIL_BYTES))
            text = log.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return []
    lines = [line for line in text.split("\n") if line]
    if size > _TAIL_BYTES:
        del lines[:1]  # it may begin in the middle
    return lines[::-1]


def _stamp(line: str) -> int | None:
    try:
        when = time.strptime(line[: len("21:51:34")] + line[12:_STAMP_LENGTH], f"{_TIME} {_DATE}")
    except ValueError:
        return None
    return int(time.mktime(when))
