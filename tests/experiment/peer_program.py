"""What a peer of the contract tests does in its own process; see `tests.experiment.peer`.

Run as ``python -m tests.experiment.peer_program FD NAME EXPERIMENT``.
"""

import math
import os
import sys
import time
from multiprocessing.connection import Connection
from typing import Any

from experiment.client import Client
from experiment.connect import connect
from experiment.standalone.wire import pack_error
from tests.experiment.buffer_programs import make_event, serial_of
from tests.experiment.in_c import InC

EVENT_SPACE = bytearray(4 * 1024 * 1024)


class Script:
    """What a peer can do besides the client's own methods; it notes what its callbacks saw."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.seen: list[tuple[Any, ...]] = []
        self.transitions: set[int] = set()
        self.watches: set[str] = set()
        self.deaf_until_s = 0.0

    def note(self, kind: str, *what: Any) -> None:
        self.seen.append((kind, time.monotonic(), *what))

    def heard(self, kind: str | None = None) -> list[tuple[Any, ...]]:
        """Return what callbacks of a kind saw, without times; of all kinds with times."""
        return self.seen if kind is None else [(*e[2:],) for e in self.seen if e[0] == kind]

    def on_transition(
        self,
        transition: int,
        sequence: int,
        result: Any = None,
        raises: str = "",
        works_s: float = 0.0,
        dies: bool = False,
    ) -> None:
        def callback(client: Client, run_number: int) -> Any:
            self.note("transition", transition, sequence, run_number)
            time.sleep(works_s)
            if dies:
                os.kill(os.getpid(), 9)
            if raises:
                raise RuntimeError(raises)
            return result

        self.client.register_transition_callback(transition, sequence, callback)
        self.transitions.add(transition)

    def hold_back(self, transition: int, polls: int) -> None:
        """Defer a transition until it was asked about that many times."""
        left = [polls]

        def callback(client: Client, run_number: int) -> bool:
            left[0] -= 1
            self.note("deferred", run_number)
            return left[0] <= 0

        self.client.register_deferred_transition_callback(transition, callback)

    def watch(self, path: str, changed_only: bool = False, fails: bool = False) -> None:
        def callback(client: Client, *what: Any) -> None:
            self.note("watch", *what)
            if fails:
                raise RuntimeError("no watch for old men")

        self.client.odb_watch(path, callback, changed_only)
        self.watches.add(path)

    def on_call(self, status: int = 1, reply: str = "", always_success: bool = False) -> None:
        def callback(client: Client, cmd: str, args: str, max_len: int) -> tuple[int, str]:
            self.note("call", cmd, args, max_len)
            return status, reply or f"{cmd}({args})"

        self.client.register_jrpc_callback(callback, always_success)

    def on_message(self, types: Any = (1, 2)) -> None:
        self.client.register_message_callback(
            lambda client, text, when, kind: self.note("message", text, when, kind), types
        )

    def connection_call(self, name: str, cmd: str, args: str, max_len: int = 1024) -> str:
        connection = self.client.connect_to_other_client(name)
        return self.client.jrpc_client_call(connection, cmd, args, max_len)

    def end_other(self, name: str) -> None:
        connection = self.client.connect_to_other_client(name)
        self.client.disconnect_from_other_client(connection, True)

    def send(self, handle: int, serial: int, payload_bytes: int, timeout_ms: int = 100) -> bool:
        return self.client.send_buffer(handle, make_event(serial, payload_bytes), timeout_ms)

    def send_cut(self, handle: int) -> bool:
        """Send less of an event than its header says."""
        return self.client.send_buffer(handle, make_event(1, 100)[:-10], 100)

    def fill(self, handle: int, payload_bytes: int, timeout_ms: int = 100) -> int:
        """Send until there is no room; return how many events were accepted."""
        serial = 0
        while serial < 10_000 and self.send(handle, serial, payload_bytes, timeout_ms):
            serial += 1
        return serial

    def receive(self, handle: int) -> int | None:
        event = self.client.receive_buffer(handle, memoryview(EVENT_SPACE))
        return None if event is None else serial_of(event)

    def receive_small(self, handle: int, size: int) -> Any:
        return self.client.receive_buffer(handle, memoryview(bytearray(size)))

    def receive_all(self, handle: int) -> list[int]:
        serials = []
        while (serial := self.receive(handle)) is not None:
            serials.append(serial)
        return serials

    def send_event(self, handle: int, event: Any) -> None:
        self.client.send_event(handle, event)

    def receive_event(self, handle: int, use_numpy: bool = False) -> Any:
        """Return (event id, serial number, {bank: (type, data)}) of the next event."""
        event = self.client.receive_event(handle, True, use_numpy)
        if event is None:
            return None
        banks = {name: (bank.type, list(bank.data)) for name, bank in event.banks.items()}
        return event.header.event_id, event.header.serial_number, banks

    def go_deaf(self, seconds: float) -> None:
        """Do not communicate for a while, as a program that works."""
        self.deaf_until_s = time.monotonic() + seconds

    def disconnect(self) -> None:
        """Leave the experiment; the process goes on, without communicating."""
        self.client.disconnect()
        self.deaf_until_s = math.inf

    def forget(self) -> None:
        """Take back what the script registered."""
        for transition in self.transitions:
            self.client.deregister_transition_callback(transition)
        for path in self.watches:
            self.client.odb_stop_watching(path)
        self.transitions, self.watches, self.seen = set(), set(), []
        self.client.communicate(20)  # what is under way
        self.seen = []


def play(pipe: Connection, name: str, experiment: str) -> None:
    """Follow the commands that come through the pipe."""
    try:
        client = connect(name, experiment)
    except Exception as error:
        pipe.send((0, "error", pack_error(error)))
        return
    script = Script(client)
    pipe.send((0, "ready", client.name))
    try:
        while True:
            if pipe.poll(0.005 if script.deaf_until_s > time.monotonic() else 0):
                number, method, arguments, named = pipe.recv()
                arguments = [a.make() if isinstance(a, InC) else a for a in arguments]
                target = script if hasattr(script, method) else client
                try:
                    answer = "value", getattr(target, method)(*arguments, **named)
                except Exception as error:
                    answer = "error", pack_error(error)
                pipe.send((number, *answer))
            elif script.deaf_until_s <= time.monotonic():
                client.communicate(5)
    except EOFError:
        pass
    finally:
        client.disconnect()


if __name__ == "__main__":
    play(Connection(int(sys.argv[1])), sys.argv[2], sys.argv[3])
