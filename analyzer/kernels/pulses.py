"""Pulses of a waveform: the peaks of ``scipy.signal.find_peaks``, and time over threshold.

Only samples high enough to be the peak of a pulse are looked at one by one; whole blocks of the
others are passed over by their extremes.

The smoothed waveform is kept as sum of five samples S. Its height above the baseline is
``x / (5 * n)`` with the whole number ``x = 5 * B - n * S``, where B is the sum of the n samples of
the baseline: so all comparisons are exact.
"""

import numpy as np
from numba import njit

from analyzer.kernels.arrays import F64, I32, U16

SMOOTH = 5
"""Samples of the moving average (CYGNO's waveform.py)."""

HALF, FULL = 0.5, 0.9
"""Parts of the prominence below the peak at which the two widths are taken."""

ABOVE_TO_START, BELOW_TO_STOP = 10, 5
"""Samples in a row that begin and end a time over threshold (CYGNO's waveform.py)."""

BLOCK = 128
"""Samples of a block, whose extremes are known."""

_i4 = np.int32


@njit(nogil=True, cache=True)
def smooth(values: U16 | I32, smoothed: U16 | I32, lows: I32, highs: I32) -> int:
    """Sum five neighbouring samples; beyond the ends the waveform goes on with its last value.

    :param values: (samples,); at least `SMOOTH` of them.
    :param smoothed: out, (samples or more,), of the same type; sums must fit into it.
    :param lows: out, (blocks or more,), lowest sum of each block; `highs` the highest.
    :returns: number of blocks.
    """
    n = values.shape[0]
    a, b, c, d, e = values[: n - 4], values[1:], values[2:], values[3:], values[4:]
    target = smoothed[2 : n - 2]
    for i in range(target.shape[0]):
        target[i] = a[i] + b[i] + c[i] + d[i] + e[i]
    for i in (0, 1, n - 2, n - 1):
        total = _i4(0)
        for j in range(i - 2, i + 3):
            total += _i4(values[min(max(j, 0), n - 1)])
        smoothed[i] = total
    blocks = 0
    for begin in range(0, n, BLOCK):
        block = smoothed[begin : min(begin + BLOCK, n)]
        low, high = block[0], block[0]
        for i in range(block.shape[0]):
            low = min(low, block[i])
            high = max(high, block[i])
        lows[blocks] = low
        highs[blocks] = high
        blocks += 1
    return blocks


@njit(nogil=True, cache=True)
def find_pulses(
    smoothed: U16 | I32,
    samples: int,
    lows: I32,
    highs: I32,
    blocks: int,
    baseline_sum: int,
    n_baseline: int,
    noise: float,
    height_sigma: float,
    prominence_part: float,
    min_width: float,
    peaks: I32,
    widths: F64,
) -> int:
    """Find the peaks of a smoothed waveform whose pulses go down.

    A peak is a local maximum of the height, at least `height_sigma` times the noise high, whose
    prominence is at least `prominence_part` of the highest value, and whose width at half
    prominence is at least `min_width`: find_peaks with height, prominence and width.

    :param peaks: out, (room, 2) int32: sample of the peak, S at its base.
    :param widths: out, (room,), width at `HALF` of the prominence [samples].
    :returns: number of peaks, those without room as well.
    """
    lowest, highest = lows[0], highs[0]
    for block in range(blocks):
        lowest = min(lowest, lows[block])
        highest = max(highest, highs[block])
    zero = 5 * baseline_sum
    threshold = height_sigma * noise * (5 * n_baseline)
    top = float(zero - n_baseline * lowest)
    if top < threshold or top <= 0.0:
        return 0
    least = prominence_part * top
    drop = int(least / n_baseline)
    needed = max(threshold, least + float(zero - n_baseline * highest))
    limit = int(np.floor((zero - needed) / n_baseline)) + 1
    found = 0
    for block in range(blocks):
        if lows[block] > limit:
            continue
        i = max(block * BLOCK, 1)
        end = min(block * BLOCK + BLOCK, samples - 1)
        while i < end:
            level = smoothed[i]
            if level > limit or smoothed[i - 1] <= level:
                i += 1
                continue
            ahead = i + 1
            while ahead < samples - 1 and smoothed[ahead] == level:
                ahead += 1
            if smoothed[ahead] > level:
                peak = (i + ahead - 1) // 2
                height = float(zero - n_baseline * level)
                if height >= threshold and _stands_out(smoothed, samples, peak, drop):
                    base = min(
                        _base_before(smoothed, lows, highs, peak),
                        _base_after(smoothed, samples, lows, highs, blocks, peak),
                    )
                    prominence = float(n_baseline * (_i4(base) - _i4(level)))
                    if prominence >= least:
                        width, _, _ = measure_width(
                            smoothed, peak, zero, n_baseline, prominence, HALF
                        )
                        if width >= min_width:
                            if found < peaks.shape[0]:
                                peaks[found, 0] = peak
                                peaks[found, 1] = base
                                widths[found] = width
                            found += 1
            i = ahead
    return found


@njit(nogil=True, cache=True)
def _stands_out(smoothed: U16 | I32, samples: int, peak: int, drop: int) -> bool:
    """Tell whether S rises by `drop` on both sides of a peak before it is lower than there."""
    level = _i4(smoothed[peak])
    enough = level + drop
    i = peak - 1
    while i >= 0 and smoothed[i] >= level and smoothed[i] < enough:
        i -= 1
    if i < 0 or smoothed[i] < enough:
        return False
    i = peak + 1
    while i < samples and smoothed[i] >= level and smoothed[i] < enough:
        i += 1
    return bool(i < samples and smoothed[i] >= enough)


@njit(nogil=True, cache=True)
def _base_before(smoothed: U16 | I32, lows: I32, highs: I32, peak: int) -> np.int32:
    """Return the highest S before a peak, back to where it is lower than at the peak."""
    level = _i4(smoothed[peak])
    base = level
    i = peak - 1
    while i >= 0 and smoothed[i] >= level:
        if (i + 1) % BLOCK == 0 and lows[i // BLOCK] >= level:
            base = max(base, highs[i // BLOCK])
            i -= BLOCK
        else:
            base = max(base, _i4(smoothed[i]))
            i -= 1
    return base


@njit(nogil=True, cache=True)
def _base_after(
    smoothed: U16 | I32, samples: int, lows: I32, highs: I32, blocks: int, peak: int
) -> np.int32:
    """Return the highest S after a peak, up to where it is lower than at the peak."""
    level = _i4(smoothed[peak])
    base = level
    i = peak + 1
    while i < samples and smoothed[i] >= level:
        if i % BLOCK == 0 and lows[i // BLOCK] >= level:
            base = max(base, highs[i // BLOCK])
            i += BLOCK
        else:
            base = max(base, _i4(smoothed[i]))
            i += 1
    return base


@njit(nogil=True, cache=True)
def measure_width(
    smoothed: U16 | I32, peak: int, zero: int, n_baseline: int, prominence: float, part: float
) -> tuple[float, float, float]:
    """Return width and edges as ``scipy.signal.peak_widths`` does [samples].

    The height at which they are taken lies above both bases, so the search ends before them.

    :param zero: five times the sum of the baseline.
    :param prominence: in the unit of x.
    """
    height = float(zero - n_baseline * _i4(smoothed[peak])) - prominence * part
    last = int(np.ceil((zero - height) / n_baseline)) - 1  # x is above the height up to this S
    i = peak
    while smoothed[i] <= last:
        i -= 1
    begin = float(i)
    here = float(zero - n_baseline * _i4(smoothed[i]))
    if here < height:
        begin += (height - here) / (float(zero - n_baseline * _i4(smoothed[i + 1])) - here)
    i = peak
    while smoothed[i] <= last:
        i += 1
    end = float(i)
    here = float(zero - n_baseline * _i4(smoothed[i]))
    if here < height:
        end -= (height - here) / (float(zero - n_baseline * _i4(smoothed[i - 1])) - here)
    return end - begin, begin, end


@njit(nogil=True, cache=True)
def time_over_threshold(values: U16 | I32, lows: I32, blocks: int, limit: int) -> tuple[int, int]:
    """Count and sum the samples over threshold.

    They begin with `ABOVE_TO_START` in a row, and end with `BELOW_TO_STOP` in a row that are not.

    :param lows: lowest sum of five samples of each block; see `smooth`.
    :param limit: values up to this are over threshold.
    :returns: number and sum.
    """
    n = values.shape[0]
    above, below, pending, samples, total = 0, 0, 0, 0, 0
    is_over = False
    i = 0
    while i < n:
        block = i // BLOCK
        if not is_over and above == 0 and lows[block] > 5 * limit:
            # Ten in a row show as sums of five: none begins here, but for the end of the block.
            end = min((block + 1) * BLOCK, n)
            i = max(i, end - ABOVE_TO_START)
            if end == n or lows[block + 1] > 5 * limit:
                i = end
                continue
        stop = min((block + 1) * BLOCK, n)
        while i < stop:
            value = values[i]
            if value <= limit:
                above += 1
                below = 0
                pending += value
                if is_over:
                    samples += 1
                    total += value
                elif above == ABOVE_TO_START:
                    is_over = True
                    samples += above
                    total += pending
            else:
                above = 0
                pending = 0
                if is_over:
                    below += 1
                    if below == BELOW_TO_STOP:
                        is_over = False
            i += 1
    return samples, total
