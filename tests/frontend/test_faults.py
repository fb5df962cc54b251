"""Faults in a run of real processes: what is told, what is lost, and that runs can be ended."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from experiment.constants import GET_ALL
from frontend.layout import EventFlag
from rawdata.layouts import digitizer, times
from rawdata.runfile import RunFile
from tests.conftest import suspend, wait_until
from tests.frontend.world import TRIGGER, World

BUFFER_KEY = "/Experiment/Buffer sizes/SYSTEM"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World(tmp_path_factory.mktemp("experiment")) as world:
        world.listen()
        world.start_frontend()
        yield world


@pytest.fixture
def world(shared: World) -> World:
    """The shared experiment with a small camera; what a test sets is undone."""
    shared.reset()
    shared.configure({"Restart wait s": 0.1})
    return shared


@pytest.fixture
def own(tmp_path: Path) -> Iterator[World]:
    """An experiment of the test's own with a small buffer and a fast camera, no frontend yet."""
    with World(tmp_path) as world:
        world.client.odb_set(BUFFER_KEY, 100_000)
        world.small_camera(rate_hz=100.0, FreeRunning=True)
        yield world


def variable(world: World, name: str) -> Any:
    key = f"{TRIGGER}/Variables/{name}"
    return world.get(key) if world.client.odb_exists(key) else None


def cameras(world: World, *faults: dict[str, Any]) -> None:
    """Choose as many cameras as there are sets of faults."""
    world.small_camera(cameras=len(faults), MaxEvents=12)
    options = [{"seed": 7, "buffer_frames": 1000, "faults": each} for each in faults]
    world.configure({"Camera options": json.dumps(options)})


# devices that fail ---------------------------------------------------------------------------


def test_a_run_that_a_camera_ended_is_started_again(world: World) -> None:
    world.small_camera(faults={"disconnect_at": 5}, MaxEvents=8)
    world.configure({"Restart tries": 3})
    world.start_run()
    failed = world.get("/Runinfo/Run number")
    wait_until(
        lambda: (
            world.is_stopped()
            and world.get("/Runinfo/Run number") == failed + 1
            and world.record["Run number"] == failed + 1
        ),
        30,
        "the next run, to its end",
    )
    assert [times.decode_fid(event) for event in world.events] == [*range(5), *range(8)]
    assert (world.record["Restarts"], world.record["Stop reason"]) == (1, "MaxEvents")
    assert "automatic start, try 1 of 3" in world.messages
    assert "Trigger device failed" in world.client.get_triggered_alarms()
    assert "Run Autorestart" not in world.client.get_triggered_alarms()  # begin of run resets it
    assert world.get("/Configurations/RunControl/StopRequested") == 0
    assert world.get("/Configurations/RunControl/StopReason") == ""


def test_a_run_whose_camera_hangs_is_started_again(world: World) -> None:
    world.small_camera(faults={"hang_at": 5}, MaxEvents=8)
    world.configure({"Restart tries": 1, "Silence ends run": True, "Silence alarm s": 0.5})
    world.start_run()
    failed = world.get("/Runinfo/Run number")
    wait_until(
        lambda: world.is_stopped() and world.record["Run number"] == failed + 1,
        30,
        "the next run, to its end",
    )
    assert [times.decode_fid(event) for event in world.events] == [*range(5), *range(8)]
    assert "no frame since" in world.messages
    assert "Trigger device failed" in world.client.get_triggered_alarms()
    assert "Trigger device silent" not in world.client.get_triggered_alarms()  # one alarm will do
    assert world.record["Restarts"] == 1


def test_a_camera_that_fails_in_every_run_is_given_up(world: World) -> None:
    world.small_camera(faults={"disconnect_at": 2, "again": True})
    world.configure({"Restart tries": 2})
    world.start_run()
    first = world.get("/Runinfo/Run number")
    wait_until(lambda: world.is_stopped() and "given up after 2" in world.messages, 30, "the end")
    wait_until(world.is_stopped, 30, "the last run's end")
    assert world.get("/Runinfo/Run number") == first + 2
    assert world.record["Restarts"] == 2
    assert "is gone before frame 2" in world.record["Stop reason"]
    assert "given up" in world.client.get_triggered_alarms()["Run Autorestart"]
    assert world.get("/Configurations/RunControl/StopRequested") == 0
    assert "is gone before frame 2" in world.get("/Configurations/RunControl/StopReason")


def test_an_operator_calls_an_automatic_start_off(world: World) -> None:
    world.small_camera(faults={"disconnect_at": 3})
    world.configure({"Restart tries": 3, "Restart wait s": 60.0})
    world.start_run()
    number = world.get("/Runinfo/Run number")
    wait_until(lambda: "starts again in" in world.status, 30, "a status that says so")
    assert world.get("/Configurations/RunControl/StopRequested") == 1
    world.client.odb_set("/Configurations/RunControl/StopRequested", 0)
    wait_until(lambda: "called off" in world.status, 30, "the end of waiting")
    assert world.get("/Runinfo/Run number") == number


def test_a_camera_that_is_still_away_costs_no_run_number(world: World) -> None:
    world.small_camera(faults={"disconnect_at": 100})  # time to take it away
    world.configure({"Restart tries": 2, "Restart wait s": 0.2})
    world.start_run()
    number = world.get("/Runinfo/Run number")
    world.configure({"Cameras": ["sim:round"]})
    wait_until(lambda: "given up: camera sim:round" in world.status, 30, "the last try")
    assert world.get("/Runinfo/Run number") == number
    assert "Run Autorestart" in world.client.get_triggered_alarms()


def test_without_restarts_cygnos_keys_say_what_happened(world: World) -> None:
    world.small_camera(faults={"disconnect_at": 6})
    world.take_run()
    assert world.get("/Configurations/RunControl/StopRequested") == 1
    assert "is gone before frame 6" in world.get("/Configurations/RunControl/StopReason")
    assert "is gone before frame 6" in world.record["Stop reason"]
    assert "is gone before frame 6" in variable(world, "Last error")
    assert "Run Autorestart" not in world.client.get_triggered_alarms()


def test_the_record_says_who_ended_the_run(world: World) -> None:
    world.configure(MaxEvents=3)
    world.take_run()
    assert (world.record["Stop reason"], world.record["Restarts"]) == ("MaxEvents", 0)
    world.configure(MaxEvents=-1)
    world.start_run()
    world.wait_for_events(2)
    world.stop_run()
    assert world.record["Stop reason"] == "asked for"
    assert variable(world, "Last error") == ""
    assert variable(world, "Ring level %") == 0


# cameras without a master --------------------------------------------------------------------


def test_cameras_whose_clocks_drift_apart_still_meet(world: World) -> None:
    cameras(world, {"drift_ppm": 200}, {"drift_ppm": -200, "late_ms": 15, "late": 0.5})
    events = world.take_run()
    assert [times.decode_fid(event, 0) for event in events] == list(range(12))
    assert [times.decode_fid(event, 1) for event in events] == list(range(12))
    assert {event.trigger_mask for event in events} == {0}
    assert times.decode_tsp(events[10], 0) - times.decode_tsp(events[10], 1) == 80_000
    assert world.record["Frames lost"] == 0


def test_a_missed_trigger_that_a_camera_does_not_count_is_told_by_its_times(world: World) -> None:
    cameras(world, {}, {"skip_frames": [4], "drift_ppm": 100})
    events = world.take_run()
    assert [times.decode_fid(event, 0) for event in events] == list(range(12))
    lone = [number for number, event in enumerate(events) if "CAM1" not in event]
    assert lone == [4]
    assert [event.trigger_mask for event in events] == [
        EventFlag.INCOMPLETE if number in lone else 0 for number in range(12)
    ]
    together = [event for event in events if "CAM1" in event]
    assert all(
        abs(times.decode_tsp(event, 0) - times.decode_tsp(event, 1)) < 2_000_000
        for event in together
    )
    assert world.record["Frames lost by camera"] == 1


def test_a_missing_partner_makes_incomplete_events_never_a_stall(world: World) -> None:
    cameras(world, {}, {"hang_at": 3})
    world.configure({"Event wait ms": 50})
    events = world.take_run()
    assert ["CAM1" in event for event in events] == [True] * 3 + [False] * 9
    assert [bool(event.trigger_mask & EventFlag.INCOMPLETE) for event in events] == (
        [False] * 3 + [True] * 9
    )
    assert world.record["Events incomplete"] == variable(world, "Events incomplete") == 9
    assert "events lack a camera" in variable(world, "Last error")
    assert "Trigger events incomplete" in world.client.get_triggered_alarms()


def test_triggers_of_a_board_whose_clock_drifts_are_all_accounted_for(world: World) -> None:
    options = json.dumps({"seed": 7, "faults": {"drift_ppm": 500}})
    world.configure({"Digitizer options": options}, MaxEvents=12)
    events = world.take_run()
    record = world.record
    in_events = sum(board.triggers for e in events for board in digitizer.decode(e)[0].boards)
    assert record["Triggers in events"] == in_events > 0
    assert {event.trigger_mask for event in events} == {0}
    assert "counts differ" not in world.messages


# whoever should read, and does not -----------------------------------------------------------


def fill_ring(world: World, lost: int) -> None:
    """Wait until so many frames found the ring full, and for the alarm."""
    wait_until(lambda: (variable(world, "Frames lost") or 0) >= lost, 30, "lost frames")
    wait_until(lambda: "Trigger frames lost" in world.client.get_triggered_alarms(), 10, "an alarm")


def test_the_ring_absorbs_what_it_holds_while_a_reader_sleeps(own: World) -> None:
    own.configure({"Ring seconds": 10.0, "Ring slots": 8, "Frame rate Hz": 50.0})
    own.listen()
    own.start_frontend()
    own.client.start_run()
    wait_until(lambda: (variable(own, "Send retries") or 0) > 0, 30, "a full buffer")
    asleep_until = own.get(f"{TRIGGER}/Variables/Frames acquired") + 40
    wait_until(lambda: variable(own, "Frames acquired") >= asleep_until, 30, "40 frames more")
    assert variable(own, "Ring level %") > 0
    wait_until(lambda: "(SYSTEM is held full by test)" in own.status, 10, "who holds it full")
    own.wait_for_events(asleep_until)  # it wakes up and takes all
    own.client.stop_run(async_flag=True)
    own.wait_for_stop()
    assert own.record["Frames lost"] == 0
    fids = [times.decode_fid(event) for event in own.events]
    assert fids == list(range(own.record["Events sent"]))
    assert {event.trigger_mask for event in own.events} == {0}


def test_a_full_buffer_never_delays_transitions(own: World) -> None:
    own.configure({"Ring seconds": 0.0, "Ring slots": 8, "Drain limit s": 0.2})
    own.listen()
    own.start_frontend()
    own.client.start_run()
    fill_ring(own, 3)
    own.client.pause_run()  # each returns when the frontend has answered
    assert "paused" in own.status
    own.client.resume_run()
    own.client.stop_run()
    record = own.record
    unsent = record["Events built"] - record["Events sent"]
    assert record["Frames unsent"] == unsent > 0
    assert record["Frames lost"] == record["Frames lost by ring"] + unsent
    own.receive()
    assert len(own.events) == record["Events sent"]
    assert "counts differ" not in own.messages


def test_a_stalled_logger_costs_frames_that_are_counted_and_marked_in_its_file(own: World) -> None:
    own.configure({"Ring seconds": 0.0, "Ring slots": 8})
    own.client.odb_set("/Logger/Channels/0/Settings/Compress", "none")
    logger = own.start("logger", "-m", "sim.logger")
    wait_until(lambda: "Logger" in own.clients, 60, "the logger")
    own.start_frontend()
    own.client.start_run()
    wait_until(lambda: (variable(own, "Frames acquired") or 0) >= 5, 30, "frames")
    suspend(logger.pid)
    try:
        fill_ring(own, 3)
        assert variable(own, "Ring level %") == 100
        assert variable(own, "Send retries") > 0
        assert "lost" in variable(own, "Last error")
    finally:
        os.kill(logger.pid, signal.SIGCONT)
    level = f"{TRIGGER}/Variables/Ring level %"
    wait_until(lambda: own.get(level) < 50, 30, "an empty ring")
    own.client.stop_run()
    record = own.record
    name = own.get("/Logger/Channels/0/Settings/Current filename")
    with RunFile(own.folder / "data" / name) as file:
        events = [event for event in file if event.event_id == 1]
    assert len(events) == record["Events sent"]
    assert record["Frames acquired"] == record["Events sent"] + record["Frames lost"]
    fids = [times.decode_fid(event) for event in events]
    flagged = [bool(event.trigger_mask & EventFlag.FRAMES_LOST_BEFORE) for event in events]
    gaps = [number > 0 and fids[number] > fids[number - 1] + 1 for number in range(len(fids))]
    assert flagged == gaps
    assert any(flagged)
    wait_until(lambda: "counts: cameras" in own.messages, 10, "the counts of all stages")
    sent, logged = record["Events sent"], own.record["Events logged"]
    assert sent <= logged <= sent + 20  # the camera's status comes beside
    assert f"buffer {sent} events, logger {logged} events with all equipment" in own.messages


def test_a_logger_that_is_killed_leaves_fewer_events_than_were_sent(own: World) -> None:
    own.configure({"Ring seconds": 0.0, "Ring slots": 8})
    own.start("logger", "-m", "sim.logger")
    wait_until(lambda: "Logger" in own.clients, 60, "the logger")
    own.start_frontend()
    own.client.start_run()
    wait_until(lambda: (variable(own, "Frames acquired") or 0) >= 5, 30, "frames")
    own.end("logger", signal.SIGKILL)
    written = own.get("/Logger/Channels/0/Statistics/Events written")
    wait_until(lambda: variable(own, "Frames acquired") > written + 20, 30, "more frames")
    own.client.stop_run()
    alarm = "Trigger counts differ"
    wait_until(lambda: alarm in own.client.get_triggered_alarms(), 15, "an alarm")
    logged, sent = own.record["Events logged"], own.record["Events sent"]
    assert logged < sent
    said = own.client.get_triggered_alarms()[alarm]
    assert f"the logger wrote {logged} of {sent} events" in said


def test_a_second_reader_that_takes_all_and_sleeps_is_the_same(own: World) -> None:
    own.configure({"Ring seconds": 0.0, "Ring slots": 8})
    own.listen(GET_ALL)
    own.start("logger", "-m", "sim.logger")
    wait_until(lambda: "Logger" in own.clients, 60, "the logger")
    own.start_frontend()
    own.client.start_run()
    fill_ring(own, 3)
    own.client.stop_run(async_flag=True)
    own.wait_for_stop()
    record = own.record
    assert len(own.events) == record["Events sent"]
    assert own.get("/Logger/Channels/0/Statistics/Events written") >= record["Events sent"]
