"""Read the analyzer's stream of results from another program.

It needs NumPy and pyzmq only, and may be copied::

    for message in subscribe("tcp://127.0.0.1:5678", ["clusters"]):
        print(message.run, message.event, message.rows["sc_integral"])
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import zmq

SCHEMA: Final = 1


@dataclass(frozen=True, eq=False)
class Message:
    """One message of the stream.

    :param topic: name of the dataset, or ``run``.
    :param rows: structured array; of topic ``run`` it has no rows.
    :param lost: messages of this topic that were lost just before, because we were too slow.
    """

    topic: str
    header: dict[str, Any]
    rows: npt.NDArray[Any]
    lost: int = 0

    @property
    def run(self) -> int:
        """Run number."""
        return int(self.header["run"])

    @property
    def event(self) -> int:
        """Index of the trigger event in the run; -1 for topic ``run``."""
        return int(self.header.get("event", -1))


def read_message(parts: Sequence[bytes], lost: int = 0) -> Message:
    """Return a message from its parts: topic, header, rows.

    :raises ValueError: if it is of a newer schema than this.
    """
    header = json.loads(parts[1])
    if header["schema"] > SCHEMA:
        raise ValueError(f"the stream has schema {header['schema']}, this reads up to {SCHEMA}")
    fields = [
        tuple(tuple(part) if isinstance(part, list) else part for part in one)
        for one in header.get("dtype", [])
    ]
    rows = np.frombuffer(parts[2], np.dtype(fields)) if fields else np.zeros(0)
    return Message(parts[0].decode(), header, rows, lost)


def subscribe(
    address: str, topics: Sequence[str] = ("",), timeout_s: float | None = None
) -> Iterator[Message]:
    """Yield the messages of a stream as they come.

    :param address: as in the ODB at /Equipment/Analyzer/Stream/Address.
    :param topics: datasets, ``run``; all by default.
    :param timeout_s: end when nothing came for so long; None waits for ever.
    """
    socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.SUB)
    try:
        socket.setsockopt(zmq.RCVTIMEO, -1 if timeout_s is None else round(1000 * timeout_s))
        for topic in topics:
            socket.setsockopt(zmq.SUBSCRIBE, topic.encode())
        socket.connect(address)
        expected: dict[bytes, int] = {}
        while True:
            try:
                parts = socket.recv_multipart()
            except zmq.Again:
                return
            sequence = json.loads(parts[1])["sequence"]
            lost = sequence - expected.get(parts[0], sequence)
            expected[parts[0]] = sequence + 1
            yield read_message(parts, max(lost, 0))
    finally:
        socket.close(0)
