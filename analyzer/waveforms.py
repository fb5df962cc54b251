"""From the digitizer banks of an event to one row for each waveform."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from analyzer.drs4 import Drs4Tables
from analyzer.dtypes import WAVEFORM, WaveformFlag
from analyzer.kernels import waveform as wk
from analyzer.settings import AnalyzerSettings
from rawdata.layouts.digitizer import DRS4_MODEL, BoardHeader, DigitizerHeader

FULL_SCALE_MV: Final = {1742: 1000.0, 1720: 2000.0}
"""Input range of the boards (CAEN V1742 and V1720 manuals; ``cygno.md`` 7.7) [mV]."""

IMPEDANCE_OHM: Final = 50.0


def analyze_waveforms(
    header: DigitizerHeader,
    waveforms: list[npt.NDArray[np.uint16]],
    settings: AnalyzerSettings,
    tables: Drs4Tables | None = None,
) -> npt.NDArray[Any]:
    """Return rows of `WAVEFORM`: board for board, trigger for trigger, channel for channel.

    :param waveforms: for each board (triggers, channels, samples) uint16 [ADC counts].
    :param tables: DRS4 tables, where a V1742 is to be corrected.
    """
    parts = [
        _analyze_board(index, board, samples, settings, tables)
        for index, (board, samples) in enumerate(zip(header.boards, waveforms, strict=True))
    ]
    return np.concatenate(parts) if parts else np.zeros(0, WAVEFORM)


def _analyze_board(
    index: int,
    board: BoardHeader,
    waveforms: npt.NDArray[np.uint16],
    settings: AnalyzerSettings,
    tables: Drs4Tables | None,
) -> npt.NDArray[Any]:
    triggers, channels, samples = waveforms.shape
    rows = np.zeros((triggers, channels), WAVEFORM)
    if rows.size == 0 or samples < 2:
        return np.zeros(0, WAVEFORM)
    is_drs4 = board.model == DRS4_MODEL
    wanted = settings.baseline_samples_fast if is_drs4 else settings.baseline_samples_slow
    n_baseline = min(wanted, max(2, samples // 2))
    period_ns = board.sample_period_ns
    tags = board.extended_time_tags
    volts = FULL_SCALE_MV.get(board.model, 1000.0) / board.resolution
    top = board.resolution - 1
    measures = np.empty((channels, wk.N_MEASURES))
    corrected = np.zeros(channels, np.bool_)
    for trigger in range(triggers):
        # Whether a sample is saturated is seen before the correction, the rest after it.
        raw = np.require(waveforms[trigger], np.uint16, ("C", "A"))
        raw = raw.view()
        raw.flags.writeable = False
        wk.measure_waveforms(raw, n_baseline, top, measures)
        saturated = measures[:, wk.SATURATED] > 0
        if is_drs4 and tables is not None and board.start_cells is not None:
            cell = int(board.start_cells[trigger])
            values, corrected = tables.correct(raw, cell, board.dc_offset_fractions)
            wk.measure_waveforms(values, n_baseline, top, measures)
        row = rows[trigger]
        row["trigger"] = trigger
        row["time_tag"] = tags[trigger]
        row["flags"] = saturated * np.uint16(WaveformFlag.SATURATED)
        row["flags"] |= corrected * np.uint16(WaveformFlag.DRS4_CORRECTED)
        row["baseline"] = measures[:, wk.BASELINE]
        row["noise"] = measures[:, wk.NOISE]
        row["amplitude"] = measures[:, wk.BASELINE] - measures[:, wk.LOWEST]
        row["peak_sample"] = measures[:, wk.LOWEST_SAMPLE]
        row["charge"] = measures[:, wk.BELOW] * volts * period_ns / IMPEDANCE_OHM
    rows["board"] = index
    rows["model"] = board.model
    rows["channel"] = np.arange(channels)
    rows["sampling_ns"] = period_ns
    return rows.reshape(-1)
