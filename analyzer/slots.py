"""Memory for events that are analyzed, taken once and used again."""

import threading

import numpy as np
import numpy.typing as npt

Slot = npt.NDArray[np.uint8]


class Slots:
    """A fixed number of event buffers; any thread may give one back.

    :param count: how many.
    :param size_bytes: of each; memory that no event touches costs nothing.
    """

    def __init__(self, count: int, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        self._lock = threading.Lock()
        self._free: list[Slot] = [np.empty(size_bytes, np.uint8) for _ in range(count)]

    def take(self) -> Slot | None:
        """Return a free slot, None if all are in use."""
        with self._lock:
            return self._free.pop() if self._free else None

    def give(self, slot: Slot) -> None:
        """Give a slot back; one of an earlier, smaller size is dropped for a new one."""
        with self._lock:
            if slot.nbytes < self.size_bytes:
                slot = np.empty(self.size_bytes, np.uint8)
            self._free.append(slot)

    def enlarge(self, size_bytes: int) -> None:
        """Make all slots larger, those in use when they come back."""
        with self._lock:
            self.size_bytes = max(self.size_bytes, size_bytes)
            self._free = [np.empty(self.size_bytes, np.uint8) for _ in self._free]
