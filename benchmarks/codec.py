"""Measure the frame codec: ``python -m benchmarks.codec [--json]``.

Simulated frames of 2304x2304 pixels at three noise levels, with tracks, and recorded ones. Repeats
of all that is compared are interleaved; figures are medians of CPU seconds of the one thread that
works, so they are those of one core, and other programs on the machine do not decide them. The
codec's times include its checksums. `two_threads` and `two_processes` are by the wall clock.

`bound_fraction` is the least size that noise allows / the size: the exact entropy of each pixel's
rounded Gaussian, with the mean and sigma the simulator gave it. Light is in the size, not in the
bound, and so is the level that the pixels of a row share.

The figures at the top, and of each set, are those of the dense method; the key ``fast`` has the
same of the fast one, measured beside it.
"""

import argparse
import json
import math
import multiprocessing
import os
import time
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit
from rich.console import Console
from rich.table import Table

from rawdata import codec
from rawdata.layouts import camera
from rawdata.runfile import RunFile
from sim.detector.event import Run, View, make_event
from sim.detector.light import draw_frame
from sim.detector.sensor import Sensor, make_sensor, sensor_model
from sim.detector.tracks import Rates
from sim.kernels.frame import MAP_SCALE

NOISES_ADU = (2.5, 1.0, 6.0)
"""Median sigma; the first gives the figures at the top."""
SIMULATED_FRAMES = 4
ZLIB_EVERY = 3
SCALING_S = 0.5
SCALING_ROUNDS = 5
REPOSITORY = Path(__file__).parents[1]
RECORDED = (
    REPOSITORY / "tests" / "data" / "run01104.mid",
    REPOSITORY.parent / "shared" / "data" / "recorded" / "run01103.mid.gz",
)

Frame = npt.NDArray[np.uint16]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--repeats", type=int, default=21, help="interleaved repeats")
    arguments = parser.parse_args()
    figures = measure(arguments.repeats)
    if arguments.json:
        print(json.dumps(figures))
    else:
        _print_table(figures)


def measure(repeats: int) -> dict[str, Any]:
    """Return all figures; those at the top are for the first noise level."""
    sets = []
    for noise_adu in NOISES_ADU:
        sensor = _sensor(noise_adu)
        name = f"simulated, {noise_adu} ADU"
        sets.append({"name": name, "noise_adu": noise_adu})
        bound = noise_bound_bytes(sensor)
        sets[-1] |= _measure_frames(list(_simulated(sensor)), bound, repeats)
    for path in RECORDED:
        if path.is_file():
            sets.append({"name": f"recorded, {path.name}", "noise_adu": None})
            sets[-1] |= _measure_frames(list(_recorded(path)), None, repeats)
    top = {key: value for key, value in sets[0].items() if key != "name"}
    frames = list(_simulated(_sensor(NOISES_ADU[0])))
    top["fast"] = top["fast"] | _scaling(frames, "fast")
    return {
        **top,
        **_scaling(frames, "dense"),
        "sets": sets,
        "repeats": repeats,
        "cpus": os.cpu_count(),
    }


def noise_bound_bytes(sensor: Sensor) -> float:
    """Return the entropy of one dark frame in bytes, each pixel's mean and sigma being known."""
    key = sensor.pedestal_map.astype(np.uint32) << np.uint32(16) | sensor.sigma_map
    pairs, counts = np.unique(key, return_counts=True)
    means, sigmas = (pairs >> 16) / MAP_SCALE, (pairs & 0xFFFF) / MAP_SCALE
    return float(_entropy_bits(means, sigmas, counts)) / 8


@njit(cache=True)
def _entropy_bits(means: Any, sigmas: Any, counts: Any) -> float:
    """Sum the entropies of Gaussians rounded to whole numbers, negative ones to 0 [bit]."""
    total = 0.0
    for i in range(means.size):
        scale = 1.0 / (sigmas[i] * math.sqrt(2.0))
        first = max(int(means[i] - 9.0 * sigmas[i]), 0)
        last = int(means[i] + 9.0 * sigmas[i]) + 1
        below = 0.0 if first == 0 else 0.5 * math.erfc((means[i] - first + 0.5) * scale)
        bits = 0.0
        for value in range(first, last + 1):
            up_to = 0.5 * math.erfc((means[i] - value - 0.5) * scale)
            chance = up_to - below
            below = up_to
            if chance > 0.0:
                bits -= chance * math.log2(chance)
        total += counts[i] * bits
    return total


def _sensor(noise_adu: float) -> Sensor:
    """Return the simulator's ORCA Fusion, all noise scaled to this median."""
    sensor = make_sensor(sensor_model("fusion"), 0)
    scaled = np.rint(sensor.sigma_map * (noise_adu / float(np.median(sensor.sigma_adu))))
    return replace(sensor, sigma_map=np.maximum(scaled, 1).astype(np.uint16))


def _simulated(sensor: Sensor) -> Iterator[Frame]:
    view = View(0, sensor.model, Rates())
    run = Run(1, 1, (view,), exposure_ns=300_000_000, period_ns=300_000_000)
    for number in range(SIMULATED_FRAMES):
        frame = np.empty(sensor.model.shape, np.uint16)
        draw_frame(frame, sensor, run, 0, number, make_event(run, number).tracks[0])
        yield frame


def _recorded(path: Path) -> Iterator[Frame]:
    with RunFile(path) as run:
        for event in run:
            if "CAM0" in event:
                yield np.array(camera.decode_frame(event))


def _measure_frames(frames: list[Frame], bound_bytes: float | None, repeats: int) -> dict[str, Any]:
    banks = {method: [_bank(frame, method) for frame in frames] for method in codec.CODECS}
    pixels = np.empty_like(frames[0])
    copy = np.empty_like(frames[0])
    memory = np.zeros(frames[0].nbytes, np.uint8)
    seconds: dict[str, list[float]] = defaultdict(list)
    zlib_bytes = 0
    for repeat in range(repeats + 1):  # the first is not counted
        number = repeat % len(frames)
        frame = frames[number]
        calls: dict[str, Callable[[], object]] = {"memcpy": partial(np.copyto, copy, frame)}
        for method in codec.CODECS:
            bank = banks[method][number]
            calls[f"{method} encode"] = partial(codec.encode_into, frame, memory, method)
            calls[f"{method} decode"] = partial(codec.decode_into, bank, pixels)
        for name, call in calls.items() if repeat % 2 else reversed(calls.items()):
            begin = time.thread_time()
            call()
            if repeat:
                seconds[name].append(time.thread_time() - begin)
        if repeat % ZLIB_EVERY == 1:
            begin = time.thread_time()
            zlib_bytes = len(zlib.compress(frame.data, 1))
            seconds["zlib"].append(time.thread_time() - begin)
    took = {name: median(values) for name, values in seconds.items()}
    raw_bytes = frames[0].nbytes
    figures: dict[codec.Method, dict[str, Any]] = {}
    for method in codec.CODECS:
        mean_bytes = sum(bank.nbytes for bank in banks[method]) / len(frames)
        encode_s, decode_s = took[f"{method} encode"], took[f"{method} decode"]
        figures[method] = {
            "ratio": raw_bytes / mean_bytes,
            "bits_a_pixel": 8 * mean_bytes / frames[0].size,
            "bound_fraction": None if bound_bytes is None else bound_bytes / mean_bytes,
            "encode_over_zlib1": took["zlib"] / encode_s,
            "encode_gbps": 1e-9 * raw_bytes / encode_s,
            "decode_gbps": 1e-9 * raw_bytes / decode_s,
            "encode_of_memcpy": took["memcpy"] / encode_s,
            "encode_ms": 1e3 * encode_s,
            "decode_ms": 1e3 * decode_s,
        }
    return {
        "shape": list(frames[0].shape),
        "frames": len(frames),
        **figures["dense"],
        "zlib1_gbps": 1e-9 * raw_bytes / took["zlib"],
        "zlib1_ratio": raw_bytes / zlib_bytes,
        "fast": figures["fast"],
    }


def _bank(frame: Frame, method: codec.Method) -> npt.NDArray[np.uint8]:
    packed = codec.encode(frame, method)
    assert packed is not None
    assert np.array_equal(codec.decode(packed.bank), frame)
    return packed.bank


def _scaling(frames: list[Frame], method: codec.Method) -> dict[str, float]:
    """Return how many times more than one two threads compress, and two processes (wall clock).

    Processes share nothing, so they tell what the machine has to give while this is measured.
    """

    def work(first: int, end: float) -> int:
        count = 0
        while time.perf_counter() < end:
            codec.encode(frames[(first + count) % len(frames)], method)
            count += 1
        return count

    def report(first: int, end: float, results: Any) -> None:
        results.put(work(first, end))

    def in_threads(workers: int) -> int:
        end = time.perf_counter() + SCALING_S
        with ThreadPoolExecutor(workers) as pool:
            return sum(pool.map(work, range(workers), [end] * workers))

    def in_processes(workers: int) -> int:
        fork = multiprocessing.get_context("fork")
        results = fork.SimpleQueue()
        end = time.perf_counter() + SCALING_S
        processes = [fork.Process(target=report, args=(i, end, results)) for i in range(workers)]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        return sum(results.get() for _ in processes)

    rounds = [(in_threads(1), in_threads(2), in_processes(2)) for _ in range(SCALING_ROUNDS)]
    return {
        "two_threads": median(threads / one for one, threads, _ in rounds),
        "two_processes": median(processes / one for one, _, processes in rounds),
    }


def _print_table(figures: dict[str, Any]) -> None:
    table = Table("frames", "ratio", "of bound", "encode", "x zlib-1", "decode", "zlib-1")
    table.add_row("goal at 2.5 ADU", "", ">= 0.93", "", ">= 10", ">= 1 GB/s", "")
    for one in figures["sets"]:
        for method, row in (("dense", one), ("fast", one["fast"])):
            of_bound = row["bound_fraction"]
            table.add_row(
                f"{one['name']}, {one['shape'][0]}x{one['shape'][1]}, {method}",
                f"{row['ratio']:.2f}",
                "-" if of_bound is None else f"{of_bound:.3f}",
                f"{row['encode_gbps']:.2f} GB/s",
                f"{row['encode_over_zlib1']:.1f}",
                f"{row['decode_gbps']:.2f} GB/s",
                f"{one['zlib1_gbps']:.3f} GB/s, {one['zlib1_ratio']:.2f}",
            )
    console = Console(width=120)
    console.print(table)
    console.print(
        f"two threads compress {figures['two_threads']:.2f} times as much as one, two processes "
        f"{figures['two_processes']:.2f} times ({figures['cpus']} CPUs)"
    )


if __name__ == "__main__":
    main()
