"""A standalone experiment with real programs in processes of their own, and a client to watch."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from experiment.constants import GET_ALL, STATE_STOPPED
from experiment.errors import ExperimentError
from experiment.standalone.client import StandaloneClient
from rawdata.event import Event, parse_event
from tests.conftest import BUSY, wait_until

START_S = 60.0
TRIGGER = "/Equipment/Trigger"


class World:
    """Server, frontend and a client of the test; a context that ends them all."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.programs: dict[str, subprocess.Popen[bytes]] = {}
        folder.mkdir(parents=True, exist_ok=True)
        server = self.start("server", "-m", "sim.server", str(folder))
        try:
            self.client = StandaloneClient("test", folder, wait_s=START_S)
        except BaseException:
            server.kill()
            server.wait()
            raise
        self.events: list[Event] = []
        self._space = memoryview(bytearray(8 << 20))
        self._buffer: int | None = None
        self._settings: dict[str, Any] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.client.disconnect()
        for name in reversed(list(self.programs)):
            self.end(name)

    def start(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, *arguments],
                stdout=log,
                stderr=log,
                env={**os.environ, "CYGNO_EXPERIMENT": str(self.folder)},
            )
        self.programs[name] = process
        return process

    def end(self, name: str, number: int = signal.SIGTERM) -> int:
        """Signal a program, wait for its end and return its exit code."""
        process = self.programs.pop(name)
        process.send_signal(number)
        try:
            return process.wait(BUSY * 20)
        finally:
            process.kill()

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def start_frontend(self, kind: str = "trigger") -> subprocess.Popen[bytes]:
        """Start a frontend and wait until it is connected and ready."""
        process = self.start(kind, "-m", "frontend.main", kind)
        last = {"trigger": "Transition STARTABORT", "slow": "Transition START"}[kind]
        key = f"/System/Clients/{process.pid}/{last}"

        def is_ready() -> bool:
            assert process.poll() is None, f"{kind} has ended: {self.log(kind)}"
            return self.client.odb_exists(key) and (kind == "slow" or self.status != "")

        wait_until(is_ready, START_S, f"{kind} to be ready")
        if kind == "trigger" and not self._settings:
            paths = ("/Configurations", f"{TRIGGER}/Settings")
            self._settings = {path: self.get(path) for path in paths}
        return process

    def reset(self) -> None:
        """Undo what a test before did, also one that failed; then choose a small camera.

        No run goes on afterwards, settings are as the frontend made them, no alarm is on.
        """

        def has_ended() -> bool:
            if self.is_stopped():
                return True
            with suppress(ExperimentError):  # a transition may be under way
                self.client.stop_run()
            return False

        wait_until(has_ended, 30, "the end of the run before")
        for path, values in self._settings.items():
            self.client.odb_set(path, values)
        for alarm in self.client.get_triggered_alarms():
            self.client.reset_alarm(alarm)
        self.small_camera()

    @property
    def clients(self) -> list[str]:
        entries = self.client.odb_get("/System/Clients").values()
        return [entry["Name"] for entry in entries if isinstance(entry, dict)]

    # the ODB ---------------------------------------------------------------------------------

    def get(self, path: str) -> Any:
        return self.client.odb_get(path)

    @property
    def status(self) -> str:
        return str(self.get(f"{TRIGGER}/Common/Status"))

    @property
    def record(self) -> dict[str, Any]:
        return dict(self.get(f"{TRIGGER}/Run"))

    @property
    def messages(self) -> str:
        return "\n".join(self.client.get_recent_messages(100))

    def configure(self, trigger: dict[str, Any] | None = None, **keys: Any) -> None:
        """Set keys of /Configurations and of the trigger frontend, as an operator would."""
        for path, values in (
            ("/Configurations", keys),
            (f"{TRIGGER}/Settings", trigger or {}),
        ):
            for key, value in values.items():
                self.client.odb_set(f"{path}/{key}", value)

    def small_camera(
        self, rate_hz: float = 50.0, cameras: int = 1, faults: Any = None, **keys: Any
    ) -> None:
        """Choose simulated 64x64 cameras and both digitizers, with a seed."""
        options = {"seed": 7}
        self.configure(
            {
                "Cameras": ["sim:64x64"] * cameras,
                "Camera options": json.dumps(
                    # A busy machine may let a reader wait; that is not what tests look at.
                    {**options, "buffer_frames": 1000, "faults": faults or {}}
                ),
                "Digitizer options": json.dumps(options),
                "Frame rate Hz": rate_hz,
                "Event wait ms": 10_000,  # a busy machine makes no event incomplete
                "Ring slots": 8,
                "Ring seconds": 2.0,
            },
            **{
                "Exposure": 0.01,
                "FreeRunning": False,
                "TriggerMode": 3,
                "MaxEvents": -1,
                "MultiTriggerMaxSize": 48,
                **keys,
            },
        )

    # runs ------------------------------------------------------------------------------------

    def listen(self, sampling: int = GET_ALL) -> None:
        """Receive all events from now on."""
        self._buffer = self.client.open_event_buffer("SYSTEM", max_event_size=1 << 20)
        self.client.register_event_request(self._buffer, -1, -1, sampling)

    def receive(self) -> int:
        """Take in what has come; return how many trigger events are here."""
        assert self._buffer is not None
        while (content := self.client.receive_buffer(self._buffer, self._space)) is not None:
            event = parse_event(bytes(content))
            if event.event_id == 1:
                self.events.append(event)
        return len(self.events)

    def wait_for_events(self, count: int) -> None:
        wait_until(lambda: self.receive() >= count, 30, f"{count} events")

    def is_stopped(self) -> bool:
        self.client.communicate(1)
        if self._buffer is not None:
            self.receive()
        return bool(
            self.get("/Runinfo/State") == STATE_STOPPED
            and not self.get("/Runinfo/Transition in progress")
        )

    def wait_for_stop(self) -> None:
        wait_until(self.is_stopped, 30, "the end of the run")

    def start_run(self, run_number: int = 0) -> None:
        """Start a run; `events` will hold its trigger events."""
        if self._buffer is not None:
            self.receive()  # what an aborted start may have left in the buffer
        self.events = []
        self.client.start_run(run_number)

    def take_run(self, run_number: int = 0) -> list[Event]:
        """Start a run that ends itself; return its trigger events."""
        self.start_run(run_number)
        self.wait_for_stop()
        return self.events

    def stop_run(self) -> None:
        self.client.stop_run()
        self.receive()


def banks_of(events: Sequence[Event]) -> list[dict[str, bytes]]:
    """Return the content of all banks of all events."""
    return [{name: bytes(event[name]) for name in event} for event in events]
