"""Threads that work, a bounded number in each lane, so that a slow place holds up no other."""

import queue
import threading
from collections.abc import Callable, Hashable, Set
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Generic, TypeVar

Result = TypeVar("Result")


class Crew(Generic[Result]):
    """Bounded threads; each piece of work has a key, and is done by one thread at a time."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        """Once set, whatever is being done ends at its next pulse."""
        self._lanes: dict[tuple[str, int], ThreadPoolExecutor] = {}
        self._busy: dict[Hashable, Future[Result]] = {}
        self._done: queue.SimpleQueue[tuple[Hashable, Future[Result]]] = queue.SimpleQueue()

    def submit(
        self, lane: str, size: int, key: Hashable, do: Callable[[], Result]
    ) -> Future[Result]:
        """Let a thread of a lane do something, unless it is being done already."""
        if key in self._busy:
            return self._busy[key]
        pool = self._lanes.get((lane, size))
        if pool is None:
            pool = self._lanes[lane, size] = ThreadPoolExecutor(size, thread_name_prefix=lane)
        self._busy[key] = begun = pool.submit(do)
        begun.add_done_callback(lambda future: self._done.put((key, future)))
        return begun

    @property
    def busy(self) -> Set[Hashable]:
        """Keys of what is being done, or waits for a thread."""
        return self._busy.keys()

    def finished(self, timeout_s: float) -> list[Future[Result]]:
        """Wait until something is done; return all that is, which may be nothing."""
        finished: list[Future[Result]] = []
        with suppress(queue.Empty):
            while True:
                key, future = self._done.get(timeout=0.0 if finished else timeout_s)
                self._busy.pop(key, None)
                finished.append(future)
        return finished

    def close(self) -> None:
        """End all threads; what they were doing is resumed later."""
        self.stop.set()
        for pool in self._lanes.values():
            pool.shutdown(wait=True, cancel_futures=True)
        self._lanes.clear()
        self._busy.clear()
