"""Time over threshold of a waveform."""

import numpy as np

from analyzer.kernels.arrays import I32, U16
from analyzer.kernels.lean import lean
from analyzer.kernels.pulses import BLOCK

ABOVE_TO_START, BELOW_TO_STOP = 10, 5
"""Samples in a row that begin and end a time over threshold (CYGNO's waveform.py)."""

_i8 = np.int64


@lean
def time_over_threshold(values: U16 | I32, lows: I32, limit: int) -> tuple[int, int]:
    """Count and sum the samples over threshold.

    They begin with `ABOVE_TO_START` in a row, and end with `BELOW_TO_STOP` in a row that are not. A
    row is looked at from its end: the next one begins behind the last sample that breaks it.

    :param lows: lowest sum of five samples of each block; see `smooth`.
    :param limit: values up to this are over threshold.
    :returns: number and sum.
    """
    n = values.shape[0]
    samples, total = 0, 0
    begin = 0
    while begin + ABOVE_TO_START <= n:
        block = (begin + 2) // BLOCK
        if lows[block] > 5 * limit:  # a row shows as sums of five, from its third sample on
            begin = (block + 1) * BLOCK - 2
            continue
        row = values[begin : begin + ABOVE_TO_START]
        broken = ABOVE_TO_START
        while broken > 0 and row[broken - 1] <= limit:
            broken -= 1
        if broken > 0:
            begin += broken
            continue
        end = begin + ABOVE_TO_START
        broken = BELOW_TO_STOP
        while broken > 0 and end + BELOW_TO_STOP <= n:
            row = values[end : end + BELOW_TO_STOP]
            broken = BELOW_TO_STOP
            while broken > 0 and row[broken - 1] > limit:
                broken -= 1
            end += broken
        if broken > 0:
            end = n
        over = values[begin:end]
        for sample in range(over.shape[0]):
            is_over = over[sample] <= limit
            samples += is_over
            total += is_over * _i8(over[sample])
        begin = end
    return samples, total
