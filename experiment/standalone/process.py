"""Which processes live; a number alone does not say it, since process numbers are used again."""

from pathlib import Path

_STATE, _START_TIME = 0, 19  # fields 3 and 22 of /proc/<pid>/stat, counted after the name
_DEAD = ("Z", "X", "x")  # zombie and dead, see proc(5)


def process_start(pid: int) -> int | None:
    """Return when a process began, in clock ticks since boot; None if it has ended.

    Together with its number this names a process once and for all. A zombie has ended.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[_STATE] in _DEAD else int(fields[_START_TIME])


def process_lives(pid: int, started: int) -> bool:
    """Tell whether the process of this number and beginning still lives.

    >>> import os
    >>> process_lives(os.getpid(), process_start(os.getpid()) or 0)
    True
    >>> process_lives(os.getpid(), 0)
    False
    """
    return process_start(pid) == started
