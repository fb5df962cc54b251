"""A program's line to the server of its experiment; it outlives the server.

No thread is used. Where the server ends, the line waits for the next one, registers again with
all that it had registered, and repeats what was not answered.
"""

import math
import os
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import zmq

from experiment.errors import ExperimentError
from experiment.standalone.endpoint import Endpoint, find_server
from experiment.standalone.process import process_start
from experiment.standalone.wire import Message, pack, unpack, unpack_error

DEFAULT_WAIT_S: Final = 10.0
_LOOK_S: Final = 0.2
"""How often it is looked whether the server still lives."""
_RESTART_POLL_S: Final = 0.05
_DONE_IF_GONE: Final = ("odb_delete", "odb_rename")
"""Calls that, when repeated, find nothing where they did their work the first time."""
_NEVER_TWICE: Final = ("transition", "jrpc")


class Connection:
    """The line of one program.

    :param folder: the experiment's.
    :param wait_s: how long the server may be away, or silent.
    :param register: called with no argument after each (new) connection but the first, to register
        again what the server must know.
    :raises ExperimentError: if no server comes in time.
    """

    def __init__(
        self, name: str, folder: Path, wait_s: float, register: Callable[[], object]
    ) -> None:
        self.name = name
        self.folder = folder
        self.inbox: deque[Message] = deque()
        """News and questions that wait for `communicate`."""
        self._wait_s = wait_s
        self._register = register
        self._entry: str | None = None
        self._number = 0
        self._endpoint: Endpoint | None = None
        self._socket: zmq.Socket[bytes] | None = None
        self._pid = os.getpid()
        self._looked_s = 0.0
        self._missing_since_s: float | None = None
        try:
            self._connect()
        except BaseException:
            self._close_socket()
            raise

    # connect -----------------------------------------------------------------------------------
    def _connect(self) -> None:
        """Find the server and register with it."""
        end_s = time.monotonic() + self._wait_s
        while True:
            endpoint = find_server(self.folder)
            if endpoint is not None and self._say_hello(endpoint, end_s):
                return
            if time.monotonic() > end_s:
                raise self._no_server(endpoint)
            time.sleep(_RESTART_POLL_S)

    def _no_server(self, endpoint: Endpoint | None) -> ExperimentError:
        if endpoint is not None:
            return ExperimentError(
                f"{self.name}: the server of the experiment in {self.folder} (process "
                f"{endpoint.pid}) has not answered for {self._wait_s:g} s; see whether it hangs"
            )
        return ExperimentError(
            f"{self.name}: no server runs for the experiment in {self.folder} (waited "
            f"{self._wait_s:g} s). Start it: cygno-sim serve --output {self.folder}"
        )

    def _say_hello(self, endpoint: Endpoint, end_s: float) -> bool:
        self._open(endpoint)
        hello = {
            "name": self.name,
            "pid": os.getpid(),
            "started": process_start(os.getpid()) or 0,
            "entry": self._entry,
        }
        again = self._entry is not None
        number = self._send("hello", hello)
        reply = self._await_reply(number, end_s, serve=None)
        if reply is None:
            return False
        if "error" in reply:
            raise unpack_error(reply["error"])
        self._entry, self.name = reply["value"]["entry"], reply["value"]["name"]
        self._missing_since_s = None
        if again:
            self._register()
        return True

    def _open(self, endpoint: Endpoint) -> None:
        if endpoint != self._endpoint or self._socket is None:
            self._close_socket()
            self._socket = zmq.Context.instance().socket(zmq.DEALER)
            self._socket.set_hwm(0)
            self._socket.setsockopt(zmq.LINGER, 0)
            self._socket.connect(endpoint.address)
            self._endpoint = endpoint
            # What the old server asked, it awaits no more.
            self.inbox = deque(m for m in self.inbox if "ask" not in m)

    def _close_socket(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def close(self) -> None:
        """Say good-bye, if somebody listens, and close the line; safe to call twice."""
        if self._socket is None or os.getpid() != self._pid:  # a forked child's copy is not ours
            return
        if self.server_lives():
            number = self._send("bye", {})
            self._await_reply(number, time.monotonic() + 1.0, serve=None)
        self._close_socket()

    @property
    def is_open(self) -> bool:
        """False after `close`."""
        return self._socket is not None

    # talk --------------------------------------------------------------------------------------
    def call(
        self,
        name: str,
        /,
        *,
        serve: Callable[[Message], bool] | None = None,
        timeout_s: float | None = -1,
        **arguments: Any,
    ) -> Any:
        """Ask the server for something and return its answer.

        :param serve: may take messages that come meanwhile; what it does not take waits in `inbox`.
        :param timeout_s: for the answer; None: as long as the server lives; -1: the usual.
        :raises ExperimentError: if the server is gone or silent, or what it answers.
        """
        if self._socket is None:
            raise ExperimentError(f"{self.name} has left the experiment in {self.folder}")
        limit_s = self._wait_s if timeout_s == -1 else timeout_s
        repeated = False
        if name in _NEVER_TWICE and not self.server_lives():
            self._connect()
        while True:
            end_s = None if limit_s is None else time.monotonic() + limit_s
            number = self._send(name, arguments)
            reply = self._await_reply(number, end_s, serve)
            if reply is not None and "value" in reply:
                return reply["value"]
            if reply is not None and "error" in reply:
                error = unpack_error(reply["error"])
                if repeated and name in _DONE_IF_GONE and isinstance(error, KeyError):
                    return None
                raise error
            if reply is None and self.server_lives():
                raise self._no_server(self._endpoint)
            if reply is None and name in _NEVER_TWICE:
                raise ExperimentError(
                    f"{self.name}: the experiment's server ended before it answered ({name}); "
                    "look at the state of the run before you try again"
                )
            repeated = repeated or reply is None
            self._connect()

    def tell(self, message: Message) -> None:
        """Send a message that has no answer."""
        if self._socket is not None:
            self._socket.send(pack(message))

    def _send(self, name: str, arguments: dict[str, Any]) -> int:
        self._number += 1
        self.tell({"id": self._number, "call": name, "with": arguments})
        return self._number

    def _await_reply(
        self, number: int, end_s: float | None, serve: Callable[[Message], bool] | None
    ) -> Message | None:
        """Return the reply to a call; None if the time is over or the server has ended."""
        while True:
            wait_s = _LOOK_S if end_s is None else min(_LOOK_S, end_s - time.monotonic())
            message = self.receive(max(wait_s, 0.0))
            if message is None:
                if not self.server_lives() or (end_s is not None and time.monotonic() >= end_s):
                    return None
            elif message.get("id") == number:
                return message
            elif "id" not in message and not (serve is not None and serve(message)):
                self.inbox.append(message)

    def receive(self, wait_s: float) -> Message | None:
        """Return the next message from the server, None if there is none in time."""
        # Whole milliseconds, upwards: rounded down, the last one would be spent in polling.
        if self._socket is None or not self._socket.poll(math.ceil(wait_s * 1000)):
            return None
        return unpack(self._socket.recv())

    # watch over the server ---------------------------------------------------------------------
    def server_lives(self) -> bool:
        """Tell whether the server that we are connected to still lives."""
        return self._endpoint is not None and self._endpoint.is_alive

    def keep(self) -> None:
        """See that a server is there; connect to the new one after a restart. Never waits long.

        :raises ExperimentError: if there has been none for `wait_s`.
        """
        now_s = time.monotonic()
        if now_s - self._looked_s < _LOOK_S:
            return
        self._looked_s = now_s
        if self.server_lives():
            self._missing_since_s = None
        elif find_server(self.folder) is not None:
            self._connect()
        elif self._missing_since_s is None:
            self._missing_since_s = now_s
        elif now_s - self._missing_since_s > self._wait_s:
            raise self._no_server(None)
