"""Twin of `analyzer.kernels.waveform`."""

import numpy as np

from analyzer.kernels.arrays import F32, F64, U16, Bools


def measure_waveforms(waveforms: U16 | F32, n_baseline: int, top: int) -> F64:
    """Return (n, 6): baseline, noise, lowest value, its sample, sum below, saturated samples."""
    values = waveforms.astype(np.float64)
    begin, rest = values[:, :n_baseline], values[:, n_baseline:]
    baseline = begin.mean(axis=1)
    measures = [
        baseline,
        begin.std(axis=1),
        values.min(axis=1),
        values.argmin(axis=1),
        (baseline[:, np.newaxis] - rest).sum(axis=1),
        ((values >= top) | (values <= 0)).sum(axis=1),
    ]
    return np.stack(measures, axis=1)


def correct_cells(
    waveforms: U16, start_cell: int, cell_table: F32, sample_table: F32, chosen: Bools
) -> F32:
    """Return waveforms without the offsets of their cells and samples, where `chosen`."""
    channels, samples = waveforms.shape
    cells = (np.arange(samples) + start_cell) % cell_table.shape[1]
    offset = cell_table[:, cells][:channels]
    corrected = waveforms.astype(np.float32)
    return np.where(
        chosen[:, np.newaxis], (corrected - offset) - sample_table[:channels, :samples], corrected
    )


def remove_dips(waveforms: F32, chosen: Bools, least_channels: int, depth: float) -> F32:
    """Return waveforms without dips of one or two samples common to `least_channels`."""
    result = waveforms.copy()
    samples = waveforms.shape[1]
    sample = 1
    while sample < samples - 1:
        step = 1
        for width in (1, 2):
            if sample + width >= samples:
                break
            left, right = result[chosen, sample - 1], result[chosen, sample + width]
            floor = result[chosen, sample : sample + width].max(axis=1)
            if (np.minimum(left, right) - floor > depth).sum() >= least_channels:
                slope = (right - left) / np.float32(width + 1)
                for inside in range(width):
                    result[chosen, sample + inside] = left + slope * np.float32(inside + 1)
                step = width
                break
        sample += step
    return result
