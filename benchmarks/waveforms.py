"""Measure the analysis of waveforms: ``python -m benchmarks.waveforms [--json]``.

`waveform_us` is the complete analysis of an event of 32 waveforms of 1024 samples and 8 of 4000:
rows of waveforms, pulses and trigger; two channels in three hold a pulse.
`waveform_corrected_us` is the same with DRS4 tables for the first 8 channels, `waveform_quiet_us`
without pulses. `over_find_peaks` is SciPy's time for the peaks alone, with CYGNO's parameters, over
`waveform_us`. Repeats are interleaved, figures medians.
"""

import argparse
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.signal import find_peaks

from analyzer.drs4 import make_tables
from analyzer.settings import profile
from analyzer.waveforms import WaveformAnalysis
from benchmarks.figures import print_figures
from rawdata.layouts.digitizer import BoardHeader, DigitizerHeader, dc_offset_words
from sim.detector.waveforms import drs4_pattern

EVENTS = 8
OURS_A_PEER = 8
"""Our calls for each of SciPy's, which takes so much longer."""

Waves = list[npt.NDArray[np.uint16]]


def measure_waveforms(repeats: int) -> dict[str, Any]:
    """Return the figures."""
    random, settings = np.random.default_rng(1), profile("LNGS")
    words = [np.zeros(1, np.uint32)]
    offsets = [dc_offset_words([-0.3] * channels) for channels in (32, 8)]
    boards = (
        BoardHeader(1742, 1024, 32, 4096, 1333, offsets[0], *words, start_cells=words[0]),
        BoardHeader(1720, 4000, 8, 4096, 250, offsets[1], *words),
    )
    header = DigitizerHeader("A", boards)
    events = [[_waves(random, board, True) for board in boards] for _ in range(EVENTS)]
    quiet = [[_waves(random, board, False) for board in boards] for _ in range(EVENTS)]
    marked = [[_with_pattern(fast), slow] for fast, slow in events]
    plain = WaveformAnalysis(settings, 0.3)
    corrected = WaveformAnalysis(settings, 0.3, make_tables(*drs4_pattern()))
    calls: dict[str, Callable[[int], object]] = {
        "waveform_us": lambda index: plain.analyze(header, events[index]),
        "waveform_corrected_us": lambda index: corrected.analyze(header, marked[index]),
        "waveform_quiet_us": lambda index: plain.analyze(header, quiet[index]),
    }
    times: dict[str, list[float]] = {name: [] for name in [*calls, "peer"]}
    for call in calls.values():
        call(0)
    for index in range(repeats):
        times["peer"].append(_time_of(_find_peaks, events[index % EVENTS]))
        for name, call in calls.items():
            times[name] += [_time_of(call, place % EVENTS) for place in range(OURS_A_PEER)]
    figures = {name: 1e6 * median(times[name]) for name in calls}
    return {**figures, "over_find_peaks": 1e6 * median(times["peer"]) / figures["waveform_us"]}


def _time_of(call: Callable[[Any], object], argument: Any) -> float:
    began = time.perf_counter()
    call(argument)
    return time.perf_counter() - began


def _waves(
    random: np.random.Generator, board: BoardHeader, has_pulses: bool
) -> npt.NDArray[np.uint16]:
    """Return one trigger's waveforms; two channels in three hold a pulse of 20 to 60 samples."""
    waves = random.normal(3400, 3, (board.channels, board.samples))
    samples = np.arange(board.samples)
    for channel in range(board.channels):
        if channel % 3 and has_pulses:
            place = random.uniform(0.4, 0.7) * board.samples
            width, height = random.uniform(8, 25), random.uniform(50, 1500)
            waves[channel] -= height * np.exp(-0.5 * ((samples - place) / width) ** 2)
    return np.rint(waves).astype(np.uint16)[None]


def _with_pattern(waves: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint16]:
    """Return waveforms with the DRS4's pattern in the first channels, start cell 0."""
    cells, samples = drs4_pattern()
    marked = waves.astype(np.float64)
    marked[0, : len(cells)] += cells + samples
    return np.rint(marked).astype(np.uint16)


def _find_peaks(waves: Waves) -> None:
    """Find peaks as CYGNO's waveform.py does: height 5 noises, a quarter's prominence, width 5."""
    for board in waves:
        for values in board[0]:
            baseline = values[:100].mean()
            smoothed = np.convolve(baseline - values, np.full(5, 0.2), "same")
            find_peaks(
                smoothed,
                height=5 * values[:100].std(),
                prominence=smoothed.max() / 4,
                width=5,
            )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--repeats", type=int, default=100, help="interleaved repeats")
    given = parser.parse_args()
    figures = measure_waveforms(given.repeats)
    print_figures(figures, as_json=given.json)


if __name__ == "__main__":
    main()
