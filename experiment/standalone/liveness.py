"""Tell whether a process that left its mark in shared memory still lives.

A pid alone is reused by the kernel; pid and start time together are not. A zombie is dead: it can
hold no lock and finish no copy, even if nobody has waited for it yet.
"""

from pathlib import Path


def start_ticks(pid: int) -> int:
    """Return when a process started [clock ticks since boot], 0 if there is none.

    Source: ``/proc/<pid>/stat``, fields 3 (state) and 22 (starttime), proc(5).
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:
            text = stat.read()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    # The name, field 2, stands in parentheses and may hold blanks and parentheses itself.
    fields = text[text.rindex(b")") + 2 :].split()
    return 0 if fields[0] in (b"Z", b"X") else int(fields[19])


def is_alive(pid: int, started_ticks: int) -> bool:
    """Tell whether the process `pid` is still the one that started at `started_ticks`.

    >>> is_alive(os.getpid(), start_ticks(os.getpid())), is_alive(os.getpid(), 1)
    (True, False)
    """
    return started_ticks != 0 and start_ticks(pid) == started_ticks


def boot_number() -> int:
    """Return a 63-bit number that differs from boot to boot, 0 where the kernel tells none."""
    try:
        text = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
    except OSError:
        return 0
    return int(text.strip().replace("-", ""), 16) & (2**63 - 1)
