"""Several trigger frontends in one experiment: each with its own name, equipment, id and counts."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from frontend.instance import Instance
from rawdata.event import Event, parse_event
from rawdata.layouts import camera, times
from tests.conftest import wait_until
from tests.frontend.test_commands import call
from tests.frontend.world import World

EVENTS = 6


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path) as world:
        yield world


def start(world: World, index: int, first_camera: int = 0) -> None:
    """Start a frontend with an index, and give it a small camera of its own."""
    instance = Instance(index)
    world.start(instance.client_name, "-m", "frontend.main", "trigger", "-i", str(index))
    key = f"{instance.path}/Common/Status"
    wait_until(lambda: world.client.odb_exists(key) and world.get(key) == "ready", 60, "a frontend")
    settings = {
        "Cameras": ["sim:64x64"],
        "Camera options": json.dumps({"seed": 7 + index}),
        "Frame rate Hz": 50.0,
        "First camera": first_camera,
        "Compress frames": True,
    }
    for name, value in settings.items():
        world.client.odb_set(f"{instance.settings_path}/{name}", value)


def test_names_of_one_alone_are_cygnos() -> None:
    alone = Instance()
    assert (alone.client_name, alone.equipment, alone.event_id) == (
        "cygno-frontend-trigger",
        "Trigger",
        1,
    )
    assert (alone.status_equipment, alone.status_event_id) == ("CameraStatus", 7)


def test_two_frontends_send_the_events_of_their_own_cameras(world: World) -> None:
    world.listen()
    for index in (2, 3):
        start(world, index, first_camera=index - 2)
    assert {"cygno-frontend-trigger-02", "cygno-frontend-trigger-03"} <= set(world.clients)
    world.configure(Exposure=0.01, FreeRunning=True)
    assert world._buffer is not None
    events: list[Event] = []

    def receive() -> bool:
        world.client.communicate(1)
        while (content := world.client.receive_buffer(world._buffer, world._space)) is not None:
            events.append(parse_event(bytes(content)))
        counts = [sum(event.event_id == number for event in events) for number in (102, 103)]
        return min(counts) >= EVENTS

    world.client.start_run()
    wait_until(receive, 30, "the events of both")
    world.client.stop_run()
    receive()
    by_id = {number: [e for e in events if e.event_id == number] for number in (102, 103)}
    for sent in by_id.values():
        assert [event.serial_number for event in sent] == list(range(len(sent)))
    for number, sent in enumerate(by_id.values()):
        assert {tuple(event) for event in sent} == {(f"CZ{number}", f"FID{number}", f"TSP{number}")}
        assert all(times.decode_fid(e, number) == e.serial_number for e in sent)
    first, second = camera.decode_frame(by_id[102][0], 0), camera.decode_frame(by_id[103][0], 1)
    assert first.shape == second.shape == (64, 64)
    assert not np.array_equal(first, second)
    for index, sent in ((2, by_id[102]), (3, by_id[103])):
        assert world.get(f"/Equipment/Trigger{index:02d}/Run/Events sent") == len(sent)
        assert world.get(f"/Equipment/Trigger{index:02d}/Statistics/Events sent") == len(sent)
        assert world.get(f"/Equipment/CameraStatus{index:02d}/Common/Event ID") == 200 + index


@pytest.mark.parametrize("kind", ["trigger", "slow"])
def test_a_second_one_of_the_same_name_does_not_start(world: World, kind: str) -> None:
    world.start_frontend(kind)
    done = call(world, kind)
    assert done.returncode == 1
    assert f"cygno-frontend-{kind} runs already in this experiment" in done.stderr
    assert world.clients.count(f"cygno-frontend-{kind}") == 1


def test_check_and_refusal_name_the_keys_of_the_index(world: World) -> None:
    start(world, 4)
    world.configure(Exposure=0.5)
    done = call(world, "check", "-i", "4", "--json")
    text = json.loads(done.stdout)["findings"][0]["text"]
    assert done.returncode == 1
    assert "/Equipment/Trigger04/Settings/Frame rate Hz = 50" in text
    assert not world.client.odb_exists("/Equipment/Trigger/Settings")


def test_check_warns_of_an_index_that_has_no_settings(world: World) -> None:
    found = json.loads(call(world, "check", "-i", "5", "--json").stdout)["findings"]
    warned = [entry["text"] for entry in found if entry["verdict"] == "warning"]
    assert any("/Equipment/Trigger05/Settings is not there" in text for text in warned)


def test_an_index_out_of_bounds_is_misuse(world: World) -> None:
    assert call(world, "trigger", "-i", "100").returncode == 2
