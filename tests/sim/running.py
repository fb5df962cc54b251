"""A standalone experiment that runs: its server, and what programs a test wants."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from experiment.standalone.client import StandaloneClient
from rawdata.build import EventBuilder
from rawdata.tid import Tid
from sim.programs import Programs
from sim.run import start_experiment
from tests.conftest import BUSY, wait_until


@contextmanager
def running_experiment(folder: Path) -> Iterator[tuple[Programs, StandaloneClient]]:
    """Start a server in `folder`; its buffers are small, so that tests are quick."""
    with Programs(folder) as programs:
        client = start_experiment(programs)
        client.odb_set("/Experiment/Buffer sizes/SYSTEM", 1 << 20)
        try:
            yield programs, client
        finally:
            client.disconnect()


def start_logger(programs: Programs, client: StandaloneClient) -> "subprocess.Popen[bytes]":
    """Start the logger and wait until it takes part in transitions."""
    program = programs.start("Logger", "sim.logger")
    key = f"/System/Clients/{program.process.pid}/Transition RESUME"
    wait_until(lambda: client.odb_exists(key), 20, "the logger's transitions")
    return program.process


def end(process: "subprocess.Popen[bytes]", number: int = signal.SIGTERM) -> int:
    """End a process by a signal; return its exit code."""
    process.send_signal(number)
    return process.wait(BUSY * 20)


def event(serial: int, size: int = 1000, event_id: int = 1) -> memoryview:
    """Return an event with `size` random bytes in a bank, the same for the same serial number."""
    builder = EventBuilder(memoryview(bytearray(size + 200)), event_id)
    random = np.random.default_rng(serial)
    builder.add("TEST", Tid.BYTE, random.integers(0, 256, size, np.uint8))
    return builder.finish(serial, 1_700_000_000)
