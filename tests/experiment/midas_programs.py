"""A frontend and an analyzer in a few lines, to take runs in a real MIDAS without our programs.

Run as ``python -m tests.experiment.midas_programs send|receive COUNT``.
"""

import sys

import numpy as np
from numpy.typing import NDArray

from experiment.client import Client
from experiment.connect import connect
from experiment.constants import GET_ALL, TR_START, TR_STOP
from rawdata.build import EventBuilder
from rawdata.event import parse_event
from rawdata.tid import Tid

SHAPE = (256, 256)
EVENT_BYTES = 200_000
READY = "/Scripted/Ready"
SENT = "/Scripted/Sent"
RECEIVED = "/Scripted/Received"
PIXEL_SUM = "/Scripted/Pixel sum"


def frame(serial: int) -> NDArray[np.uint16]:
    """Return the frame of an event: (256, 256) uint16 [ADU]."""
    return np.random.default_rng(serial).normal(100, 2.5, SHAPE).astype(np.uint16)


def send(client: Client, count: int) -> None:
    """Send `count` events in each run, as fast as the buffer takes them."""
    handle = client.open_event_buffer("SYSTEM")
    buffer = memoryview(bytearray(EVENT_BYTES))
    sent, runs = 0, False

    def start(client: Client, _run: int) -> None:
        nonlocal sent, runs
        sent, runs = 0, True
        client.odb_set(SENT, sent)

    def stop(client: Client, _run: int) -> None:
        nonlocal runs
        runs = False

    client.register_transition_callback(TR_START, 500, start)
    client.register_transition_callback(TR_STOP, 500, stop)
    client.odb_set(f"{READY}/send", True)
    while True:
        client.communicate(1)
        if runs and sent < count:
            builder = EventBuilder(buffer, 1)
            builder.add("CAM0", Tid.WORD, frame(sent).reshape(-1))
            builder.add("FID0", Tid.DWORD, np.array([sent], np.uint32))
            sent += client.send_buffer(handle, builder.finish(sent, 1_700_000_000), 100)
            client.odb_set(SENT, sent)


def receive(client: Client, count: int) -> None:
    """Receive `count` events in each run; sum up their pixels."""
    handle = client.open_event_buffer("SYSTEM")
    client.register_event_request(handle, 1, -1, GET_ALL)
    into = memoryview(bytearray(EVENT_BYTES))
    received, pixel_sum = 0, 0

    def start(client: Client, _run: int) -> None:
        nonlocal received, pixel_sum
        received, pixel_sum = 0, 0
        client.odb_set(RECEIVED, 0)
        while client.receive_buffer(handle, into) is not None:
            pass  # what a run left that was not stopped well

    client.register_transition_callback(TR_START, 300, start)
    client.odb_set(f"{READY}/receive", True)
    while True:
        client.communicate(1)
        while (data := client.receive_buffer(handle, into)) is not None:
            event = parse_event(data)
            assert event.serial_number == received == event["FID0"][0]
            pixel_sum += int(event["CAM0"].sum(dtype=np.int64))
            received += 1
            client.odb_set(PIXEL_SUM, float(pixel_sum))
            client.odb_set(RECEIVED, received)


if __name__ == "__main__":
    program = {"send": send, "receive": receive}[sys.argv[1]]
    program(connect(sys.argv[1]), int(sys.argv[2]))
