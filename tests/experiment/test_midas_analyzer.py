"""The online analyzer in a real MIDAS: its stream, its answers through mhttpd, kills and sleeps."""

import base64
import json
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import h5py
import numpy as np
import pytest

from tests.conftest import wait_until
from tests.experiment.mhttpd import ask_mhttpd, start_mhttpd
from tests.experiment.midas_frontend import TRIGGER, FrontendInMidas, SmallWorld

pytestmark = pytest.mark.midas
ANALYZER = "/Equipment/Analyzer"
CLIENT = "cygno-analyzer"
READER = """
import json, sys
from analyzer.subscribe import subscribe
for message in subscribe(sys.argv[1], ["events", "run"], timeout_s=60):
    print(json.dumps({**message.header, "lost": message.lost}), flush=True)
"""


class AnalyzerInMidas(FrontendInMidas):
    """The trigger frontend and the analyzer."""

    def __init__(self, world: SmallWorld) -> None:
        super().__init__(world)
        self.start_analyzer()

    def start_analyzer(self) -> None:
        if self.control.odb_exists(f"{ANALYZER}/Variables/Ready"):
            self.control.odb_set(f"{ANALYZER}/Variables/Ready", False)
        self.world.start("analyzer", sys.executable, "-m", "analyzer.main", "online")
        wait_until(lambda: self.get(f"{ANALYZER}/Variables/Ready"), 110, "the analyzer")

    def wait_for_seen(self, count: int) -> None:
        seen = f"{ANALYZER}/Variables/Events seen"
        wait_until(lambda: (self.get(seen) or 0) >= count, 60, "events seen")

    def stop(self) -> dict[str, Any]:
        """Stop the run; return what the analyzer says of it when it is done."""
        self.transit("STOP")
        wait_until(lambda: self.get(f"{ANALYZER}/Run/Run number") == self.run, 60, "the results")
        return dict(self.get(f"{ANALYZER}/Run"))

    def require_whole(self, said: dict[str, Any]) -> None:
        """Check that nothing was lost by anybody and that each event has its row."""
        count = len(self.written())
        assert self.record["Frames lost"] == 0
        assert (said["Events analyzed"], said["Events lost"]) == (count, 0)
        with h5py.File(said["Reco file"]) as results:
            np.testing.assert_array_equal(results["events"]["event"], np.arange(count))


@pytest.fixture(scope="module")
def lasting() -> Iterator[AnalyzerInMidas]:
    with TemporaryDirectory(prefix="ca-") as folder:  # short: it becomes part of a file's name
        world = SmallWorld(Path(folder))
        try:
            world.set_up()
            yield AnalyzerInMidas(world)
        finally:
            world.close()


@pytest.fixture
def experiment(lasting: AnalyzerInMidas) -> AnalyzerInMidas:
    lasting.set_defaults()
    # Frames of half a minute wait in the ring: the machine may be busy.
    lasting.control.odb_set(f"{TRIGGER}/Settings/Ring seconds", 30.0)
    return lasting


def test_a_page_of_mhttpd_sees_the_latest_event(experiment: AnalyzerInMidas) -> None:
    port = start_mhttpd(experiment.world, experiment.control)

    def ask(verb: str, room: int = 300_000, **arguments: object) -> dict[str, Any]:
        parameters = {"client_name": CLIENT, "cmd": verb, "args": json.dumps(arguments)}
        reply = ask_mhttpd(port, "jrpc", {**parameters, "max_reply_length": room})
        assert reply["status"] == 1
        return dict(json.loads(reply["reply"]))

    experiment.transit("START")
    experiment.wait_for_seen(20)
    status = ask("status")
    assert (status["ok"], status["run"], status["state"]) == (True, experiment.run, "running")
    image = ask("image", format="png", colors="gray")
    assert (image["run"], image["rows"], image["columns"]) == (experiment.run, 256, 256)
    assert base64.b64decode(image["picture"]).startswith(b"\x89PNG")
    assert ask("clusters")["ok"]
    assert sum(ask("spectra", names=["clusters"])["spectra"]["clusters"]["counts"]) > 10
    large = ask("image", room=6_000_000, side=4096, format="png")
    assert large["ok"]
    small = ask("spectra", room=0)  # mhttpd then gives 1024 bytes
    assert not small["ok"]
    assert "max_reply_length has room for 1023" in small["message"]
    assert "is unknown" in ask("dance")["message"]
    experiment.require_whole(experiment.stop())


def test_another_program_follows_the_results(experiment: AnalyzerInMidas) -> None:
    address = experiment.get(f"{ANALYZER}/Stream/Address")
    command = [sys.executable, "-c", READER, address]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as reader:
        assert reader.stdout
        experiment.transit("START")
        wait_until(lambda: select.select([reader.stdout], [], [], 0.1)[0], 60, "the stream")
        experiment.wait_for_seen(20)
        said = experiment.stop()
        heard: list[dict[str, Any]] = []
        while not heard or heard[-1].get("state") != "end":
            heard.append(json.loads(reader.stdout.readline()))
        reader.terminate()  # it would wait for the next run
    events = [header["event"] for header in heard if header["dataset"] == "events"]
    assert events == list(range(events[0], said["Events seen"]))
    assert all(header["lost"] == 0 for header in heard)
    assert heard[-1]["analyzed"] == said["Events analyzed"]
    experiment.require_whole(said)


def test_killed_in_mid_run_it_joins_again_and_completes_from_the_file(
    experiment: AnalyzerInMidas,
) -> None:
    experiment.transit("START")
    experiment.wait_for_seen(10)
    experiment.world.kill("analyzer")
    wait_until(lambda: experiment.is_gone(CLIENT), 60, "MIDAS to forget the analyzer")
    experiment.start_analyzer()
    missed = f"{ANALYZER}/Variables/Missed before joining"
    wait_until(lambda: experiment.get(missed), 60, "what it missed")
    experiment.wait_for_seen(10)
    said = experiment.stop()
    assert said["Completed from file"]
    assert "taken before the analyzer joined in mid-run" in said["Missed"]
    experiment.require_whole(said)


def test_asleep_it_holds_nobody_and_says_what_was_overwritten(experiment: AnalyzerInMidas) -> None:
    experiment.transit("START")
    experiment.wait_for_seen(10)
    experiment.world.suspend("analyzer")
    try:
        sent = experiment.get(f"{TRIGGER}/Statistics/Events sent")
        experiment.wait_for_sent(sent + 60)  # twice what the buffer holds
    finally:
        experiment.world.signal("analyzer", signal.SIGCONT)
    experiment.wait_for_seen(20)
    said = experiment.stop()
    assert said["Completed from file"]
    assert "overwritten before read" in said["Missed"]
    experiment.require_whole(said)
