"""Pulses are those of SciPy's find_peaks on the same smoothed waveform."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import find_peaks, peak_widths

from analyzer.kernels import pulses as pk


def find(waveforms, baseline, noise, *, height=5.0, prominence=0.25, width=5.0, room=64):
    channels, samples = waveforms.shape
    measures = np.stack([np.full(channels, baseline), np.full(channels, noise)], axis=1)
    rows = np.empty((room, pk.N_PULSE))
    tots, counts = np.empty((channels, 2)), np.empty(channels, np.int32)
    smoothed = np.empty(samples, np.float32)
    n = pk.find_pulses(
        np.ascontiguousarray(waveforms, np.float32),
        measures,
        0,
        1,
        height,
        prominence,
        width,
        smoothed,
        rows,
        tots,
        counts,
    )
    return rows[:n], tots, counts


def smooth(values, baseline):
    """Return what the kernel smooths to; rounding to float32 decides between equal samples."""
    smoothed = np.empty(len(values), np.float32)
    pk.smooth_inverted(values.astype(np.float32), baseline, smoothed)
    return smoothed


def test_smoothing_is_a_moving_average_with_the_ends_repeated():
    values = np.random.default_rng(1).normal(3500, 20, 200)
    padded = np.pad(values, 2, mode="edge")
    expected = 3500 - np.convolve(padded, np.full(5, 0.2), "valid")
    np.testing.assert_allclose(smooth(values, 3500), expected, atol=1e-2)


@given(st.integers(0, 2**32 - 1), st.integers(0, 6), st.integers(20, 400))
@settings(max_examples=80, deadline=None)
def test_peaks_are_those_of_scipy(seed, n_pulses, samples):
    random = np.random.default_rng(seed)
    places = np.arange(samples)
    values = 3500 + random.normal(0, 4, samples)
    for _ in range(n_pulses):
        width = random.uniform(2, 20)
        values -= random.uniform(30, 800) * np.exp(
            -0.5 * ((places - random.uniform(0, samples)) / width) ** 2
        )
    values = np.rint(values).astype(np.float32)
    rows, _, counts = find(values[None], 3500.0, 4.0)
    smoothed = smooth(values, 3500.0)
    top = float(smoothed.max())
    expected, facts = find_peaks(
        smoothed.astype(np.float64), height=20.0, prominence=0.25 * top, width=5.0
    )
    if top < 20.0:
        assert not len(rows)
        return
    assert rows[:, pk.SAMPLE].tolist() == expected.tolist()
    assert counts.tolist() == [len(expected)]
    np.testing.assert_allclose(rows[:, pk.HEIGHT], facts["peak_heights"], rtol=1e-6)
    np.testing.assert_allclose(rows[:, pk.PROMINENCE], facts["prominences"], rtol=1e-5)
    np.testing.assert_allclose(rows[:, pk.HALF_WIDTH], facts["widths"], rtol=1e-4)
    full = peak_widths(smoothed.astype(np.float64), expected, rel_height=pk.FULL)[0]
    np.testing.assert_allclose(rows[:, pk.FULL_WIDTH], full, rtol=1e-4)


def test_a_pulse_has_its_area_and_its_time_over_threshold():
    values = np.full(400, 3500.0)
    values[100:150] -= 200
    rows, tots, _ = find(values[None], 3500.0, 2.0)
    (pulse,) = rows
    assert pulse[pk.AREA] == pytest.approx(50 * 200, rel=0.02)
    assert tots.tolist() == [[50, 50 * 200]]


@pytest.mark.parametrize(
    ("lengths", "expected"),
    [([9], 0), ([10], 10), ([30, -4, 20], 50), ([30, -6, 9], 30), ([12, -6, 12], 24)],
)
def test_time_over_threshold_begins_after_ten_and_ends_after_five(lengths, expected):
    values = [np.full(40, 3500.0)]
    values += [np.full(abs(n), 3400.0 if n > 0 else 3500.0) for n in lengths]
    values.append(np.full(40, 3500.0))
    _, tots, _ = find(np.concatenate(values)[None], 3500.0, 2.0)
    assert tots[0, pk.TOT_SAMPLES] == expected


def test_pulses_without_room_are_counted():
    values = np.full((2, 600), 3500.0)
    for middle in (100, 250, 400):
        values[:, middle - 10 : middle + 10] -= 300
    rows, _, counts = find(values, 3500.0, 2.0, room=4)
    assert len(rows) == 4
    assert counts.tolist() == [3, 3]


def test_short_waveforms_have_none():
    rows, _, counts = find(np.full((1, 4), 100.0), 3500.0, 2.0)
    assert not len(rows)
    assert counts.tolist() == [0]
