"""The daemon as a program of a real MIDAS: status, alarms, remote calls, and the runs it stages."""

import json
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import free_port, wait_until
from tests.experiment import midas_programs as scripted
from tests.experiment.midas_world import MidasRuns
from tests.experiment.worlds import why_no_midas
from tests.stager.staging import FAST, Folder

pytestmark = pytest.mark.midas
COUNT = 8
STAGER = "/Equipment/Stager"


class Site:
    """A MIDAS experiment with its logger, a sender of events and the daemon."""

    def __init__(self, runs: MidasRuns, folder: Folder) -> None:
        self.runs = runs
        self.folder = folder
        self.control = runs.peer("control")
        self.use_server(folder.access["endpoint"])
        runs.start("send", sys.executable, "-m", scripted.__name__, "send", str(COUNT))
        wait_until(lambda: self.get(f"{scripted.READY}/send"), 30, "the sender")
        self.start_daemon()

    def start_daemon(self) -> None:
        """Start the daemon and wait until it is in the ODB."""
        self.runs.start("stager", sys.executable, "-m", "stager.main", "daemon", "-v")
        wait_until(lambda: self.get(f"{STAGER}/Common/Status"), 30, "the stager")
        wait_until(lambda: "cygno-stager" in self.clients(), 30, "the stager among the clients")

    def use_server(self, endpoint: str) -> None:
        """Name the server to the daemon."""
        self.control.odb_set(f"{STAGER}/Settings/Endpoint", endpoint)

    def get(self, path: str) -> Any:
        return self.control.odb_get(path) if self.control.odb_exists(path) else None

    def clients(self) -> list[str]:
        return [entry["Name"] for entry in self.get("/System/Clients").values()]

    @property
    def status(self) -> str:
        return str(self.get(f"{STAGER}/Common/Status"))

    def call(self, verb: str, arguments: str = "") -> dict[str, Any]:
        """Call the daemon from afar."""
        said = self.control.connection_call("cygno-stager", verb, arguments)
        answer: dict[str, Any] = json.loads(said)
        return answer

    def alarms(self) -> dict[str, str]:
        raised: dict[str, str] = self.control.get_triggered_alarms()
        return raised

    def start_run(self) -> Path:
        """Start a run and wait until all events are sent; return its file."""
        self.control.start_run()
        wait_until(lambda: self.get(scripted.SENT) == COUNT, 60, "all events sent")
        number = int(self.get("/Runinfo/Run number"))
        wait_until(lambda: self.runs.files(number), 30, "the file")
        return self.runs.files(number)[0]


@pytest.fixture
def site(folder: Folder) -> Iterator[Site]:
    why = why_no_midas()
    if why:
        pytest.skip(why)
    with tempfile.TemporaryDirectory(prefix="cr-") as short:
        runs = MidasRuns(Path(short))
        runs.environment |= {
            **FAST,
            "CYGNO_STAGER_SCAN_PERIOD_S": "0.2",
            "CYGNO_STAGER_RETRY_FIRST_S": "3600",
            "CYGNO_S3_TAG": folder.tag,
            "CYGNO_S3_BUCKET": folder.bucket,
            "CYGNO_STAGER_CATALOG": f"sqlite:///{folder.catalog_file}",
            "AWS_ACCESS_KEY_ID": folder.access["access_key"],
            "AWS_SECRET_ACCESS_KEY": folder.access["secret_key"],
        }
        try:
            runs.set_up()
            yield Site(runs, folder)
        finally:
            runs.close()


def test_a_run_is_staged_when_it_has_ended(site: Site) -> None:
    path = site.start_run()
    waits = f"{STAGER}/Variables/Files waiting"
    wait_until(lambda: (site.get(waits) or 0) > 0, 45, "the run to be seen")
    assert site.folder.objects() == {}, "it is being taken"
    site.control.stop_run()
    wait_until(lambda: path.name in site.folder.objects(), 45, "the run at its place")
    wait_until(lambda: "files staged" in site.status, 45, "the status")
    assert site.folder.content(path.name) == path.read_bytes()
    number = int(site.get("/Runinfo/Run number"))
    wait_until(lambda: site.get(f"{STAGER}/Variables/Last run staged") == number, 45, "the run")
    assert site.get(f"{STAGER}/Common/Status color") == "greenLight"
    row = site.folder.runlog(number)
    assert (row.number_of_events, row.storage_cloud_status) == (COUNT, 1)
    assert row.file_checksum == site.folder.file(path.name).md5 is not None
    text = json.dumps(site.get(STAGER))
    assert site.folder.access["secret_key"] not in text
    site.runs.signal("stager", signal.SIGTERM)
    wait_until(lambda: "cygno-stager" not in site.clients(), 45, "its leave")


def test_a_failure_is_an_alarm_until_it_is_mended_from_afar(site: Site) -> None:
    right = site.folder.access["endpoint"]
    site.use_server(f"http://127.0.0.1:{free_port()}")
    path = site.start_run()
    site.control.stop_run()
    wait_until(lambda: "Stager" in site.alarms(), 45, "the alarm")
    assert "cannot be reached" in site.alarms()["Stager"]
    assert site.get(f"{STAGER}/Common/Status color") == "redLight"
    assert any("cannot be reached" in line for line in site.control.get_recent_messages(50))
    said = site.call("status")
    assert said["ok"] and "cannot be reached" in said["message"]
    assert (said["staged"], said["failed"] > 0) == (0, True)
    refused = site.call("dance")
    assert not refused["ok"] and "known: status, verify, retry" in refused["message"]
    site.use_server(right)
    assert site.call("retry")["ok"]
    wait_until(lambda: path.name in site.folder.objects(), 45, "the run at its place")
    wait_until(lambda: "Stager" not in site.alarms(), 45, "the alarm's end")
    site.folder.client().delete_object(Bucket=site.folder.bucket, Key=site.folder.key(path.name))
    assert site.call("verify", json.dumps({"run": site.get("/Runinfo/Run number")}))["ok"]
    wait_until(lambda: path.name in site.folder.objects(), 45, "the run to be sent again")
    assert site.call("status")["staged"] >= 1


def test_killed_while_a_run_is_taken_it_holds_nobody_up(site: Site) -> None:
    """MIDAS removes the dead program, the run ends as ever, and the next start finds it."""
    path = site.start_run()
    site.runs.kill("stager")
    site.control.stop_run()
    site.start_daemon()
    wait_until(lambda: path.name in site.folder.objects(), 60, "the run at its place")
    assert site.folder.content(path.name) == path.read_bytes()


def test_a_disk_that_fills_up_is_an_alarm(site: Site) -> None:
    site.control.odb_set(f"{STAGER}/Settings/Low disk hours", 1e12)  # a short run fills it slowly
    site.start_run()
    site.control.stop_run()
    wait_until(lambda: "Stager disk" in site.alarms(), 45, "the alarm")
    assert " % free" in site.alarms()["Stager disk"]
    variables = site.get(f"{STAGER}/Variables")
    assert variables["Disk percent full"] > 0 and variables["Disk hours left"] > 0
    assert any(" h at " in line for line in site.control.get_recent_messages(50))
