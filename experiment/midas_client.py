"""The thin adapter to a real MIDAS: MIDAS's own Python client, under our errors, with fast frames.

Two programs must not attach at the same moment where none is attached: start the logger first.
"""

import atexit
import ctypes
import functools
import os
import signal
import threading
from collections.abc import Callable
from typing import Any

import midas
import numpy as np

from experiment.client import Client
from experiment.constants import STATE_STOPPED, STATUS
from experiment.errors import (
    ExperimentError,
    MidasError,
    TransitionDeferredError,
    TransitionFailedError,
)
from experiment.midas_mended import MendedClient

BM_NO_WAIT = 1  # as a timeout [ms]; 0 is BM_WAIT
BEFORE_FIRST_RUN = {"/Runinfo/State": STATE_STOPPED, "/Runinfo/Run number": 0}  # not in a new ODB
HEADER_BYTES = 16  # of an event; its last word is the size of the rest


def _with_our_errors(method: Callable[..., Any]) -> Callable[..., Any]:
    """Turn the stock package's errors into those of `experiment.errors`, and say what failed."""

    @functools.wraps(method)
    def call(self: Any, *arguments: Any, **named: Any) -> Any:
        try:
            return method(self, *arguments, **named)
        except midas.TransitionDeferredError as error:
            raise TransitionDeferredError(error.code, error.message) from error
        except midas.TransitionFailedError as error:
            raise TransitionFailedError(error.code, error.message) from error
        except midas.MidasError as error:
            what = f"{method.__name__} {arguments[0] if arguments else ''}".strip()
            raise MidasError(error.code, f"{what}: {error.message}") from error

    return call


class MidasClient(MendedClient):
    """MIDAS's own client as `experiment.client.Client`; a process can have one."""

    def send_buffer(self, buffer_handle: int, event: memoryview, timeout_ms: int) -> bool:
        """Send a complete event by pointer: MIDAS's own copy into the buffer is the only one."""
        data = np.frombuffer(event, np.uint8)
        size = HEADER_BYTES + int.from_bytes(data[12:HEADER_BYTES].tobytes(), "little")
        if size != data.size:  # MIDAS believes the header and would read beyond the event
            why = f"An event of {data.size} bytes whose header says {size} was not sent"
            raise MidasError(STATUS["BM_INVALID_SIZE"], why)
        timeout = max(timeout_ms, BM_NO_WAIT + 1)
        try:
            self.lib.c_rpc_send_event(
                buffer_handle, ctypes.c_void_p(data.ctypes.data), size, timeout, 1
            )
        except midas.MidasError as error:
            if error.code == STATUS["BM_ASYNC_RETURN"]:
                return False
            if error.code == STATUS["BM_NO_MEMORY"]:
                why = f"An event of {size} bytes can never fit: see /Experiment/Buffer sizes"
                raise MidasError(error.code, why) from error
            raise
        return True

    def buffer_held_by(self, buffer_handle: int) -> tuple[str, ...]:
        """Return nobody: MIDAS knows who holds a buffer full, and tells no client."""
        return ()

    def receive_buffer(self, buffer_handle: int, into: memoryview) -> memoryview | None:
        """Let MIDAS copy the next requested event into `into`; never wait."""
        room = into.cast("B")
        pointer = ctypes.c_void_p(np.frombuffer(room, np.uint8).ctypes.data)
        size = ctypes.c_int(room.nbytes)
        try:
            self.lib.c_bm_receive_event(buffer_handle, pointer, ctypes.byref(size), BM_NO_WAIT)
        except midas.MidasError as error:
            if error.code == STATUS["BM_ASYNC_RETURN"]:
                return None
            if error.code == STATUS["BM_TRUNCATED"]:
                why = f"An event larger than {room.nbytes} bytes was lost"
                raise MidasError(error.code, why) from error
            raise
        return room[: size.value]


for _name in vars(Client):
    if (
        callable(getattr(Client, _name)) and _name[0] != "_" and _name != "msg"
    ):  # it tells who called
        setattr(MidasClient, _name, _with_our_errors(getattr(MidasClient, _name)))


def connect_midas(client_name: str, experiment_name: str) -> Client:
    """Connect to a MIDAS experiment.

    :param experiment_name: as in the exptab file, or as the mserver of ``MIDAS_SERVER_HOST`` knows
        it.
    :raises ExperimentError: if it cannot be reached.
    """
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        client = MidasClient(client_name, expt_name=experiment_name)
        own = f"/System/Clients/{os.getpid()}/Name"
        client.name = client.odb_get(own) if client.odb_exists(own) else client_name
        for path, value in BEFORE_FIRST_RUN.items():
            if not client.odb_exists(path):
                client.odb_set(path, value)
    except (midas.MidasError, ExperimentError, OSError, RuntimeError, ValueError) as error:
        why = f"MIDAS status {error.args[0]}" if isinstance(error, midas.MidasError) else error
        raise ExperimentError(
            f"{client_name} cannot connect to the MIDAS experiment {experiment_name!r}: {why} "
            "(look at MIDAS_EXPTAB or MIDAS_DIR, and at MIDAS_SERVER_HOST)"
        ) from error
    atexit.register(client.disconnect)
    if threading.current_thread() is threading.main_thread():
        for number, handler in handlers.items():  # MIDAS puts its own in place of the program's
            if handler not in (None, signal.SIG_DFL):
                signal.signal(number, handler)
    return client
