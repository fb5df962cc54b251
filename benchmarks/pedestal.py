"""Measure how fast pedestals are made: ``python -m benchmarks.pedestal [--json]``.

Frames of 2304x2304 pixels. `pedestal_frames_per_s` is `PedestalBuilder` with all threads, from the
first frame to the pedestal; `one_thread_frames_per_s` with one. `fraction_of_limit` is the time
to read such a frame once with one core over the time of a frame with one thread; `over_numpy` is
the time of NumPy's running sums of values and squares in float64, which are not robust, over it.
`file_frames_per_s` and `gz_frames_per_s` are from a run file, written here, to the pedestal file.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from analyzer.pedestal_builder import PedestalBuilder
from analyzer.pedestal_run import make_pedestal
from analyzer.settings import profile
from analyzer.warmup import compile_pedestal_kernels
from benchmarks.figures import print_figures
from rawdata.build import EventBuilder, event_bytes
from rawdata.event import BankFormat, parse_event
from rawdata.layouts import camera as camera_banks
from rawdata.runwriter import RunWriter
from rawdata.tid import Tid

SIDE = 2304
KINDS = 12
"""Different frames, used again and again."""

Frame = npt.NDArray[np.uint16]


@njit(nogil=True, cache=True)
def read(frame: Frame) -> int:
    """Read a frame once: nothing can be faster."""
    total = np.uint32(0)
    for row in range(frame.shape[0]):
        pixels = frame[row]
        for column in range(pixels.shape[0]):
            total = np.uint32(total + np.uint32(pixels[column]))
    return int(total)


def _build(frames: list[Frame], workers: int) -> None:
    builder = PedestalBuilder((SIDE, SIDE), profile("LNGS"), workers)
    for frame in frames:
        builder.add(frame)
    builder.build(exposure_s=0.3, source="frames", run=1)


def _by_numpy(frames: list[Frame]) -> None:
    total, squares = np.zeros((2, SIDE, SIDE))
    for frame in frames:
        total += frame
        squares += frame.astype(np.float64) ** 2
    mean = total / len(frames)
    np.sqrt(squares / len(frames) - mean**2)


def _time_of(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def _write_run(path: Path, frames: list[Frame], compress: str) -> Path:
    with RunWriter(path, compress) as writer:
        writer.write_odb_dump(1, {"Configurations": {"Exposure": 0.3}}, begin=True)
        for serial, frame in enumerate(frames):
            memory = memoryview(bytearray(event_bytes([(Tid.WORD, frame.size)])))
            builder = EventBuilder(memory, 1, BankFormat.BANK32)
            camera_banks.encode_frame(builder, frame, 0)
            writer.write(parse_event(builder.finish(serial, 1_700_000_000)).raw)
        writer.write_odb_dump(1, {"Configurations": {"Exposure": 0.3}}, begin=False)
    return writer.path


def measure(n_frames: int, repeats: int) -> dict[str, Any]:
    """Return the figures, of runs of so many frames."""
    random = np.random.default_rng(1)
    mean = random.normal(100, 0.8, (SIDE, SIDE))
    kinds = [np.rint(random.normal(mean, 2.4)).astype(np.uint16) for _ in range(KINDS)]
    frames = [kinds[index % KINDS] for index in range(n_frames)]
    compile_pedestal_kernels()
    calls: dict[str, Callable[[], object]] = {
        "limit": lambda: [read(frame) for frame in kinds],
        "numpy": lambda: _by_numpy(kinds),
        "one": lambda: _build(frames, 1),
        "all": lambda: _build(frames, 0),
    }
    calls["limit"]()
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            times[name].append(_time_of(call) / (KINDS if name in ("limit", "numpy") else n_frames))
    frame_s = {name: median(values) for name, values in times.items()}
    figures = {
        "pedestal_frames_per_s": 1 / frame_s["all"],
        "one_thread_frames_per_s": 1 / frame_s["one"],
        "fraction_of_limit": frame_s["limit"] / frame_s["one"],
        "over_numpy": frame_s["numpy"] / frame_s["one"],
    }
    with tempfile.TemporaryDirectory() as folder:
        for name, compress in (("file", "none"), ("gz", "gzip")):
            path = _write_run(Path(folder) / "run00001.mid", frames, compress)
            taken = _time_of(lambda path=path: make_pedestal(path, None, profile("LNGS")))  # type: ignore[misc]
            figures[f"{name}_frames_per_s"] = n_frames / taken
            path.unlink()
    return figures


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--frames", type=int, default=100, help="frames of a run")
    parser.add_argument("--repeats", type=int, default=3, help="interleaved repeats")
    given = parser.parse_args()
    figures = measure(given.frames, given.repeats)
    print_figures(figures, as_json=given.json)


if __name__ == "__main__":
    main()
