"""The results as a stream for other programs: a ZeroMQ PUB socket on this machine.

Each message has three parts: the topic, which is the dataset's name; a header, a JSON object of
`HEADER`; and the rows, packed one after the other as the header's dtype says. The topic ``run`` has
no rows: its header tells that a run begins or what came of it. A subscriber that is too slow loses
messages, which the sequence numbers of a topic show; it never holds anybody up.
"""

import json
import threading
import time
from typing import Any, Final

import numpy.typing as npt
import zmq

from analyzer.analysis import EventResult, RunAnalysis
from analyzer.consumer import Consumer
from analyzer.dtypes import DATASETS, untitled
from analyzer.errors import AnalyzerError

SCHEMA: Final = 1
"""Version of the messages; a program should refuse a higher one."""

RUN_TOPIC: Final = "run"

HEADER: Final[dict[str, tuple[str, str]]] = {
    "schema": ("integer", f"version of the messages, {SCHEMA}"),
    "dataset": ("text", "name of the dataset, the same as the topic"),
    "sequence": ("integer", "counts the messages of a topic from 0, also those that you lose"),
    "sent_s": ("number", "unix time of sending [s]"),
    "run": ("integer", "run number"),
    "event": ("integer", "index of the trigger event in the run, from 0"),
    "rows": ("integer", "rows in the third part"),
    "dtype": ("array", "NumPy's description of a row: [name, type] of each field, packed"),
}
"""The header of messages with rows: key -> (JSON type, meaning)."""

RUN_HEADER: Final[dict[str, tuple[str, str]]] = {
    "state": ("text", "`begin`, or `end` when the results are closed"),
    "joined": ("boolean", "begin: the analyzer came in mid-run"),
    "seen": ("integer", "end: events that came in"),
    "analyzed": ("integer", "end: events that have rows in the results file"),
    "lost": ("integer", "end: events that are not in the results file"),
    "missed": ("text", "end: why not all came in; empty if they did"),
    "output": ("text", "end: the results file"),
}
"""What the header of topic ``run`` has beside `schema`, `sequence`, `sent_s` and `run`."""

WAITING_MESSAGES: Final = 500
"""Messages that wait for a slow subscriber; it loses those beyond."""


class ResultStream:
    """Publishes results; may be called from several threads, never waits.

    :param port: on 127.0.0.1; 0 takes any that is free.
    :raises AnalyzerError: if the port cannot be had.
    """

    def __init__(self, port: int = 0) -> None:
        self._lock = threading.Lock()
        self._sequences: dict[str, int] = {}
        self._descriptions = {
            name: json.dumps(untitled(dtype).descr) for name, dtype in DATASETS.items()
        }
        self._socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.PUB)
        self._socket.setsockopt(zmq.SNDHWM, WAITING_MESSAGES)
        self._socket.setsockopt(zmq.LINGER, 0)
        try:
            self._socket.bind(f"tcp://127.0.0.1:{port or '*'}")
        except zmq.ZMQError as error:
            self._socket.close()
            raise AnalyzerError(
                f"no results stream: port {port} cannot be had: {error}; choose another one as "
                "Stream port, or 0 for any, and restart the analyzer"
            ) from error
        endpoint: bytes = self._socket.getsockopt(zmq.LAST_ENDPOINT)
        self.address = endpoint.decode().rstrip("\0")

    def send_rows(self, run: int, event: int, dataset: str, rows: npt.NDArray[Any]) -> None:
        """Publish the rows of one event in one dataset."""
        description = self._descriptions.get(dataset)
        if description is None:
            description = self._descriptions[dataset] = json.dumps(untitled(rows.dtype).descr)
        facts = f'"event": {event}, "rows": {len(rows)}, "dtype": {description}'
        self._send(dataset, run, facts, rows.tobytes())

    def send_run(self, run: int, state: str, **facts: Any) -> None:
        """Publish that a run begins or is done."""
        content = json.dumps({"state": state, **facts})
        self._send(RUN_TOPIC, run, content[1:-1], b"")

    def close(self) -> None:
        """Forget what waits, and free the port."""
        with self._lock:
            self._socket.close()

    def _send(self, topic: str, run: int, facts: str, rows: bytes) -> None:
        with self._lock:
            if self._socket.closed:
                return
            sequence = self._sequences.get(topic, 0)
            self._sequences[topic] = sequence + 1
            # The description of the rows is long and always the same: it is not built anew.
            header = (
                f'{{"schema": {SCHEMA}, "dataset": "{topic}", "sequence": {sequence}, '
                f'"sent_s": {time.time():.6f}, "run": {run}, {facts}}}'
            )
            self._socket.send_multipart((topic.encode(), header.encode(), rows), zmq.NOBLOCK)


class StreamedRun(Consumer):
    """Publishes the results of one run as they come."""

    def __init__(self, analysis: RunAnalysis, stream: ResultStream) -> None:
        super().__init__(analysis)
        self._stream = stream

    def take(self, result: EventResult) -> None:
        """Publish an event's rows; of the datasets that are empty only `events` is sent."""
        for dataset, rows in result.rows.items():
            if len(rows) or dataset == "events":
                self._stream.send_rows(self.analysis.conditions.run, result.index, dataset, rows)
