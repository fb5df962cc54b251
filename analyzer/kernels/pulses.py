"""Pulses of waveforms: the peaks of ``scipy.signal.find_peaks``, and time over threshold."""

import numpy as np
from numba import njit

from analyzer.kernels.arrays import F32, F64, I32
from analyzer.kernels.waveform import REORDERED

SMOOTH = 5
"""Samples of the moving average (CYGNO's waveform.py)."""

CHANNEL, SAMPLE, HEIGHT, PROMINENCE, HALF_WIDTH, FULL_WIDTH, AREA = range(7)
"""Columns of a pulse; see `find_pulses`."""
N_PULSE = 7

HALF, FULL = 0.5, 0.9
"""Parts of the prominence below the peak at which the two widths are taken."""

ABOVE_TO_START, BELOW_TO_STOP = 10, 5
"""Samples in a row that begin and end a time over threshold (CYGNO's waveform.py)."""

TOT_SAMPLES, TOT_AREA = range(2)

_f4 = np.float32


@njit(nogil=True, cache=True, fastmath=REORDERED)
def smooth_inverted(values: F32, baseline: float, smoothed: F32) -> float:
    """Turn a waveform upside down, baseline at zero, and average over `SMOOTH` samples.

    Beyond the ends the waveform goes on with its last value.

    :param values: (samples,) float32 [ADC counts]; at least `SMOOTH` of them.
    :param smoothed: out, (samples,) float32 [ADC counts].
    :returns: the highest value.
    """
    n = values.shape[0]
    base = _f4(baseline)
    fifth = _f4(1 / SMOOTH)
    before, start, here, after, last = (
        values[: n - 4],
        values[1 : n - 3],
        values[2 : n - 2],
        values[3 : n - 1],
        values[4:],
    )
    target = smoothed[2 : n - 2]
    for i in range(target.shape[0]):
        total = _f4(_f4(before[i] + start[i]) + _f4(here[i] + _f4(after[i] + last[i])))
        target[i] = _f4(base - _f4(total * fifth))
    for i in (0, 1, n - 2, n - 1):
        total = _f4(0)
        for j in range(i - 2, i + 3):
            total = _f4(total + values[min(max(j, 0), n - 1)])
        smoothed[i] = _f4(base - _f4(total * fifth))
    top = smoothed[0]
    for i in range(n):
        top = max(top, smoothed[i])
    return float(top)


@njit(nogil=True, cache=True)
def find_pulses(
    waveforms: F32,
    measures: F64,
    baseline_column: int,
    noise_column: int,
    height_sigma: float,
    prominence_part: float,
    min_width: float,
    smoothed: F32,
    pulses: F64,
    tots: F64,
    counts: I32,
) -> int:
    """Find the pulses of the channels of one trigger.

    A pulse is a local maximum of the smoothed waveform, at least `height_sigma` times the noise
    high, whose prominence is at least `prominence_part` of the highest value, and whose width at
    half prominence is at least `min_width`: find_peaks with height, prominence and width.

    :param waveforms: (channels, samples) float32 [ADC counts]; pulses go down.
    :param measures: (channels, ...) float64, with baseline and noise in these columns.
    :param smoothed: scratch, (samples,) float32.
    :param pulses: out, (room, 7) float64: channel, sample of the peak, height, prominence [ADC
        counts], widths at `HALF` and `FULL` of the prominence [samples], sum of the unsmoothed
        pulse between the edges of the latter [ADC counts].
    :param tots: out, (channels, 2) float64: samples over threshold, their sum [ADC counts].
    :param counts: out, (channels,) int32, pulses of each channel, those without room as well.
    :returns: number of rows in `pulses`.
    """
    found = 0
    for channel in range(waveforms.shape[0]):
        values = waveforms[channel]
        baseline = measures[channel, baseline_column]
        threshold = height_sigma * measures[channel, noise_column]
        counts[channel] = 0
        tots[channel, :] = 0.0
        if values.shape[0] < SMOOTH:
            continue
        top = smooth_inverted(values, baseline, smoothed)
        if top < threshold or top <= 0.0:
            continue
        _time_over_threshold(values, baseline, threshold, tots[channel])
        least = prominence_part * top
        n = values.shape[0]
        i = 1
        while i < n - 1:
            if smoothed[i - 1] < smoothed[i]:
                ahead = i + 1
                while ahead < n - 1 and smoothed[ahead] == smoothed[i]:
                    ahead += 1
                if smoothed[ahead] < smoothed[i]:
                    peak = (i + ahead - 1) // 2
                    i = ahead
                    if smoothed[peak] >= threshold:
                        prominence, left, right = _prominence(smoothed[:n], peak)
                        if prominence >= least:
                            width, _, _ = _width(smoothed[:n], peak, prominence, left, right, HALF)
                            if width >= min_width:
                                counts[channel] += 1
                                if found < pulses.shape[0]:
                                    full, begin, end = _width(
                                        smoothed[:n], peak, prominence, left, right, FULL
                                    )
                                    area = 0.0
                                    for k in range(int(np.ceil(begin)), int(end) + 1):
                                        area += baseline - values[k]
                                    pulses[found, CHANNEL] = channel
                                    pulses[found, SAMPLE] = peak
                                    pulses[found, HEIGHT] = smoothed[peak]
                                    pulses[found, PROMINENCE] = prominence
                                    pulses[found, HALF_WIDTH] = width
                                    pulses[found, FULL_WIDTH] = full
                                    pulses[found, AREA] = area
                                    found += 1
            i += 1
    return found


@njit(nogil=True, cache=True)
def _prominence(values: F32, peak: int) -> tuple[float, int, int]:
    """Return prominence and the two bases as ``scipy.signal.peak_prominences`` does."""
    height = values[peak]
    left = peak
    lowest_left = height
    i = peak
    while i >= 0 and values[i] <= height:
        if values[i] < lowest_left:
            lowest_left = values[i]
            left = i
        i -= 1
    right = peak
    lowest_right = height
    i = peak
    while i < values.shape[0] and values[i] <= height:
        if values[i] < lowest_right:
            lowest_right = values[i]
            right = i
        i += 1
    return float(height) - float(max(lowest_left, lowest_right)), left, right


@njit(nogil=True, cache=True)
def _width(
    values: F32, peak: int, prominence: float, left: int, right: int, part: float
) -> tuple[float, float, float]:
    """Return width and edges as ``scipy.signal.peak_widths`` does."""
    height = float(values[peak]) - prominence * part
    i = peak
    while left < i and height < values[i]:
        i -= 1
    begin = float(i)
    if values[i] < height:
        begin += (height - values[i]) / (values[i + 1] - values[i])
    i = peak
    while i < right and height < values[i]:
        i += 1
    end = float(i)
    if values[i] < height:
        end -= (height - values[i]) / (values[i - 1] - values[i])
    return end - begin, begin, end


@njit(nogil=True, cache=True)
def _time_over_threshold(values: F32, baseline: float, threshold: float, tot: F64) -> None:
    above = 0
    below = 0
    is_over = False
    pending = 0.0
    for i in range(values.shape[0]):
        height = baseline - values[i]
        if height > threshold:
            above += 1
            below = 0
            pending += height
            if not is_over and above == ABOVE_TO_START:
                is_over = True
                tot[TOT_SAMPLES] += ABOVE_TO_START
                tot[TOT_AREA] += pending
            elif is_over:
                tot[TOT_SAMPLES] += 1
                tot[TOT_AREA] += height
        else:
            above = 0
            pending = 0.0
            if is_over:
                below += 1
                if below == BELOW_TO_STOP:
                    is_over = False
