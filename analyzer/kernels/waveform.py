"""Baseline, noise, amplitude and charge of waveforms; DRS4 corrections of the V1742."""

import numpy as np
from numba import njit

from analyzer.kernels.arrays import F32, F64, U16, Bools

BASELINE, NOISE, LOWEST, LOWEST_SAMPLE, BELOW, SATURATED = range(6)
"""Columns of what `measure_waveforms` gives."""
N_MEASURES = 6

REORDERED = {"reassoc", "nnan", "nsz", "contract"}
"""Sums may be taken in another order, which SIMD needs; waveforms hold no NaN."""

_f4 = np.float32


@njit(nogil=True, cache=True, fastmath=REORDERED)
def measure_waveforms(waveforms: U16 | F32, n_baseline: int, top: int, measures: F64) -> None:
    """Measure waveforms whose pulses go down.

    :param waveforms: (n, samples) uint16 or float32 [ADC counts].
    :param n_baseline: samples at the begin that hold no pulse, 2 to all of them.
    :param top: highest code of the ADC: samples at it or at 0 are saturated.
    :param measures: out, (n, 6) float64: mean and standard deviation of the baseline, lowest
        value, its first sample, sum of (baseline - value) after the baseline, saturated samples.
    """
    samples = waveforms.shape[1]
    for index in range(waveforms.shape[0]):
        values = waveforms[index]
        total = 0.0
        for sample in range(n_baseline):
            total += values[sample]
        baseline = total / n_baseline
        squares = 0.0
        for sample in range(n_baseline):
            squares += (values[sample] - baseline) ** 2
        lowest = values[0]
        for sample in range(samples):
            lowest = min(lowest, values[sample])
        lowest_sample = 0
        while values[lowest_sample] > lowest:
            lowest_sample += 1
        highest = values[0]
        for sample in range(samples):
            highest = max(highest, values[sample])
        saturated = 0
        if highest >= top or lowest <= 0:
            for sample in range(samples):
                saturated += values[sample] >= top or values[sample] <= 0
        below = 0.0
        for sample in range(n_baseline, samples):
            below += values[sample]
        measures[index, BASELINE] = baseline
        measures[index, NOISE] = np.sqrt(squares / n_baseline)
        measures[index, LOWEST] = lowest
        measures[index, LOWEST_SAMPLE] = lowest_sample
        measures[index, BELOW] = baseline * (samples - n_baseline) - below
        measures[index, SATURATED] = saturated


@njit(nogil=True, cache=True)
def correct_cells(
    waveforms: U16,
    start_cell: int,
    cell_table: F32,
    sample_table: F32,
    chosen: Bools,
    corrected: F32,
) -> None:
    """Take the offsets of the DRS4's cells and samples out of waveforms of one trigger.

    Sample s of channel c was held in cell (s + start cell) mod 1024; from it go
    ``cell_table[c, cell]`` and ``sample_table[c, s]``.

    :param waveforms: (channels, samples) uint16 [ADC counts].
    :param cell_table: (channels or more, cells) float32 [ADC counts].
    :param sample_table: (channels or more, samples or more) float32 [ADC counts].
    :param chosen: (channels,) bool; other channels are copied as they are.
    :param corrected: out, (channels, samples) float32.
    """
    cells = cell_table.shape[1]
    for channel in range(waveforms.shape[0]):
        for sample in range(waveforms.shape[1]):
            value = _f4(waveforms[channel, sample])
            if chosen[channel]:
                value = _f4(value - cell_table[channel, (sample + start_cell) % cells])
                value = _f4(value - sample_table[channel, sample])
            corrected[channel, sample] = value


@njit(nogil=True, cache=True)
def remove_dips(waveforms: F32, chosen: Bools, least_channels: int, depth: float) -> int:
    """Bridge dips of one or two samples that most channels show at once.

    Such a dip is made by the DRS4 chip; pulses are longer and not the same in all channels. Both
    its neighbours lie more than `depth` above it; it is replaced by the straight line between them.

    :param waveforms: in and out, (channels, samples) float32 [ADC counts].
    :param chosen: (channels,) bool; only these are looked at and changed.
    :param least_channels: a dip must be in so many of them.
    :returns: number of dips that were bridged.
    """
    channels, samples = waveforms.shape
    limit = _f4(depth)
    bridged = 0
    sample = 1
    while sample < samples - 1:
        found = 0
        for width in (1, 2):
            if found or sample + width >= samples:
                continue
            votes = 0
            for channel in range(channels):
                if chosen[channel]:
                    values = waveforms[channel]
                    edge = min(values[sample - 1], values[sample + width])
                    floor = values[sample]
                    if width == 2:
                        floor = max(floor, values[sample + 1])
                    if edge - floor > limit:
                        votes += 1
            if votes >= least_channels:
                found = width
        if found:
            bridged += 1
            for channel in range(channels):
                if chosen[channel]:
                    values = waveforms[channel]
                    left = values[sample - 1]
                    step = _f4((values[sample + found] - left) / _f4(found + 1))
                    for inside in range(found):
                        values[sample + inside] = _f4(left + step * _f4(inside + 1))
        sample += max(found, 1)
    return bridged
