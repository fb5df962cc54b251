"""What the standalone experiment does and a MIDAS client does not: programs, commands, the web."""

import json
import os
import time
from pathlib import Path

import pytest

from experiment.constants import (
    STATE_RUNNING,
)
from experiment.errors import (
    MidasError,
    TransitionFailedError,
)
from experiment.standalone.client import StandaloneClient
from rawdata.odbdump import format_dump, parse_dump
from tests.conftest import wait_until
from tests.experiment.worlds import StandaloneWorld, program_names


# what only this world has ----------------------------------------------------------------------
def test_several_clients_in_one_process(calm: StandaloneWorld) -> None:
    with (
        StandaloneClient("twin", calm.folder) as first,
        StandaloneClient("twin", calm.folder) as second,
    ):
        assert (first.name, second.name) == ("twin", "twin1")
        assert program_names(first) == {"twin", "twin1"}
        entries = first.odb_get("/System/Clients")
        assert set(entries) == {str(os.getpid()), f"{os.getpid()}_1"}


def test_calls_for_the_web_server(calm: StandaloneWorld) -> None:
    with StandaloneClient("web", calm.folder) as client:
        client.odb_create("/test/text", 12, 3, 40)
        key = client.odb_get("/test/text", include_key_metadata=True)["text/key"]
        assert (key["num_values"], key["item_size"]) == (3, 40)
        with pytest.raises(MidasError) as caught:
            client.odb_create("/test/text", 12)
        assert caught.value.code == 311
        client.odb_resize("/test/text", 5)
        assert client.odb_get("/test/text") == [""] * 5
        client.odb_resize_string("/test/text", 10)
        client.odb_create("/test/first", 15)
        client.odb_reorder("/test/first", 0)
        assert list(client.odb_get("/test")) == ["first", "text"]
        assert client.client_exists("we", unique=False)
        assert not client.client_exists("we")
        client.msg("hello", facility="chat")
        assert client.get_message_facilities() == ["chat", "midas"]
        since = client.retrieve_messages(0, time.time() - 100, "chat")
        assert [line[-5:] for line in since] == ["hello"]
        with pytest.raises(ValueError, match="facility"):
            client.msg("escape", facility="../outside")


def test_a_program_can_be_started(calm: StandaloneWorld, tmp_path: Path) -> None:
    with StandaloneClient("web", calm.folder) as client:
        with pytest.raises(MidasError, match="Start command"):
            client.start_program("Toucher")
        made = tmp_path / "made"
        client.odb_set("/Programs/Toucher/Start command", f"touch '{made}'")
        client.start_program("Toucher")
        wait_until(made.exists)


def test_a_missing_program_raises_an_alarm_and_is_restarted(
    calm: StandaloneWorld, tmp_path: Path
) -> None:
    with StandaloneClient("watcher", calm.folder) as client:
        calm.fresh("needed").close()
        restarted = tmp_path / "restarted"
        settings = {
            "Alarm class": "Alarm",
            "Check interval": 0,
            "Auto restart": True,
            "Start command": f"touch '{restarted}'",
        }
        client.odb_set("/Programs/needed", settings, remove_unspecified_keys=False)
        wait_until(lambda: "needed" in client.get_triggered_alarms())
        assert client.get_triggered_alarms()["needed"] == "Program needed is not running"
        wait_until(restarted.exists)


def test_an_alarm_executes_its_command_and_speaks(calm: StandaloneWorld, tmp_path: Path) -> None:
    heard: list[str] = []
    with StandaloneClient("watcher", calm.folder) as client:
        client.register_message_callback(lambda *news: heard.append(news[1]), None)
        called = tmp_path / "called"
        client.create_alarm_class("Loud", f"echo '%s' > '{called}'", 1)
        client.trigger_internal_alarm("Fire", "it burns", "Loud")
        wait_until(lambda: called.exists() and called.read_text() == "Loud: it burns\n")

        def is_heard() -> bool:
            client.communicate(10)
            return "[Alarm,TALK] Loud: it burns" in heard

        wait_until(is_heard)


def test_required_programs_are_started_with_the_run(calm: StandaloneWorld, tmp_path: Path) -> None:
    started, stopped = tmp_path / "started", tmp_path / "stopped"
    with StandaloneClient("operator", calm.folder) as client:
        client.odb_set("/Programs/Execute on start run", f"touch '{started}'")
        client.odb_set("/Programs/Execute on stop run", f"touch '{stopped}'")
        client.start_run()
        wait_until(started.exists)
        assert not stopped.exists()
        client.stop_run()
        wait_until(stopped.exists)


def test_a_prevented_start_prevents_no_other(calm: StandaloneWorld) -> None:
    with StandaloneClient("operator", calm.folder) as client:
        client.odb_set("/Experiment/Prevent start on required progs", True)
        client.odb_set("/Programs/Missing/Required", True)
        with pytest.raises(TransitionFailedError, match="Missing"):
            client.start_run()
        client.odb_delete("/Programs/Missing")
        client.start_run()
        assert client.odb_get("/Runinfo/State") == STATE_RUNNING
        client.stop_run()


def test_the_odb_is_dumped_as_midas_does(calm: StandaloneWorld) -> None:
    with StandaloneClient("Logger", calm.folder) as client:
        odb = client.odb_get("/", include_key_metadata=True)["root"]
        text = format_dump(odb)
        assert json.loads(text)["Experiment"]["MAX_EVENT_SIZE"] == "0x02000000"
        assert parse_dump(text) == client.odb_get("/")


def test_keys_that_are_locked_while_a_run_goes_on(calm: StandaloneWorld) -> None:
    with StandaloneClient("operator", calm.folder) as client:
        client.odb_set("/Equipment/Trigger/Settings/Exposure", 0.3)
        client.odb_link("/Experiment/Lock when running/Trigger", "/Equipment/Trigger/Settings")
        client.start_run()
        with pytest.raises(MidasError, match="protected"):
            client.odb_set("/Equipment/Trigger/Settings/Exposure", 0.5)
        client.stop_run()
        client.odb_set("/Equipment/Trigger/Settings/Exposure", 0.5)
