"""Measure the whole chain: ``python -m benchmarks.chain [--json] [--rate HZ] [--seconds S]``.

The real programs in an experiment of their own: a simulated camera paced at a given rate, the
trigger frontend (which compresses frames), the event buffer, the logger to disk, the analyzer. All
of them share the machine with the simulated camera, which copies dark frames that were drawn before
and adds light of its own to each (``--draw``: draws all anew, 2.5 ms a frame in place of 1).

A rate is held if every frame of the camera is in the run file, and if the chain kept up: all was
sent within a second after the last frame. Without ``--rate`` the highest rate held is searched
downwards from the camera's own 89.1 Hz; ``frames_per_s`` is then the one found. What the analyzer
saw as it happened, of all that was sent, is ``analyzed_fraction``: nothing is completed from file.
"""

import argparse
import json
import math
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table

from benchmarks import usage
from benchmarks.experiments import (
    WORLDS,
    Experiment,
    World,
    open_experiment,
    own_output,
    temporary_folder,
    wait_for,
)
from experiment.client import Client
from experiment.constants import STATE_STOPPED
from rawdata.runfile import RunFile
from sim.detector.sensor import sensor_model
from sim.errors import SimulationError
from sim.run import ANALYZER, FRONTENDS, RunPlan, apply_plan, start_programs

GOAL_HZ = 89.1
"""ORCA-Fusion, all its pixels, fast scan."""
STEP = 0.88
"""From one rate tried to the next, where the chain does not tell what it can."""
TRIALS = 6
PEDESTAL_FRAMES = 40
PEDESTAL_HZ = 10.0
PREPARED_FRAMES = 8
"""A camera's driver copies its frames; noise that is drawn anew takes more time than that."""
DRIVER_FRAMES = 64
"""Frames that the camera's driver keeps; DCAM lets its user choose (``dcambuf_alloc``)."""
FULL = 0.9
"""A thread that uses this part of a core, or programs that use it of all, are called a limit."""
RING_BACKED_UP = 0.5
"""Where the ring was fuller than that, what follows it was too slow."""
CODECS = ("fast", "dense", "logger", "none")
"""The first holds the highest rate, measured."""
TRIGGER = "/Equipment/Trigger"
FRONTEND = {"cygno-frontend-trigger": FRONTENDS["cygno-frontend-trigger"]}


@dataclass(frozen=True)
class Wanted:
    """What is measured.

    :param first: give the chain's programs the cores before other work of the machine.
    :param prepared: dark frames that the camera draws beforehand; 0: it draws each frame.
    :param codec: ``fast`` and ``dense`` compress in the frontend, so, ``logger`` gzips in
        the logger, ``none`` writes what the camera gives.
    """

    world: World
    seconds: float
    camera: str
    mode: str
    codec: str
    first: bool = False
    prepared: int = 0


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--experiment", choices=WORLDS, default="standalone")
    parser.add_argument("--rate", type=float, help="frames per second; none: search the highest")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long a rate must hold")
    parser.add_argument("--camera", default="fusion", help="fusion, quest, flash or ROWSxCOLS")
    parser.add_argument("--mode", choices=("free", "continuous", "pmt"), default="free")
    parser.add_argument("--codec", choices=CODECS, default=CODECS[0])
    parser.add_argument("--folder", type=Path, help="where the experiment is made for a while")
    parser.add_argument(
        "--first",
        action="store_true",
        help="give the chain's programs the cores before other work (root)",
    )
    parser.add_argument("--draw", action="store_true", help="let the camera draw each frame anew")
    given, output = parser.parse_args(), own_output()
    wanted = Wanted(
        given.experiment,
        given.seconds,
        given.camera,
        given.mode,
        given.codec,
        given.first,
        0 if given.draw else PREPARED_FRAMES,
    )
    try:
        figures = measure(wanted, given.rate, given.folder)
    except SimulationError as error:
        sys.stderr.write(f"benchmarks.chain: {error}\n")
        return 1
    if given.json:
        print(json.dumps(figures), file=output, flush=True)
    else:
        _print_table(figures, output)
    return 0


def measure(wanted: Wanted, rate_hz: float | None, parent: Path | None = None) -> dict[str, Any]:
    """Return the figures at a rate, or at the highest that is held.

    :raises SimulationError: naming the program or step that failed.
    """
    trials: list[dict[str, Any]] = []
    with (
        temporary_folder(parent) as folder,
        open_experiment(wanted.world, folder, logs=True) as experiment,
    ):
        client = experiment.client
        start_programs(experiment.programs, client, {**ANALYZER, **FRONTEND})
        client.odb_set("/Equipment/Analyzer/Settings/Complete from file", False)
        if wanted.first:
            for program in experiment.programs:
                usage.put_first(program.process.pid)
        _take(experiment, wanted, PEDESTAL_HZ, PEDESTAL_FRAMES, pedestal=True)
        rate = rate_hz or GOAL_HZ
        while True:
            trials.append(_take(experiment, wanted, rate, max(1, round(rate * wanted.seconds))))
            if rate_hz or trials[-1]["held"] or len(trials) == TRIALS:
                break
            # What it did is what it can, or less: the backlog of a lost race costs time, too.
            rate *= min(STEP, max(0.5, 0.97 * trials[-1]["rate_seen"] / rate))
    best = trials[-1]
    return {
        "frames_per_s": best["rate_seen"] if best["held"] else 0.0,
        **best,
        "goal": GOAL_HZ,
        "experiment": wanted.world,
        "camera": wanted.camera,
        "mode": wanted.mode,
        "codec": wanted.codec,
        "first": wanted.first,
        "prepared_frames": wanted.prepared,
        "cpus": os.cpu_count(),
        "trials": [{key: t[key] for key in ("rate_hz", "rate_seen", "held")} for t in trials],
    }


def _take(
    experiment: Experiment, wanted: Wanted, rate_hz: float, frames: int, *, pedestal: bool = False
) -> dict[str, Any]:
    """Take one run and return what came of it; its file is removed."""
    client = experiment.client
    _set_up(experiment, wanted, rate_hz, frames, pedestal)
    programs = {program.name: program for program in experiment.programs}
    pids = {name: program.process.pid for name, program in programs.items()}
    client.start_run()
    run = int(client.odb_get("/Runinfo/Run number"))
    first, load = usage.take_snapshot(pids), os.getloadavg()[0]
    level = _watch(experiment, frames, rate_hz)
    sending_s = time.monotonic() - first.clock_s
    whole = usage.between(first, usage.take_snapshot(pids), pids)
    wait_for(lambda: _is_stopped(client), 120, f"run {run} to stop", client)
    analyzer = "/Equipment/Analyzer/Run"
    finished = f"{analyzer}/Run number"  # the last that it writes
    wait_for(
        lambda: client.odb_exists(finished) and client.odb_get(finished) == run,
        120,
        f"the analyzer to finish run {run}",
        client,
    )
    ended = usage.between(first, usage.take_snapshot(pids), pids)
    trigger, analyzed = client.odb_get(f"{TRIGGER}/Run"), client.odb_get(analyzer)
    path = experiment.data / str(client.odb_get("/Logger/Channels/0/Settings/Current filename"))
    written, file_bytes = _count(path), path.stat().st_size
    _remove(path)
    frame_bytes = 2 * math.prod(sensor_model(wanted.camera).shape)
    sent, lost = int(trigger["Events sent"]), int(trigger["Frames lost"])
    seen_hz = sent / max(sending_s, frames / rate_hz)
    held = not lost and written == sent == frames and sending_s <= frames / rate_hz + 1.0
    return {
        "rate_hz": rate_hz,
        "rate_seen": rate_hz if held else seen_hz,
        "held": held,
        "frames": frames,
        "frames_lost": lost,
        "events_sent": sent,
        "events_written": written,
        "analyzed_fraction": int(analyzed["Events analyzed"]) / max(1, sent),
        "compression_ratio": written * frame_bytes / file_bytes,
        "compressed_fraction": int(trigger.get("Frames compressed", 0)) / max(1, sent),
        "disk_mb_per_s": 1e-6 * file_bytes / sending_s,
        "cpu_ms_per_frame": {
            name: 1e3 * used_s / max(1, sent) for name, used_s in ended.programs_s.items()
        },
        "cpu_ms_per_frame_main_threads": {
            name: 1e3 * used_s / max(1, sent) for name, used_s in ended.main_s.items()
        },
        "cpu_ms_per_frame_all": 1e3 * sum(ended.programs_s.values()) / max(1, sent),
        "cores_used": whole.cores,
        "cores_of_others": whole.others_cores,
        "bottleneck": _bottleneck(whole, level, lost),
        "busiest_thread": " ".join(map(str, whole.busiest[:2])),
        "busiest_thread_cores": whole.busiest[2],
        "ring_level": level,
        "sending_s": sending_s,
        "load": load,
    }


def _set_up(
    experiment: Experiment, wanted: Wanted, rate_hz: float, frames: int, pedestal: bool
) -> None:
    client = experiment.client
    zips = wanted.codec == "logger"
    plan = RunPlan(
        events=frames,
        seed=1,
        camera=wanted.camera,
        rate_hz=rate_hz,
        mode=wanted.mode,
        pedestal=pedestal,
        compress="gzip" if zips else "none",
        stage=False,
    )
    apply_plan(client, plan, experiment.programs.folder)
    settings = f"{TRIGGER}/Settings"
    options = {  # no truth is written
        "seed": 1,
        "buffer_frames": DRIVER_FRAMES,
        "prepared_frames": wanted.prepared,
    }
    client.odb_set(f"{settings}/Camera options", json.dumps(options))
    # One exposure for all rates, so that the pedestal fits the runs that are measured.
    client.odb_set("/Configurations/Exposure", 1 / max(rate_hz, GOAL_HZ))
    client.odb_set(f"{settings}/Disk minutes", 0.0)
    if client.odb_exists(f"{settings}/Compress frames"):
        client.odb_set(f"{settings}/Compress frames", wanted.codec in ("fast", "dense"))
    if wanted.codec in ("fast", "dense"):
        client.odb_set(f"{settings}/Compression method", wanted.codec)


def _watch(experiment: Experiment, frames: int, rate_hz: float) -> float:
    """Wait until all events were sent or the run ends; return the highest level of the ring."""
    client, level = experiment.client, 0.0
    end_s = time.monotonic() + 3 * frames / rate_hz + 60
    key = f"{TRIGGER}/Variables/Ring level %"
    while not _is_ending(client):
        experiment.programs.require_running()
        if time.monotonic() > end_s:
            client.stop_run()
            break
        if client.odb_exists(key):
            level = max(level, float(client.odb_get(key)) / 100)
        client.communicate(250)
    return level


def _is_ending(client: Client) -> bool:
    information = client.odb_get("/Runinfo")
    return information["State"] == STATE_STOPPED or bool(information["Transition in progress"])


def _is_stopped(client: Client) -> bool:
    information = client.odb_get("/Runinfo")
    return information["State"] == STATE_STOPPED and not information["Transition in progress"]


def _count(path: Path) -> int:
    """Count the events in the file: what counts is what can be read back."""
    with RunFile(path) as events:
        return sum(event.event_id == 1 for event in events)


def _remove(path: Path) -> None:
    for part in path.parent.glob(f"{path.name.partition('.')[0]}.mid*"):
        part.unlink()


def _bottleneck(used: usage.Usage, level: float, lost: int) -> str:
    """Name what is used up first: a thread's core, all cores, or, if neither, the disk.

    :param level: highest level of the ring, 0 to 1.
    """
    program, kind, part = used.busiest
    cores = os.cpu_count() or 1
    if part >= FULL:
        return f"one thread: {program} {kind}, {part:.0%} of a core"
    together = used.cores + used.others_cores
    if together >= FULL * cores:
        most = max(used.programs_s.items(), key=lambda entry: entry[1])
        return (
            f"all {cores} cores: programs of the chain use {used.cores:.2f} (most: {most[0]}, "
            f"{most[1] / used.seconds:.2f}), others {used.others_cores:.2f}"
        )
    if level > RING_BACKED_UP:
        return "the disk"
    if lost:
        return (
            f"a thread that came too late: {lost} frames lost, ring at most {level:.0%} full, of "
            f"{cores} cores {used.cores:.2f} used by the chain, {used.others_cores:.2f} by others"
        )
    return "none: the rate is held with processor time to spare"


def _print_table(figures: dict[str, Any], output: TextIO) -> None:
    table = Table("figure", "value", title=f"{figures['camera']} in {figures['experiment']}")
    for name, value in figures.items():
        if isinstance(value, dict):
            for part, amount in value.items():
                table.add_row(f"{name}: {part}", f"{amount:.2f}")
        elif name != "trials":
            table.add_row(name, f"{value:.4g}" if isinstance(value, float) else str(value))
    for trial in figures["trials"]:
        held = "held" if trial["held"] else f"not held, {trial['rate_seen']:.1f} seen"
        table.add_row(f"tried: {trial['rate_hz']:.1f} Hz", held)
    Console(width=110, file=output).print(table)


if __name__ == "__main__":
    sys.exit(main())
