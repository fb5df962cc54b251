"""Pulses are those of SciPy's find_peaks on the same smoothed waveform."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import find_peaks, peak_widths

from analyzer.kernels import pulses as pk
from analyzer.kernels.over_threshold import (
    ABOVE_TO_START,
    BELOW_TO_STOP,
    time_over_threshold,
)

HEIGHT, PROMINENCE, WIDTH = 5.0, 0.25, 5.0


def smooth(values):
    """Return the kernel's sums of five, and the extremes of blocks."""
    blocks = len(values) // pk.BLOCK + 1
    smoothed = np.empty_like(values)
    lows, highs = np.empty(blocks, np.int32), np.empty(blocks, np.int32)
    n = pk.smooth(values, smoothed, lows, highs)
    return smoothed, lows, highs, n


def find(values, baseline, n_baseline, noise, *, part=PROMINENCE, width=WIDTH, room=64):
    """Return peaks, shapes, all that were found, x: heights in units of 1 / (5 * n_baseline)."""
    smoothed, lows, highs, n = smooth(values)
    peaks, shapes = np.empty((room, 2), np.int32), np.empty((room, 3))
    found = pk.find_pulses(
        smoothed,
        lows,
        highs,
        n,
        baseline,
        n_baseline,
        noise,
        HEIGHT,
        part,
        width,
        np.empty(pk.BLOCK, np.uint8),
        np.empty(pk.BLOCK, np.int32),
        peaks,
        shapes,
    )
    assert (shapes[:found, 0] >= width).all()
    x = 5 * baseline - n_baseline * smoothed.astype(np.int64)
    return peaks[:found], shapes[:found], found, x


@pytest.mark.parametrize("samples", [5, 6, 63, 64, 65, 200])
@pytest.mark.parametrize("dtype", [np.uint16, np.int32])
def test_smoothing_is_a_moving_sum_with_the_ends_repeated(samples, dtype):
    values = np.random.default_rng(1).integers(0, 4096, samples).astype(dtype)
    smoothed, lows, highs, blocks = smooth(values)
    expected = np.convolve(np.pad(values.astype(int), 2, mode="edge"), np.ones(5, int), "valid")
    assert smoothed.tolist() == expected.tolist()
    assert blocks == -(-samples // pk.BLOCK)
    for block in range(blocks):
        part = expected[block * pk.BLOCK : (block + 1) * pk.BLOCK]
        assert (lows[block], highs[block]) == (part.min(), part.max())


@given(
    st.integers(0, 2**32 - 1),
    st.integers(0, 6),
    st.integers(5, 700),
    st.sampled_from([0.0, 0.05, 0.25, 0.8]),
    st.sampled_from([0.0, 1.0, 5.0]),
    st.sampled_from([np.uint16, np.int32]),
)
@settings(max_examples=300, deadline=None)
def test_peaks_are_those_of_scipy(seed, n_pulses, samples, part, width, dtype):
    random = np.random.default_rng(seed)
    places = np.arange(samples)
    values = 3500 + random.normal(0, random.choice([0.3, 4]), samples)
    for _ in range(n_pulses):
        spread = random.uniform(2, 60)
        values -= random.uniform(10, 800) * np.exp(
            -0.5 * ((places - random.uniform(0, samples)) / spread) ** 2
        )
    values = np.rint(np.clip(values, 0, None)).astype(dtype)
    n_baseline = int(random.integers(1, 101))
    baseline, noise = int(3500 * n_baseline + random.integers(-50, 50)), 4.0
    peaks, shapes, found, x = find(values, baseline, n_baseline, noise, part=part, width=width)
    top, threshold = float(x.max()), HEIGHT * noise * 5 * n_baseline
    if top < threshold:
        assert not found
        return
    heights = x.astype(np.float64)
    expected, facts = find_peaks(heights, height=threshold, prominence=part * top, width=width)
    assert peaks[:, 0].tolist() == expected.tolist()
    bases = 5 * baseline - n_baseline * peaks[:, 1].astype(np.int64)
    np.testing.assert_array_equal(heights[expected] - bases, facts["prominences"])
    half_widths = peak_widths(heights, expected, rel_height=pk.HALF)[0]
    _, _, begins, ends = peak_widths(heights, expected, rel_height=pk.FULL)
    np.testing.assert_allclose(shapes.T, (half_widths, begins, ends), rtol=1e-12)


def slow_time_over_threshold(values, limit):
    """Sample by sample, as CYGNO's waveform.py counts."""
    samples, total, above, below, is_over, pending = 0, 0, 0, 0, False, []
    for value in values.tolist():
        if value <= limit:
            above, below = above + 1, 0
            pending.append(value)
            if not is_over and above == ABOVE_TO_START:
                is_over = True
                samples, total = samples + above, total + sum(pending)
            elif is_over:
                samples, total = samples + 1, total + value
        else:
            above, pending = 0, []
            below += is_over
            if below == BELOW_TO_STOP:
                is_over, below = False, 0
    return samples, total


@given(st.lists(st.tuples(st.integers(1, 90), st.booleans()), min_size=1, max_size=30))
@settings(max_examples=300, deadline=None)
def test_blocks_that_are_passed_over_hold_no_time_over_threshold(stretches):
    parts = [np.full(n, 3400 if is_over else 3500) for n, is_over in stretches]
    values = np.concatenate(parts).astype(np.uint16)
    if len(values) < pk.SMOOTH:
        return
    _, lows, _, _ = smooth(values)
    got = time_over_threshold(values, lows, 3450)
    assert got == slow_time_over_threshold(values, 3450)


@pytest.mark.parametrize(
    ("lengths", "expected"),
    [([9], 0), ([10], 10), ([30, -4, 20], 50), ([30, -6, 9], 30), ([12, -6, 12], 24)],
)
def test_time_over_threshold_begins_after_ten_and_ends_after_five(lengths, expected):
    parts = [np.full(40, 3500)]
    parts += [np.full(abs(n), 3400 if n > 0 else 3500) for n in lengths]
    values = np.concatenate([*parts, np.full(40, 3500)]).astype(np.uint16)
    _, lows, _, _ = smooth(values)
    assert time_over_threshold(values, lows, 3490) == (expected, 3400 * expected)


def test_peaks_without_room_are_counted():
    values = np.full(600, 3500, np.uint16)
    for middle in (100, 250, 400):
        values[middle - 10 : middle + 10] -= 300
    peaks, _, found, _ = find(values, 3500, 1, 2.0, room=2)
    assert len(peaks) == 2
    assert found == 3
