"""The desk between web threads and the one thread that may use the client."""

import asyncio
import concurrent.futures
import queue
from collections.abc import Callable
from typing import Any, TypeVar

from experiment.standalone.client import StandaloneClient

IDLE_S = 0.05
Value = TypeVar("Value")


class Desk:
    """Takes work from any thread and does it in the thread that runs `serve`."""

    def __init__(self, client: StandaloneClient) -> None:
        self._client = client
        self._asked: queue.SimpleQueue[tuple[Callable[..., Any], Any]] = queue.SimpleQueue()

    async def ask(self, work: Callable[[StandaloneClient], Value]) -> Value:
        """Have ``work(client)`` done and return its value, or raise what it raised."""
        done: concurrent.futures.Future[Value] = concurrent.futures.Future()
        self._asked.put((work, done))
        return await asyncio.wrap_future(done)

    def serve(self, until: Callable[[], object]) -> None:
        """Do the work that comes, and the client's own, until told to end.

        :raises SystemExit: if an operator asks this program to end.
        :raises ExperimentError: if the experiment's server has been away for too long.
        """
        while not until():
            try:
                work, done = self._asked.get(timeout=IDLE_S)
            except queue.Empty:
                pass
            else:
                self._do(work, done)
            self._client.communicate(0)

    def _do(self, work: Callable[..., Any], done: Any) -> None:
        if not done.set_running_or_notify_cancel():
            return
        try:
            done.set_result(work(self._client))
        except Exception as error:
            done.set_exception(error)
