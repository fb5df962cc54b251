"""The trigger frontend as a real process, in a standalone experiment with simulated devices."""

import json
import signal
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from experiment.constants import TR_START
from experiment.errors import TransitionFailedError
from frontend.layout import EventFlag
from rawdata.layouts import digitizer, times
from tests.conftest import wait_until
from tests.frontend.world import TRIGGER, World, banks_of

EVENT_KEY = "/Experiment/MAX_EVENT_SIZE"
BUFFER_KEY = "/Experiment/Buffer sizes/SYSTEM"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One experiment with a trigger frontend for all tests that leave it as it was."""
    with World(tmp_path_factory.mktemp("experiment")) as world:
        world.listen()
        world.start_frontend()
        yield world


@pytest.fixture
def world(shared: World) -> World:
    """The shared experiment, stopped, with a small camera."""
    shared.reset()
    return shared


@pytest.fixture
def own(tmp_path: Path) -> Iterator[World]:
    """An experiment of the test's own, without a frontend."""
    with World(tmp_path) as world:
        yield world


def test_a_run_has_exactly_the_events_asked_for(world: World) -> None:
    world.configure(MaxEvents=12)
    events = world.take_run()
    assert [event.serial_number for event in events] == list(range(12))
    assert [times.decode_fid(event) for event in events] == list(range(12))
    assert [times.decode_tsp(event) for event in events] == [n * 20_000_000 for n in range(12)]
    assert {tuple(event) for event in events} == {("CAM0", "FID0", "TSP0", "DIG0", "DGH0")}
    assert {event.trigger_mask for event in events} == {0}
    assert {event.event_id for event in events} == {1}
    record = world.record
    assert (record["Events sent"], record["Events built"], record["Frames lost"]) == (12, 12, 0)
    assert record["Bytes sent"] == sum(len(event.raw) for event in events)
    assert record["Run number"] == world.get("/Runinfo/Run number")
    assert record["Live time s"] == pytest.approx(12 * 0.01)
    assert record["Dead time s"] == pytest.approx(12 * 0.01)
    assert world.get(f"{TRIGGER}/Variables/Live time %") == pytest.approx(50)
    assert world.get(f"{TRIGGER}/Statistics/Events sent") == 12
    in_events = sum(board.triggers for e in events for board in digitizer.decode(e)[0].boards)
    assert record["Triggers in events"] == in_events > 0
    assert f"Run {record['Run number']}: 12 events sent" in world.messages
    assert "counts differ" not in world.messages
    assert world.status == f"ready; run {record['Run number']}: 12 events"


def test_triggers_are_on_both_boards_and_in_the_frame_time(world: World) -> None:
    world.configure(MaxEvents=10)
    for number, event in enumerate(world.take_run()):
        header, waveforms = digitizer.decode(event)
        assert [(b.model, b.channels, b.samples) for b in header.boards] == [
            (1742, 32, 1024),
            (1720, 8, 4000),
        ]
        assert header.boards[0].triggers == header.boards[1].triggers == len(waveforms[0])
        seconds = header.boards[0].extended_time_tags * 8.5e-9
        assert all(0.02 * number - 1e-4 <= s < 0.02 * (number + 1) + 1e-4 for s in seconds)


@pytest.mark.parametrize("mode", ["continuous", "pmt", "free"])
def test_the_same_seed_gives_the_same_banks(world: World, mode: str) -> None:
    keys: dict[str, dict[str, Any]] = {
        "continuous": {"TriggerMode": 3},
        "pmt": {"TriggerMode": 0},
        "free": {"FreeRunning": True},
    }
    world.small_camera(rate_hz=20.0, MaxEvents=8, Exposure=0.05, **keys[mode])
    first, again = banks_of(world.take_run(77)), banks_of(world.take_run(77))
    assert len(first) == 8
    assert first == again
    other = banks_of(world.take_run(78))
    assert first[0]["CAM0"] != other[0]["CAM0"]


def test_as_fast_as_it_goes_gives_the_same_banks_too(world: World) -> None:
    world.small_camera(rate_hz=0.0, MaxEvents=8)
    assert banks_of(world.take_run(79)) == banks_of(world.take_run(79))
    assert world.record["Frames lost"] == 0


def test_pmt_keeps_only_frames_with_a_trigger(world: World) -> None:
    options = {"seed": 7, "rates": {"iron": 0, "alpha": 0, "muon": 0, "recoil": 0, "dark": 0.7}}
    world.configure({"Camera options": json.dumps(options)}, MaxEvents=8, TriggerMode=0)
    events = world.take_run()
    assert len(events) == 8
    assert all(digitizer.decode(event)[0].boards[0].triggers > 0 for event in events)
    assert world.record["Frames without trigger"] > 0
    assert world.record["Frames lost"] == 0


def test_frames_alone_have_no_digitizer_banks(world: World) -> None:
    world.configure(MaxEvents=5, FreeRunning=True)
    assert {tuple(event) for event in world.take_run()} == {("CAM0", "FID0", "TSP0")}


def test_a_pedestal_run_has_no_light(world: World) -> None:
    world.configure(MaxEvents=5, FreeRunning=True, Pedestal=True)
    dark = world.take_run(80)
    world.configure(Pedestal=False)
    light = world.take_run(80)
    sums = [sum(int(event["CAM0"].sum()) for event in events) for events in (dark, light)]
    assert sums[0] < sums[1]


def test_generation_c(world: World) -> None:
    world.configure({"Generation": "C"}, MaxEvents=3)
    events = world.take_run()
    assert ["TIME" in event for event in events] == [True, False, False]
    assert {digitizer.decode(event)[0].generation for event in events} == {"C"}
    stamps = [event.timestamp for event in events]
    assert stamps == sorted(stamps)
    assert stamps[0] < 1000 <= times.decode_time(events[0])


def test_two_cameras_in_one_process(world: World) -> None:
    world.small_camera(cameras=2, MaxEvents=6)
    events = world.take_run()
    names = ["CAM0", "CAM1", "FID0", "TSP0", "FID1", "TSP1", "DIG0", "DGH0"]
    assert {tuple(event) for event in events} == {tuple(names)}
    assert [times.decode_fid(event, 1) for event in events] == list(range(6))
    assert all(bytes(event["CAM0"]) != bytes(event["CAM1"]) for event in events)


def test_six_cameras_in_one_process(world: World) -> None:
    world.small_camera(cameras=6, MaxEvents=4, FreeRunning=True)
    events = world.take_run()
    frames = [f"CAM{number}" for number in range(6)]
    assert {tuple(event)[:6] for event in events} == {tuple(frames)}
    assert [times.decode_fid(event, 5) for event in events] == list(range(4))
    assert len({bytes(events[0][name]) for name in frames}) == 6
    assert (world.record["Frames lost"], world.record["Events incomplete"]) == (0, 0)


def test_cameras_of_ragged_arrival_and_loss_meet_in_their_events(world: World) -> None:
    world.small_camera(cameras=2, MaxEvents=12)
    faults = [{"lose_frames": [2], "counter_start": 0}, {"late_ms": 30, "late": 0.5}]
    options = json.dumps([{"seed": 7, "faults": fault} for fault in faults])
    world.configure({"Camera options": options})
    events = world.take_run()
    lone = [number for number, event in enumerate(events) if "CAM0" not in event]
    assert lone == [2]
    assert [event.trigger_mask for event in events] == [
        EventFlag.INCOMPLETE if number in lone else 0 for number in range(12)
    ]
    assert [times.decode_fid(event, 1) for event in events] == list(range(12))
    assert world.record["Frames lost"] == 1


def test_a_counter_that_rolls_over_loses_nothing(world: World) -> None:
    start = (1 << 32) - 3
    world.small_camera(faults={"counter_start": start}, MaxEvents=6)
    events = world.take_run()
    assert [times.decode_fid(event) for event in events] == [start, start + 1, start + 2, 0, 1, 2]
    assert world.record["Frames lost"] == 0


def test_frames_that_the_camera_loses_are_gaps_and_counted(world: World) -> None:
    world.small_camera(faults={"lose_frames": [3, 4, 7]}, MaxEvents=8)
    events = world.take_run()
    assert [times.decode_fid(event) for event in events] == [0, 1, 2, 5, 6, 8, 9, 10]
    assert [event.serial_number for event in events] == list(range(8))
    flagged = [n for n, e in enumerate(events) if e.trigger_mask == EventFlag.FRAMES_LOST_BEFORE]
    assert flagged == [3, 5]
    assert world.record["Frames lost by camera"] == 3
    assert "Trigger frames lost" in world.client.get_triggered_alarms()


def test_the_camera_tells_its_temperature(world: World) -> None:
    world.client.start_run()
    path = "/Equipment/CameraStatus"
    wait_until(lambda: world.get(f"{path}/Statistics/Events sent") == 1, 20, "an event")
    world.stop_run()
    assert -30 < world.get(f"{path}/Variables/TCAM") < 0


@pytest.mark.parametrize(
    ("trigger", "keys", "says"),
    [
        ({}, {"TriggerMode": 1}, "/Configurations/TriggerMode is 1; allowed: 0 or 3"),
        ({}, {"Exposure": 0.5}, "/Configurations/Exposure is 0.5; allowed: at most 0.02 s"),
        ({"Cameras": ["orca:0"]}, {}, "no driver 'orca' for cameras; installed are: "),
        ({"Cameras": ["sim:round"]}, {}, "camera sim:round: "),
        ({"Camera options": '{"sead": 7}'}, {}, "knows no option sead"),
        ({"Digitizers": ["sim:V1742", "sim:V1"]}, {}, "digitizer sim:V1: "),
        ({"Mode": "pmts"}, {}, "Settings/Mode is 'pmts'; allowed: "),
        ({"Ring memory MB": 1}, {}, "Settings/Ring memory MB is 1; allowed: at least"),
    ],
)
def test_a_bad_setting_refuses_the_run(
    world: World, trigger: dict[str, Any], keys: dict[str, Any], says: str
) -> None:
    world.configure(trigger, **keys)
    with pytest.raises(TransitionFailedError) as refused:
        world.client.start_run()
    assert says in str(refused.value)
    assert world.is_stopped()
    assert says in world.status
    assert world.get(f"{TRIGGER}/Common/Status color") == "redLight"
    world.reset()
    world.configure(MaxEvents=1)
    assert len(world.take_run()) == 1
    assert world.get(f"{TRIGGER}/Common/Status color") == "greenLight"


def test_too_little_room_for_events_refuses_the_run(world: World) -> None:
    for key, value, words in (
        (EVENT_KEY, 1_000_000, f"{EVENT_KEY} is 1000000; needed: at least "),
        (BUFFER_KEY, 3_000_000, f"{BUFFER_KEY} is 3000000; needed: at least "),
    ):
        before = world.get(key)
        world.client.odb_set(key, value)
        with pytest.raises(TransitionFailedError, match=words):
            world.client.start_run()
        world.client.odb_set(key, before)


def test_a_buffer_too_small_for_the_rate_refuses_the_run(world: World) -> None:
    world.configure({"Buffer seconds": 60.0})
    with pytest.raises(TransitionFailedError, match=r"needed: at least \d+ for 60 s at 50 Hz"):
        world.client.start_run()


def test_a_small_disk_refuses_the_run(world: World) -> None:
    (world.folder / "data").mkdir(exist_ok=True)
    world.small_camera(rate_hz=10_000.0, Exposure=0.0001)
    world.configure({"Disk minutes": 10_000.0})
    with pytest.raises(TransitionFailedError, match=r"the disk of .* GB free; needed: "):
        world.client.start_run()


def test_a_start_that_another_program_refuses_disarms(world: World) -> None:
    world.client.register_transition_callback(TR_START, 600, lambda *_: (603, "not me"))
    with pytest.raises(TransitionFailedError, match="not me"):
        world.client.start_run()
    world.client.deregister_transition_callback(TR_START)
    assert "aborted" in world.status
    world.configure(MaxEvents=3)
    assert len(world.take_run()) == 3


def test_pause_and_resume(world: World) -> None:
    world.start_run()
    world.wait_for_events(3)
    world.client.pause_run()
    before = world.receive()
    wait_until(
        lambda: world.get(f"{TRIGGER}/Variables/Frames acquired") >= before + 10, 20, "a pause"
    )
    assert world.receive() == before
    assert "paused" in world.status
    world.client.resume_run()
    world.wait_for_events(before + 5)
    world.stop_run()
    fids = [times.decode_fid(event) for event in world.events]
    gaps = [b - a - 1 for a, b in pairwise(fids) if b > a + 1]
    assert gaps == [world.record["Frames paused"]]
    assert world.record["Frames lost"] == 0
    assert [e.serial_number for e in world.events] == list(range(len(fids)))
    assert {event.trigger_mask for event in world.events} == {0}
    assert "counts differ" not in world.messages


def test_a_camera_that_goes_away_ends_the_run_and_the_next_one_works(world: World) -> None:
    world.small_camera(faults={"disconnect_at": 5})
    events = world.take_run()
    assert [times.decode_fid(event) for event in events] == list(range(5))
    assert "Trigger device failed" in world.client.get_triggered_alarms()
    assert world.get(f"{TRIGGER}/Common/Status color") == "redLight"
    assert "camera 0 (sim:64x64)" in world.status
    assert "Traceback" not in world.log("trigger")
    world.configure(MaxEvents=3)
    assert len(world.take_run()) == 3


def test_a_digitizer_that_goes_away_ends_the_run(world: World) -> None:
    options = json.dumps({"seed": 7, "faults": {"disconnect_triggers_at": 4}})
    world.configure({"Digitizer options": options})
    world.take_run()
    assert "digitizer" in world.status
    assert "Trigger device failed" in world.client.get_triggered_alarms()


def test_triggers_that_a_digitizer_loses_are_told(world: World) -> None:
    options = [{"seed": 7}, {"seed": 7, "faults": {"lose_triggers": 0.5}}]
    world.configure({"Digitizer options": json.dumps(options)}, MaxEvents=8)
    events = world.take_run()
    record = world.record
    assert record["Triggers lost by board"][1] == record["Triggers lost"] > 0
    assert any(event.trigger_mask & EventFlag.TRIGGERS_LOST for event in events)
    said = world.client.get_triggered_alarms()["Trigger triggers lost"]
    assert "triggers lost (0 + " in said
    assert world.get(f"{TRIGGER}/Common/Status color") == "yellowLight"
    assert "counts differ" not in world.messages


def test_a_camera_that_hangs_is_noticed_and_the_run_can_be_stopped(world: World) -> None:
    world.small_camera(faults={"hang_at": 4})
    world.configure({"Silence alarm s": 0.5, "Event wait ms": 100})
    world.start_run()
    wait_until(lambda: "Trigger device silent" in world.client.get_triggered_alarms(), 20)
    wait_until(lambda: "no frame since" in world.status, 20, "a status that says so")
    live = f"{TRIGGER}/Variables/Live time %"
    wait_until(lambda: world.get(live) < 50, 20, "the silence to count as dead time")
    world.stop_run()
    assert world.record["Live time s"] == pytest.approx(4 * 0.01)
    assert world.record["Dead time s"] > 0.1
    assert len(world.events) == 4


def test_a_misspelled_setting_is_told(world: World) -> None:
    world.configure({"Frame rate hz.": 3.0}, MaxEvents=1)
    world.take_run()
    assert f"{TRIGGER}/Settings/Frame rate hz. is no setting of mine" in world.messages


def test_a_sleeping_reader_costs_frames_that_are_counted_never_a_stall(own: World) -> None:
    own.client.odb_set(BUFFER_KEY, 100_000)
    own.small_camera(rate_hz=100.0, FreeRunning=True)
    own.configure({"Ring seconds": 0.0, "Ring slots": 8})
    own.listen()
    own.start_frontend()
    own.client.start_run()
    lost = f"{TRIGGER}/Variables/Frames lost"
    wait_until(lambda: own.client.odb_exists(lost) and own.get(lost) >= 5, 30, "lost frames")
    assert own.get(f"{TRIGGER}/Variables/Ring level %") == 100
    assert own.get(f"{TRIGGER}/Variables/Send retries") > 0
    wait_until(lambda: "Trigger frames lost" in own.client.get_triggered_alarms(), 10, "an alarm")
    assert "by a full ring; test holds SYSTEM full" in own.messages
    own.client.stop_run(async_flag=True)
    own.wait_for_stop()
    record, fids = own.record, [times.decode_fid(event) for event in own.events]
    assert record["Events sent"] == len(fids) >= 8
    assert record["Frames lost"] == record["Frames lost by ring"] >= 5
    assert record["Frames acquired"] == len(fids) + record["Frames lost"]
    assert fids == sorted(set(fids))
    marked = [bool(e.trigger_mask & EventFlag.FRAMES_LOST_BEFORE) for e in own.events]
    gaps = [number > 0 and fids[number] > fids[number - 1] + 1 for number in range(len(fids))]
    assert marked == gaps
    assert "counts differ" not in own.messages


def test_signals_end_it_cleanly_also_in_mid_run(own: World) -> None:
    own.small_camera()
    own.listen()
    for number in (signal.SIGTERM, signal.SIGINT):
        own.start_frontend()
        own.start_run()
        own.wait_for_events(2)
        run = own.get("/Runinfo/Run number")
        assert own.end("trigger", number) == 0
        own.receive()
        assert own.record["Run number"] == run
        assert own.record["Events sent"] == len(own.events)
        assert f"Trigger frontend ends in run {run}" in own.messages
        assert own.status == "stopped"
        own.client.stop_run()
    assert own.log("trigger") == ""


def test_an_operator_can_shut_it_down(own: World) -> None:
    process = own.start_frontend()
    other = own.client.connect_to_other_client("cygno-frontend-trigger")
    own.client.disconnect_from_other_client(other, shutdown_other_client=True)
    assert process.wait(20) == 0


def test_a_killed_frontend_can_be_started_again(own: World) -> None:
    own.small_camera()
    own.listen()
    own.start_frontend()
    own.client.start_run()
    own.wait_for_events(3)
    assert own.end("trigger", signal.SIGKILL) == -signal.SIGKILL
    own.receive()
    assert [event.serial_number for event in own.events] == list(range(len(own.events)))
    own.start_frontend()  # at once; the dead one keeps no name
    assert own.clients.count("cygno-frontend-trigger") == 1
    waits = "started in mid-run: waits for the next run"
    wait_until(lambda: own.status == waits, 20, "a status that says so")
    said = own.client.get_triggered_alarms()["Trigger not in the run"]
    assert said.startswith("run 1 goes on without its frames")
    own.client.stop_run()
    own.configure(MaxEvents=4)
    assert len(own.take_run()) == 4
