"""The stream brings other programs the rows as they are; a slow one loses, and knows what."""

import json
import select
import subprocess
import sys
import threading

import numpy as np
import pytest
import zmq

from analyzer.dtypes import CLUSTER, DATASETS, EVENT
from analyzer.errors import AnalyzerError
from analyzer.stream import HEADER, ResultStream
from analyzer.subscribe import read_message, subscribe
from tests.conftest import wait_until

READER = """
import json, sys
from analyzer.subscribe import subscribe
for message in subscribe(sys.argv[1], sys.argv[2:], timeout_s=30):
    print(json.dumps([message.topic, message.run, message.event, message.rows.tobytes().hex()]))
    sys.stdout.flush()
    if message.header.get("state") == "end":
        break
"""


@pytest.fixture
def stream():
    made = ResultStream()
    yield made
    made.close()


def clusters(count, event):
    rows = np.zeros(count, CLUSTER)
    rows["event"] = event
    rows["sc_integral"] = np.arange(count) + 0.5
    return rows


def test_another_process_reads_rows_and_run_states(stream):
    command = [sys.executable, "-c", READER, stream.address, "clusters", "run"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as reader:
        heard = []

        def is_connected():
            stream.send_run(41, "begin")
            return heard_something(reader, heard)

        wait_until(is_connected, 30, "the subscription")
        stream.send_rows(42, 7, "clusters", clusters(2, 7))
        stream.send_rows(42, 7, "events", np.zeros(1, EVENT))
        stream.send_run(42, "end", analyzed=1)
        lines = [json.loads(line) for line in reader.stdout]
    assert reader.returncode == 0
    rest = [line for line in lines if line[1] == 42]
    assert rest == [
        ["clusters", 42, 7, clusters(2, 7).tobytes().hex()],
        ["run", 42, -1, ""],  # `events` was not asked for
    ]


def heard_something(process, heard):
    """Read a line of a process if there is one; tell whether there ever was one."""
    if select.select([process.stdout], [], [], 0.05)[0]:
        heard.append(process.stdout.readline())
    return bool(heard)


def received(stream, send):
    """What comes of sending, on one subscription."""
    with zmq.Context() as context, context.socket(zmq.SUB) as socket:
        socket.setsockopt(zmq.SUBSCRIBE, b"")
        socket.connect(stream.address)

        def is_connected():
            stream.send_run(0, "begin")
            return socket.poll(50)

        wait_until(is_connected, 10, "the subscription")
        send()
        stream.send_run(1, "end")
        messages = []
        while not messages or messages[-1].header.get("state") != "end":
            messages.append(read_message(socket.recv_multipart()))
        return [message for message in messages if message.topic != "run"]


@pytest.mark.parametrize("dataset", DATASETS)
def test_each_dataset_arrives_bit_for_bit_with_its_header(stream, dataset):
    rows = np.zeros(3, DATASETS[dataset])
    rows.view(np.uint8)[:] = np.arange(rows.nbytes) % 251
    (message,) = received(stream, lambda: stream.send_rows(5, 9, dataset, rows))
    assert message.rows.tobytes() == rows.tobytes()
    assert message.rows.dtype.names == rows.dtype.names
    assert set(message.header) == set(HEADER)
    assert (message.run, message.event, message.header["rows"]) == (5, 9, 3)


def test_a_slow_subscriber_loses_messages_and_holds_nobody(stream):
    with zmq.Context() as context, context.socket(zmq.SUB) as slow:
        slow.setsockopt(zmq.RCVHWM, 10)
        slow.setsockopt(zmq.SUBSCRIBE, b"")
        slow.connect(stream.address)

        def is_connected():
            stream.send_run(0, "begin")
            return slow.poll(50)

        wait_until(is_connected, 10, "the subscription")
        big = clusters(1000, 1)
        for event in range(2000):  # 400 MB: far more than any buffer holds
            stream.send_rows(1, event, "clusters", big)
        headers = []
        while slow.poll(200):
            headers.append(json.loads(slow.recv_multipart()[1]))
    sequences = [header["sequence"] for header in headers if header["dataset"] == "clusters"]
    assert 0 < len(sequences) < 2000
    assert sequences == sorted(sequences)


def test_what_was_lost_is_told_to_the_reader(stream):
    messages = subscribe(stream.address, timeout_s=20)
    connected = threading.Event()

    def call():
        while not connected.wait(0.05):
            stream.send_run(0, "begin")

    caller = threading.Thread(target=call)
    caller.start()
    assert next(messages).lost == 0
    connected.set()
    caller.join()
    stream.send_rows(1, 0, "clusters", clusters(1, 0))
    stream._sequences["clusters"] += 6  # as if they had been dropped
    stream.send_rows(1, 7, "clusters", clusters(1, 7))
    stream.send_run(1, "end")
    lost = {}
    for message in messages:
        lost[message.topic, message.event] = message.lost
        if message.header.get("state") == "end":
            break
    assert (lost["clusters", 0], lost["clusters", 7]) == (0, 6)


def test_a_port_in_use_is_told_with_what_to_do(stream):
    port = int(stream.address.rsplit(":", 1)[1])
    with pytest.raises(AnalyzerError, match=rf"port {port} cannot be had.*Stream port"):
        ResultStream(port)


def test_a_newer_schema_is_refused():
    with pytest.raises(ValueError, match="schema 99"):
        read_message([b"events", b'{"schema": 99}', b""])
