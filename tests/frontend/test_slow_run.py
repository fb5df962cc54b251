"""The slow-control frontend as a real process: events, variables, history, failures."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from experiment.standalone.client import StandaloneClient
from rawdata.event import BankFormat, Event, parse_event
from rawdata.layouts import high_voltage, slow
from tests.conftest import wait_until
from tests.frontend.world import World

HV, ENVIRONMENT = "/Equipment/HV", "/Equipment/Environment"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path) as world:
        yield world


class Listener:
    """Takes in all slow events."""

    def __init__(self, client: StandaloneClient) -> None:
        self._client = client
        self._buffer = client.open_event_buffer("SYSTEM", max_event_size=1 << 16)
        self._space = memoryview(bytearray(1 << 16))
        client.register_event_request(self._buffer, -1, -1)
        self.events: dict[int, list[Event]] = {3: [], 5: []}

    def count(self, event_id: int) -> int:
        while (content := self._client.receive_buffer(self._buffer, self._space)) is not None:
            event = parse_event(bytes(content))
            self.events[event.event_id].append(event)
        return len(self.events[event_id])


def test_it_sends_high_voltage_and_environment(world: World) -> None:
    listener = Listener(world.client)
    world.start_frontend("slow")
    wait_until(lambda: listener.count(3) and listener.count(5), 30, "an event of each")
    supply, sensors = listener.events[3][0], listener.events[5][0]
    assert list(supply) == ["DMND", "MSRD", "CRNT", "STAT", "TPTR"]
    assert supply.bank_format is sensors.bank_format is BankFormat.BANK
    reading = high_voltage.decode_high_voltage(supply)
    assert reading.channels == 26
    inputs = slow.decode_inputs(sensors)
    assert inputs.shape == (24,)
    for path in (HV, ENVIRONMENT):
        wait_until(lambda path=path: len(world.get(f"{path}/Variables")) > 0, 30, "variables")
    assert np.allclose(world.get(f"{ENVIRONMENT}/Variables/Input"), inputs)
    assert np.allclose(world.get(f"{HV}/Variables/Demand"), reading.demand)
    types = world.client.odb_get(f"{HV}/Variables", include_key_metadata=True)
    types = types.get("Variables", types)
    assert {types[f"{key}/key"]["type"] for key in ("Demand", "Measured", "Current")} == {9}
    assert types["ChStatus/key"]["type"] == 6
    assert len(world.get(f"{HV}/Settings/Names")) == 26
    assert world.get(f"{ENVIRONMENT}/Settings/Names Input")[:2] == ["P0IIn0", "P0IIn1"]
    for path, event_id in ((HV, 3), (ENVIRONMENT, 5)):
        common = world.get(f"{path}/Common")
        assert (common["Event ID"], common["Log history"], common["Format"]) == (
            event_id,
            1,
            "MIDAS",
        )
        wait_until(lambda path=path: world.get(f"{path}/Common/Status") == "Ok (sim)", 30)
        assert world.get(f"{path}/Common/Status color") == "greenLight"


def test_the_period_is_that_of_the_odb_and_live(world: World) -> None:
    listener = Listener(world.client)
    world.start_frontend("slow")
    wait_until(lambda: listener.count(3) == 1, 30, "the first event")
    world.client.odb_set(f"{HV}/Common/Period", 20)
    wait_until(lambda: listener.count(3) >= 6, 5, "events")
    world.client.start_run()
    seen = listener.count(3)
    wait_until(lambda: listener.count(3) >= seen + 6, 5, "events of the run")
    serials = [event.serial_number for event in listener.events[3]]
    assert serials.index(0, 1) <= seen  # counted anew from the begin of run
    assert serials[-1] == len(serials) - 1 - serials.index(0, 1)
    wait_until(lambda: world.get(f"{HV}/Statistics/Events sent") >= 6, 5, "statistics")
    world.client.stop_run()


def test_a_run_begins_with_a_reading(world: World) -> None:
    listener = Listener(world.client)
    world.start_frontend("slow")
    wait_until(lambda: listener.count(3) == listener.count(5) == 1, 30, "the first events")
    world.client.start_run()
    wait_until(lambda: listener.count(3) == listener.count(5) == 2, 30, "those of the run")
    world.client.stop_run()


def test_a_device_that_does_not_answer_is_told_and_tried_again(world: World) -> None:
    listener = Listener(world.client)
    options = json.dumps({"faults": {"silent_after": 1}})
    world.client.odb_set(f"{ENVIRONMENT}/Settings/Options", options)
    world.start_frontend("slow")
    wait_until(lambda: listener.count(5) == 1, 30, "the first event")
    world.client.odb_set(f"{ENVIRONMENT}/Common/Period", 20)
    world.client.start_run()
    alarm = "Environment device failed"
    wait_until(lambda: alarm in world.client.get_triggered_alarms(), 30, "the alarm")
    assert "do not answer" in world.client.get_triggered_alarms()[alarm]
    wait_until(lambda: listener.count(5) >= 3, 30, "events after it")
    wait_until(lambda: "answers again" in world.messages, 30, "the good news")
    color = f"{ENVIRONMENT}/Common/Status color"
    wait_until(lambda: world.get(color) == "greenLight", 30, "a green status")
    assert listener.count(3) >= 1
    world.client.stop_run()
    assert world.end("slow") == 0
    assert world.log("slow") == ""


def test_options_may_be_a_list_of_one(world: World) -> None:
    world.client.odb_set(f"{HV}/Settings/Options", '[{"seed": 7}]')
    world.start_frontend("slow")
    wait_until(lambda: world.get(f"{HV}/Common/Status") == "Ok (sim)", 30)


def test_bad_settings_are_an_error_of_their_equipment_until_they_are_mended(world: World) -> None:
    world.client.odb_set(f"{HV}/Settings/Options", "{bad")
    world.start_frontend("slow")
    wait_until(lambda: world.get(f"{ENVIRONMENT}/Common/Status") == "Ok (sim)", 30)
    wait_until(lambda: "Options is '{bad'; allowed: " in world.get(f"{HV}/Common/Status"), 30)
    world.client.odb_set(f"{HV}/Settings/Options", "{}")
    wait_until(lambda: world.get(f"{HV}/Common/Status") == "Ok (sim)", 30)
    assert world.end("slow") == 0
    assert world.log("slow") == ""


def test_an_unknown_driver_is_an_error_of_its_equipment_alone(world: World) -> None:
    listener = Listener(world.client)
    world.client.odb_set(f"{HV}/Settings/Driver", "caen")
    world.start_frontend("slow")
    wait_until(lambda: listener.count(5) == 1, 30, "an event of the other")
    wait_until(lambda: "no driver 'caen'" in world.get(f"{HV}/Common/Status"), 30)
    assert world.get(f"{HV}/Common/Status color") == "redLight"
    assert world.end("slow", signal.SIGINT) == 0
