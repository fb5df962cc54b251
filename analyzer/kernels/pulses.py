"""Pulses of a waveform: the peaks of ``scipy.signal.find_peaks``.

Only where the waveform turns, high enough to be the peak of a pulse, are samples looked at one by
one; all others are passed over in whole blocks, by their extremes or with SIMD.

The smoothed waveform is kept as sum of five samples S. Its height above the baseline is
``x / (5 * n)`` with the whole number ``x = 5 * B - n * S``, where B is the sum of the n samples of
the baseline: so all comparisons are exact.
"""

import numpy as np

from analyzer.kernels.arrays import F64, I32, U8, U16
from analyzer.kernels.lean import lean

SMOOTH = 5
"""Samples of the moving average (CYGNO's waveform.py)."""

HALF, FULL = 0.5, 0.9
"""Parts of the prominence below the peak at which the two widths are taken."""

BLOCK = 128
"""Samples of a block, whose extremes are known."""

_i4 = np.int32


@lean
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
        lows[blocks], highs[blocks] = _extremes(smoothed[begin : min(begin + BLOCK, n)])
        blocks += 1
    return blocks


@lean
def _extremes(values: U16 | I32) -> tuple[np.int32, np.int32]:
    """Return the lowest and the highest value."""
    low, high = values[0], values[0]
    for i in range(values.shape[0]):
        low = min(low, values[i])
        high = max(high, values[i])
    return _i4(low), _i4(high)


@lean
def find_pulses(
    smoothed: U16 | I32,
    lows: I32,
    highs: I32,
    blocks: int,
    baseline_sum: int,
    n_baseline: int,
    noise: float,
    height_sigma: float,
    prominence_part: float,
    min_width: float,
    marks: U8,
    minima: I32,
    peaks: I32,
    shapes: F64,
) -> int:
    """Find the peaks of a smoothed waveform whose pulses go down.

    A peak is a local maximum of the height, at least `height_sigma` times the noise high, whose
    prominence is at least `prominence_part` of the highest value, and whose width at half
    prominence is at least `min_width`: find_peaks with height, prominence and width.

    :param smoothed: (samples,) S; its `blocks` have the extremes `lows` and `highs`, see `smooth`.
    :param marks: (BLOCK,) uint8, for own use; `minima` as well, int32.
    :param peaks: out, (room, 2) int32: sample of the peak, S at its base.
    :param shapes: out, (room, 3): width at `HALF` of the prominence, begin and end of that at
        `FULL` [samples].
    :returns: number of peaks, those without room as well.
    """
    samples = smoothed.shape[0]
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
    drop = max(int(least / n_baseline), 1)
    needed = max(threshold, least + float(zero - n_baseline * highest))
    limit = int(np.floor((zero - needed) / n_baseline)) + 1
    found = 0
    for block in range(blocks):
        if lows[block] > limit:
            continue
        first, stop = max(block * BLOCK, 1), min((block + 1) * BLOCK, samples - 1)
        for index in range(_list_minima(smoothed, first, stop, limit, marks, minima)):
            peak = _middle(smoothed, minima[index])
            level = _i4(smoothed[peak])
            if zero - n_baseline * level < threshold or not _stands_out(smoothed, peak, drop):
                continue
            base = min(
                _base_before(smoothed, lows, highs, peak),
                _base_after(smoothed, lows, highs, peak),
            )
            prominence = float(n_baseline * (base - level))
            if prominence < least:
                continue
            half = _measure_width(smoothed, peak, peak, peak, zero, n_baseline, prominence, HALF)
            if half[0] < min_width:
                continue
            if found < peaks.shape[0]:
                inside = int(np.ceil(half[1])), int(half[2])
                _, begin, end = _measure_width(
                    smoothed, peak, *inside, zero, n_baseline, prominence, FULL
                )
                peaks[found, 0], peaks[found, 1] = peak, base
                shapes[found, 0], shapes[found, 1], shapes[found, 2] = half[0], begin, end
            found += 1
    return found


@lean
def _list_minima(
    smoothed: U16 | I32, begin: int, end: int, limit: int, marks: U8, minima: I32
) -> int:
    """List the samples from `begin` to `end` where S has fallen, at most to `limit`, and stops to.

    :param marks: (BLOCK,) uint8, for own use.
    :param minima: out, (BLOCK,) int32, the samples.
    :returns: number of them.
    """
    before, here, after = smoothed[begin - 1 :], smoothed[begin:end], smoothed[begin + 1 :]
    most = _i4(limit)
    marks[:] = 0
    for i in range(here.shape[0]):
        level = _i4(here[i])
        marks[i] = (level <= most) & (before[i] > level) & (after[i] >= level)
    words = marks.view(np.uint64)
    n = 0
    for word in range(words.shape[0]):
        if words[word]:
            for i in range(8 * word, 8 * word + 8):
                minima[n] = begin + i
                n += marks[i]
    return n


@lean
def _middle(smoothed: U16 | I32, begin: int) -> int:
    """Return the middle of equal values."""
    rest = smoothed[begin:]
    length = 1
    while length < rest.shape[0] and rest[length] == rest[0]:
        length += 1
    return begin + (length - 1) // 2


@lean
def _stands_out(smoothed: U16 | I32, peak: int, drop: int) -> bool:
    """Tell whether S rises by `drop` on both sides of a peak before it is lower than there."""
    level = _i4(smoothed[peak])
    enough = level + drop
    i = peak
    while i > 0 and level <= smoothed[i] < enough:
        i -= 1
    if smoothed[i] < enough:
        return False
    after = smoothed[peak:]
    i = 0
    while i < after.shape[0] - 1 and level <= after[i] < enough:
        i += 1
    return bool(after[i] >= enough)


@lean
def _base_before(smoothed: U16 | I32, lows: I32, highs: I32, peak: int) -> np.int32:
    """Return the highest S before a peak, back to where it is lower than at the peak."""
    level = _i4(smoothed[peak])
    base = level
    end = peak
    while end > 0:
        block = (end - 1) // BLOCK
        low, high = lows[block], highs[block]
        if end < (block + 1) * BLOCK:
            low, high = _extremes(smoothed[block * BLOCK : end])
        if low < level:
            break
        base = max(base, high)
        end = block * BLOCK
    while end > 0 and smoothed[end - 1] >= level:
        base = max(base, _i4(smoothed[end - 1]))
        end -= 1
    return base


@lean
def _base_after(smoothed: U16 | I32, lows: I32, highs: I32, peak: int) -> np.int32:
    """Return the highest S after a peak, up to where it is lower than at the peak."""
    level = _i4(smoothed[peak])
    base = level
    begin = peak
    while begin < smoothed.shape[0]:
        block = begin // BLOCK
        low, high = lows[block], highs[block]
        if begin > block * BLOCK:
            low, high = _extremes(smoothed[begin : (block + 1) * BLOCK])
        if low < level:
            break
        base = max(base, high)
        begin = (block + 1) * BLOCK
    rest = smoothed[begin:]
    for i in range(rest.shape[0]):
        if rest[i] < level:
            break
        base = max(base, _i4(rest[i]))
    return base


@lean
def _measure_width(
    smoothed: U16 | I32,
    peak: int,
    first: int,
    last: int,
    zero: int,
    n_baseline: int,
    prominence: float,
    part: float,
) -> tuple[float, float, float]:
    """Return width and edges as ``scipy.signal.peak_widths`` does [samples].

    The height at which they are taken lies above both bases, so the search ends before them.

    :param first: sample from which to `last` the pulse is known to be so high; `peak`, or within
        its width at a smaller part.
    :param zero: five times the sum of the baseline.
    :param prominence: in the unit of x.
    """
    height = float(zero - n_baseline * _i4(smoothed[peak])) - prominence * part
    limit = int(np.ceil((zero - height) / n_baseline)) - 1  # x is above the height up to this S
    while first > 0 and smoothed[first - 1] <= limit:
        first -= 1
    begin = first - 1.0
    here = float(zero - n_baseline * _i4(smoothed[first - 1]))
    if here < height:
        begin += (height - here) / (float(zero - n_baseline * _i4(smoothed[first])) - here)
    after = smoothed[last:]
    i = 0
    while after[i] <= limit:
        i += 1
    end = float(last + i)
    here = float(zero - n_baseline * _i4(after[i]))
    if here < height:
        end -= (height - here) / (float(zero - n_baseline * _i4(after[i - 1])) - here)
    return end - begin, begin, end
