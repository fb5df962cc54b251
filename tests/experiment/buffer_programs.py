"""Programs that use an event buffer in processes of their own, some of which die on purpose.

Run as ``python -m tests.experiment.buffer_programs NAME DIRECTORY [ARGUMENT...]``.
"""

import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType

import numpy as np

from experiment.constants import GET_ALL
from experiment.standalone.buffer import EventBuffer

SIZE = 256 * 1024


def make_event(serial: int, payload_bytes: int, event_id: int = 1, mask: int = 0) -> memoryview:
    """Return an event whose payload repeats its serial number, so that a torn one shows."""
    words = np.full(4 + -(-payload_bytes // 4), serial, "<u4")
    event = words.view(np.uint8)[: 16 + payload_bytes]
    event[:4].view("<u2")[:] = event_id & 0xFFFF, mask & 0xFFFF
    event[12:16].view("<u4")[0] = payload_bytes
    return memoryview(event)


def serial_of(event: memoryview | None) -> int:
    """Return the serial number of an event, after looking that it is whole."""
    assert event is not None
    words = np.frombuffer(event, np.uint8)
    serial = int(words[8:12].view("<u4")[0])
    assert int(words[12:16].view("<u4")[0]) == len(event) - 16
    whole = words[16 : 16 + (len(event) - 16) // 4 * 4].view("<u4")
    assert (whole == serial).all(), f"event {serial} is torn"
    return serial


def receive_all(buffer: EventBuffer, into: memoryview) -> list[int]:
    """Receive until nothing is left; return the serial numbers."""
    serials = []
    while (event := buffer.receive(into)) is not None:
        serials.append(serial_of(event))
    return serials


def write(directory: Path, first: str, count: str, payload: str) -> None:
    """Send `count` events; endless for -1."""
    with EventBuffer.open(directory, "SYSTEM", SIZE, "writer") as buffer:
        serial = int(first)
        print("ready", flush=True)
        while serial != int(first) + int(count):
            if buffer.send(make_event(serial, int(payload)), 100):
                serial += 1


def read(directory: Path, count: str) -> None:
    """Receive `count` events with GET_ALL and print their serials; endless for -1."""
    into = memoryview(bytearray(SIZE))
    with EventBuffer.open(directory, "SYSTEM", SIZE, "reader") as buffer:
        buffer.request(-1, -1, GET_ALL)
        print("ready", flush=True)
        seen = []
        while len(seen) != int(count):
            event = buffer.receive(into)
            if event is None:
                time.sleep(1e-4)
            else:
                seen.append(serial_of(event))
    print(*seen, flush=True)


def die_at_step(step: int) -> None:
    """Kill this process, as with kill -9, before the `step`-th bytecode from now on."""
    left = step

    def trace(frame: FrameType, what: str, _: object) -> object:
        nonlocal left
        frame.f_trace_opcodes = True
        if what == "opcode":
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    sys.settrace(trace)  # type: ignore[arg-type]


def child_dies(work: object, step: int) -> bool:
    """Fork, let the child do `work` and die at `step`; tell whether it died of that."""
    pid = os.fork()
    if pid == 0:
        try:
            work(step)  # type: ignore[operator]
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(pid, 0)[1])


def writer_dies_everywhere(directory: Path, first: str, stride: str) -> None:
    """Kill a writer at every `stride`-th bytecode; the reader here must never notice."""
    into = memoryview(bytearray(SIZE))
    own = EventBuffer.open(directory, "SYSTEM", 8192, "own")
    own.request(-1, -1, GET_ALL)

    def work(step: int) -> None:
        buffer = EventBuffer.open(directory, "SYSTEM", 8192, "victim")
        die_at_step(step)
        for serial in range(3):
            buffer.send(make_event(serial, 1500), 0)

    step, deaths = int(first), 0
    while child_dies(work, step):
        assert own.send(make_event(1_000_000 + step, 3000), 1000), own.blocked_by
        seen = receive_all(own, into)
        assert seen in [[*range(n), 1_000_000 + step] for n in range(4)], (step, seen)
        step, deaths = step + int(stride), deaths + 1
    print(deaths)


def reader_dies_everywhere(directory: Path, first: str, stride: str) -> None:
    """Kill a GET_ALL reader at every `stride`-th bytecode; the writer here must get on."""
    own = EventBuffer.open(directory, "SYSTEM", 8192, "own")

    def work(step: int) -> None:
        buffer = EventBuffer.open(directory, "SYSTEM", 8192, "victim")
        into = memoryview(bytearray(SIZE))
        die_at_step(step)
        buffer.request(-1, -1, GET_ALL)
        for serial in range(3):
            assert own_sends(serial, buffer)
            receive_all(buffer, into)

    def own_sends(serial: int, buffer: EventBuffer) -> bool:
        return buffer.send(make_event(serial, 1500), 0)

    step, deaths = int(first), 0
    while child_dies(work, step):
        for serial in range(4):
            assert own.send(make_event(serial, 4000), 1000), (step, own.blocked_by)
        step, deaths = step + int(stride), deaths + 1
    print(deaths)


if __name__ == "__main__":
    name, folder, *arguments = sys.argv[1:]
    globals()[name](Path(folder), *arguments)
