"""Run control and faults in a real MIDAS: what is lost, and that the next run is whole."""

import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from experiment.constants import (
    GET_ALL,
    STATE_PAUSED,
    STATE_RUNNING,
    STATE_STOPPED,
    STATUS,
    TR_START,
    TR_STOP,
)
from rawdata.datamodel import EventFlag
from rawdata.event import Event
from rawdata.layouts import times
from rawdata.runfile import RunFile, RunFileError
from tests.conftest import wait_until
from tests.experiment.mhttpd import ask_mhttpd, start_mhttpd
from tests.experiment.midas_files import events_of
from tests.experiment.midas_frontend import FRONTEND, TRIGGER, FrontendInMidas, SmallWorld
from tests.experiment.peer import Peer

pytestmark = pytest.mark.midas
EXPOSURE = "/Configurations/Exposure"
LOST_ALARM = "Trigger frames lost"
LOSSES = 10
FRAME_BYTES = 2 * 256 * 256


@pytest.fixture(scope="module")
def lasting() -> Iterator[FrontendInMidas]:
    with TemporaryDirectory(prefix="cf-") as folder:  # short: it becomes part of a file's name
        world = SmallWorld(Path(folder))
        try:
            world.set_up()
            yield FrontendInMidas(world)
        finally:
            world.close()


@pytest.fixture
def experiment(lasting: FrontendInMidas) -> Iterator[FrontendInMidas]:
    """Return the experiment with a small camera chosen, in mode `free`."""
    lasting.set_defaults()
    yield lasting
    lasting.world.end_fresh()


def test_start_pause_resume_and_stop(experiment: FrontendInMidas) -> None:
    experiment.transit("START")
    experiment.wait_for_sent(10)
    experiment.transit("PAUSE")
    assert experiment.state == STATE_PAUSED
    acquired = f"{TRIGGER}/Variables/Frames acquired"
    before = experiment.get(acquired)
    wait_until(lambda: experiment.get(acquired) >= before + 50, 60, "a pause")
    experiment.transit("RESUME")
    assert experiment.state == STATE_RUNNING
    experiment.wait_for_sent(experiment.get(f"{TRIGGER}/Statistics/Events sent") + 10)
    experiment.transit("STOP")
    assert experiment.state == STATE_STOPPED
    record, fids = experiment.record, [times.decode_fid(e) for e in experiment.written()]
    assert record["Frames lost"] == 0
    gaps = [later - earlier - 1 for earlier, later in pairwise(fids)]
    assert sum(gaps) == max(gaps) == record["Frames paused"] > 0
    assert record["Live time s"] > 0


def test_a_start_that_another_program_refuses_disarms(experiment: FrontendInMidas) -> None:
    experiment.take_good_run()
    idle = threads_of(experiment)
    refuser = experiment.world.fresh("refuser")
    refuser.on_transition(TR_START, 600, (603, "no gas in the chamber"))  # ours is at 500
    refused = experiment.run + 1  # mtransition takes the number back afterwards
    said = experiment.world.ask("mtransition", "START")
    assert "no gas in the chamber" in said
    assert experiment.status == f"ready; start of run {refused} was aborted"
    assert experiment.state == STATE_STOPPED
    wait_until(lambda: threads_of(experiment) <= idle, 20, "readers to end")
    assert not experiment.world.files(refused)
    refuser.close()
    experiment.take_good_run()


def threads_of(experiment: FrontendInMidas) -> int:
    pid = next(pid for pid, e in experiment.get("/System/Clients").items() if e["Name"] == FRONTEND)
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


def test_a_second_frontend_of_the_same_name_does_not_start(experiment: FrontendInMidas) -> None:
    said = experiment.world.ask(sys.executable, "-m", "frontend.main", "trigger")
    assert f"{FRONTEND} runs already in this experiment" in said
    assert "Traceback" not in said
    experiment.take_good_run()


def test_a_killed_logger(experiment: FrontendInMidas) -> None:
    experiment.control.start_run()
    run = experiment.run
    wait_until(lambda: size_of(experiment, run) > 20 * FRAME_BYTES, 60, "some frames in the file")
    experiment.world.kill("mlogger")
    experiment.wait_for_sent(experiment.get(f"{TRIGGER}/Statistics/Events sent") + 20)
    experiment.world.ask("mtransition", "STOP")
    assert experiment.state == STATE_STOPPED
    (path,) = experiment.world.files(run)
    whole = readable(path)
    assert [event.serial_number for event in whole] == list(range(len(whole)))
    assert 15 <= len(whole) <= experiment.record["Events sent"]  # 5: the ODB dump, and the last
    alarm = "Trigger counts differ"
    wait_until(lambda: alarm in experiment.control.get_triggered_alarms(), 30, "an alarm")
    logged, sent = (experiment.record[f"Events {what}"] for what in ("logged", "sent"))
    assert logged < sent
    said = experiment.control.get_triggered_alarms()[alarm]
    assert f"the logger wrote {logged} of {sent} events" in said
    experiment.world.start_logger()
    experiment.take_good_run()


def size_of(experiment: FrontendInMidas, run: int) -> int:
    return sum(path.stat().st_size for path in experiment.world.files(run))


def readable(path: Path) -> list[Event]:
    """Return the whole frames of a file that may end in the middle of an event."""
    events = []
    try:
        for event in RunFile(path):
            events.append(event)
    except RunFileError as error:
        assert error.byte is not None
        assert error.byte < path.stat().st_size
    return [event for event in events if event.event_id == 1]


def test_a_killed_frontend(experiment: FrontendInMidas) -> None:
    experiment.control.start_run()
    run = experiment.run
    experiment.wait_for_sent(10)
    experiment.world.kill("frontend")
    wait_until(lambda: experiment.is_gone(FRONTEND), 60, "MIDAS to forget the frontend")
    experiment.start_frontend()
    assert experiment.status == "started in mid-run: waits for the next run"
    experiment.transit("STOP")
    (path,) = experiment.world.files(run)
    events = events_of(path)
    assert [event.serial_number for event in events] == list(range(len(events)))
    assert len(events) >= 10
    experiment.take_good_run()


def test_a_reader_of_all_events_that_sleeps(experiment: FrontendInMidas) -> None:
    for key, value in (("Ring seconds", 0.0), ("Drain limit s", 1.0)):
        experiment.control.odb_set(f"{TRIGGER}/Settings/{key}", value)
    sleeper = sleep_on(experiment)
    experiment.transit("START")
    experiment.wait_for_losses(LOSSES)
    wait_until(lambda: LOST_ALARM in experiment.control.get_triggered_alarms(), 20, "an alarm")
    assert ", lost " in experiment.status
    experiment.transit("PAUSE")
    experiment.transit("RESUME")
    assert experiment.state == STATE_RUNNING
    experiment.transit("STOP")
    assert experiment.state == STATE_STOPPED
    record, events = experiment.record, experiment.written()
    assert record["Frames unsent"] > 0  # after the drain limit
    assert record["Frames lost"] >= LOSSES + record["Frames unsent"]
    assert record["Frames lost"] == record["Frames lost by ring"] + record["Frames unsent"]
    fids = [times.decode_fid(event) for event in events]
    assert fids == sorted(set(fids))
    sleeper.kill()
    experiment.take_good_run()


def test_when_a_sleeping_reader_is_killed_the_run_goes_on_with_its_gap_marked(
    experiment: FrontendInMidas,
) -> None:
    experiment.control.odb_set(f"{TRIGGER}/Settings/Ring seconds", 0.0)
    sleeper = sleep_on(experiment)
    experiment.transit("START")
    experiment.wait_for_losses(LOSSES)
    sleeper.kill()
    experiment.wait_for_sent(experiment.get(f"{TRIGGER}/Statistics/Events sent") + 60)
    experiment.transit("STOP")
    events = experiment.written()
    fids = [times.decode_fid(event) for event in events]
    gaps = [later - earlier - 1 for earlier, later in pairwise(fids)]
    assert sum(gaps) == experiment.record["Frames lost"] >= LOSSES
    marked = [bool(event.trigger_mask & EventFlag.FRAMES_LOST_BEFORE) for event in events[1:]]
    assert marked == [gap > 0 for gap in gaps]


def sleep_on(experiment: FrontendInMidas) -> Peer:
    """Return a program that asks for all events and then does nothing, nor communicates."""
    sleeper = experiment.world.fresh("sleeper")
    handle = sleeper.open_event_buffer("SYSTEM")
    sleeper.register_event_request(handle, 1, -1, GET_ALL)
    sleeper.go_deaf(3600)
    return sleeper


def test_mhttpd_starts_and_stops_and_shows_why_not(experiment: FrontendInMidas) -> None:
    port = start_mhttpd(experiment.world, experiment.control)
    run = experiment.run + 1
    assert press(port, TR_START, run)["status"] == 1
    assert (experiment.run, experiment.state) == (run, STATE_RUNNING)
    experiment.wait_for_sent(10)
    assert press(port, TR_STOP, run)["status"] == 1
    assert experiment.state == STATE_STOPPED
    assert len(experiment.written()) >= 10

    experiment.control.odb_set(EXPOSURE, 0.3)
    refusal = press(port, TR_START, run + 1)
    assert "/Configurations/Exposure is 0.3; allowed: at most 0.02 s" in refusal["error"]
    assert refusal["status"] == STATUS["FE_ERR_ODB"]
    assert experiment.state == STATE_STOPPED
    experiment.take_good_run()


def press(port: int, transition: int, run: int) -> dict[str, Any]:
    """Press a button of MIDAS's status page; return what its transition page shows at the end.

    The button is answered at once, so the page asks until it sees the end, as we do.
    """
    name = {TR_START: "TR_START", TR_STOP: "TR_STOP"}[transition]
    assert ask_mhttpd(port, "cm_transition", {"transition": name}) == {"status": 1}
    shown: dict[str, Any] = {}

    def is_over() -> bool:
        paths = ["/System/Transition", "/Runinfo"]
        transit, runinfo = ask_mhttpd(port, "db_get_values", {"paths": paths})["data"]
        shown.update(transit)
        is_ours = (shown["transition"], shown["run_number"]) == (transition, run)
        return bool(is_ours and shown["status"] and not runinfo["transition in progress"])

    wait_until(is_over, 60, name)
    return shown
