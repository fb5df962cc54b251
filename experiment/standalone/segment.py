"""The files behind event buffers: where they are, how they come and go, and their lock.

A buffer NAME of the experiment in DIR lives in ``/dev/shm/cygno-<uid>-<hash of DIR>-NAME``, or,
where there is no room (containers often have 64 MiB), in ``DIR/buffers/NAME.ring``. The small file
``DIR/buffers/NAME.json`` says which.
"""

import fcntl
import hashlib
import json
import mmap
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType

from experiment.constants import STATUS
from experiment.errors import MidasError

SHARED_MEMORY = Path("/dev/shm")
NAME_LENGTH = 31  # MIDAS NAME_LENGTH without the closing zero byte

_mutexes: dict[str, threading.Lock] = {}
_mutexes_guard = threading.Lock()


def _forget_locks_of_parent() -> None:
    global _mutexes_guard
    _mutexes.clear()
    _mutexes_guard = threading.Lock()


os.register_at_fork(after_in_child=_forget_locks_of_parent)


def mutex_of(path: Path) -> threading.Lock:
    """Return this process's lock for a segment.

    POSIX record locks exclude processes, not threads, and a process loses them when it closes any
    descriptor of the file: so threads take this one first, to lock as well as to close.
    """
    with _mutexes_guard:
        return _mutexes.setdefault(os.fspath(path), threading.Lock())


class SegmentLock:
    """Lock of one segment across processes and threads; the kernel frees it when its holder dies.

    A record lock (``fcntl``) and not ``flock``: a forked child does not inherit it, so it cannot
    outlive its holder there.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        self._mutex = mutex_of(path)
        self._descriptor = descriptor

    def __enter__(self) -> None:
        self._mutex.acquire()
        try:
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX)
        except BaseException:
            fcntl.lockf(self._descriptor, fcntl.LOCK_UN)
            self._mutex.release()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        fcntl.lockf(self._descriptor, fcntl.LOCK_UN)
        self._mutex.release()


class Segment:
    """One mapped file of shared memory: `words` (uint64) and `memory` (bytes)."""

    def __init__(self, path: Path, descriptor: int, populate: bool) -> None:
        self.path = path
        self._descriptor = descriptor
        self.size_bytes = os.fstat(descriptor).st_size
        flags = mmap.MAP_SHARED | (getattr(mmap, "MAP_POPULATE", 0) if populate else 0)
        self.memory = mmap.mmap(descriptor, self.size_bytes, flags=flags)
        self.words = memoryview(self.memory).cast("Q")
        self.lock = SegmentLock(path, descriptor)

    def close(self) -> None:
        """Unmap, at once or when the last view of the memory is gone."""
        with mutex_of(self.path):
            self.words.release()
            with suppress(BufferError):
                self.memory.close()
            os.close(self._descriptor)


def open_segment(path: Path, populate: bool = True) -> Segment:
    """Map a segment that exists.

    :param populate: map all pages at once, since page faults on first touch cost more than the
        copy itself; False for who looks at the header only.
    :raises FileNotFoundError: if there is none.
    :raises MidasError: if it belongs to somebody else or cannot be mapped.
    """
    with mutex_of(path):
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise _unusable(path, error.strerror or str(error)) from error
        status = os.fstat(descriptor)
        problem = ""
        if status.st_uid != os.geteuid():
            problem = f"it belongs to user {status.st_uid}, this program runs as {os.geteuid()}"
        elif status.st_size == 0 or status.st_size % mmap.PAGESIZE:
            problem = f"its size is {status.st_size} bytes, not a multiple of {mmap.PAGESIZE}"
        if not problem:
            try:
                return Segment(path, descriptor, populate)
            except OSError as error:
                problem = error.strerror or str(error)
        os.close(descriptor)
        raise _unusable(path, problem)


def _unusable(path: Path, problem: str) -> MidasError:
    return MidasError(
        STATUS["BM_CORRUPTED"],
        f"Event buffer file {path} cannot be used: {problem}. "
        "Stop the programs of this experiment and remove it",
    )


def allocate(path: Path, size_bytes: int) -> Path:
    """Make an empty file of `size_bytes` under a temporary name beside `path`, and return that.

    Its room is really there: a sparse file would kill its writers (SIGBUS) once the disk is full.

    :raises OSError: if there is no room.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    try:
        os.posix_fallocate(descriptor, 0, size_bytes)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)
    return temporary


def candidates(directory: Path, name: str) -> tuple[Path, Path]:
    """Return where a buffer may live: in shared memory, else in the experiment's folder."""
    if not 1 <= len(name) <= NAME_LENGTH or not name.isprintable() or set(name) & set("/."):
        raise MidasError(
            STATUS["BM_INVALID_NAME"],
            f"Event buffer name {name!r} is not allowed: give 1 to {NAME_LENGTH} characters "
            "without '/' and '.'",
        )
    digest = hashlib.sha256(os.fsencode(os.path.realpath(directory))).hexdigest()[:12]
    shared = SHARED_MEMORY / f"cygno-{os.geteuid()}-{digest}-{name}"
    return shared, Path(os.path.realpath(directory), f"{name}.ring")


def where(directory: Path, name: str) -> Path | None:
    """Return where the small file says the buffer lives, or None.

    A place that is not ours is ignored: somebody copied the experiment's folder, and its buffers
    are those of the original.
    """
    try:
        text = (directory / f"{name}.json").read_text(encoding="utf-8")
        place = Path(json.loads(text)["segment"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    return place if place in candidates(directory, name) else None


def say_where(directory: Path, name: str, place: Path) -> None:
    """Write the small file that says where the buffer lives."""
    temporary = directory / f".{name}.json.{os.getpid()}.new"
    temporary.write_text(json.dumps({"segment": os.fspath(place)}) + "\n", encoding="utf-8")
    temporary.replace(directory / f"{name}.json")


def boot_number() -> int:
    """Return a 63-bit number that differs from boot to boot, 0 where the kernel tells none."""
    try:
        text = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
    except OSError:
        return 0
    return int(text.strip().replace("-", ""), 16) & (2**63 - 1)


@contextmanager
def exclusive(directory: Path) -> Iterator[None]:
    """Let one process at a time create, attach to or remove buffers of an experiment."""
    directory.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(directory / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def names(directory: Path) -> list[str]:
    """Return the names of the buffers that the folder knows."""
    return sorted(path.stem for path in directory.glob("*.json"))


def remove(directory: Path, name: str) -> None:
    """Remove a buffer's files; who has it mapped keeps the memory until it closes it."""
    for place in (*candidates(directory, name), directory / f"{name}.json"):
        place.unlink(missing_ok=True)
        for left_over in place.parent.glob(f".{place.name}.*.new"):
            left_over.unlink(missing_ok=True)
