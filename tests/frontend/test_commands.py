"""``cygno-frontend check`` and ``setup``: what a run would say, and what the ODB needs."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from experiment.errors import TransitionFailedError
from experiment.standalone.client import StandaloneClient
from frontend import odb_setup
from frontend.errors import FrontendError
from frontend.odb_setup import Change, require_memory
from tests.conftest import wait_until
from tests.frontend.world import TRIGGER, World

EVENT_KEY = "/Experiment/MAX_EVENT_SIZE"
BUFFER_KEY = "/Experiment/Buffer sizes/SYSTEM"


@pytest.fixture(scope="module", params=["alone", "beside the frontend"])
def shared(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[World]:
    with World(tmp_path_factory.mktemp("experiment")) as world:
        if request.param != "alone":
            world.start_frontend()
        yield world


with_frontend = pytest.mark.parametrize("shared", ["beside the frontend"], indirect=True)


@pytest.fixture
def world(shared: World) -> World:
    """The experiment, without and with a trigger frontend; all is well with it."""
    shared.reset()
    shared.configure({"Cameras": ["sim:64x64"], "Ring memory MB": 1024})
    shared.client.odb_set(EVENT_KEY, 32 << 20)
    shared.client.odb_set(BUFFER_KEY, 256 << 20)
    return shared


def call(world: World, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "frontend.main", *arguments, "--experiment", str(world.folder)],
        capture_output=True,
        text=True,
        check=False,
        input=given,
        timeout=60,
    )


def check(world: World) -> tuple[int, dict[str, Any]]:
    done = call(world, "check", "--json")
    assert done.stderr == ""
    return done.returncode, json.loads(done.stdout)


def refusals(answer: dict[str, Any]) -> dict[str, str]:
    found = answer["findings"]
    return {entry["subject"]: entry["text"] for entry in found if entry["verdict"] == "refused"}


def test_all_is_well(world: World) -> None:
    code, answer = check(world)
    assert (code, answer["ready"], refusals(answer)) == (0, True, {})
    looked_at = [entry["subject"] for entry in answer["findings"] if entry["verdict"] == "ok"]
    assert looked_at == ["settings", "devices", "event size", "buffer", "disk", "ring"]
    warned = [entry["text"] for entry in answer["findings"] if entry["verdict"] == "warning"]
    assert warned == ["no Logger is connected: start mlogger"]


@pytest.mark.parametrize(
    ("trigger", "keys", "subject"),
    [
        ({}, {"Exposure": 0.5}, "settings"),
        ({"Cameras": ["sim:round"]}, {}, "devices"),
        ({"Ring memory MB": 1}, {}, "ring"),
    ],
)
def test_it_says_what_begin_of_run_says(
    world: World, trigger: dict[str, Any], keys: dict[str, Any], subject: str
) -> None:
    world.configure(trigger, **keys)
    code, answer = check(world)
    said = refusals(answer)
    assert (code, list(said)) == (1, [subject])
    if "trigger" in world.programs:
        with pytest.raises(TransitionFailedError) as refused:
            world.client.start_run()
        assert said[subject] in str(refused.value)


def test_a_disk_of_another_computer_is_not_called_well_without_a_word(world: World) -> None:
    key, logger = "/Logger/Data dir", StandaloneClient("Logger", world.folder)
    folder = world.get(key)
    world.client.odb_set(key, "/of/the/logger")
    try:
        code, answer = check(world)
    finally:
        world.client.odb_set(key, folder)
        logger.disconnect()
    warned = [entry["text"] for entry in answer["findings"] if entry["verdict"] == "warning"]
    assert code == 0
    assert warned == [
        "/Logger/Data dir is /of/the/logger, no folder of this computer; its disk is not known"
    ]


def test_people_get_a_table(world: World) -> None:
    world.client.odb_set(f"{TRIGGER}/Settings/Frame rate hz.", 3.0)
    done = call(world, "check")
    world.client.odb_delete(f"{TRIGGER}/Settings/Frame rate hz.")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[-1] == "ready"
    assert any(line.split()[:2] == ["disk", "ok"] for line in lines)
    assert "is no setting of mine" in " ".join(done.stdout.split())


def test_setup_shows_what_it_would_write_and_asks(world: World) -> None:
    world.client.odb_set(EVENT_KEY, 1_000_000)
    world.client.odb_set(BUFFER_KEY, 2_000_000)
    assert list(refusals(check(world)[1])) == ["event size", "buffer"]
    done = call(world, "setup", "--buffer-seconds", "1", given="n\n")
    assert "1000000" in done.stdout and "->" in done.stdout
    assert world.get(EVENT_KEY) == 1_000_000
    done = call(world, "setup", "--buffer-seconds", "1", given="y\n")
    assert "stopped and started again" in done.stdout
    assert world.get(EVENT_KEY) > 1_000_000
    assert world.get(BUFFER_KEY) >= 2 * world.get(EVENT_KEY)
    assert check(world)[0] == 0


def test_setup_for_machines_writes_only_if_told_to(world: World) -> None:
    world.client.odb_set(EVENT_KEY, 1_000_000)
    shown = json.loads(call(world, "setup", "--json").stdout)
    assert (shown["written"], world.get(EVENT_KEY)) == (False, 1_000_000)
    done = json.loads(call(world, "setup", "--json", "--yes").stdout)
    assert (done["written"], done["restart_clients"]) == (True, True)
    assert done["changes"] == shown["changes"]
    assert world.get(EVENT_KEY) == next(c["new"] for c in done["changes"] if c["key"] == EVENT_KEY)
    again = json.loads(call(world, "setup", "--json", "--yes").stdout)
    assert again == {"changes": [], "written": False, "restart_clients": False}


def test_setup_never_lowers_what_is_large_enough(world: World) -> None:
    world.client.odb_set(EVENT_KEY, 100 << 20)
    world.client.odb_set(BUFFER_KEY, 500 << 20)
    assert "holds all that is needed" in call(world, "setup", "--yes").stdout
    assert (world.get(EVENT_KEY), world.get(BUFFER_KEY)) == (100 << 20, 500 << 20)


@with_frontend
def test_setup_turns_the_history_of_frames_off(world: World) -> None:
    key = f"{TRIGGER}/Common/Log history"
    world.client.odb_set(key, 1)
    assert any(entry["subject"] == "history" for entry in check(world)[1]["findings"])
    done = json.loads(call(world, "setup", "--json", "--yes").stdout)
    assert [c["key"] for c in done["changes"] if not c["needs_restart"]] == [key]
    assert world.get(key) == 0


@with_frontend
def test_a_run_that_goes_on_is_not_disturbed(world: World) -> None:
    world.client.start_run()
    done = call(world, "check")
    sent = world.get(f"{TRIGGER}/Statistics/Events sent")
    wait_until(lambda: world.get(f"{TRIGGER}/Statistics/Events sent") > sent, 20, "more events")
    world.client.stop_run()
    assert done.returncode == 1
    assert "a run goes on" in " ".join(done.stderr.split())
    assert world.record["Frames lost"] == 0


def test_a_buffer_that_memory_cannot_hold_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(odb_setup, "_SHARED_MEMORY", Path("/"))
    huge = Change(BUFFER_KEY, None, 1 << 60, "", True)
    with pytest.raises(FrontendError, match=r"MB free; needed: .*--buffer-seconds"):
        require_memory([huge])
    require_memory([Change(EVENT_KEY, None, 1 << 60, "", True)])
