"""The daemon stages what comes, with an experiment and without, and outlives what fails."""

import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

import sim.server
import stager.daemon
import stager.main
from experiment.client import Client
from experiment.connect import connect
from experiment.standalone.endpoint import find_server
from stager.daemon import Daemon
from stager.errand import Errand
from stager.outcome import Pass
from tests.conftest import free_port, wait_until
from tests.stager.staging import FAST, PROCESSES, Folder, Silent

QUICK = {**FAST, "CYGNO_STAGER_SCAN_PERIOD_S": "0.1", "CYGNO_STAGER_RETRY_FIRST_S": "0.1"}


def run_daemon(log: Path, environment: dict[str, str]) -> None:
    """Be the daemon; the body of a process."""
    with log.open("ab") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    os.environ.update(environment)
    sys.argv = ["cygno-stager", "daemon", "-v"]
    stager.main.main()


def run_experiment(folder: Path) -> None:
    """Be the server of an experiment; the body of a process."""
    with (folder / "server.log").open("ab") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    sys.argv = ["sim.server", str(folder)]
    sys.exit(sim.server.main())


@contextmanager
def daemon(folder: Folder, **environment: str) -> Iterator[Any]:
    """Run the daemon in a process of its own; it must end by itself when it is asked to."""
    log = folder.path / "daemon.log"
    log.touch()
    here = {"CYGNO_EXPERIMENT": str(folder.path), "CYGNO_S3_TAG": folder.tag}
    process = PROCESSES.Process(target=run_daemon, args=(log, {**QUICK, **here, **environment}))
    process.start()
    try:
        yield process
        process.terminate()
        process.join(45)
        assert process.exitcode == 0, log.read_text()
    finally:
        process.kill()
        process.join()


@contextmanager
def experiment(folder: Folder) -> Iterator[Client]:
    """Run the standalone experiment of a folder."""
    server = PROCESSES.Process(target=run_experiment, args=(folder.path,))
    server.start()
    try:
        wait_until(lambda: find_server(folder.path) or not server.is_alive(), 45)
        client = connect("test", folder.path)
        yield client
        client.disconnect()
    finally:
        server.terminate()
        server.join(45)


def status_of(client: Client) -> str:
    """Return what the stager shows of itself."""
    path = "/Equipment/Stager/Common/Status"
    client.communicate(1)
    return str(client.odb_get(path)) if client.odb_exists(path) else ""


def test_it_stages_what_comes_without_an_experiment(folder: Folder, data: Path) -> None:
    with daemon(folder):
        folder.add(data / "run01104.mid", ".copying")
        (folder.data / ".copying").rename(folder.data / "run01104.mid")
        wait_until(lambda: "run01104.mid" in folder.objects(), 45, "the first run")
        folder.add(data / "run01105.mid.bz2", ".copying")
        (folder.data / ".copying").rename(folder.data / "run01105.mid.bz2")
        wait_until(lambda: "run01105.mid.bz2" in folder.objects(), 45, "the second run")


def test_a_server_that_comes_back_is_used(folder: Folder, data: Path) -> None:
    keys = folder.path / "s3" / "credentials.json"
    right = keys.read_text()
    wrong = {**json.loads(right), "endpoint": f"http://127.0.0.1:{free_port()}"}
    keys.write_text(json.dumps(wrong))
    folder.add(data / "run01104.mid")
    with daemon(folder):
        log = folder.path / "daemon.log"
        wait_until(lambda: "cannot be reached" in log.read_text(), 45, "the failure")
        keys.write_text(right)
        wait_until(lambda: "run01104.mid" in folder.objects(), 45, "the run")
    # Said once, however often it was tried.
    assert log.read_text().count("cannot be reached") == 1


def test_a_catalog_that_comes_back_is_used(folder: Folder, data: Path) -> None:
    away = folder.path / "away"
    with daemon(folder, CYGNO_STAGER_CATALOG=f"sqlite:///{away}/catalog.sqlite"):
        log = folder.path / "daemon.log"
        wait_until(lambda: "unable to open database file" in log.read_text(), 45, "the failure")


def test_it_is_a_program_of_the_experiment(folder: Folder, data: Path) -> None:
    with experiment(folder) as client, daemon(folder):
        wait_until(lambda: status_of(client), 45, "the stager in the ODB")
        clients = client.odb_get("/System/Clients")
        assert "cygno-stager" in [entry["Name"] for entry in clients.values()]
        assert client.odb_get("/Equipment/Stager/Settings/Part size MiB") == 16
        folder.add(data / "run01104.mid", ".copying")
        (folder.data / ".copying").rename(folder.data / "run01104.mid")
        wait_until(lambda: status_of(client) == "1 files staged", 45, "the run")
        variables = client.odb_get("/Equipment/Stager/Variables")
        assert (variables["Files staged"], variables["Last run staged"]) == (1, 1104)
        assert "run01104.mid" in folder.objects()
        text = json.dumps(client.odb_get("/Equipment/Stager"))
        assert folder.access["secret_key"] not in text and folder.access["access_key"] not in text


def test_the_current_run_is_left_alone_until_it_ends(folder: Folder, data: Path) -> None:
    with experiment(folder) as client, daemon(folder):
        wait_until(lambda: status_of(client), 45, "the stager in the ODB")
        client.start_run(1104)
        folder.add(data / "run01104.mid")
        wait_until(lambda: "1 waiting" in status_of(client), 45, "the run to be seen")
        assert folder.objects() == {}
        client.stop_run()
        wait_until(lambda: status_of(client) == "1 files staged", 45, "the run to be staged")


def test_a_failure_is_an_alarm_and_ends_with_its_cause(folder: Folder, data: Path) -> None:
    path = folder.add(data / "run01104.mid")
    folder.add(data / "run01104.mid.crc32c")
    right = path.read_bytes()
    path.write_bytes(right[:-1] + b"?")
    with experiment(folder) as client, daemon(folder):
        wait_until(lambda: "is damaged" in status_of(client), 45, "the failure in the ODB")
        assert client.odb_get("/Equipment/Stager/Common/Status color") == "redLight"
        wait_until(lambda: "Stager" in client.get_triggered_alarms(), 45, "the alarm")
        assert any("is damaged" in line for line in client.get_recent_messages(20))
        path.write_bytes(right)
        wait_until(lambda: "files staged" in status_of(client), 45, "the run to be staged")
        wait_until(lambda: "Stager" not in client.get_triggered_alarms(), 45, "the alarm's end")


def test_a_conflict_is_an_alarm(folder: Folder, data: Path) -> None:
    path = folder.add(data / "run01104.mid")
    folder.client().put_object(Bucket=folder.bucket, Key=folder.key(path.name), Body=b"not ours")
    with experiment(folder) as client, daemon(folder):
        wait_until(lambda: "Stager" in client.get_triggered_alarms(), 45, "the alarm")
        assert any("has another content" in line for line in client.get_recent_messages(20))
    assert folder.content(path.name) == b"not ours"


def call(client: Client, verb: str, arguments: str = "") -> Any:
    """Call the stager from afar, as the page does."""
    connection = client.connect_to_other_client("cygno-stager")
    return json.loads(client.jrpc_client_call(connection, verb, arguments))


def test_it_answers_from_afar(folder: Folder, data: Path) -> None:
    keys = folder.path / "s3" / "credentials.json"
    right = keys.read_text()
    keys.write_text(json.dumps({**json.loads(right), "endpoint": "http://127.0.0.1:9"}))
    folder.add(data / "run01104.mid")
    with experiment(folder) as client, daemon(folder, CYGNO_STAGER_RETRY_FIRST_S="3600"):
        wait_until(lambda: status_of(client), 45, "the stager in the ODB")
        wait_until(lambda: call(client, "status")["failed"] == 1, 45, "the failure")
        status = call(client, "status")
        assert status["ok"] and "cannot be reached" in status["message"]
        assert (status["staged"], status["waiting"]) == (0, 0)
        keys.write_text(right)
        assert call(client, "retry", '{"run": 1104}')["ok"]
        wait_until(lambda: status_of(client) == "1 files staged", 45, "the run to be staged")
        folder.client().delete_object(Bucket=folder.bucket, Key=folder.key("run01104.mid"))
        assert call(client, "verify", '{"run": 1104}')["ok"]
        lost = "has nothing under this name"
        wait_until(lambda: any(lost in m for m in client.get_recent_messages(20)), 45, "the loss")
        wait_until(lambda: "run01104.mid" in folder.objects(), 45, "the run to be sent again")
        refused = [
            call(client, *w) for w in (("dance",), ("retry", "42"), ("verify", '{"run":""}'))
        ]
        assert [answer["ok"] for answer in refused] == [False] * 3
        assert "known: status, verify, retry" in refused[0]["message"]
        assert all("allowed" in answer["message"] for answer in refused[1:])


def test_a_place_may_be_added_in_the_odb(folder: Folder, data: Path, tmp_path: Path) -> None:
    second = tmp_path / "second"
    second.mkdir()
    with experiment(folder) as client, daemon(folder):
        wait_until(lambda: status_of(client), 45, "the stager in the ODB")
        place = "/Equipment/Stager/Settings/Places/nas"
        client.odb_set(place, {"Kind": "folder", "Folder": str(second), "Role": "tape"})
        folder.add(data / "run01104.mid")
        copy = second / folder.key("run01104.mid")
        wait_until(copy.exists, 45, "the copy")
        wait_until(lambda: status_of(client) == "1 files staged", 45, "the run to be staged")
        client.odb_set(f"{place}/Kind", "floppy")
        wait_until(lambda: "place nas: kind is 'floppy'" in status_of(client), 45, "the refusal")
    assert folder.runlog(1104).storage_tape_status == 1


def test_a_disk_that_fills_up_is_an_alarm(folder: Folder, data: Path) -> None:
    folder.add(data / "run01104.mid")
    with experiment(folder) as client, daemon(folder, CYGNO_STAGER_LOW_DISK_HOURS="1e9"):
        path = folder.data / "run01104.mid"
        os.utime(path)  # it has come just now
        wait_until(lambda: "Stager disk" in client.get_triggered_alarms(), 45, "the alarm")
        assert " h at " in client.get_triggered_alarms()["Stager disk"]
        variables = client.odb_get("/Equipment/Stager/Variables")
        assert variables["Disk percent full"] > 0 and variables["Disk hours left"] > 0


def test_it_deletes_only_if_it_is_told_to(folder: Folder, data: Path) -> None:
    old, new = folder.add(data / "run01104.mid"), folder.add(data / "run01105.mid.bz2")
    rules = {
        "CYGNO_STAGER_KEEP_NEWEST_RUNS": "1",
        "CYGNO_STAGER_KEEP_DAYS": "0",
        "CYGNO_STAGER_DELETE_WITHOUT_RECO": "1",
    }
    log = folder.path / "daemon.log"
    with daemon(folder, **rules):
        wait_until(lambda: log.read_text().count("is at its places") == 2, 45, "both runs")
    assert old.exists() and new.exists()
    with daemon(folder, **rules, CYGNO_STAGER_DELETE_LOCAL_FILES="1"):
        wait_until(lambda: not old.exists(), 45, "the older run to go")
        wait_until(lambda: "run 1104: 1 local files deleted" in log.read_text(), 45, "its line")
    assert new.exists()
    assert "verified just before: cloud" in str(folder.file("run01104.mid").reason)


def test_a_fault_of_its_own_is_shown_and_outlived(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    rounds = []

    def run(self: Errand, configuration: object) -> Pass:
        rounds.append(configuration)
        if len(rounds) == 1:
            raise ZeroDivisionError("by our own fault")
        return Pass()

    monkeypatch.setattr(Errand, "run", run)
    monkeypatch.setattr(stager.daemon, "_RETRY_S", 0.0)
    Daemon({}, None, folder.path, None, Silent(), lambda: len(rounds) > 1).serve()
    assert "(ZeroDivisionError: by our own fault); it begins anew" in caplog.text


@pytest.mark.slow
def test_it_outlives_the_experiment(folder: Folder, data: Path) -> None:
    with ExitStack() as both:
        with experiment(folder) as client:
            both.enter_context(daemon(folder))
            wait_until(lambda: status_of(client), 45, "the stager in the ODB")
        folder.add(data / "run01104.mid")
        wait_until(lambda: "run01104.mid" in folder.objects(), 40, "the run, with no experiment")
        with experiment(folder) as client:
            wait_until(lambda: "cygno-stager" in str(client.odb_get("/System/Clients")), 40)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_when_asked(folder: Folder, number: int) -> None:
    with daemon(folder) as process:
        wait_until(folder.catalog_file.exists, 45, "the daemon to work")
        os.kill(process.pid, number)
        process.join(45)
        assert process.exitcode == 0
