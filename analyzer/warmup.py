"""Compile all kernels before they are needed, by using them on a tiny event."""

import numpy as np

from analyzer.drs4 import make_tables
from analyzer.images import ImageAnalysis
from analyzer.levels import prepare_levels
from analyzer.mean_image import MeanImage
from analyzer.pedestal import Pedestal
from analyzer.pedestal_builder import REFERENCE_FRAMES, PedestalBuilder
from analyzer.settings import AnalyzerSettings
from analyzer.view import view_frame
from analyzer.waveforms import WaveformAnalysis
from rawdata.layouts.digitizer import BoardHeader, DigitizerHeader, dc_offset_words


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
    ImageAnalysis(levels, settings.model_copy(update={"finder": "cygno"})).analyze(frame)
    images = ImageAnalysis(levels, settings)
    images.analyze(frame)
    images.tiles()
    view_frame(frame, levels, settings)
    MeanImage(levels, settings.hot_adu).add(images.macro_sums, serial=0)
    _compile_waveforms(settings)


def _compile_waveforms(settings: AnalyzerSettings) -> None:
    words, shape = np.zeros(1, np.uint32), (1, 2, 64)
    offsets = dc_offset_words([-0.3, -0.3])
    fast = BoardHeader(1742, 64, 2, 4096, 1333, offsets, words, start_cells=words)
    slow = BoardHeader(1720, 64, 2, 4096, 250, offsets, words)
    header = DigitizerHeader("A", (fast, slow))
    tables = make_tables(np.zeros((8, 1024)), np.zeros((8, 1024)))
    waves = [np.full(shape, 3000, np.uint16) for _ in range(2)]
    waves[1][:, :, 40:50] -= 500
    WaveformAnalysis(settings, 0.3, tables).analyze(header, waves)


def compile_pedestal_kernels() -> None:
    """Compile what only pedestal runs need."""
    builder = PedestalBuilder((4, 4), AnalyzerSettings(), workers=1)
    for _ in range(REFERENCE_FRAMES + 2):
        builder.add(np.zeros((4, 4), np.uint16))
    builder.build(exposure_s=0.0, source="zeros", run=1)
