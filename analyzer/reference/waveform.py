"""Twin of `analyzer.kernels.waveform`."""

import numpy as np

from analyzer.kernels.arrays import F64, I32, U16, Bools
from analyzer.kernels.waveform import BUMP, SCALE


def measure_waveform(values: U16 | I32, n_baseline: int) -> F64:
    """Return baseline, noise, lowest value, its sample, and the sum below the baseline after it."""
    whole = values.astype(np.float64)
    begin, rest = whole[:n_baseline], whole[n_baseline:]
    baseline = begin.mean()
    measures = [baseline, begin.std(), whole.min(), whole.argmin(), (baseline - rest).sum()]
    return np.array(measures)


def correct_cells(
    waveforms: U16, start_cell: int, cell_table: I32, sample_table: I32, chosen: Bools
) -> I32:
    """Return waveforms in 1/32 count without the offsets of cells and samples, where `chosen`."""
    channels, samples = waveforms.shape
    cells = (np.arange(samples) + start_cell) % cell_table.shape[1]
    offset = np.zeros((channels, samples), np.int32)
    offset[chosen] = (cell_table[:, cells][:, :samples] + sample_table[:, :samples])[
        np.flatnonzero(chosen)
    ]
    return np.asarray(waveforms.astype(np.int32) * SCALE - offset, np.int32)


def remove_dips(waveforms: I32, chosen: Bools, least_channels: int, depth: int) -> I32:
    """Return waveforms without dips of one or two samples common to `least_channels`."""
    result = waveforms.astype(np.int64)
    few = result[chosen]
    samples = waveforms.shape[1]
    if len(few) < least_channels or samples < 4:
        return waveforms.copy()
    for width in (2, 3):
        if (few[:, width] - few[:, 1:width].max(axis=1) > depth).sum() >= least_channels:
            few[:, :width] = few[:, width : width + 1]
            break
    sample = 1
    while sample < samples - 1:
        step = 1
        for width in (1, 2):
            if sample + width >= samples:
                break
            left, right = few[:, sample - 1], few[:, sample + width]
            floor = few[:, sample : sample + width].max(axis=1)
            if (np.minimum(left, right) - floor > depth).sum() >= least_channels:
                for inside in range(width):
                    few[:, sample + inside] = left + (right - left) * (inside + 1) // (width + 1)
                step = width
                break
        sample += step
    if (few[:, -2] - few[:, -1] > depth).sum() >= least_channels:
        few[:, -1] = few[:, -2]
    result[chosen] = few
    return result.astype(np.int32)


def remove_bumps(waveforms: I32, chosen: Bools, least_channels: int, height: int) -> I32:
    """Return waveforms with bumps of `BUMP` samples and more replaced by the mean."""
    result = waveforms.copy()
    if chosen.sum() < least_channels:
        return result
    mean = waveforms.sum(axis=1, dtype=np.int64) // waveforms.shape[1]
    is_high = (waveforms > mean[:, np.newaxis] + height)[chosen].sum(axis=0) >= least_channels
    edges = np.flatnonzero(np.diff(np.concatenate([[0], is_high.astype(int), [0]])))
    for begin, end in edges.reshape(-1, 2):
        if end - begin >= BUMP:
            result[chosen, begin:end] = mean[chosen, np.newaxis]
    return result
