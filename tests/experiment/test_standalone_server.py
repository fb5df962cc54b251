"""The server of the standalone experiment: started in any order, damaged, and killed."""

import contextlib
import resource
import signal
import subprocess
import sys
import threading
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
)
from experiment.standalone.client import StandaloneClient
from experiment.standalone.endpoint import FILE_NAME, read_endpoint
from tests.conftest import freeze, wait_until
from tests.experiment.worlds import StandaloneWorld, program_names


# life of the server ----------------------------------------------------------------------------
def test_the_client_fulfils_the_protocol(calm: StandaloneWorld) -> None:
    with StandaloneClient("protocol", calm.folder) as client:
        assert isinstance(client, Client)
    with pytest.raises(ExperimentError, match="has left"):
        client.odb_get("/")


def test_connect_finds_the_folder(calm: StandaloneWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CYGNO_EXPERIMENT", str(calm.folder))
    client = connect("anybody")
    assert "anybody" in program_names(client)  # type: ignore[arg-type]
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
        freeze(standalone.server.pid)
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
        assert "early" in program_names(world.fresh("later"))
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
    assert program_names(client) == {"client", "other"}
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
    assert program_names(client) == {"client"}


def test_a_start_that_the_server_did_not_survive(standalone: StandaloneWorld) -> None:
    client, camera = standalone.peer("client"), standalone.peer("camera")
    camera.on_transition(TR_START, 300, works_s=0.5)
    camera.on_transition(TR_STARTABORT, 500)
    client.begin("start_run")
    wait_until(lambda: standalone.is_in_transition())
    standalone.restart_server()
    with pytest.raises(ExperimentError, match="ended before it answered"):
        client.result()
    wait_until(lambda: (TR_STARTABORT, 500, 1) in camera.heard("transition"))
    wait_until(lambda: client.odb_get("/Runinfo/Transition in progress") == 0)
    assert client.odb_get("/Runinfo/State") == STATE_STOPPED
    assert "cut short" in standalone.messages
    client.start_run()
    assert client.odb_get("/Runinfo/State") == STATE_RUNNING


def test_a_program_gives_up_when_no_server_comes(standalone: StandaloneWorld) -> None:
    with StandaloneClient("tired", standalone.folder, wait_s=1.5) as client:
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
        assert "Run #1 was abandoned" in standalone.messages
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
    wait_until(lambda: "the ODB is stored again" in standalone.messages)
    standalone.restart_server()
    assert client.odb_get("/Runinfo/State") == STATE_STOPPED
    assert client.odb_get("/test/texts") == ["x" * 255] * 1000
