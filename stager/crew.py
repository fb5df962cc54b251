"""Threads that work, a bounded number in each lane, so that a slow place holds up no other."""

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Generic, TypeVar

Result = TypeVar("Result")


class Crew(Generic[Result]):
    """Bounded threads; each piece of work has a key, and is done by one thread at a time."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        """Once set, whatever is being done ends at its next pulse."""
        self._lanes: dict[tuple[str, int], ThreadPoolExecutor] = {}
        self._running: dict[Future[Result], Hashable] = {}

    def submit(self, lane: str, size: int, key: Hashable, do: Callable[[], Result]) -> bool:
        """Let a thread of a lane do something; False if it is being done already."""
        if key in self._running.values():
            return False
        pool = self._lanes.get((lane, size))
        if pool is None:
            pool = self._lanes[lane, size] = ThreadPoolExecutor(size, thread_name_prefix=lane)
        self._running[pool.submit(do)] = key
        return True

    @property
    def busy(self) -> frozenset[Hashable]:
        """Keys of what is being done, or waits for a thread."""
        return frozenset(self._running.values())

    def finished(self, timeout_s: float) -> list[Future[Result]]:
        """Wait until something is done; return all that is, which may be nothing."""
        done, _ = wait(list(self._running), timeout_s, FIRST_COMPLETED)
        for future in done:
            del self._running[future]
        return list(done)

    def close(self) -> None:
        """End all threads; what they were doing is resumed later."""
        self.stop.set()
        for pool in self._lanes.values():
            pool.shutdown(wait=True, cancel_futures=True)
        self._lanes.clear()
        self._running.clear()
