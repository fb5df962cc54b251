"""The standalone experiment when programs and its server are started in any order, and killed."""

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from experiment.client import Client
from experiment.connect import connect
from experiment.constants import (
    STATE_RUNNING,
    STATE_STOPPED,
    TR_START,
    TR_STARTABORT,
    TR_STOP,
)
from experiment.errors import (
    ExperimentError,
    MidasError,
    TransitionDeferredError,
    TransitionFailedError,
)
from experiment.standalone.client import StandaloneClient
from experiment.standalone.endpoint import FILE_NAME, read_endpoint
from rawdata.odbdump import format_dump, parse_dump
from tests.conftest import wait_until
from tests.experiment.peer import Peer
from tests.experiment.worlds import StandaloneWorld


def names(client: StandaloneClient | Peer) -> set[str]:
    return {entry["Name"] for entry in client.odb_get("/System/Clients").values()}


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandaloneWorld]:
    """An experiment that several tests share; its server lives through all of them."""
    with StandaloneWorld(tmp_path_factory.mktemp("calm") / "experiment") as world:
        yield world


def log_of(world: StandaloneWorld) -> str:
    return (world.folder / "midas.log").read_text()


# life of the server ----------------------------------------------------------------------------
def test_the_client_fulfils_the_protocol(calm: StandaloneWorld) -> None:
    with StandaloneClient("protocol", calm.folder) as client:
        assert isinstance(client, Client)
    with pytest.raises(ExperimentError, match="has left"):
        client.odb_get("/")


def test_connect_finds_the_folder(calm: StandaloneWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CYGNO_EXPERIMENT", str(calm.folder))
    client = connect("anybody")
    assert "anybody" in names(client)  # type: ignore[arg-type]
    client.disconnect()
    client.disconnect()


def test_a_stopped_server_leaves_nothing(standalone: StandaloneWorld) -> None:
    endpoint = read_endpoint(standalone.folder)
    assert endpoint is not None
    socket = Path(endpoint.address.removeprefix("ipc://"))
    assert socket.exists()
    assert socket.parent.stat().st_mode & 0o777 == 0o700
    standalone.server.terminate()
    assert standalone.server.wait(10) == 0
    assert not socket.parent.exists()
    assert not (standalone.folder / FILE_NAME).exists()
    standalone.server = standalone.start_server()


def test_a_second_server_is_refused(standalone: StandaloneWorld) -> None:
    second = subprocess.run(
        [sys.executable, "-m", "sim.server", str(standalone.folder)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert second.returncode == 1
    assert len(second.stderr.splitlines()) == 1
    assert f"served already, by process {standalone.server.pid}" in second.stderr
    with StandaloneClient("still there", standalone.folder) as client:
        assert client.odb_get("/Runinfo/State") == STATE_STOPPED


def test_a_damaged_odb_is_refused(tmp_path: Path) -> None:
    (tmp_path / "odb.sqlite").write_bytes(b"this is no database" * 100)
    server = subprocess.run(
        [sys.executable, "-m", "sim.server", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert server.returncode == 1
    assert "odb.sqlite" in server.stderr
    assert len(server.stderr.splitlines()) == 1


def test_no_server(tmp_path: Path) -> None:
    with pytest.raises(ExperimentError, match=r"lonely: no server runs.*cygno-sim serve --output"):
        StandaloneClient("lonely", tmp_path, wait_s=0.2)


def test_a_server_that_hangs(standalone: StandaloneWorld) -> None:
    with StandaloneClient("patient", standalone.folder, wait_s=0.5) as client:
        standalone.server.send_signal(signal.SIGSTOP)
        try:
            with pytest.raises(ExperimentError, match=r"has not answered for 0\.5 s"):
                client.odb_get("/Runinfo/State")
            with pytest.raises(ExperimentError, match=r"has not answered for 0\.2 s"):
                StandaloneClient("newcomer", standalone.folder, wait_s=0.2)
        finally:
            standalone.server.send_signal(signal.SIGCONT)
        assert client.odb_get("/Runinfo/State") == STATE_STOPPED


def test_a_program_may_start_before_the_server(tmp_path: Path) -> None:
    folder = tmp_path / "experiment"
    early: list[StandaloneClient] = []
    # The thread waits as a program would; the client is then used by it alone.
    thread = threading.Thread(
        target=lambda: early.append(StandaloneClient("early", folder, wait_s=30))
    )
    thread.start()
    with StandaloneWorld(folder) as world:
        thread.join(30)
        assert early[0].odb_get("/Runinfo/State") == STATE_STOPPED
        assert "early" in names(world.fresh("later"))
        early[0].disconnect()


def test_a_name_that_is_too_long(calm: StandaloneWorld) -> None:
    with pytest.raises(ValueError, match="31 bytes"):
        StandaloneClient("x" * 32, calm.folder)


# a killed server -------------------------------------------------------------------------------
def test_no_acknowledged_write_is_lost(standalone: StandaloneWorld) -> None:
    acknowledged = -1
    with StandaloneClient("writer", standalone.folder) as client:
        client.odb_set("/test", {"number": -1, "pair": [-1, -1]})
        killer = threading.Timer(0.3, standalone.server.kill)
        killer.start()
        with contextlib.suppress(ExperimentError):
            client._connection._wait_s = 0.3
            for number in range(1_000_000):
                client.odb_set("/test", {"number": number, "pair": [number, number]})
                acknowledged = number
        killer.join()
        standalone.server.wait()
        assert acknowledged > 0
        standalone.server = standalone.start_server()
        client._connection._wait_s = 10
        stored = client.odb_get("/test")
    assert stored["number"] in (acknowledged, acknowledged + 1)
    assert stored["pair"] == [stored["number"]] * 2


def test_programs_find_the_new_server(standalone: StandaloneWorld) -> None:
    client, other = standalone.peer("client"), standalone.peer("other")
    client.odb_set("/test/value", 1)
    client.watch("/test/value")
    client.on_transition(TR_START, 300)
    client.on_message()
    client.on_call()
    standalone.restart_server()
    assert other.connection_call("client", "still", "there?") == "still(there?)"
    other.odb_set("/test/value", 2)
    wait_until(lambda: ("/test/value", 2) in client.heard("watch"))
    other.start_run()
    assert client.heard("transition") == [(TR_START, 300, 1)]
    wait_until(lambda: any("Run #1 started" in m[0] for m in client.heard("message")))
    assert names(client) == {"client", "other"}
    assert client.odb_exists(f"/System/Clients/{client.pid}")


def test_a_run_survives_the_server(standalone: StandaloneWorld) -> None:
    client = standalone.peer("client")
    client.on_transition(TR_STOP, 500)
    client.start_run()
    standalone.restart_server()
    assert client.odb_get("/Runinfo/State") == STATE_RUNNING
    client.stop_run()
    assert client.odb_get("/Runinfo/State") == STATE_STOPPED
    assert client.heard("transition") == [(TR_STOP, 500, 1)]


def test_a_run_waits_for_programs_that_have_not_come_back(standalone: StandaloneWorld) -> None:
    client, busy = standalone.peer("client"), standalone.peer("busy")
    busy.on_transition(TR_START, 300)
    busy.go_deaf(1.5)
    standalone.restart_server()
    client.start_run()
    assert busy.heard("transition") == [(TR_START, 300, 1)]


def test_programs_that_died_with_the_server_are_forgotten(standalone: StandaloneWorld) -> None:
    client, doomed = standalone.peer("client"), standalone.fresh("doomed")
    doomed.on_transition(TR_START, 300)
    standalone.kill_server()
    doomed.kill()
    standalone.server = standalone.start_server()
    client.start_run()
    assert names(client) == {"client"}


def test_a_start_that_the_server_did_not_survive(standalone: StandaloneWorld) -> None:
    client, camera = standalone.peer("client"), standalone.peer("camera")
    camera.on_transition(TR_START, 300, works_s=0.5)
    camera.on_transition(TR_STARTABORT, 500)
    client.begin("start_run")
    wait_until(lambda: _armed(standalone))
    standalone.restart_server()
    with pytest.raises(ExperimentError, match="ended before it answered"):
        client.result()
    wait_until(lambda: (TR_STARTABORT, 500, 1) in camera.heard("transition"))
    wait_until(lambda: client.odb_get("/Runinfo/Transition in progress") == 0)
    assert client.odb_get("/Runinfo/State") == STATE_STOPPED
    assert "cut short" in log_of(standalone)
    client.start_run()
    assert client.odb_get("/Runinfo/State") == STATE_RUNNING


def _armed(world: StandaloneWorld) -> bool:
    with StandaloneClient("look", world.folder) as look:
        return bool(look.odb_get("/Runinfo/Transition in progress"))


def test_a_program_gives_up_when_no_server_comes(standalone: StandaloneWorld) -> None:
    with StandaloneClient("tired", standalone.folder, wait_s=0.6) as client:
        standalone.kill_server()
        client.communicate(100)  # a short absence is no matter
        with pytest.raises(ExperimentError, match="no server runs"):
            client.communicate(5000)
        with pytest.raises(ExperimentError, match="no server runs"):
            client.odb_get("/")
        standalone.server = standalone.start_server()
        assert client.odb_get("/Runinfo/State") == STATE_STOPPED


def test_a_run_of_which_nothing_is_left(standalone: StandaloneWorld) -> None:
    doomed = standalone.fresh("doomed")
    doomed.start_run()
    standalone.kill_server()
    doomed.kill()
    standalone.server = standalone.start_server()
    with StandaloneClient("next", standalone.folder) as client:
        wait_until(lambda: client.odb_get("/Runinfo/State") == STATE_STOPPED)
        assert "Run #1 was abandoned" in log_of(standalone)
        client.start_run()
        assert client.odb_get("/Runinfo/Run number") == 2


def test_a_run_can_be_stopped_on_a_full_disk(standalone: StandaloneWorld) -> None:
    client, camera = standalone.peer("client"), standalone.peer("camera")
    camera.on_transition(TR_STOP, 500)
    client.start_run()
    unlimited = resource.RLIM_INFINITY
    # No file of the server may grow any more.
    resource.prlimit(standalone.server.pid, resource.RLIMIT_FSIZE, (1, unlimited))
    client.odb_set("/test/texts", ["x" * 255] * 1000)
    client.stop_run()
    assert camera.heard("transition") == [(TR_STOP, 500, 1)]
    assert client.odb_get("/Runinfo/State") == STATE_STOPPED
    assert "make room" in client.get_triggered_alarms()["ODB not stored"]
    resource.prlimit(standalone.server.pid, resource.RLIMIT_FSIZE, (unlimited, unlimited))
    wait_until(lambda: "the ODB is stored again" in log_of(standalone))
    standalone.restart_server()
    assert client.odb_get("/Runinfo/State") == STATE_STOPPED
    assert client.odb_get("/test/texts") == ["x" * 255] * 1000


# a killed program ------------------------------------------------------------------------------
def test_a_killed_program_is_removed(standalone: StandaloneWorld) -> None:
    client, doomed = standalone.peer("client"), standalone.fresh("doomed")
    client.odb_set("/test/value", 1)
    doomed.watch("/test/value")
    doomed.process.kill()  # not waited for: a zombie, too, is dead
    wait_until(lambda: names(client) == {"client"}, 5)
    doomed.process.wait()
    assert "Client 'doomed' removed because process pid" in log_of(standalone)
    client.odb_delete("/test/value")  # nobody watches it any more


def test_a_stopped_program_is_not_waited_for_endlessly(standalone: StandaloneWorld) -> None:
    client, stopped = standalone.peer("client"), standalone.fresh("stopped")
    stopped.on_transition(TR_START, 300)
    client.odb_set("/Experiment/Transition connect timeout", 1000)
    stopped.process.send_signal(signal.SIGSTOP)
    try:
        with pytest.raises(TransitionFailedError, match="stopped did not communicate within 1 s"):
            client.start_run()
    finally:
        stopped.process.send_signal(signal.SIGCONT)
    assert names(client) == {"client"}
    client.start_run()
    assert client.odb_get("/Runinfo/State") == STATE_RUNNING


def test_who_starts_a_run_may_die(standalone: StandaloneWorld) -> None:
    starter, camera = standalone.fresh("starter"), standalone.peer("camera")
    camera.on_transition(TR_START, 300, works_s=0.5)
    starter.begin("start_run")
    wait_until(lambda: _armed(standalone))
    starter.kill()
    wait_until(lambda: camera.odb_get("/Runinfo/State") == STATE_RUNNING)


def test_who_holds_a_stop_back_may_die(standalone: StandaloneWorld) -> None:
    client, holder = standalone.peer("client"), standalone.fresh("holder")
    holder.hold_back(TR_STOP, 1_000_000)
    client.start_run()
    with pytest.raises(TransitionDeferredError):
        client.stop_run()
    holder.kill()
    wait_until(lambda: names(client) == {"client"})
    client.stop_run()
    assert client.odb_get("/Runinfo/State") == STATE_STOPPED


FORGETFUL = """
import sys
from experiment.standalone.client import StandaloneClient

client = StandaloneClient("forgetful", sys.argv[1])
client.open_event_buffer("SYSTEM")
raise SystemExit(0)
"""


def test_a_program_that_just_ends_says_good_bye(standalone: StandaloneWorld) -> None:
    command = [sys.executable, "-c", FORGETFUL, str(standalone.folder)]
    assert subprocess.run(command, timeout=30, check=False).returncode == 0
    assert "Program forgetful on host localhost stopped" in log_of(standalone)


def test_a_client_that_nobody_needs_any_more_leaves(standalone: StandaloneWorld) -> None:
    forgotten = StandaloneClient("forgotten", standalone.folder)
    forgotten.odb_watch("/Runinfo", print)
    del forgotten
    assert "Program forgotten on host localhost stopped" in log_of(standalone)


FORK = """
import os, sys
from experiment.standalone.client import StandaloneClient

with StandaloneClient("parent", sys.argv[1]) as client:
    child = os.fork()
    if child == 0:
        client.disconnect()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert client.client_exists("parent")
"""


def test_a_forked_child_does_not_take_its_parent_along(standalone: StandaloneWorld) -> None:
    command = [sys.executable, "-c", FORK, str(standalone.folder)]
    assert subprocess.run(command, timeout=30, check=False).returncode == 0


def test_programs_killed_again_and_again(standalone: StandaloneWorld) -> None:
    client = standalone.peer("client")
    for _ in range(3):
        victims = [standalone.fresh(f"victim {n}") for n in range(2)]
        victims[0].on_transition(TR_START, 300)
        victims[1].on_transition(TR_STOP, 300, dies=True)
        client.start_run()
        victims[0].kill()
        client.stop_run()
        assert client.odb_get("/Runinfo/State") == STATE_STOPPED
        for victim in victims:
            victim.process.wait(10)
    wait_until(lambda: names(client) == {"client"}, 5)


# what only this world has ----------------------------------------------------------------------
def test_several_clients_in_one_process(calm: StandaloneWorld) -> None:
    with (
        StandaloneClient("twin", calm.folder) as first,
        StandaloneClient("twin", calm.folder) as second,
    ):
        assert (first.name, second.name) == ("twin", "twin1")
        assert names(first) == {"twin", "twin1"}
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
        client.communicate(100)
        assert "[Alarm,TALK] Loud: it burns" in heard


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
