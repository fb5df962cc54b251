"""Measure the simulated camera and digitizers on one core: ``python -m benchmarks.sim [--json]``.

Frames are 2304x2304 with the default particles, read as fast as they come; goal: 100 frames/s.
Figures of CPU time hold on a busy machine too; those of wall time show what is left of it.
"""

import argparse
import json
import os
import tempfile
import threading
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from hardware.camera import CameraConfig
from hardware.digitizer import TRIGGER_DTYPE, DigitizerConfig
from sim.detector.sensor import frame_key, make_sensor, sensor_model
from sim.detector.warmup import compile_kernels
from sim.devices.camera import SimulatedCamera
from sim.devices.digitizer import SimulatedDigitizer

SAMPLES = {"V1742": 1024, "V1720E": 4000}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--frames", type=int, default=200, help="frames of each measurement")
    parser.add_argument("--camera", default="fusion", help="fusion, quest, flash or ROWSxCOLS")
    arguments = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    figures = measure(arguments.camera, arguments.frames)
    if arguments.json:
        print(json.dumps(figures))
    else:
        table = Table(title="Simulated devices on one core")
        table.add_column("figure")
        table.add_column("value", justify="right")
        for name, value in figures.items():
            table.add_row(name, f"{value:.4g}" if isinstance(value, float) else str(value))
        Console().print(table)


def measure(address: str, frames: int) -> dict[str, Any]:
    """Return all figures."""
    begin_s = time.perf_counter()
    compile_kernels()
    compile_s = time.perf_counter() - begin_s
    begin_s = time.perf_counter()
    sensor = make_sensor(sensor_model(address), 0)
    sensor_s = time.perf_counter() - begin_s
    pixels = np.zeros(sensor.model.shape, np.uint16)
    dark_s, copy_s = [], []
    other = np.zeros_like(pixels)
    for number in range(50):
        begin_s = time.thread_time()
        sensor.fill_dark(pixels, frame_key(1, 1, 0, number))
        dark_s.append(time.thread_time() - begin_s)
        begin_s = time.thread_time()
        np.copyto(other, pixels)
        copy_s.append(time.thread_time() - begin_s)
    with tempfile.TemporaryDirectory() as folder:
        camera = _take(address, frames, Path(folder), boards=())
        both = _take(address, frames, Path(folder), boards=("V1742", "V1720E"))
    return {
        "frames_per_s": camera["frames_per_s"],
        "frames_per_cpu_s": camera["frames_per_cpu_s"],
        "with_digitizers_frames_per_s": both["frames_per_s"],
        "with_digitizers_frames_per_cpu_s": both["frames_per_cpu_s"],
        "triggers_per_frame": both["triggers_per_frame"],
        "dark_frame_ms": 1e3 * median(dark_s),
        "copy_frame_ms": 1e3 * median(copy_s),
        "sensor_build_s": sensor_s,
        "kernels_s": compile_s,
        "maps_mb": (sensor.pedestal_map.nbytes + sensor.sigma_map.nbytes) / 1e6,
        "camera": address,
        "frames": frames,
        "cpus": os.cpu_count(),
        "load": os.getloadavg()[0],
    }


def _take(address: str, frames: int, folder: Path, boards: tuple[str, ...]) -> dict[str, float]:
    """Read frames with their truth, and all triggers if boards are given."""
    clock = f"benchmark {boards}"
    camera = SimulatedCamera(address, seed=1, clock=clock, truth_dir=str(folder), frames=frames)
    camera.ensure_ready(CameraConfig(run_number=len(boards)))
    readers, counts = [], []
    for model in boards:
        board = SimulatedDigitizer(model, clock=clock)
        board.ensure_ready(DigitizerConfig(samples=SAMPLES[model]))
        board.start_acquiring()
        arguments = (board, frames * 10_000_000, counts)
        readers.append(threading.Thread(target=_read_board, args=arguments, daemon=True))
    pixels = np.zeros((camera.info.rows, camera.info.columns), np.uint16)
    camera.start_acquiring()
    begin_s, begin_cpu_s = time.perf_counter(), time.process_time()
    for reader in readers:
        reader.start()
    for _ in range(frames):
        assert camera.read_into(pixels, 10.0) is not None, "a frame is missing"
    for reader in readers:
        reader.join()
    cpu_s, wall_s = time.process_time() - begin_cpu_s, time.perf_counter() - begin_s
    camera.ensure_stopped()
    assert len(set(counts)) <= 1, f"boards disagree on the number of triggers: {counts}"
    return {
        "frames_per_s": frames / wall_s,
        "frames_per_cpu_s": frames / cpu_s,
        "triggers_per_frame": counts[0] / frames if counts else 0.0,
    }


def _read_board(board: SimulatedDigitizer, until_ns: int, counts: list[int]) -> None:
    info = board.info
    waveforms = np.zeros((128, info.channels, info.samples), np.uint16)
    triggers = np.zeros(128, TRIGGER_DTYPE)
    count = 0
    while True:
        readout = board.read_into(waveforms, triggers, 1.0)
        count += readout.triggers
        if readout.complete_until_ns >= until_ns:
            break
    board.ensure_stopped()
    counts.append(count)


if __name__ == "__main__":
    main()
