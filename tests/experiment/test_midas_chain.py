"""The real programs in a real MIDAS: from a simulated camera to mlogger's file and the results."""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from experiment.constants import STATE_RUNNING, STATE_STOPPED
from rawdata.checksum import crc32c
from rawdata.layouts import camera, times
from rawdata.runfile import RunFile
from sim.s3 import S3Server
from tests.conftest import wait_until
from tests.experiment.midas_files import require_same
from tests.experiment.midas_world import MidasRuns, midas_runs
from tests.experiment.peer import Peer

pytestmark = pytest.mark.midas
COUNT = 50
TRIGGER = "/Equipment/Trigger"
ANALYZER = "/Equipment/Analyzer"
OPTIONS = json.dumps({"seed": 7})


class Chain:
    """Our programs in a MIDAS experiment, and a client that looks on."""

    def __init__(self, world: MidasRuns) -> None:
        self.world = world
        self.control: Peer = world.peer("control")
        for program, *arguments in (
            ("frontend", "trigger"),
            ("frontend", "slow"),
            ("analyzer", "online"),
        ):
            name = f"{program}-{arguments[0]}"
            world.start(name, sys.executable, "-m", f"{program}.main", *arguments)
        wait_until(lambda: self.get(f"{TRIGGER}/Common/Status") == "ready", 60, "the frontend")
        wait_until(lambda: self.get("/Equipment/HV/Variables"), 60, "the slow frontend")
        wait_until(lambda: self.get(f"{ANALYZER}/Variables/Ready"), 110, "the analyzer")

    def get(self, path: str) -> Any:
        return self.control.odb_get(path) if self.control.odb_exists(path) else None

    def configure(self, max_events: int, exposure_s: float = 0.02) -> None:
        for path, value in {
            f"{TRIGGER}/Settings/Cameras": ["sim:512x512"],
            f"{TRIGGER}/Settings/Camera options": OPTIONS,
            f"{TRIGGER}/Settings/Digitizer options": OPTIONS,
            f"{TRIGGER}/Settings/Frame rate Hz": 25.0,
            # A busy machine makes events late, but neither incomplete nor lost.
            f"{TRIGGER}/Settings/Event wait ms": 60_000,
            f"{TRIGGER}/Settings/Ring slots": 2 * COUNT,
            "/Configurations/Exposure": exposure_s,
            "/Configurations/TriggerMode": 3,
            "/Configurations/MultiTriggerMaxSize": 32,
            "/Configurations/MaxEvents": max_events,
            "/Logger/Channels/0/Settings/Compress": "lz4",
        }.items():
            self.control.odb_set(path, value)

    @property
    def run(self) -> int:
        return int(self.get("/Runinfo/Run number"))

    def history(self, variable: str) -> list[float]:
        """Return what MIDAS's history has of one of the analyzer's variables.

        Of a whole day: mhist looks for files from its begin on in steps of a day, so that of a
        shorter time it does not find those of a day that has just begun.
        """
        said = self.world.ask("mhist", "-e", "Analyzer", "-v", variable, "-h", "24")
        return [float(line.split()[-1]) for line in said.splitlines() if line.strip()] or [0.0]

    def wait_for_results(self) -> None:
        """Wait until the run has ended and is analyzed."""
        wait_until(self._is_stopped, 60, "the end of the run")
        wait_until(lambda: self.get(f"{ANALYZER}/Run/Run number") == self.run, 30, "the results")

    def _is_stopped(self) -> bool:
        state, busy = (self.get(f"/Runinfo/{key}") for key in ("State", "Transition in progress"))
        return bool(state == STATE_STOPPED and not busy)


@pytest.fixture(scope="module")
def chain() -> Iterator[Chain]:
    with midas_runs() as world:
        yield Chain(world)


def require_equal_counts(chain: Chain) -> int:
    """Check that frontend, logger, both file readers and analyzer agree; return the count."""
    (path,) = chain.world.files(chain.run)
    events = require_same(path)
    count = len(events)
    sent = chain.get(f"{TRIGGER}/Run")
    analyzed = chain.get(f"{ANALYZER}/Run")
    assert sent["Run number"] == analyzed["Run number"] == chain.run
    assert sent["Events sent"] == sent["Events built"] == count
    assert (sent["Events incomplete"], sent["Frames lost"]) == (0, 0), sent
    assert (analyzed["Events analyzed"], analyzed["Events lost"]) == (count, 0)
    everything = list(RunFile(path))
    statistics = chain.get("/Logger/Channels/0/Statistics")
    assert statistics["Events written"] == len(everything)
    assert sent["Bytes sent"] == sum(len(event.raw) for event in events)
    assert [event.serial_number for event in events] == list(range(count))
    for event in events:
        assert list(event.banks) == ["CAM0", "FID0", "TSP0", "DIG0", "DGH0"]
        assert event["CAM0"].size == 512 * 512
    with h5py.File(Path(analyzed["Reco file"])) as results:
        assert np.array_equal(np.sort(results["events"]["event"]), np.arange(count))
    return count


def test_a_run_of_50_events_ends_itself_and_all_counts_agree(chain: Chain) -> None:
    chain.configure(COUNT)
    chain.control.start_run()
    chain.wait_for_results()
    assert require_equal_counts(chain) == COUNT


def test_quality_is_in_the_history_and_beyond_its_limits_an_alarm(chain: Chain) -> None:
    chain.configure(-1)
    limit = f"{ANALYZER}/Limits/Noise"
    chain.control.odb_set(f"{limit}/Violations", 1)
    chain.control.odb_set(f"{limit}/High", 0.5)

    def alarms() -> dict[str, str]:
        raised: dict[str, str] = chain.control.get_triggered_alarms()
        return raised

    chain.control.start_run()
    wait_until(lambda: "Analyzer Noise" in alarms(), 60, "the alarm")
    said = re.match(r"Noise (\d\.\d+) ADU, limit 0.5: sensor cooling", alarms()["Analyzer Noise"])
    assert said is not None
    noise = chain.get(f"{ANALYZER}/Variables/Noise")
    assert float(said[1]) == pytest.approx(noise, rel=0.1)
    chain.control.reset_alarm("Analyzer Noise")
    chain.control.odb_set(f"{limit}/High", 6.0)
    log = "within its limits again"
    wait_until(lambda: any(log in text for text in chain.control.get_recent_messages(50)), 60, log)
    assert alarms() == {}
    # The first reading of slow control comes with the run.
    pressure = f"{ANALYZER}/Variables/Gas pressure mbar"
    wait_until(lambda: 850 < chain.get(pressure) < 1000, 60, "the gas pressure")
    # mlogger's least time between two points is 10 s; the first may be from before the run.
    wait_until(lambda: chain.history("Noise")[-1] == pytest.approx(noise, rel=0.1), 60, "history")
    assert 850 < chain.history("Gas pressure mbar")[-1] < 1000
    assert chain.history("Events seen")[-1] > 0
    assert chain.get(f"{ANALYZER}/Variables/Camera Noise")[0] == pytest.approx(noise, rel=0.1)
    assert "Camera Noise" in chain.world.ask("mhist", "-l")
    chain.control.stop_run()
    chain.wait_for_results()
    summary = json.loads((chain.world.data / f"run{chain.run:05d}.summary.json").read_text())
    assert summary["noise_adu"] == pytest.approx(noise, rel=0.1)
    assert summary["events_sent"] == summary["events_analyzed"] > 0
    assert 0 < summary["live_percent"] < 100
    assert 850 < summary["gas_pressure_mbar"] < 1000
    assert summary["hv_gem1_v"] == pytest.approx(400, abs=10)
    recorded = chain.world.ask("mhist", "-l")
    assert "Analyzer" in recorded
    assert "Gas pressure mbar" in recorded, recorded


def test_a_thousand_compressed_frames_at_50_hz_are_in_odb_file_and_results(chain: Chain) -> None:
    """By MIDAS's own file reader, too: `require_same` reads with both."""
    chain.configure(1000)
    settings = f"{TRIGGER}/Settings"
    changed = {
        f"{settings}/Frame rate Hz": 50.0,
        f"{settings}/Compress frames": True,
        f"{settings}/Compression method": "fast",
        "/Configurations/FreeRunning": True,
        "/Logger/Channels/0/Settings/Compress": "none",
    }
    for path, value in changed.items():
        chain.control.odb_set(path, value)
    chain.control.start_run()
    wait_until(lambda: (chain.get(f"{TRIGGER}/Statistics/Events sent") or 0) > 900, 60, "events")
    chain.wait_for_results()
    chain.control.odb_set(f"{settings}/Compress frames", False)
    chain.control.odb_set("/Configurations/FreeRunning", False)
    (path,) = chain.world.files(chain.run)
    events = require_same(path)
    sent, analyzed = chain.get(f"{TRIGGER}/Run"), chain.get(f"{ANALYZER}/Run")
    assert (len(events), sent["Events sent"], analyzed["Events analyzed"]) == (1000,) * 3
    assert (sent["Frames lost"], sent["Frames compressed"]) == (0, 1000)
    assert [times.decode_fid(event) for event in events] == list(range(1000))
    assert all(camera.read_compressed_header(event, "CZ0").method == "fast" for event in events)
    logged = f"{TRIGGER}/Run/Events logged"
    wait_until(lambda: chain.get(logged) >= 1000, 10, "the logger's count")


def test_an_operator_starts_and_stops_with_midas_own_program(chain: Chain) -> None:
    chain.configure(-1)
    last = chain.run
    assert "error" not in chain.world.ask("mtransition", "START").lower()
    assert (chain.run, chain.get("/Runinfo/State")) == (last + 1, STATE_RUNNING)
    wait_until(lambda: chain.get(f"{TRIGGER}/Statistics/Events sent") > 10, 60, "some events")
    assert "error" not in chain.world.ask("mtransition", "STOP").lower()
    chain.wait_for_results()
    assert require_equal_counts(chain) > 10


def test_a_refusal_reaches_the_operator(chain: Chain) -> None:
    refused = chain.run + 1
    chain.configure(COUNT, exposure_s=0.3)
    said = chain.world.ask("mtransition", "START")
    assert "/Configurations/Exposure is 0.3; allowed: at most 0.04 s" in said
    assert chain.get("/Runinfo/State") == STATE_STOPPED
    assert "refused: /Configurations/Exposure" in chain.get(f"{TRIGGER}/Common/Status")
    assert not chain.world.files(refused)
    chain.configure(COUNT)
    chain.control.start_run()
    chain.wait_for_results()
    assert require_equal_counts(chain) == COUNT


def test_the_stager_finds_the_runs_that_midas_has_written(chain: Chain, tmp_path: Path) -> None:
    with S3Server(tmp_path / "s3") as server:
        said = chain.world.ask(
            *(sys.executable, "-m", "stager.main", "once", "--json"),
            *("--endpoint", server.endpoint, "--bucket", server.access.bucket, "--tag", "LNGS"),
            AWS_ACCESS_KEY_ID=server.access.access_key,
            AWS_SECRET_ACCESS_KEY=server.access.secret_key,
        )
        staged = json.loads(said.splitlines()[-1])
    assert staged["failed"] == 0, said
    files = {Path(file["path"]).name: file for file in staged["files"]}
    (newest,) = chain.world.files(chain.run)
    file = files[newest.name]
    assert file["object_key"] == f"LNGS/{newest.name}"
    assert file["crc32c"] == file["checksum_server"] == f"{crc32c(newest.read_bytes()):08x}"
    assert f"run{chain.run:05d}.reco.h5" in files
