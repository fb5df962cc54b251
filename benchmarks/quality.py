"""Measure the quality of events and runs: ``python -m benchmarks.quality [--json]``.

Fusion frames with 12 objects, and 3 triggers of 32x1024 and 8x4000 samples. `quality_us` is what
quality costs an event (its rows, their sums, the mean image), one core; `part_of_event` is it over
the time of the event's whole analysis. `second_ms` is the cost of what is published each second.
`fit_ms` is the time of a fit of the 55Fe line to 2000 spots, `over_curve_fit` that of SciPy's
least squares with the same curve, over ours. `report_s` is the time of a report of 400 events, in a
process of its own; `report_start_s` the part of it that starts Python and imports.
"""

import argparse
import itertools
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from scipy.optimize import curve_fit

from analyzer.analysis import RunAnalysis
from analyzer.conditions import RunConditions
from analyzer.levels import prepare_levels
from analyzer.mean_image import MeanImage
from analyzer.pedestal import Pedestal
from analyzer.quality import quality_rows
from analyzer.quality_consumer import QualityConsumer
from analyzer.record import Counts, begin_attributes, end_attributes
from analyzer.report import write_report
from analyzer.results import ResultsWriter
from analyzer.settings import profile
from analyzer.spectrum import fit_peak
from benchmarks.figures import print_figures
from benchmarks.scenes import Camera
from rawdata.build import EventBuilder
from rawdata.event import BankFormat, Event, parse_event
from rawdata.layouts import camera as camera_banks
from rawdata.layouts import digitizer
from rawdata.layouts.digitizer import BoardHeader, DigitizerHeader, dc_offset_words

TRIGGERS = 3
REPORT_EVENTS = 400


def time_of(call: Callable[[], object]) -> float:
    """Return the time of a call [s]."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def measure(repeats: int, address: str = "fusion", report_events: int = REPORT_EVENTS) -> Any:
    """Return all figures."""
    analysis, event = _prepare(address)
    consumer = QualityConsumer(analysis)
    result = analysis.analyze(event, 0)
    levels = analysis.levels[0]
    pixels = {0: levels.level.size}
    settings = analysis.settings
    mean, sums = MeanImage(levels, settings.hot_adu), np.zeros(levels.macro_shape, np.int32)
    serials = itertools.count()
    calls: dict[str, Callable[[], object]] = {
        "event": lambda: analysis.analyze(event, 0),
        "rows": lambda: quality_rows(result.rows, pixels, settings),
        "sums": lambda: consumer.take(result),
        "mean": lambda: mean.add(sums, next(serials)),
        "second": consumer.variables,
    }
    times: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        call()
    for _ in range(repeats):
        for name, call in calls.items():
            times[name].append(time_of(call))
    us = {name: 1e6 * median(values) for name, values in times.items()}
    quality = us["rows"] + us["sums"] + us["mean"]
    figures = {
        "quality_us": quality,
        "rows_us": us["rows"],
        "sums_us": us["sums"],
        "mean_image_us": us["mean"],
        "event_us": us["event"],
        "part_of_event": quality / us["event"],
        "second_ms": us["second"] / 1e3,
    }
    return {**figures, **_measure_fit(repeats), **_measure_report(analysis, event, report_events)}


def _prepare(address: str) -> tuple[RunAnalysis, Event]:
    """Return the analysis of a run, and an event of it."""
    camera = Camera(address=address)
    scene = camera.dark()
    if address == "fusion":
        camera.spots(12_300, scene, 3, 3)
        for _ in range(3):
            camera.track(4e4, 700, scene)
    sensor = camera.sensor
    mean = sensor.pedestal_adu.astype(np.float32)
    sigma = sensor.sigma_adu.astype(np.float32)
    defects = (sigma > 4 * np.median(sigma)).astype(np.uint8)
    settings = profile("LNGS")
    begin = int(time.time())
    analysis = RunAnalysis(RunConditions(1, exposure_s=0.3, begin_time=begin), settings)
    pedestal = Pedestal(mean, sigma, defects, frames=100, run=1)
    analysis.set_pedestal(0, prepare_levels(pedestal, settings))
    random = np.random.default_rng(1)
    words = np.zeros(TRIGGERS, np.uint32)
    boards, waves = [], []
    for model, samples, channels, sampling in ((1742, 1024, 32, 1333), (1720, 4000, 8, 250)):
        offsets = dc_offset_words([-0.3] * channels)
        cells = words if model == 1742 else None
        boards.append(
            BoardHeader(model, samples, channels, 4096, sampling, offsets, words, start_cells=cells)
        )
        wave = random.normal(3400, 3, (TRIGGERS, channels, samples))
        waves.append(np.rint(wave).astype(np.uint16))
    builder = EventBuilder(memoryview(bytearray(24 << 20)), 1, BankFormat.BANK32)
    camera_banks.encode_frame(builder, scene.pixels, 0)
    digitizer.encode(builder, DigitizerHeader("A", tuple(boards)), waves)
    return analysis, parse_event(builder.finish(0, begin))


def _measure_fit(repeats: int) -> dict[str, float]:
    random = np.random.default_rng(2)
    edges = np.linspace(4000, 18_000, 281)
    spots = np.concatenate([random.normal(12_300, 1500, 1500), random.uniform(4000, 18_000, 500)])
    counts = np.histogram(spots, edges)[0].astype(np.float64)
    x = (edges[:-1] + edges[1:]) / 2

    def line(x: Any, height: float, mean: float, sigma: float, left: float, slope: float) -> Any:
        return height * np.exp(-0.5 * ((x - mean) / sigma) ** 2) + left + slope * (x - 4000)

    def by_scipy() -> object:
        return curve_fit(line, x, counts, (20, 12_000, 1000, 1, 0), np.sqrt(counts + 1))

    ours, theirs = [], []
    for _ in range(max(3, repeats // 3)):
        ours.append(time_of(lambda: fit_peak(counts, edges)))
        theirs.append(time_of(by_scipy))
    ratios = [b / a for a, b in zip(ours, theirs, strict=True)]
    return {"fit_ms": 1e3 * median(ours), "over_curve_fit": median(ratios)}


def _measure_report(analysis: RunAnalysis, event: Event, events: int) -> dict[str, float]:
    consumer = QualityConsumer(analysis)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run00001.reco.h5"
        conditions, counts = analysis.conditions, Counts()
        attributes = begin_attributes(conditions, analysis.settings, "benchmark")
        writer = ResultsWriter(path, attributes)
        result = analysis.analyze(event, 0)
        for index in range(events):
            for rows in result.rows.values():
                rows["event"] = index
            result.rows["events"]["timestamp"] += 1
            consumer.take(result)
            writer.append({name: rows.copy() for name, rows in result.rows.items()})
            counts.add(result)
        writer.append(consumer.finish())
        writer.close(end_attributes(analysis, counts, conditions.begin_time + events, ""))
        command = [sys.executable, "-m", "analyzer.report", str(path)]
        whole = time_of(lambda: subprocess.run(command, check=True))
        write_report(path)
        drawn = time_of(lambda: write_report(path))
    return {"report_s": whole, "report_drawing_s": drawn, "report_start_s": whole - drawn}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--repeats", type=int, default=31, help="interleaved repeats")
    given = parser.parse_args()
    figures = measure(given.repeats)
    print_figures(figures, as_json=given.json)


if __name__ == "__main__":
    main()
