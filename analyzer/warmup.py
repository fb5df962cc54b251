"""Compile all kernels before they are needed, by using them on a tiny event."""

import numpy as np

from analyzer.images import ImageAnalysis
from analyzer.kernels import pedestal as pedestal_kernels
from analyzer.kernels import waveform as waveform_kernels
from analyzer.levels import prepare_levels
from analyzer.mean_image import MeanImage
from analyzer.pedestal import Pedestal
from analyzer.settings import AnalyzerSettings
from analyzer.waveforms import analyze_waveforms
from rawdata.layouts.digitizer import BoardHeader, DigitizerHeader


def compile_kernels() -> None:
    """Compile every kernel of the online analysis, or load it from numba's cache."""
    settings = AnalyzerSettings()
    side = 128
    flat = np.full((side, side), 100, np.float32)
    no_defects = np.zeros((side, side), np.uint8)
    pedestal = Pedestal(flat, np.full_like(flat, 2.4), no_defects, frames=10, run=1)
    frame = np.full((side, side), 100, np.uint16)
    frame[56:72, 56:72] += 50
    levels = prepare_levels(pedestal, settings)
    images = ImageAnalysis(levels, settings)
    images.analyze(frame)
    images.tiles()
    MeanImage(levels).add(images.macro_sums)
    _compile_waveforms(settings)


def _compile_waveforms(settings: AnalyzerSettings) -> None:
    words = np.zeros(1, np.uint32)
    board = BoardHeader(1720, 8, 1, 4096, 250, words, words)
    header = DigitizerHeader("A", (board,))
    analyze_waveforms(header, [np.zeros((1, 1, 8), np.uint16)], settings)
    samples = np.zeros((2, 8), np.uint16)
    samples.flags.writeable = False
    table = np.zeros((8, 1024), np.float32)
    chosen = np.ones(2, np.bool_)
    corrected = np.empty((2, 8), np.float32)
    waveform_kernels.correct_cells(samples, 0, table, table, chosen, corrected)
    waveform_kernels.remove_dips(corrected, chosen, 2, 30.0)
    measures = np.empty((2, waveform_kernels.N_MEASURES))
    waveform_kernels.measure_waveforms(corrected, 2, 4095, measures)


def compile_pedestal_kernels() -> None:
    """Compile what only pedestal runs need."""
    frame = np.zeros((4, 4), np.uint16)
    stack = np.zeros((3, 4, 4), np.uint16)
    pedestal_kernels.center_and_spread(stack, frame.copy(), frame.copy())
    count = np.zeros((4, 4), np.uint32)
    total = np.zeros((4, 4), np.int64)
    frozen = frame.view()
    frozen.flags.writeable = False
    pedestal_kernels.accumulate(frozen, frame, frame, count, total, total.copy())
