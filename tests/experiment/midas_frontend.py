"""The trigger frontend with a small camera, and mlogger, as processes in a real MIDAS."""

import ctypes
import json
import sys
from typing import Any

from experiment.constants import STATE_STOPPED
from rawdata.event import Event
from rawdata.layouts import times
from tests.conftest import wait_until
from tests.experiment.midas_files import require_same
from tests.experiment.midas_world import MidasRuns
from tests.experiment.peer import Peer

COUNT = 20
RATE_HZ = 50.0
TRIGGER = "/Equipment/Trigger"
FRONTEND = "cygno-frontend-trigger"
CAMERA_OPTIONS = json.dumps({"seed": 7, "buffer_frames": 1000})  # a busy machine costs no frames


class SmallWorld(MidasRuns):
    """A MIDAS whose buffer holds half a second of frames of 256x256, so that it is soon full."""

    def set_up(self) -> None:
        setup = self.fresh("setup")
        for key, size in (("MAX_EVENT_SIZE", 1 << 20), ("Buffer sizes/SYSTEM", 4 << 20)):
            setup.odb_set(f"/Experiment/{key}", ctypes.c_uint32(size))
        setup.odb_set("/Logger/Data dir", f"{self.data}/")
        self.start_logger()
        setup.odb_set("/Logger/Channels/0/Settings/Compress", "none")
        setup.close()

    def end_fresh(self) -> None:
        """End the peers that one test had, also those that sleep."""
        while self._fresh:
            self._fresh.pop().kill()


class FrontendInMidas:
    """The trigger frontend with a small camera in a MIDAS, and a client that looks on."""

    def __init__(self, world: SmallWorld) -> None:
        self.world = world
        self.control: Peer = world.peer("control")
        self.start_frontend()

    def start_frontend(self) -> None:
        self.world.start("frontend", sys.executable, "-m", "frontend.main", "trigger")
        wait_until(lambda: self.takes_part(FRONTEND), 60, "the frontend")

    def takes_part(self, name: str) -> bool:
        """Tell whether a program has registered all its transitions."""
        entries = self.get("/System/Clients").values()
        return any(e["Name"] == name and "Transition STARTABORT" in e for e in entries)

    def is_gone(self, name: str) -> bool:
        return all(entry["Name"] != name for entry in self.get("/System/Clients").values())

    def get(self, path: str) -> Any:
        return self.control.odb_get(path) if self.control.odb_exists(path) else None

    def set_defaults(self) -> None:
        for path, value in {
            f"{TRIGGER}/Settings/Cameras": ["sim:256x256"],
            f"{TRIGGER}/Settings/Camera options": CAMERA_OPTIONS,
            f"{TRIGGER}/Settings/Frame rate Hz": RATE_HZ,
            f"{TRIGGER}/Settings/Ring seconds": 4.0,
            f"{TRIGGER}/Settings/Ring slots": 8,
            f"{TRIGGER}/Settings/Drain limit s": 10.0,
            "/Configurations/FreeRunning": True,
            "/Configurations/MaxEvents": -1,
            "/Configurations/Exposure": 0.02,
        }.items():
            self.control.odb_set(path, value)
        for alarm in self.control.get_triggered_alarms():
            self.control.reset_alarm(alarm)

    @property
    def run(self) -> int:
        return int(self.get("/Runinfo/Run number"))

    @property
    def state(self) -> int:
        return int(self.get("/Runinfo/State"))

    @property
    def status(self) -> str:
        return str(self.get(f"{TRIGGER}/Common/Status"))

    @property
    def record(self) -> dict[str, Any]:
        return dict(self.get(f"{TRIGGER}/Run"))

    def transit(self, name: str) -> None:
        """Do what an operator does in a shell."""
        said = self.world.ask("mtransition", name)
        assert "error" not in said.lower(), said

    def wait_for_sent(self, count: int) -> None:
        wait_until(lambda: self.get(f"{TRIGGER}/Statistics/Events sent") >= count, 60, "events")

    def wait_for_losses(self, count: int) -> None:
        lost = f"{TRIGGER}/Variables/Frames lost"
        wait_until(lambda: (self.get(lost) or 0) >= count, 60, "lost frames")

    def wait_for_stop(self) -> None:
        wait_until(self._is_stopped, 60, "the end of the run")

    def _is_stopped(self) -> bool:
        return self.state == STATE_STOPPED and not self.get("/Runinfo/Transition in progress")

    def written(self) -> list[Event]:
        """Return the frames of the run's file: as many as were sent, numbered without a gap."""
        (path,) = self.world.files(self.run)
        events = require_same(path)
        record = self.record
        assert record["Run number"] == self.run
        assert record["Events sent"] == len(events)
        not_sent = sum(record[f"Frames {why}"] for why in ("lost", "paused", "surplus"))
        assert record["Frames acquired"] == len(events) + not_sent
        assert [event.serial_number for event in events] == list(range(len(events)))
        return events

    def take_good_run(self) -> None:
        """Take a run that ends itself, in which nothing is lost."""
        self.set_defaults()
        last = self.run
        self.control.odb_set("/Configurations/MaxEvents", COUNT)
        self.control.start_run()
        self.wait_for_stop()
        assert self.run == last + 1
        assert self.record["Frames lost"] == 0, self.record
        assert [times.decode_fid(event) for event in self.written()] == list(range(COUNT))
