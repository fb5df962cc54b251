"""What the analyzer shows in the ODB: its equipment, small numbers each second, a status line."""

import ctypes
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from analyzer.arrivals import REASONS
from analyzer.finisher import Outcome
from analyzer.limits import LimitWatch
from analyzer.online_run import OnlineRun
from analyzer.quality_consumer import QualityConsumer
from analyzer.quantities import CAMERA_QUANTITIES, MAX_CAMERAS, QUANTITIES, camera_variable
from analyzer.stream import SCHEMA
from analyzer.surroundings import live_percent
from experiment.client import Client
from experiment.constants import EQ_PERIODIC, RO_ALWAYS

PATH: Final = "/Equipment/Analyzer"
GREEN: Final = "greenLight"
YELLOW: Final = "yellowLight"
RED: Final = "redLight"

EVENT_ID: Final = 20
"""Event id of the equipment; it sends no events, but MIDAS history wants equipment to have one."""

HISTORY_PERIOD_S: Final = 10
"""Least time between two points of the history of our variables [s]."""

_STATUS_BYTES: Final = 256
_NAME_BYTES: Final = 32
_ALARM_CHARACTERS: Final = 79

NOTHING_KNOWN: Final[dict[str, Any]] = {
    **{quantity.key: 0.0 for quantity in QUANTITIES},
    "PMT baseline": 0.0,
    "Fraction seen": 1.0,
    "Rate Hz": 0.0,
    **{camera_variable(quantity): [0.0] * MAX_CAMERAS for quantity in CAMERA_QUANTITIES},
    "Events seen": 0,
    "Events analyzed": 0,
    **{f"Missed {reason}": 0 for reason in REASONS},
    "Ready": False,
}
"""The variables, as they are before the first event; those of 8 bytes first.

mlogger writes them to the history as a C struct, with padding before a DOUBLE that does not begin
at a multiple of 8 bytes; MIDAS's reader of its own history (``history.cxx``) knows no padding, and
shows parts of two numbers in place of one from there on.
"""


def _text(text: str, size_bytes: int) -> Any:
    content = text.encode()[: size_bytes - 1].decode(errors="ignore").encode()
    return ctypes.create_string_buffer(content, size_bytes)


@dataclass
class _Mark:
    """Where the counts stood when they were last published."""

    time_s: float
    analyzed: int = 0
    bytes: int = 0


class Publisher:
    """Writes the analyzer's part of the ODB; main thread only."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._status = ("", "")
        self._mark = _Mark(time.monotonic())
        self._declare()
        self._limits = LimitWatch(client)

    def _declare(self) -> None:
        client = self._client
        if not client.odb_exists(f"{PATH}/Common"):
            client.odb_set(
                f"{PATH}/Common",
                {
                    "Event ID": ctypes.c_uint16(EVENT_ID),
                    "Trigger mask": ctypes.c_uint16(0),
                    "Buffer": _text("SYSTEM", _NAME_BYTES),
                    "Type": ctypes.c_int32(EQ_PERIODIC),
                    "Source": ctypes.c_int32(0),
                    "Format": _text("MIDAS", 8),
                    "Enabled": True,
                    "Read on": ctypes.c_int32(RO_ALWAYS),
                    "Period": ctypes.c_int32(1000),
                    "Event limit": ctypes.c_double(0),
                    "Num subevents": ctypes.c_uint32(0),
                    "Log history": ctypes.c_int32(HISTORY_PERIOD_S),
                    "Frontend host": _text("", _NAME_BYTES),
                    "Frontend name": _text("", _NAME_BYTES),
                    "Frontend file name": _text("", _STATUS_BYTES),
                    "Status": _text("", _STATUS_BYTES),
                    "Status color": _text("", _NAME_BYTES),
                    "Hidden": False,
                    "Write cache size": ctypes.c_int32(100_000),
                },
            )
        client.odb_set(f"{PATH}/Common/Frontend host", _text(socket.gethostname(), _NAME_BYTES))
        client.odb_set(f"{PATH}/Common/Frontend name", _text(client.name, _NAME_BYTES))
        program = _text(Path(sys.argv[0]).name, _STATUS_BYTES)
        client.odb_set(f"{PATH}/Common/Frontend file name", program)
        client.odb_set(f"{PATH}/Variables", NOTHING_KNOWN)
        self._set_statistics(0, 0.0, 0.0)

    def set_stream(self, address: str) -> None:
        """Say where the stream of results is; empty if there is none."""
        self._client.odb_set(f"{PATH}/Stream", {"Address": address, "Schema": SCHEMA})

    def set_ready(self, is_ready: bool) -> None:
        """Say whether runs can be analyzed."""
        self._client.odb_set(f"{PATH}/Variables/Ready", is_ready)

    def set_status(self, text: str, color: str = GREEN) -> None:
        """Show a short status; written only when it changes."""
        if self._status == (text, color):
            return
        self._status = (text, color)
        # The text last: who sees it finds the colour that belongs to it.
        self._client.odb_set(f"{PATH}/Common/Status color", _text(color, _NAME_BYTES))
        self._client.odb_set(f"{PATH}/Common/Status", _text(text, _STATUS_BYTES))

    def begin(self) -> None:
        """Count from zero: a run begins."""
        self._limits.begin()
        self._mark = _Mark(time.monotonic())
        self._set_statistics(0, 0.0, 0.0)

    def show(self, run: OnlineRun) -> None:
        """Publish what a run looks like now."""
        mark = _Mark(time.monotonic(), run.counts.analyzed, run.bytes)
        passed_s = max(mark.time_s - self._mark.time_s, 1e-3)
        rate = max(0, mark.analyzed - self._mark.analyzed) / passed_s
        kilobytes = max(0, mark.bytes - self._mark.bytes) / passed_s / 1000
        self._mark = mark
        known = {**run.consumers.variables(), "Live time %": live_percent(self._client)}
        quality = run.consumers.find(QualityConsumer)
        cameras = quality.cameras() if quality else {}
        self._set_variables(
            {
                **known,
                "Fraction seen": run.arrivals.fraction_seen,
                "Rate Hz": rate,
                "Events seen": run.counts.seen,
                "Events analyzed": run.counts.analyzed,
                **{f"Missed {reason}": n for reason, n in run.arrivals.missed.items()},
            }
        )
        self._set_statistics(run.counts.analyzed, rate, kilobytes)
        text = f"run {run.run}: {run.counts.analyzed} events, {rate:.1f} Hz"
        if "Noise" in known:
            clusters = known["Clusters per frame"]
            text += f", noise {known['Noise']:.2f} ADU, {clusters:.1f} clusters/frame"
        missed = run.missed_of(None)
        if missed:
            text += f"; saw {100 * run.arrivals.fraction_seen:.0f}%: {missed}"
        self._limits.check(run.run, known, run.counts.analyzed, cameras)
        beyond = self._limits.raised
        if beyond:
            text += f"; beyond limits: {', '.join(beyond)}"
        self.set_status(text, YELLOW if missed or beyond else GREEN)

    def conclude(self, outcome: Outcome) -> None:
        """Publish what came of a run; who waits for it looks at the run number, written last."""
        self._set_variables(
            {
                **outcome.variables,
                "Events seen": outcome.seen_online,
                "Events analyzed": outcome.counts.analyzed,
            }
        )
        content = {
            "Events sent": -1 if outcome.sent is None else outcome.sent,
            "Events seen": outcome.seen_online,
            "Events analyzed": outcome.counts.analyzed,
            "Events lost": outcome.counts.lost,
            "Events troubled": outcome.counts.troubled,
            "Clusters": outcome.counts.clusters,
            "Completed from file": outcome.completed,
            "Missed": outcome.missed,
            "Reco file": str(outcome.output or ""),
            "Pedestal file": str(outcome.pedestal or ""),
            "Run number": outcome.run,
        }
        for key, value in content.items():
            self._client.odb_set(f"{PATH}/Run/{key}", value)

    def show_report(self, run: int, report: Path | None, failure: str) -> None:
        """Tell where the picture report of a run is, or why there is none."""
        if report is None:
            self._client.msg(f"run {run}: no report: {failure}", True)
            return
        self._client.odb_set(f"{PATH}/Run/Report file", str(report))
        self._client.odb_set(f"{PATH}/Run/Report run", run)

    def alarm(self, text: str) -> None:
        """Raise the analyzer's alarm."""
        self._client.trigger_internal_alarm("Analyzer", text[:_ALARM_CHARACTERS])

    def _set_variables(self, values: dict[str, Any]) -> None:
        self._client.odb_set(f"{PATH}/Variables", values, remove_unspecified_keys=False)

    def _set_statistics(self, events: int, rate_hz: float, kilobytes_per_s: float) -> None:
        self._client.odb_set(
            f"{PATH}/Statistics",
            {
                "Events sent": ctypes.c_double(events),
                "Events per sec.": ctypes.c_double(rate_hz),
                "kBytes per sec.": ctypes.c_double(kilobytes_per_s),
            },
        )
