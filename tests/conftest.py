"""What all tests share: waiting for conditions, free ports, recorded runs."""

import ctypes
import importlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# A busy machine makes single examples slow; how long they take is no property of the code.
settings.register_profile("house", deadline=None)
settings.load_profile("house")

DATA = Path(__file__).parent / "data"
SHARED = Path(__file__).parents[2] / "shared" / "data"


BUSY = 4
"""How much slower than a quiet machine one may be that does other work, too."""


def wait_until(condition: Callable[[], object], timeout_s: float = 10.0, what: str = "") -> None:
    """Wait until `condition()` is true; fail, saying what was waited for, if it never is.

    :param timeout_s: what is more than enough on a quiet machine; others get `BUSY` times as much.
    """
    begin = time.monotonic()
    while not condition():
        if time.monotonic() - begin > BUSY * timeout_s:
            pytest.fail(f"waited {BUSY * timeout_s} s in vain for {what or condition}")
        time.sleep(0.005)


@contextmanager
def started(command: Sequence[str], **options: Any) -> Iterator["subprocess.Popen[str]"]:
    """Start a program that is killed in the end, should it still run."""
    with subprocess.Popen(command, text=True, **options) as process:
        try:
            yield process
        finally:
            process.kill()


_SEM_PID, _SEM_VALUE = 11, 12  # of semctl(2): who changed it last, and what it is


def freeze(pid: int) -> None:
    """Stop a program (SIGSTOP), and wait until it has stopped; see `suspend` where it has locks."""
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: _state(pid) == "T", what=f"process {pid} to stop")


def suspend(pid: int) -> None:
    """Stop a program (SIGSTOP) while it holds no lock that all others would wait for."""

    def stopped_without_lock() -> bool:
        freeze(pid)
        if not _holds_lock(pid):
            return True
        os.kill(pid, signal.SIGCONT)
        return False

    wait_until(stopped_without_lock, what=f"process {pid} to stop without a lock")


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]


def _holds_lock(pid: int) -> bool:
    """Tell whether it holds a record lock, or took a System V semaphore (MIDAS's locks) to zero.

    Lines of the kernel's table are ``1: POSIX  ADVISORY  WRITE 3705 fe:00:2147967 0 EOF``.
    """
    table = Path("/proc/locks").read_text(encoding="ascii")
    if any(line.split()[1:5:3] == ["POSIX", str(pid)] for line in table.splitlines()):
        return True
    libc = ctypes.CDLL(None)
    semaphores = Path("/proc/sysvipc/sem").read_text(encoding="ascii").splitlines()[1:]
    numbers = [int(line.split()[1]) for line in semaphores]
    return any(
        libc.semctl(number, 0, _SEM_VALUE) == 0 and libc.semctl(number, 0, _SEM_PID) == pid
        for number in numbers
    )


def free_port() -> int:
    """Return a TCP port that nobody listens on at 127.0.0.1."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def require_program(name: str, package: str = "") -> str:
    """Return the path of a program, beside Python or of the system; skip without it, but not in CI.

    deploy/setup.sh installs them where it may, so that in CI a missing one is a defect.
    """
    places = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    found = shutil.which(name, path=places)
    if found is None:
        missing = f"{name} is not installed: apt-get install {package or name}"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    return found


def require_module(name: str) -> Any:
    """Return a module of the extra ``test``; skip the file without it, but not in CI."""
    if os.environ.get("CI"):
        return importlib.import_module(name)
    return pytest.importorskip(name, reason=f"{name} is not installed: pip install -e .[test]")


@pytest.fixture
def data() -> Path:
    """Folder of the small recorded runs that the project carries."""
    return DATA


@pytest.fixture
def recorded() -> Path:
    """Folder of all recorded runs, where it stands beside the checkout."""
    folder = SHARED / "recorded"
    if not folder.is_dir():
        pytest.skip("the full set of recorded runs does not stand beside this checkout")
    return folder
