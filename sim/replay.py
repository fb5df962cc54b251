"""Replay recorded run files into the experiment's buffer, as a run of their own.

The replayer stands where the trigger frontend stands: it sends between start and stop of run, and
leaves the same record in ``/Equipment/Trigger/Run``. What the recorded run's ODB says of its
conditions goes into this experiment's ODB before the run starts, so that analyzer, logger and
stager see the run as it was; the source is noted in ``/Replay``.
"""

import math
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from experiment.client import Client
from experiment.connect import connect
from experiment.constants import (
    EVENTID_BOR,
    EVENTID_EOR,
    EVENTID_MESSAGE,
    STATE_RUNNING,
    TR_START,
    TR_STARTABORT,
    TR_STOP,
)
from experiment.errors import MidasError
from rawdata.event import Event
from rawdata.runfile import RunFile, RunFileError

NAME = "cygno-replay"
INTERNAL = (EVENTID_BOR, EVENTID_EOR, EVENTID_MESSAGE)
TRIGGER = 1

CONDITIONS = (
    "/Configurations",
    "/Experiment/Run Parameters",
    "/Equipment/Environment/Settings",
    "/Equipment/HV/Settings",
    "/Equipment/HV/Variables",
)
"""Parts of the recorded ODB that describe the run and are taken over."""


def parse_rate(text: str) -> float | None:
    """Read a rate: ``original`` is None, ``max`` is 0, else events per second [Hz].

    >>> parse_rate("original"), parse_rate("max"), parse_rate("2.5")
    (None, 0.0, 2.5)
    """
    if text == "original":
        return None
    if text == "max":
        return 0.0
    rate = float(text)
    if not 0 < rate < math.inf:
        raise ValueError(f"rate {text}: allowed are original, max or a number of Hz above 0")
    return rate


def plain(tree: Any) -> Any:
    """Drop the ``name/key`` metadata of an ODB dump."""
    if isinstance(tree, dict):
        return {key: plain(value) for key, value in tree.items() if not key.endswith("/key")}
    return tree


def subtree(odb: dict[str, Any], path: str) -> Any:
    """Return a part of an ODB dump, or None."""
    node: Any = odb
    for part in path.strip("/").split("/"):
        if not isinstance(node, dict) or part not in node:
            return None
        node = node[part]
    return node


def take_over_conditions(client: Client, source: Path) -> None:
    """Write the recorded run's conditions and its source to the ODB."""
    with RunFile(source) as events:
        odb = plain(events.odb_begin or {})
    for path in CONDITIONS:
        content = subtree(odb, path)
        if isinstance(content, dict) and content:
            client.odb_set(path, content, remove_unspecified_keys=False)
    recorded = subtree(odb, "/Runinfo/Run number")
    client.odb_set(
        "/Replay",
        {"Source file": str(source), "Source run": int(recorded or 0), "Source damage": ""},
    )


def paced(events: Iterator[Event], rate_hz: float | None) -> Iterator[tuple[float, Event]]:
    """Yield each data event with the time [s] after the start at which it is due.

    Slow-control events go with the trigger event that follows; MIDAS's own events are left out,
    since the logger writes new ones.
    """
    first: int | None = None
    triggers = 0
    for event in events:
        if event.event_id in INTERNAL:
            continue
        first = event.timestamp if first is None else first
        if rate_hz is None:
            due = float(event.timestamp - first)
        else:
            due = triggers / rate_hz if rate_hz else 0.0
        triggers += event.event_id == TRIGGER
        yield due, event


class Replayer:
    """Feeds one file into SYSTEM between start and stop of run, then stops the run."""

    def __init__(self, client: Client, source: Path, rate_hz: float | None) -> None:
        self.client = client
        self.source = source
        self.rate_hz = rate_hz
        self.run_number = 0
        self.sent = {"events": 0, "triggers": 0, "bytes": 0}
        self.buffer = client.open_event_buffer("SYSTEM")
        self.finished = False
        client.register_transition_callback(TR_START, 500, self._begin)
        client.register_transition_callback(TR_STOP, 500, self._end)
        client.register_transition_callback(TR_STARTABORT, 500, self._abort)

    def _begin(self, client: Client, run_number: int) -> None:
        self.run_number = run_number
        self.sent = dict.fromkeys(self.sent, 0)
        self._publish(0.0)

    def _abort(self, client: Client, run_number: int) -> None:
        self.run_number = 0

    def _end(self, client: Client, run_number: int) -> None:
        triggers = self.sent["triggers"]
        client.odb_set(
            "/Equipment/Trigger/Run",
            {
                "Run number": run_number,
                "Frames acquired": triggers,
                "Frames lost": 0,
                "Events built": triggers,
                "Events incomplete": 0,
                "Events sent": triggers,
                "Bytes sent": float(self.sent["bytes"]),
                "Triggers read": 0,
                "Live time s": 0.0,
                "Dead time s": 0.0,
            },
        )
        self.run_number = 0
        self.finished = True

    def feed(self) -> None:
        """Send the whole file, then stop the run. A damaged file is fed up to the damage."""
        begin = last = time.monotonic()
        try:
            with RunFile(self.source) as events:
                for due, event in paced(iter(events), self.rate_hz):
                    while (wait := begin + due - time.monotonic()) > 0:
                        self.client.communicate(max(1, min(100, int(1000 * wait))))
                        if not self.run_number:
                            return
                    if not self._send(event):
                        return
                    if time.monotonic() - last > 0.5:
                        last = time.monotonic()
                        self._publish(last - begin)
                        self.client.communicate(1)
        except RunFileError as damage:
            self.client.msg(f"replay: {damage}", True)
            self.client.odb_set("/Replay/Source damage", str(damage))
        self._publish(time.monotonic() - begin)
        self.client.stop_run()

    def _send(self, event: Event) -> bool:
        while not self.client.send_buffer(self.buffer, event.raw, 100):
            self.client.communicate(10)
            if not self.run_number:
                return False
        self.sent["events"] += 1
        self.sent["triggers"] += event.event_id == TRIGGER
        self.sent["bytes"] += len(event.raw)
        return True

    def _publish(self, elapsed_s: float) -> None:
        per_s = self.sent["triggers"] / elapsed_s if elapsed_s else 0.0
        kilobytes = self.sent["bytes"] / elapsed_s / 1000 if elapsed_s else 0.0
        self.client.odb_set(
            "/Equipment/Trigger/Statistics",
            {
                "Events sent": float(self.sent["triggers"]),
                "Events per sec.": per_s,
                "kBytes per sec.": kilobytes,
            },
            remove_unspecified_keys=False,
        )


def main() -> int:
    """Run as ``python -m sim.replay FILE RATE``: wait for a run, feed it, stop it, leave."""
    source, rate = Path(sys.argv[1]), parse_rate(sys.argv[2])
    client = connect(NAME)
    try:
        replayer = Replayer(client, source, rate)
        while not replayer.run_number:
            client.communicate(20)
        while replayer.run_number and client.odb_get("/Runinfo/State") != STATE_RUNNING:
            client.communicate(20)
        replayer.feed()
        while not replayer.finished:
            client.communicate(20)
        return 0
    except MidasError as error:
        client.msg(f"replay of {source.name} failed: {error}", True)
        sys.stderr.write(f"{error}\n")
        return 1
    finally:
        client.disconnect()


if __name__ == "__main__":
    sys.exit(main())
