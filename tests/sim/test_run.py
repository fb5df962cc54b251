"""A run of the standalone experiment with the real programs, seen from outside."""

import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import h5py
import pytest

from rawdata.runfile import RunFile
from sim.replay import parse_rate
from tests.conftest import started, wait_until

SIM = [sys.executable, "-m", "sim.main"]
SMALL = ["--camera", "256x256", "--rate", "20"]
KEYS = {
    "run",
    "events_acquired",
    "events_written",
    "events_analyzed",
    "frames_lost",
    "file",
    "raw_bytes",
    "file_bytes",
    "duration_s",
    "frames_per_s",
    "reco_file",
    "staged",
    "object_key",
    "object_bytes",
    "catalog",
}


def simulate(folder: Path, *arguments: str) -> dict:
    """Run ``cygno-sim`` with ``--json`` and return its last line; fail showing what it said."""
    command = [*SIM, *arguments, "--output", str(folder), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stderr[-3000:] + done.stdout[-1000:]
    return json.loads(done.stdout.strip().splitlines()[-1])


def programs_of(folder: Path) -> list[str]:
    """List the command lines of all processes that belong to an experiment's folder."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                if f"CYGNO_EXPERIMENT={folder}\0".encode() in (process / "environ").read_bytes():
                    found.append((process / "cmdline").read_text().replace("\0", " "))
            except OSError:
                continue
    return found


def trigger_banks(file: Path) -> list[tuple[str, str]]:
    """Return name and digest of every bank of every trigger event, in file order."""
    with RunFile(file) as events:
        return [
            (name, hashlib.sha256(bank.data.tobytes()).hexdigest())
            for event in events
            if event.event_id == 1
            for name, bank in event.banks.items()
        ]


@pytest.fixture(scope="module")
def taken(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    """One staged run of 12 events."""
    folder = tmp_path_factory.mktemp("taken")
    return folder, simulate(folder, "run", "--events", "12", "--seed", "7", *SMALL)


def test_every_event_is_acquired_written_analyzed_and_staged(taken: tuple[Path, dict]) -> None:
    folder, result = taken
    assert KEYS <= result.keys()
    assert (result["events_acquired"], result["events_written"], result["events_analyzed"]) == (
        12,
        12,
        12,
    )
    assert result["frames_lost"] == 0
    assert result["staged"] is True
    assert result["object_bytes"] == result["file_bytes"] == Path(result["file"]).stat().st_size
    assert result["object_key"].endswith(Path(result["file"]).name)
    with h5py.File(result["reco_file"]) as results:
        assert list(results["events"]["event"]) == list(range(12))
    assert list((folder / "truth").iterdir())


def test_the_file_has_every_bank_of_generation_a(taken: tuple[Path, dict]) -> None:
    with RunFile(Path(taken[1]["file"])) as events:
        assert events.odb_begin is not None
        triggers = [event for event in events if event.event_id == 1]
        assert events.odb_end is not None
    assert [event.serial_number for event in triggers] == list(range(12))
    for event in triggers:
        assert list(event.banks) == ["CAM0", "FID0", "TSP0", "DIG0", "DGH0"]
        assert event["CAM0"].size == 256 * 256
        assert event["DGH0"][0] == 2


def test_nothing_runs_on_after_a_run(taken: tuple[Path, dict]) -> None:
    folder, _ = taken
    assert programs_of(folder) == []
    assert not (folder / "experiment.json").exists()


def test_the_same_seed_gives_the_same_banks(taken: tuple[Path, dict], tmp_path: Path) -> None:
    again = simulate(tmp_path, "run", "--events", "12", "--seed", "7", "--no-stage", *SMALL)
    other = simulate(tmp_path, "run", "--events", "12", "--seed", "8", "--no-stage", *SMALL)
    assert (again["run"], other["run"]) == (1, 2)
    first = trigger_banks(Path(taken[1]["file"]))
    assert trigger_banks(Path(again["file"])) == first
    assert trigger_banks(Path(other["file"])) != first


def test_a_pedestal_run_serves_the_next_run(tmp_path: Path) -> None:
    free = ["--camera", "256x256", "--rate", "max", "--no-stage", "--seed", "3"]
    pedestal = simulate(tmp_path, "run", "--events", "30", "--pedestal", *free)
    physics = simulate(tmp_path, "run", "--events", "5", "--mode", "free", *free)
    with RunFile(Path(pedestal["file"])) as events:
        assert all("DIG0" not in event for event in events if event.event_id == 1)
    with h5py.File(physics["reco_file"]) as results:
        assert json.loads(results.attrs["pedestals"])["0"]["run"] == 1


def test_generation_c_and_two_cameras_are_written(tmp_path: Path) -> None:
    options = ["--generation", "C", "--cameras", "2", "--no-stage", "--compress", "none"]
    result = simulate(tmp_path, "run", "--events", "4", *SMALL, *options)
    with RunFile(Path(result["file"])) as events:
        triggers = [event for event in events if event.event_id == 1]
    assert {"CAM0", "CAM1", "FID0", "FID1", "TSP0", "TSP1"} <= set(triggers[0].banks)
    assert triggers[0]["DGH0"][0] == 1000
    assert result["events_written"] == 4


def test_a_recorded_run_is_replayed_as_a_run_of_its_own(tmp_path: Path, data: Path) -> None:
    source = data / "run01104.mid"
    result = simulate(tmp_path, "replay", str(source), "--no-stage")
    assert result["run"] == 1
    assert result["events_written"] == result["events_analyzed"] == 4
    assert trigger_banks(Path(result["file"])) == trigger_banks(source)
    with RunFile(Path(result["file"])) as events:
        assert events.odb_begin is not None
        assert events.odb_begin["Replay"]["Source run"] == 1104


def test_interrupting_leaves_nothing_running_and_a_whole_file(tmp_path: Path) -> None:
    command = [*SIM, "run", "--events", "100000", *SMALL, "--output", str(tmp_path)]
    file = tmp_path / "data" / "run00001.mid.gz"
    with started(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        wait_until(
            lambda: file.exists() and file.stat().st_size > 300_000, 60, "events in the file"
        )
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=280)
    assert process.returncode == 130
    assert "Traceback" not in said
    wait_until(lambda: programs_of(tmp_path) == [], 10, "all programs to be gone")
    with RunFile(file) as events:
        assert sum(1 for event in events if event.event_id == 1) > 0
        assert events.complete


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["run", "--camera", "kodak"], "kodak"),
        (["run", "--mode", "sometimes"], "continuous"),
        (["run", "--rate", "-3"], "max"),
        (["run", "--generation", "B"], "A, C"),
        (["replay", "nowhere.mid"], "nowhere.mid"),
    ],
)
def test_a_bad_option_is_refused_in_a_line(arguments: list[str], hint: str, tmp_path: Path) -> None:
    command = [*SIM, *arguments, "--output", str(tmp_path), "--no-stage"]
    environment = {**os.environ, "COLUMNS": "200"}
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=100, env=environment
    )
    assert done.returncode in (1, 2)
    assert hint in done.stderr
    assert "Traceback" not in done.stderr
    assert programs_of(tmp_path) == []


def test_a_folder_with_a_running_experiment_is_refused(tmp_path: Path) -> None:
    with started([sys.executable, "-m", "sim.server", str(tmp_path)]) as server:
        wait_until(lambda: (tmp_path / "experiment.json").exists(), 30, "the server")
        command = [*SIM, "run", *SMALL, "--output", str(tmp_path), "--no-stage"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=280)
        assert done.returncode == 1
        assert str(tmp_path) in done.stderr.replace("\n", "")
        assert server.poll() is None
        server.terminate()
        server.wait(60)


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "fast"])
def test_a_rate_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=text):
        parse_rate(text)
