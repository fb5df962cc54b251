"""Take one run of the standalone experiment with the real programs, from photon to catalog."""

import functools
import json
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from experiment.client import Client
from experiment.constants import STATE_RUNNING, STATE_STOPPED
from experiment.errors import ExperimentError
from experiment.standalone.client import StandaloneClient
from rawdata.runfile import RunFile
from sim.detector.sensor import MODELS, sensor_model
from sim.errors import SimulationError
from sim.programs import Programs
from sim.replay import NAME as REPLAYER
from sim.replay import TRIGGER, take_over_conditions
from sim.s3 import S3Server

WAVEFORMS_BYTES = 128 * 2 * (32 * 1024 + 8 * 4000)
"""Waveforms of a full event: 128 triggers, V1742 32 x 1024 and V1720E 8 x 4000 samples."""


class Report(Protocol):
    """Tells the person what goes on."""

    def __call__(self, what: str, done: int | None = None, wanted: int | None = None) -> None:
        """Tell of a step, or of the events of a run that are done so far.

        :param wanted: None where nobody knows how many will come.
        """


@dataclass(frozen=True)
class RunPlan:
    """What to simulate.

    :param rate_hz: frames per second; 0 is as fast as the chain goes.
    :param mode: ``pmt``, ``continuous`` or ``free``.
    """

    events: int = 20
    seed: int | None = None
    camera: str = "fusion"
    cameras: int = 1
    rate_hz: float = 5.0
    mode: str = "continuous"
    pedestal: bool = False
    generation: str = "A"
    compress: str = "gzip"
    stage: bool = True


@dataclass(frozen=True)
class RunResult:
    """What came of a run; the last line of ``--json``.

    :param duration_s: from running to stopped, on the clock on the wall [s].
    """

    run: int
    events_acquired: int
    events_written: int
    events_analyzed: int
    frames_lost: int
    file: str
    raw_bytes: int
    file_bytes: int
    duration_s: float
    frames_per_s: float
    reco_file: str
    staged: bool
    object_key: str
    object_bytes: int
    catalog: str
    stage_error: str = ""

    @property
    def is_complete(self) -> bool:
        """True if every event that was acquired was written and analyzed, and staged if asked."""
        counts = {self.events_acquired, self.events_written, self.events_analyzed}
        return len(counts) == 1 and self.frames_lost == 0 and not self.stage_error

    def as_json(self) -> str:
        """Return one line of JSON."""
        return json.dumps(asdict(self))


def start_experiment(programs: Programs, *arguments: str) -> StandaloneClient:
    """Start the server of the folder's experiment and connect to it.

    :raises SimulationError: if an experiment runs there already, or the server does not start.
    """
    folder = programs.folder
    folder.mkdir(parents=True, exist_ok=True)
    programs.start("server", "sim.server", str(folder), *arguments)
    programs.wait_for(lambda: (folder / "experiment.json").exists(), 30, "the experiment's server")
    programs.require_running()
    return StandaloneClient("cygno-sim", folder)


def is_connected(client: Client, name: str, key: str = "Name") -> bool:
    """Tell whether a program of this name is in the experiment's list of clients.

    :param key: what its entry must have; ``Transition START`` says that it takes part in runs.
    """
    clients = client.odb_get("/System/Clients").values()
    entries = [entry for entry in clients if isinstance(entry, dict) and entry.get("Name") == name]
    return any(key in entry for entry in entries)


def start_programs(programs: Programs, client: Client, wanted: dict[str, tuple[str, ...]]) -> None:
    """Start programs (client name -> module and arguments) and wait until all are ready.

    A program that takes part in runs is ready when it has said so; the analyzer, when its kernels
    are compiled.
    """
    ready = "/Equipment/Analyzer/Variables/Ready"
    if "cygno-analyzer" in wanted and client.odb_exists(ready):
        client.odb_set(ready, False)
    for name, command in wanted.items():
        programs.start(name, *command)
    for name in wanted:
        key = "Transition START" if name in TAKE_PART else "Name"
        joined = functools.partial(is_connected, client, name, key)
        programs.wait_for(joined, 90, f"{name} to connect")
    if "cygno-analyzer" in wanted:
        programs.wait_for(
            lambda: client.odb_exists(ready) and client.odb_get(ready),
            COMPILE_LIMIT_S,
            "the kernels to compile",
        )


COMPILE_LIMIT_S = 600.0
"""The first start after an installation compiles for 40 s, on a busy computer for minutes."""
LOGGER = {"Logger": ("sim.logger",)}
ANALYZER = {"cygno-analyzer": ("analyzer.main", "online")}
FRONTENDS = {
    "cygno-frontend-trigger": ("frontend.main", "trigger"),
    "cygno-frontend-slow": ("frontend.main", "slow"),
}
TAKE_PART = ("Logger", "cygno-analyzer", *FRONTENDS, REPLAYER)
"""Programs that must be in the run from its start."""
SLOW_PERIOD_MS = 1000
"""Simulated runs last seconds; each shall have more than its first reading of slow control."""


def apply_plan(client: Client, plan: RunPlan, folder: Path) -> None:
    """Write a plan to the ODB: operator's keys, devices and logger, as a person would.

    :raises SimulationError: if there is no such camera.
    """
    try:
        sensor_model(plan.camera)
    except ValueError as error:
        raise SimulationError(f"camera: {error}") from error
    period_s = 1.0 / plan.rate_hz if plan.rate_hz > 0 else 0.01
    free = plan.mode == "free" or plan.pedestal
    for key, value in {
        "MaxEvents": plan.events,
        "Exposure": min(0.3, period_s),
        "FreeRunning": free,
        "TriggerMode": 0 if plan.mode == "pmt" else 3,
        "Pedestal": plan.pedestal,
        "pmt_acquisition": not free,
        "Number of Digitizers": 2,
    }.items():
        client.odb_set(f"/Configurations/{key}", value)
    options = {"seed": plan.seed, "truth_dir": str(folder / "truth")}
    for key, setting in {
        "Cameras": [f"sim:{plan.camera}"] * plan.cameras,
        "Camera options": json.dumps(options),
        "Digitizers": ["sim:V1742", "sim:V1720E"],
        "Digitizer options": json.dumps({"seed": plan.seed}),
        "Frame rate Hz": float(plan.rate_hz),
        "Generation": plan.generation,
    }.items():
        client.odb_set(f"/Equipment/Trigger/Settings/{key}", setting)
    client.odb_set("/Logger/Channels/0/Settings/Compress", plan.compress)
    client.odb_set("/Equipment/Analyzer/Settings/Frame columns", _columns_to_tell(plan.camera))
    make_room(client, plan)


def _columns_to_tell(camera: str) -> int:
    """Return the columns of a frame whose shape its size does not tell; else 0."""
    model = sensor_model(camera)
    return 0 if model.rows == model.columns or camera in MODELS else model.columns


def make_room(client: Client, plan: RunPlan) -> None:
    """Raise event and buffer size, never lower them, to what these cameras need.

    An event may hold 128 triggers of both boards (`WAVEFORMS_BYTES`); the buffer takes eight.
    """
    model = sensor_model(plan.camera)
    event_bytes = plan.cameras * 2 * model.rows * model.columns + WAVEFORMS_BYTES + 65536
    for key, needed in {
        "/Experiment/MAX_EVENT_SIZE": event_bytes,
        "/Experiment/Buffer sizes/SYSTEM": 8 * event_bytes,
    }.items():
        if client.odb_get(key) < needed:
            client.odb_set(key, -(-needed // 2**20) * 2**20)


def counted(done: int, wanted: int | None) -> str:
    """Return how many there are, of how many if that is known.

    >>> counted(3, 20), counted(3, None)
    ('3 of 20', '3')
    """
    return f"{done}" if wanted is None else f"{done} of {wanted}"


def wait_for_end(
    programs: Programs,
    client: Client,
    events: int | None,
    report: Report,
    stall_s: float = 60.0,
) -> None:
    """Wait until the run has stopped itself, as long as events still come.

    :param events: how many will come, None where that is not known.
    :raises SimulationError: if nothing came for `stall_s`, with the last message of the log.
    """
    seen, since = -1, time.monotonic()
    while client.odb_get("/Runinfo/State") != STATE_STOPPED:
        programs.require_running()
        sent = int(client.odb_get("/Equipment/Trigger/Statistics/Events sent"))
        report("event", sent, events)
        if sent != seen:
            seen, since = sent, time.monotonic()
        if time.monotonic() - since > stall_s:
            last = client.get_recent_messages(1)
            raise SimulationError(
                f"no event for {stall_s:.0f} s after {counted(sent, events)}; last message: "
                f"{last[0] if last else 'none'}"
            )
        client.communicate(100)


def wait_for_analysis(programs: Programs, client: Client, run: int, timeout_s: float) -> None:
    """Wait until the analyzer has closed its results of a run."""
    key = "/Equipment/Analyzer/Run/Run number"
    programs.wait_for(
        lambda: client.odb_exists(key) and client.odb_get(key) == run,
        timeout_s,
        f"the analyzer to finish run {run}",
    )


def stage(folder: Path) -> tuple[dict[str, Any], str]:
    """Run the stager once on the folder; return its JSON answer and, if it failed, why."""
    done = subprocess.run(
        [sys.executable, "-m", "stager.main", "once", "--experiment", str(folder), "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    lines = done.stdout.strip().splitlines()
    answer: dict[str, Any] = json.loads(lines[-1]) if lines else {}
    error = "" if done.returncode == 0 else done.stderr.strip() or "the stager failed"
    return answer, error


def take_run(plan: RunPlan, folder: Path, report: Report) -> RunResult:
    """Take one simulated run and leave nothing running.

    :raises SimulationError: naming the program or step that failed.
    """
    with Programs(folder) as programs:
        report("starting the experiment")
        client = start_experiment(programs)
        try:
            apply_plan(client, plan, folder)
            start_programs(programs, client, {**LOGGER, **ANALYZER, **FRONTENDS})
            for equipment in ("HV", "Environment"):
                client.odb_set(f"/Equipment/{equipment}/Common/Period", SLOW_PERIOD_MS)
            run, duration_s = _start_and_wait(programs, client, plan.events, report)
            return _finish(programs, client, run, duration_s, plan.stage, report)
        finally:
            client.disconnect()


def replay_run(
    source: Path, rate: str, folder: Path, report: Report, compress: str, stage: bool
) -> RunResult:
    """Feed a recorded file through logger, analyzer and stager as a run of its own.

    :param rate: ``original``, ``max`` or a number of Hz.
    :raises SimulationError: naming the program or step that failed.
    """
    with Programs(folder) as programs:
        report(f"starting the experiment for {source.name}")
        client = start_experiment(programs)
        try:
            take_over_conditions(client, source)
            client.odb_set("/Logger/Channels/0/Settings/Compress", compress)
            replayer = {REPLAYER: ("sim.replay", str(source), rate)}
            start_programs(programs, client, {**LOGGER, **ANALYZER, **replayer})
            run, duration_s = _start_and_wait(programs, client, None, report)
            programs.stop(names=[REPLAYER])
            return _finish(programs, client, run, duration_s, stage, report)
        finally:
            client.disconnect()


def _start_and_wait(
    programs: Programs, client: Client, events: int | None, report: Report
) -> tuple[int, float]:
    try:
        client.start_run()
        begin = time.monotonic()
        run = int(client.odb_get("/Runinfo/Run number"))
        wait_for_end(programs, client, events, report)
    except ExperimentError as error:
        raise SimulationError(f"the run was refused: {error}") from error
    except KeyboardInterrupt:
        if client.odb_get("/Runinfo/State") == STATE_RUNNING:
            client.stop_run()
        raise
    return run, time.monotonic() - begin


def _finish(
    programs: Programs, client: Client, run: int, duration_s: float, stage: bool, report: Report
) -> RunResult:
    report("waiting for the analyzer")
    wait_for_analysis(programs, client, run, timeout_s=300)
    answer, error = stage_run(programs.folder, report) if stage else ({}, "")
    return summarize(client, run, duration_s, answer, error)


def stage_run(folder: Path, report: Report) -> tuple[dict[str, Any], str]:
    """Start the folder's S3 server, stage what is there, and stop the server."""
    report("staging to S3")
    with S3Server(folder / "s3"):
        return stage(folder)


def summarize(
    client: Client,
    run: int,
    duration_s: float,
    staged: dict[str, Any],
    stage_error: str,
) -> RunResult:
    """Collect what each program counted, and what the stager said of this run's raw file."""
    trigger = client.odb_get("/Equipment/Trigger/Run")
    analysis = client.odb_get("/Equipment/Analyzer/Run")
    logger = client.odb_get("/Logger/Channels/0/Statistics")
    name = str(client.odb_get("/Logger/Channels/0/Settings/Current filename"))
    path = Path(str(client.odb_get("/Logger/Data dir")), name)
    entry: dict[str, Any] = next(
        (e for e in staged.get("files", []) if Path(str(e.get("path"))).name == path.name), {}
    )
    return RunResult(
        run=run,
        events_acquired=int(trigger["Events built"]),
        events_written=count_triggers(path),
        events_analyzed=int(analysis["Events analyzed"]),
        frames_lost=int(trigger["Frames lost"]),
        file=str(path),
        raw_bytes=int(logger["Bytes written uncompressed"]),
        file_bytes=path.stat().st_size,
        duration_s=round(duration_s, 3),
        frames_per_s=round(int(trigger["Events sent"]) / duration_s, 3),
        reco_file=str(analysis["Reco file"]),
        staged=bool(entry) and entry.get("state") in ("verified", "catalogued", "replicated"),
        object_key=str(entry.get("object_key", "")),
        object_bytes=int(entry.get("object_bytes") or 0),
        catalog=str(staged.get("catalog", "")),
        stage_error=stage_error,
    )


def count_triggers(path: Path) -> int:
    """Count the trigger events in the file itself: what counts is what can be read back."""
    with RunFile(path) as events:
        return sum(1 for event in events if event.event_id == TRIGGER)
