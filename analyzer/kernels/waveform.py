"""Baseline, noise, amplitude and sums of waveforms; DRS4 corrections of the V1742.

All is done in whole numbers, so that sums are exact, do not depend on their order and use SIMD.
Corrected waveforms are in units of 1/32 ADC count (`SCALE`), since the tables hold fractions.
"""

import numpy as np
from numba import njit

from analyzer.kernels.arrays import I32, U8, U16, Bools
from analyzer.kernels.lean import lean

SCALE = 32
"""Steps of one ADC count in corrected waveforms."""

BUMP = 6
"""Least samples of a bump (``cygno/__init__.py: PeakCorrection``)."""

_BLOCK = 256
_i4 = np.int32
_i8 = np.int64


@lean
def sum_baseline(values: U16 | I32, n_baseline: int) -> tuple[np.int64, np.int64]:
    """Return sum and sum of squares of the first samples, about the first one of them."""
    first = _i4(values[0])
    total, squares = _i8(0), _i8(0)
    for sample in range(n_baseline):
        value = _i8(_i4(_i4(values[sample]) - first))  # a product of 32 bits takes less than of 64
        total += value
        squares += value * value
    return total, squares


@lean
def scan(values: U16 | I32) -> tuple[np.int32, np.int32, np.int64, np.int64]:
    """Return lowest and highest value, the first sample of the lowest, and the sum of all."""
    samples = values.shape[0]
    lowest, highest, total = _i4(values[0]), _i4(values[0]), _i8(0)
    block_of_lowest = _i8(0)
    for begin in range(0, samples, _BLOCK):
        block = values[begin : min(begin + _BLOCK, samples)]
        low, high, part = _i4(block[0]), _i4(block[0]), _i4(0)
        for sample in range(block.shape[0]):
            value = _i4(block[sample])
            low = min(low, value)
            high = max(high, value)
            part = _i4(part + value)
        if low < lowest:
            lowest = low
            block_of_lowest = _i8(begin)
        highest = max(highest, high)
        total += part
    block = values[block_of_lowest : block_of_lowest + _BLOCK]
    place = _i4(_BLOCK)
    for sample in range(block.shape[0]):  # all of them: without a way out, SIMD is used
        place = min(place, _i4(sample) if _i4(block[sample]) == lowest else _i4(_BLOCK))
    return lowest, highest, block_of_lowest + place, total


@njit(nogil=True, cache=True)
def correct_cells(
    waveforms: U16,
    start_cell: int,
    cell_table: I32,
    sample_table: I32,
    chosen: Bools,
    corrected: I32,
) -> None:
    """Take the offsets of the DRS4's cells and samples out of waveforms of one trigger.

    Sample s of channel c was held in cell (s + start cell) mod 1024; from it go
    ``cell_table[c, cell]`` and ``sample_table[c, s]``.

    :param waveforms: (channels, samples) uint16 [ADC counts].
    :param cell_table: (channels or more, cells) int32 [1/32 ADC count].
    :param sample_table: (channels or more, samples or more) int32 [1/32 ADC count].
    :param chosen: (channels,) bool; other channels are left out.
    :param corrected: out, (channels, samples) int32 [1/32 ADC count].
    """
    cells = cell_table.shape[1]
    samples = waveforms.shape[1]
    for channel in range(waveforms.shape[0]):
        if not chosen[channel]:
            continue
        target, values = corrected[channel], waveforms[channel]
        per_sample = sample_table[channel, :samples]
        for sample in range(samples):
            value = _i4(_i4(values[sample]) * _i4(SCALE))
            target[sample] = _i4(value - per_sample[sample])
        begin, cell = 0, start_cell
        while begin < samples:
            length = min(samples - begin, cells - cell)
            part, offsets = target[begin : begin + length], cell_table[channel, cell:]
            for sample in range(length):
                part[sample] = _i4(part[sample] - offsets[sample])
            begin, cell = begin + length, 0


@njit(nogil=True, cache=True)
def remove_dips(waveforms: I32, chosen: Bools, least_channels: int, depth: int) -> int:
    """Bridge dips of one or two samples that most channels show at once.

    Such a dip is made by the DRS4 chip; pulses are longer and not the same in all channels. Both
    its neighbours lie more than `depth` above it; it is replaced by the straight line between them.
    At the begin a dip of two or three samples takes the value of the next one, at the end one of
    one sample that of the sample before (as ``cygno/__init__.py: PeakCorrection`` does).

    :param waveforms: in and out, (channels, samples) int32 [1/32 ADC count].
    :param chosen: (channels,) bool; only these are looked at and changed.
    :param least_channels: a dip must be in so many of them, at least 1.
    :returns: number of dips that were bridged.
    """
    channels, samples = waveforms.shape
    if np.count_nonzero(chosen) < least_channels or samples < 4:
        return 0
    bridged = _mend_begin(waveforms, chosen, least_channels, depth)
    may_dip = _may_dip(waveforms, chosen, least_channels, depth)
    sample = 1
    while sample < samples - 1:
        found = 0
        if may_dip[sample]:
            for width in (1, 2):
                if not found and sample + width < samples:
                    votes = 0
                    for channel in range(channels):
                        if chosen[channel]:
                            values = waveforms[channel]
                            edge = min(values[sample - 1], values[sample + width])
                            floor = max(values[sample], values[sample + width - 1])
                            votes += edge - floor > depth
                    if votes >= least_channels:
                        found = width
        if found:
            bridged += 1
            may_dip[sample + found] = 1  # its neighbour changes
            for channel in range(channels):
                if chosen[channel]:
                    values = waveforms[channel]
                    left = _i8(values[sample - 1])
                    step = _i8(values[sample + found]) - left
                    for inside in range(found):
                        values[sample + inside] = left + step * (inside + 1) // (found + 1)
        sample += max(found, 1)
    votes = 0
    for channel in range(channels):
        if chosen[channel]:
            votes += waveforms[channel, samples - 2] - waveforms[channel, samples - 1] > depth
    if votes >= least_channels:
        bridged += 1
        for channel in range(channels):
            if chosen[channel]:
                waveforms[channel, samples - 1] = waveforms[channel, samples - 2]
    return bridged


@njit(nogil=True, cache=True)
def _mend_begin(waveforms: I32, chosen: Bools, least_channels: int, depth: int) -> int:
    for width in (2, 3):
        votes = 0
        for channel in range(waveforms.shape[0]):
            if chosen[channel]:
                values = waveforms[channel]
                votes += values[width] - max(values[1], values[width - 1]) > depth
        if votes >= least_channels:
            for channel in range(waveforms.shape[0]):
                if chosen[channel]:
                    waveforms[channel, :width] = waveforms[channel, width]
            return 1
    return 0


@njit(nogil=True, cache=True)
def _may_dip(waveforms: I32, chosen: Bools, least_channels: int, depth: int) -> U8:
    """Mark samples that dip in a channel of which at least one shows every common dip.

    The last sample but one is always marked.
    """
    channels, samples = waveforms.shape
    limit = _i4(depth)
    marks = np.zeros(samples, np.uint8)
    spare = np.count_nonzero(chosen) - least_channels
    for channel in range(channels):
        if chosen[channel] and spare >= 0:
            spare -= 1
            values = waveforms[channel]
            here, before = values[1 : samples - 2], values[: samples - 3]
            after, beyond = values[2 : samples - 1], values[3:]
            inner = marks[1 : samples - 2]
            for sample in range(inner.shape[0]):
                edge = _i4(max(after[sample], beyond[sample]))
                inner[sample] |= _i4(min(before[sample], edge) - here[sample]) > limit
    marks[samples - 2] = 1
    return marks


@njit(nogil=True, cache=True)
def remove_bumps(waveforms: I32, chosen: Bools, least_channels: int, height: int) -> int:
    """Level bumps: `BUMP` samples or more in a row that stand above the mean in most channels.

    Pulses go down, so what goes up in all channels at once is made by the chip; it is replaced by
    the mean of the waveform (as ``cygno/__init__.py: PeakCorrection`` does).

    :param waveforms: in and out, (channels, samples) int32 [1/32 ADC count].
    :param chosen: (channels,) bool; only these are looked at and changed.
    :param least_channels: a bump must be in so many of them, at least 1.
    :param height: above the mean, in the unit of the waveforms.
    :returns: number of samples that were levelled.
    """
    channels, samples = waveforms.shape
    spare = np.count_nonzero(chosen) - least_channels
    if spare < 0:
        return 0
    limits = np.zeros(channels, np.int32)
    for channel in range(channels):
        if chosen[channel]:
            _, highest, _, total = scan(waveforms[channel])
            limits[channel] = total // samples + height
            spare -= highest <= limits[channel]
            if spare < 0:
                return 0
    levelled, length = 0, 0
    for sample in range(samples + 1):
        votes = 0
        if sample < samples:
            for channel in range(channels):
                if chosen[channel]:
                    votes += waveforms[channel, sample] > limits[channel]
        if votes >= least_channels:
            length += 1
            continue
        if length >= BUMP:
            levelled += length
            for channel in range(channels):
                if chosen[channel]:
                    waveforms[channel, sample - length : sample] = limits[channel] - height
        length = 0
    return levelled
