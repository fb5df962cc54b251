"""Whole runs in a real MIDAS, written by mlogger; the counts of all that saw them are equal."""

import subprocess
import sys
from collections.abc import Iterator
from functools import partial

import numpy as np
import pytest

from experiment.constants import TR_START, TR_STARTABORT
from experiment.errors import TransitionFailedError
from rawdata.runfile import RunFile
from tests.conftest import wait_until
from tests.experiment import midas_programs as scripted
from tests.experiment.midas_files import events_of, require_same
from tests.experiment.midas_world import MidasRuns, midas_runs
from tests.experiment.peer import Peer

pytestmark = pytest.mark.midas
COUNT = 50


@pytest.fixture(scope="module")
def runs() -> Iterator[MidasRuns]:
    """An experiment with mlogger, a sender and a receiver of frames."""
    with midas_runs() as world:
        for program in ("receive", "send"):
            start_scripted(world, program)
        yield world


def start_scripted(world: MidasRuns, program: str) -> None:
    control = world.peer("control")
    ready = f"{scripted.READY}/{program}"
    if control.odb_exists(ready):
        control.odb_delete(ready)
    world.start(program, sys.executable, "-m", scripted.__name__, program, str(COUNT))
    wait_until(lambda: control.odb_exists(ready), 30, program)


def names(control: Peer) -> list[str]:
    return [client["Name"] for client in control.odb_get("/System/Clients").values()]


def has_left(control: Peer, name: str) -> bool:
    return name not in names(control)


def take_run(control: Peer) -> int:
    """Take a run of `COUNT` events; return its number."""
    control.start_run()
    wait_until(lambda: control.odb_get(scripted.RECEIVED) == COUNT, 60, "all events received")
    control.stop_run()
    return int(control.odb_get("/Runinfo/Run number"))


@pytest.mark.parametrize(("compress", "ending"), [("none", ""), ("lz4", ".lz4"), ("gzip", ".gz")])
def test_what_was_sent_was_written_and_received(
    runs: MidasRuns, compress: str, ending: str
) -> None:
    control = runs.peer("control")
    control.odb_set("/Logger/Channels/0/Settings/Compress", compress)
    run = take_run(control)
    (path,) = runs.files(run)
    assert path.name == f"run{run:05d}.mid{ending}"

    check = subprocess.run(
        [sys.executable, "-m", "rawdata.main", "check", "--json", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert check.returncode == 0, check.stdout + check.stderr
    frames = require_same(path)
    statistics = control.odb_get("/Logger/Channels/0/Statistics")
    assert control.odb_get(scripted.SENT) == control.odb_get(scripted.RECEIVED) == COUNT
    assert [event.serial_number for event in frames] == list(range(COUNT))
    assert statistics["Events written"] == COUNT + 2  # with the two ODB dumps
    written = sum(len(event.raw) for event in RunFile(path))
    assert statistics["Bytes written uncompressed"] == written
    for serial, event in enumerate(frames):
        assert (event["CAM0"] == scripted.frame(serial).reshape(-1)).all()
    pixel_sum = sum(int(scripted.frame(serial).sum(dtype=np.int64)) for serial in range(COUNT))
    assert control.odb_get(scripted.PIXEL_SUM) == pixel_sum


def test_a_refused_start_names_who_and_why(runs: MidasRuns) -> None:
    control = runs.peer("control")
    last = control.odb_get("/Runinfo/Run number")
    refuser = runs.fresh("refuser")
    refuser.on_transition(TR_START, 400, (603, "High voltage is 380 V; allowed: ≤ 350 V"))
    refuser.on_transition(TR_STARTABORT, 400)
    with pytest.raises(TransitionFailedError, match=r"refuser: High voltage.*≤ 350 V") as caught:
        control.start_run()
    assert caught.value.code == 603
    assert control.odb_get("/Runinfo/State") == 1
    assert refuser.heard("transition") == [(1, 400, last + 1), (TR_STARTABORT, 400, last + 1)]
    refuser.close()
    take_run(control)


def test_a_killed_logger_leaves_whole_events_and_the_next_run_starts(runs: MidasRuns) -> None:
    control = runs.peer("control")
    control.odb_set("/Logger/Channels/0/Settings/Compress", "none")
    control.start_run()
    run = control.odb_get("/Runinfo/Run number")
    wait_until(lambda: any(p.stat().st_size > 1e6 for p in runs.files(run)), 60, "some frames")
    runs.kill("mlogger")
    control.odb_set("/Runinfo/Transition in progress", 0)
    runs.start_logger()
    control.stop_run()
    (path,) = runs.files(run)
    written = [event.serial_number for event in events_of(path)]
    assert written == list(range(len(written)))
    assert written
    assert take_run(control) == run + 1


def test_killed_programs_do_not_stop_the_next_run(runs: MidasRuns) -> None:
    control = runs.peer("control")
    for program in ("send", "receive"):
        control.start_run()
        runs.kill(program)
        wait_until(partial(has_left, control, program), 30, f"MIDAS to forget {program}")
        control.stop_run()
        start_scripted(runs, program)
    take_run(control)
