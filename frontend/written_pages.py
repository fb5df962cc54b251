"""Give the pages of the run file back to the system while the logger writes it.

mlogger leaves all of its file in the kernel's cache. On a virtual machine, and wherever memory is
full of older pages, a new one costs more than what is written to it. Any program of the same
machine can give back the pages that are on the disk (posix_fadvise(2)); the kernel takes them again
for the next events. Nothing of the file changes; where it is not to be seen, nothing is done.
"""

import os
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path

from experiment.client import Client
from frontend.equipment import Equipment
from frontend.logger_tally import logger_channel

LOOKS = 3
"""Times that a page is looked at, once a second: it must be on the disk to be given back."""

GiveBack = Callable[[int, int, int], None]
"""``give_back(file, begin, size_bytes)``; it may wait for the disk."""


class WrittenPages:
    """Follows the logger's file; `work` is for the main thread, once a second.

    :param equipment: whose events the logger writes.
    """

    def __init__(self, client: Client, equipment: Equipment) -> None:
        self._client = client
        self._equipment = equipment
        self._file = GrowingFile()
        self._thread: threading.Thread | None = None

    def work(self) -> None:
        """Let a thread look at the file; if the last one is not done yet, the disk is busy."""
        if self._thread is not None and self._thread.is_alive():
            return
        path = self._path()
        if path is None:
            return
        self._thread = threading.Thread(
            target=self._file.look, args=(path,), name="written pages", daemon=True
        )
        self._thread.start()

    def _path(self) -> Path | None:
        channel = logger_channel(self._client, self._equipment.buffer_name)
        name = str(channel["Settings"].get("Current filename", "")) if channel else ""
        return Path(str(self._client.odb_get("/Logger/Data dir")), name) if name else None


class GrowingFile:
    """Which part of a file may still be in memory; for one thread at a time."""

    def __init__(self, give_back: GiveBack | None = None) -> None:
        self._give_back = give_back or _give_back
        self._path: Path | None = None
        self._sizes: deque[int] = deque(maxlen=LOOKS)

    def look(self, path: Path) -> None:
        """Give back what was written since `LOOKS` looks before; a page not on the disk stays."""
        try:
            file = os.open(path, os.O_RDONLY)
        except OSError:  # it is another machine's, or gone
            return
        try:
            size = os.fstat(file).st_size
            if path != self._path or size < self._sizes[-1]:
                self._path = path
                self._sizes.clear()
                self._sizes.append(0)
            begin = self._sizes[0]
            self._sizes.append(size)
            if size > begin:
                self._give_back(file, begin, size - begin)
        except OSError:  # some file systems cannot
            return
        finally:
            os.close(file)


def _give_back(file: int, begin: int, size_bytes: int) -> None:
    """Start to write what is not yet on the disk, and drop what is."""
    os.posix_fadvise(file, begin, size_bytes, os.POSIX_FADV_DONTNEED)
