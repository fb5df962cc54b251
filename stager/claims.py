"""Claims: only one stager at a time works on a file or replica.

A claim names its process and ends with its lease. The claim of a process that has died on the same
computer is void at once; that of a process elsewhere, when its lease has run out.
"""

import os
import socket
from datetime import timedelta
from pathlib import Path
from typing import Final

from stager.models import Claimed, now

LEASE: Final = timedelta(seconds=120)
RENEW_AFTER_S: Final = 30.0


def own_identity() -> str:
    """Return who we are: host, boot and process namespace, process, its start."""
    return f"{socket.gethostname()[:40]} {_here()} {os.getpid()} {started(os.getpid())}"


def is_dead(identity: str) -> bool:
    """Tell whether the process of an identity has surely ended.

    Only processes of this boot and process namespace can be looked up; of all others we know
    nothing.
    """
    try:
        _, here, pid, since = identity.rsplit(" ", 3)
        return here == _here() and started(int(pid)) != since
    except ValueError:
        return False


def shown(identity: str) -> str:
    """Return an identity as people want to read it."""
    parts = identity.rsplit(" ", 3)
    return f"process {parts[2]} on {parts[0]}" if len(parts) == 4 else identity


def take(row: Claimed, identity: str) -> str | None:
    """Claim a row that was read under lock.

    :returns: None if it is ours now, else who holds it.
    """
    held = row.owner is not None and row.owner != identity
    if held and row.lease_until and row.lease_until > now() and not is_dead(str(row.owner)):
        return shown(str(row.owner))
    row.owner = identity
    row.lease_until = now() + LEASE
    return None


def release(row: Claimed) -> None:
    """Give a row back."""
    row.owner = None
    row.lease_until = None


def _here() -> str:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()[:8]
    return f"{boot}/{os.stat('/proc/self/ns/pid').st_ino}"


def started(pid: int) -> str:
    """Return the start time of a process in clock ticks, which tells it from later namesakes."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
    fields = status.rpartition(")")[2].split()  # the name before it may hold spaces
    return "" if fields[0] in ("Z", "X") else fields[19]
