"""Runs whose frames leave compressed, by the trigger frontend as a real process."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from rawdata import codec
from rawdata.event import Event
from rawdata.layouts import camera
from tests.conftest import wait_until
from tests.frontend.world import START_S, TRIGGER, World

COUNTS = ("compressed", "raw incompressible", "raw pool busy", "raw pool failed")
FAILING_CODEC = """
import itertools
from rawdata import codec

calls, encode = itertools.count(), codec.encode_into

def fail_at_fifth(frame, bank, method):
    if next(calls) == 5:
        raise MemoryError("no memory for a chunk")
    return encode(frame, bank, method)

codec.encode_into = fail_at_fifth
from frontend.main import main
main()
"""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World(tmp_path_factory.mktemp("experiment")) as world:
        world.listen()
        world.start_frontend()
        yield world


@pytest.fixture
def world(shared: World) -> World:
    shared.reset()
    shared.configure({"Compress frames": True, "Compress workers": 2, "Generation": "A"})
    shared.configure({"Compression method": "dense"})
    return shared


def decoded(events: list[Event]) -> list[dict[str, bytes]]:
    """Return all banks of all events, frames as pixels under the name of the raw bank."""
    return [
        {
            name.replace("CZ", "CAM"): camera.decode_frame(event, int(name[-1])).tobytes()
            if camera.is_frame_bank(name)
            else bytes(event[name])
            for name in event
        }
        for event in events
    ]


@pytest.mark.parametrize(
    ("cameras", "generation", "method"),
    [(1, "A", "dense"), (1, "C", "fast"), (3, "A", "fast")],
)
def test_decoded_banks_are_those_of_the_run_without(
    world: World, cameras: int, generation: str, method: codec.Method
) -> None:
    # Slow enough for the triggers of a second to find room, should a reader have to wait.
    world.small_camera(rate_hz=10.0, cameras=cameras, MaxEvents=20, Exposure=0.1)
    world.configure({"Generation": generation, "Compress frames": False})
    raw = world.take_run(90)
    world.configure({"Compress frames": True, "Compression method": method})
    compressed = world.take_run(90)
    before, after = decoded(raw), decoded(compressed)
    if generation == "C":
        del before[0]["TIME"], after[0]["TIME"]  # the time of day
    assert after == before
    assert [list(banks) for banks in after] == [list(banks) for banks in before]
    assert [event.serial_number for event in compressed] == list(range(20))
    record = world.record
    counts = [record[f"Frames {count}"] for count in COUNTS]
    assert sum(counts) == 20 * cameras
    names = [name for event in compressed for name in event]
    assert sum(map(camera.is_compressed_bank, names)) == counts[0] > 0
    methods = {codec.read_header(e[n]).method for e in compressed for n in e if n[:2] == "CZ"}
    assert methods == {method}
    assert record["Compression ratio"] > 1
    assert record["Bytes sent"] == sum(len(event.raw) for event in compressed)
    assert "counts differ" not in world.messages


def test_compression_is_off_by_default_and_tells_nothing(world: World) -> None:
    world.configure({"Compress frames": False}, MaxEvents=3)
    events = world.take_run()
    assert {next(iter(event)) for event in events} == {"CAM0"}
    assert [world.record[f"Frames {count}"] for count in COUNTS] == [0] * 4


def test_the_logger_and_its_readers_get_what_the_camera_gave(world: World) -> None:
    """A pause, and the end of a run while frames come, with compression on."""
    world.small_camera(rate_hz=100.0)
    world.start_run()
    world.wait_for_events(5)
    world.client.pause_run()
    world.client.resume_run()
    world.wait_for_events(len(world.events) + 5)
    world.stop_run()
    assert all(np.ptp(camera.decode_frame(event)) > 0 for event in world.events)
    record = world.record
    assert record["Events sent"] == len(world.events) == world.events[-1].serial_number + 1
    assert sum(record[f"Frames {count}"] for count in COUNTS) == record["Events sent"]
    assert record["Frames lost"] == 0
    assert "counts differ" not in world.messages


def test_a_worker_that_dies_is_told_and_the_run_goes_on(tmp_path: Path) -> None:
    with World(tmp_path) as world:
        world.small_camera()
        world.configure({"Compress frames": True, "Compress workers": 1})
        world.listen()
        process = world.start("trigger", "-c", FAILING_CODEC, "trigger")
        last = f"/System/Clients/{process.pid}/Transition STARTABORT"
        wait_until(lambda: world.client.odb_exists(last), START_S, "the frontend to be ready")
        wait_until(lambda: world.status != "", START_S, "its status")
        world.start_run()
        reason = "compression 0 failed: MemoryError: no memory for a chunk"
        wait_until(lambda: reason in world.status, 20, "a status that says so")
        assert world.get(f"{TRIGGER}/Common/Status color") == "redLight"
        assert "Trigger compression failed" in world.client.get_triggered_alarms()
        world.wait_for_events(len(world.events) + 10)
        world.stop_run()
        record = world.record
        assert record["Frames lost"] == 0
        assert record["Frames raw pool failed"] >= 10
        assert record["Frames compressed"] + record["Frames raw pool busy"] >= 4
        assert sum(record[f"Frames {count}"] for count in COUNTS) == len(world.events)
        assert [e.serial_number for e in world.events] == list(range(len(world.events)))
        assert next(iter(world.events[-1])) == "CAM0"
        assert "counts differ" not in world.messages
