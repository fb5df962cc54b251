"""The online analyzer as a process of a standalone experiment, with a test as its frontend."""

import json
from contextlib import contextmanager
from pathlib import Path

from analyzer.lookup import PedestalLookup
from analyzer.online import CLIENT_NAME
from analyzer.results import open_results
from analyzer.runs import analyze_run
from analyzer.settings import SETTINGS_PATH
from analyzer.summary import read_summary, summary_path
from experiment.constants import STATE_STOPPED
from sim.programs import Programs
from sim.run import ANALYZER, LOGGER, is_connected, start_experiment, start_programs
from tests.analyzer.run_making import make_event, one_board
from tests.analyzer.scenes import add_spot, make_scene
from tests.conftest import wait_until

PATH = "/Equipment/Analyzer"


class Bench:
    """An experiment with logger and analyzer; the test is its frontend."""

    def __init__(self, folder: Path, programs: Programs) -> None:
        self.folder = folder
        self.programs = programs
        self.client = start_experiment(programs)
        self.client.odb_set("/Experiment/Buffer sizes/SYSTEM", 4 << 20)
        self.client.odb_set("/Configurations", {"Exposure": 0.3, "Pedestal": False})
        self.buffer = self.client.open_event_buffer("SYSTEM")
        self.configure()

    def configure(self, **settings):
        for key, value in settings.items():
            self.client.odb_set(f"{SETTINGS_PATH}/{key.replace('_', ' ')}", value)

    def odb(self, path):
        return self.client.odb_get(f"{PATH}/{path}")

    @property
    def analyzer(self):
        return next(p.process for p in self.programs if p.name == CLIENT_NAME)

    def start_logger(self):
        start_programs(self.programs, self.client, LOGGER)

    def start_analyzer(self):
        self.programs.stop(names=[CLIENT_NAME])
        start_programs(self.programs, self.client, ANALYZER)

    def kill_analyzer(self):
        self.analyzer.kill()
        self.analyzer.wait(20)
        wait_until(lambda: not is_connected(self.client, CLIENT_NAME), 20, "its death to be seen")

    def messages(self):
        return "\n".join(self.client.get_recent_messages(200))

    def begin(self):
        self.client.start_run()
        return self.client.odb_get("/Runinfo/Run number")

    def send(self, events):
        """Send events; nobody may hold us up for long."""
        for event in events:
            assert self.client.send_buffer(self.buffer, event.raw, 5000)

    def end(self, run, sent):
        self.client.odb_set("/Equipment/Trigger/Run", {"Run number": run, "Events sent": sent})
        self.client.stop_run()

    def end_run_left_over(self):
        """End the run of a test that failed in it, so that the next one begins its own."""
        if self.client.odb_get("/Runinfo/State") != STATE_STOPPED:
            self.client.stop_run()

    def ask(self, verb, **arguments):
        """Ask as the operator page does."""
        analyzer = self.client.connect_to_other_client(CLIENT_NAME)
        text = self.client.jrpc_client_call(analyzer, verb, json.dumps(arguments), 200_000)
        return json.loads(text)

    def wait_for_results(self, run):
        """Wait until the analyzer is done with a run, and return what it says of it."""

        def done():
            self.client.communicate(1)
            self.programs.require_running()
            path = f"{PATH}/Run/Run number"
            return self.client.odb_exists(path) and self.client.odb_get(path) == run

        wait_until(done, 60, f"the results of run {run}")
        return self.odb("Run")

    def take(self, events):
        """Take a whole run of these events."""
        run = self.begin()
        self.send(events)
        self.end(run, len(events))
        return run, self.wait_for_results(run)

    def reco(self, run):
        return self.folder / "data" / f"run{run:05d}.reco.h5"

    def require_same_as_file(self, run, tmp_path):
        """The results are those that the run file gives, to the last bit."""
        file = next((self.folder / "data").glob(f"run{run:05d}.mid*[0-9z]"), None)
        file = file or self.folder / "data" / f"run{run:05d}.mid"
        lookup = PedestalLookup([self.folder / "data"])
        again = analyze_run(file, tmp_path / f"run{run}.h5", lookup, makes_pedestal=False)
        with open_results(self.reco(run)) as online, open_results(again.output) as offline:
            assert set(online) == set(offline)
            for name in online:
                assert online[name].tobytes() == offline[name].tobytes()
            for key in ("run", "pedestals", "settings", "begin_time", "events_analyzed"):
                assert online.attributes[key] == offline.attributes[key]
            assert online.attributes["complete"]
        assert summary_of(self.reco(run)) == summary_of(again.output)


@contextmanager
def running(folder):
    with Programs(folder) as programs:
        bench = Bench(folder, programs)
        try:
            yield bench
        finally:
            bench.end_run_left_over()
            bench.client.disconnect()


def physics(count, seed=3, first=0):
    scene = make_scene((96, 96), seed=seed)
    for serial in range(first, first + count):
        light = scene.light()
        add_spot(light, 20 + serial % 60, 48, 6000)
        yield make_event(serial, {0: scene.frame(light)}, one_board(serial % 3))


def summary_of(results):
    """The summary beside results, without what is only known online."""
    summary = read_summary(summary_path(results))
    assert summary.pop("events_sent") is None or summary["events_seen"] > 0
    return summary
