"""From the digitizer banks of an event to one row for each waveform."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from analyzer.drs4 import Drs4Tables
from analyzer.dtypes import PULSE, WAVEFORM, WaveformFlag
from analyzer.kernels import pulses as pk
from analyzer.kernels import waveform as wk
from analyzer.settings import AnalyzerSettings
from rawdata.layouts.digitizer import DRS4_MODEL, BoardHeader, DigitizerHeader

FULL_SCALE_MV: Final = {1742: 1000.0, 1720: 2000.0}
"""Input range of the boards (CAEN V1742 and V1720 manuals; ``cygno.md`` 7.7) [mV]."""

IMPEDANCE_OHM: Final = 50.0

MAX_PULSES: Final = 16
"""Pulses in a trigger, on the average of its channels; `n_pulses` counts those beyond as well."""

Rows = npt.NDArray[Any]


def analyze_waveforms(
    header: DigitizerHeader,
    waveforms: list[npt.NDArray[np.uint16]],
    settings: AnalyzerSettings,
    tables: Drs4Tables | None = None,
) -> tuple[Rows, Rows]:
    """Return rows of `WAVEFORM` and of `PULSE`: board for board, trigger, channel.

    :param waveforms: for each board (triggers, channels, samples) uint16 [ADC counts].
    :param tables: DRS4 tables, where a V1742 is to be corrected.
    """
    parts = [
        _analyze_board(index, board, samples, settings, tables)
        for index, (board, samples) in enumerate(zip(header.boards, waveforms, strict=True))
    ]
    nothing = np.zeros(0, WAVEFORM), np.zeros(0, PULSE)
    waveform_rows, pulse_rows = zip(*([nothing, *parts]), strict=True)
    return np.concatenate(waveform_rows), np.concatenate(pulse_rows)


def _analyze_board(
    index: int,
    board: BoardHeader,
    waveforms: npt.NDArray[np.uint16],
    settings: AnalyzerSettings,
    tables: Drs4Tables | None,
) -> tuple[Rows, Rows]:
    triggers, channels, samples = waveforms.shape
    rows = np.zeros((triggers, channels), WAVEFORM)
    if rows.size == 0 or samples < 2:
        return np.zeros(0, WAVEFORM), np.zeros(0, PULSE)
    is_drs4 = board.model == DRS4_MODEL
    wanted = settings.baseline_samples_fast if is_drs4 else settings.baseline_samples_slow
    n_baseline = min(wanted, max(2, samples // 2))
    period_ns = board.sample_period_ns
    tags = board.extended_time_tags
    volts = FULL_SCALE_MV.get(board.model, 1000.0) / board.resolution
    top = board.resolution - 1
    measures = np.empty((channels, wk.N_MEASURES))
    corrected = np.zeros(channels, np.bool_)
    smoothed = np.empty(samples, np.float32)
    found = np.empty((MAX_PULSES * channels, pk.N_PULSE))
    tots, counts = np.empty((channels, 2)), np.zeros(channels, np.int32)
    picocoulombs = volts * period_ns / IMPEDANCE_OHM
    pulses = [np.zeros(0, PULSE)]
    for trigger in range(triggers):
        # Whether a sample is saturated is seen before the correction, the rest after it.
        raw = np.require(waveforms[trigger], np.uint16, ("C", "A"))
        raw = raw.view()
        raw.flags.writeable = False
        wk.measure_waveforms(raw, n_baseline, top, measures)
        saturated = measures[:, wk.SATURATED] > 0
        values = raw.astype(np.float32)
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
        row["charge"] = measures[:, wk.BELOW] * picocoulombs
        n = pk.find_pulses(
            values,
            measures,
            wk.BASELINE,
            wk.NOISE,
            settings.pulse_sigma,
            settings.pulse_prominence,
            settings.pulse_width,
            smoothed,
            found,
            tots,
            counts,
        )
        row["n_pulses"] = counts
        row["tot"] = tots[:, pk.TOT_SAMPLES] * period_ns
        row["tot_charge"] = tots[:, pk.TOT_AREA] * picocoulombs
        pulses.append(_pulses(found[:n], index, trigger, period_ns, picocoulombs))
    rows["board"] = index
    rows["model"] = board.model
    rows["channel"] = np.arange(channels)
    rows["sampling_ns"] = period_ns
    return rows.reshape(-1), np.concatenate(pulses)


def _pulses(
    found: npt.NDArray[np.float64], board: int, trigger: int, period_ns: float, picocoulombs: float
) -> Rows:
    rows = np.zeros(len(found), PULSE)
    rows["board"], rows["trigger"] = board, trigger
    rows["channel"] = found[:, pk.CHANNEL]
    rows["time"] = found[:, pk.SAMPLE] * period_ns
    rows["height"] = found[:, pk.HEIGHT]
    rows["prominence"] = found[:, pk.PROMINENCE]
    rows["half_width"] = found[:, pk.HALF_WIDTH] * period_ns
    rows["full_width"] = found[:, pk.FULL_WIDTH] * period_ns
    rows["charge"] = found[:, pk.AREA] * picocoulombs
    return rows
