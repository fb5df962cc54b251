"""Measure the analyzer: ``python -m benchmarks.analyzer [--json]``.

Frames of 2304x2304 pixels: a quiet one with 2 spots, a busy one with 12 objects.
`fraction_of_limit` is the time to read frame and pedestal once over the time from pedestal to
clusters (`find_ms`), one core; the peers do that, too, on macro-pixels of 4x4: OpenCV (subtract,
shrink, threshold, connected components) and SciPy (label, sums, centres) at 4 sigma, scikit-learn
(DBSCAN, eps 5.8, 30 points) at 2.5. `frame_ms` is the complete analysis with all variables.
`two_worker_scaling` is frames per second of two threads over those of one.

The figures of the waveforms are those of `benchmarks.waveforms`. Repeats are
interleaved, figures medians of ratios within a round.
"""

import argparse
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from numba import njit
from scipy import ndimage
from sklearn.cluster import DBSCAN

from analyzer.frames import as_frame
from analyzer.images import ImageAnalysis
from analyzer.levels import prepare_levels
from analyzer.pedestal import Pedestal
from analyzer.settings import profile
from benchmarks.figures import print_figures
from benchmarks.scenes import Camera
from benchmarks.waveforms import measure_waveforms

PEER_SIGMA = 4.0
DBSCAN_SIGMA = 2.5
"""At 4 sigma too few macro-pixels are left for 30 of them to be near each other: DBSCAN then finds
neither spot of the quiet frame; at 2.5 it finds both."""
REBIN = 4
SCALING_FRAMES, SCALING_ROUNDS = 250, 7
"""Rounds of a fifth of a second: in short ones a few milliseconds of another program show."""

Frame = npt.NDArray[np.uint16]
Floats = npt.NDArray[np.float32]


@njit(nogil=True, cache=True)
def read_both(frame: Frame, level: Frame) -> int:
    """Read frame and pedestal once: nothing can be faster."""
    total = np.uint32(0)
    for row in range(frame.shape[0]):
        pixels, levels = frame[row], level[row]
        for column in range(pixels.shape[0]):
            both = np.uint32(np.uint32(pixels[column]) + np.uint32(levels[column]))
            total = np.uint32(total + both)
    return int(total)


def rebin(residual: Floats) -> Floats:
    """Return means of 4x4 pixels."""
    rows, columns = residual.shape[0] // REBIN, residual.shape[1] // REBIN
    return residual.reshape(rows, REBIN, columns, REBIN).mean(axis=(1, 3), dtype=np.float32)


def by_opencv(frame: Frame, pedestal: Floats, threshold: float) -> int:
    """Find clusters with OpenCV; return their number."""
    residual = cv2.subtract(frame.astype(np.float32), pedestal)
    side = (frame.shape[1] // REBIN, frame.shape[0] // REBIN)
    small = cv2.resize(residual, side, interpolation=cv2.INTER_AREA)
    _, lit = cv2.threshold(small, threshold, 255, cv2.THRESH_BINARY)
    return cv2.connectedComponentsWithStats(lit.astype(np.uint8), connectivity=8)[0] - 1


def by_scipy(frame: Frame, pedestal: Floats, threshold: float) -> int:
    """Find clusters with scipy.ndimage; return their number."""
    small = rebin(frame.astype(np.float32) - pedestal)
    labels, found = ndimage.label(small > threshold, np.ones((3, 3)))
    index = np.arange(1, found + 1)
    ndimage.sum_labels(small, labels, index)
    ndimage.center_of_mass(small, labels, index)
    return int(found)


def by_sklearn(frame: Frame, pedestal: Floats, threshold: float) -> int:
    """Find clusters with scikit-learn's DBSCAN; return their number."""
    small = rebin(frame.astype(np.float32) - pedestal)
    points = np.argwhere(small > threshold)
    return int(DBSCAN(eps=5.8, min_samples=30).fit(points).labels_.max() + 1) if len(points) else 0


def time_of(call: Callable[[], object]) -> float:
    """Return how long a call takes [s]."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def measure(repeats: int, address: str = "fusion") -> dict[str, Any]:
    """Return all figures."""
    return {**measure_images(repeats, address), **measure_waveforms(repeats)}


def measure_images(repeats: int, address: str) -> dict[str, Any]:
    """Return the figures of the frames."""
    camera, settings = Camera(address=address), profile("LNGS")
    sensor = camera.sensor
    mean = sensor.pedestal_adu.astype(np.float32)
    sigma = sensor.sigma_adu.astype(np.float32)
    defects = (sigma > 4 * np.median(sigma)).astype(np.uint8)
    levels = prepare_levels(Pedestal(mean, sigma, defects, frames=100, run=1), settings)
    quiet, busy = (as_frame(pixels) for pixels in _frames(camera))
    images = ImageAnalysis(levels, settings)
    threshold = PEER_SIGMA * float(np.median(sigma)) / REBIN
    peers: dict[str, Callable[[], object]] = {
        "over_opencv": lambda: by_opencv(quiet, mean, threshold),
        "over_scipy": lambda: by_scipy(quiet, mean, threshold),
        "over_sklearn": lambda: by_sklearn(quiet, mean, threshold * DBSCAN_SIGMA / PEER_SIGMA),
    }
    ours: dict[str, Callable[[], object]] = {
        "limit": lambda: read_both(quiet, levels.level),
        "find": lambda: images.find(quiet),
        "quiet": lambda: images.analyze(quiet),
        "busy": lambda: images.analyze(busy),
    }
    calls = {**ours, **peers}
    for call in calls.values():
        call()
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            times[name].append(time_of(call))
    clusters = [len(images.analyze(frame)[1]) for frame in (quiet, busy)]

    def ratio(above: str, below: str) -> float:
        return median(a / b for a, b in zip(times[above], times[below], strict=True))

    return {
        "frame_ms": 1e3 * median(times["quiet"]),
        "frame_ms_quiet": 1e3 * median(times["quiet"]),
        "frame_ms_busy": 1e3 * median(times["busy"]),
        "find_ms": 1e3 * median(times["find"]),
        "limit_ms": 1e3 * median(times["limit"]),
        "fraction_of_limit": ratio("limit", "find"),
        **{name: ratio(name, "find") for name in peers},
        "two_worker_scaling": _scaling(levels, settings, quiet),
        "clusters_quiet": clusters[0],
        "clusters_busy": clusters[1],
    }


def _frames(camera: Camera) -> list[Frame]:
    """Return a frame with 2 spots, and one with 8 spots, 3 muons and an alpha."""
    height, width = camera.sensor.model.shape
    unit = min(height, width) / 2304
    quiet = camera.dark()
    for row, column in ((700, 600), (1500, 1700)):
        quiet.add(row * unit, column * unit, 12300)
    busy = camera.dark()
    for row in (450, 1900):
        for column in (400, 850, 1300, 1750):
            busy.add(row * unit, column * unit, 12300)
    for row, angle in ((800, 0.05), (1100, -0.1), (1400, 0.1)):
        busy.add(row * unit, 1200 * unit, 40 * 1000 * unit, 1000 * unit, angle)
    busy.add(1650 * unit, 1900 * unit, 5e5, 260 * unit, 0.2)
    return [quiet.pixels, busy.pixels]


def _scaling(levels: Any, settings: Any, frame: Frame) -> float:
    """Return frames per second of two threads over those of one."""
    workers = [ImageAnalysis(levels, settings) for _ in range(2)]
    copies = [as_frame(frame.copy()) for _ in range(8)]

    def work(number: int, count: int) -> None:
        for index in range(count):
            workers[number].analyze(copies[(4 * number + index) % 8])

    rates = []
    with ThreadPoolExecutor(2) as pool:
        for _ in range(SCALING_ROUNDS):
            alone_s = time_of(lambda: pool.submit(work, 0, SCALING_FRAMES).result())
            both_s = time_of(lambda: list(pool.map(work, (0, 1), (SCALING_FRAMES,) * 2)))
            rates.append(2 * alone_s / both_s)
    return median(rates)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--repeats", type=int, default=31, help="interleaved repeats")
    given = parser.parse_args()
    cv2.setNumThreads(1)
    figures = measure(given.repeats)
    print_figures(figures, as_json=given.json)


if __name__ == "__main__":
    main()
