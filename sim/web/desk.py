"""The desk between web threads and the one thread that may use the client."""

import asyncio
import concurrent.futures
import queue
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from experiment.errors import ExperimentError
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

    def close(self) -> None:
        """Refuse what still waits."""
        while not self._asked.empty():
            _, done = self._asked.get()
            if done.set_running_or_notify_cancel():
                done.set_exception(ExperimentError("this server is ending"))

    def _do(self, work: Callable[..., Any], done: Any) -> None:
        if not done.set_running_or_notify_cancel():
            return
        try:
            done.set_result(work(self._client))
        except Exception as error:
            done.set_exception(error)


class SideDesk:
    """A desk with a client and a thread of its own, for calls that may take long.

    It opens with the first call, so that programs that need none see no client more.
    """

    def __init__(self, client_name: str, folder: Path) -> None:
        self._name = client_name
        self._folder = folder
        self._desk: Desk | None = None
        self._thread: threading.Thread | None = None
        self._ending = threading.Event()

    async def ask(self, work: Callable[[StandaloneClient], Value]) -> Value:
        """Have ``work(client)`` done, one after the other.

        :raises ExperimentError: if there is no experiment.
        """
        if self._thread is None or not self._thread.is_alive():
            opened: concurrent.futures.Future[Desk] = concurrent.futures.Future()
            self._thread = threading.Thread(
                target=self._run, args=(opened,), name="side desk", daemon=True
            )
            self._thread.start()
            self._desk = await asyncio.wrap_future(opened)
        if self._desk is None:
            raise ExperimentError("this server is ending")
        return await self._desk.ask(work)

    def _run(self, opened: "concurrent.futures.Future[Desk]") -> None:
        try:
            client = StandaloneClient(self._name, self._folder)
        except Exception as error:
            opened.set_exception(error)
            return
        desk = Desk(client)
        opened.set_result(desk)
        try:
            with client:
                desk.serve(self._ending.is_set)
        except (SystemExit, ExperimentError):
            pass  # the next call opens it again
        finally:
            desk.close()

    def close(self) -> None:
        """End the thread, which may be in the middle of a call."""
        self._ending.set()
        if self._thread is not None:
            self._thread.join(1)
