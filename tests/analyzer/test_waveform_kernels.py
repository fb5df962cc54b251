"""What is done to single waveforms is what NumPy does, to the last digit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.frames import as_frame
from analyzer.kernels import waveform as kernel
from analyzer.reference import waveform as twin

COUNT = kernel.SCALE


@given(st.integers(0, 2**32 - 1), st.integers(2, 1100), st.booleans())
@settings(max_examples=40, deadline=None)
def test_waveforms_are_measured_as_numpy_does(seed, samples, is_corrected):
    random = np.random.default_rng(seed)
    top = random.choice([3, 4096, 65536])
    values = random.integers(0, top, samples).astype(np.uint16)
    if is_corrected:
        values = values.astype(np.int32) * COUNT - 1000
    n_baseline = int(random.integers(2, samples + 1))
    lowest, highest, place, total = kernel.scan(values)
    sums, squares = kernel.sum_baseline(values, n_baseline)
    baseline = sums / n_baseline + float(values[0])
    noise = np.sqrt(n_baseline * squares - sums**2) / n_baseline
    below = baseline * samples - total
    wanted = twin.measure_waveform(values, n_baseline)
    np.testing.assert_allclose(
        [baseline, noise, lowest, place, below],
        wanted,
        rtol=1e-9,
        atol=1e-6 * top * COUNT,
    )
    assert (place, highest) == (values.argmin(), values.max())


@given(st.integers(0, 2**32 - 1), st.integers(0, 1023), st.integers(1, 1024))
@settings(max_examples=25, deadline=None)
def test_drs4_corrections_are_those_of_the_twin(seed, start_cell, samples):
    random = np.random.default_rng(seed)
    raw = random.integers(0, 4096, (6, samples)).astype(np.uint16)
    tables = np.rint(random.normal(0, 30, (2, 8, 1024)) * COUNT).astype(np.int32)
    chosen = random.random(6) < 0.7
    got = np.zeros((6, samples), np.int32)
    kernel.correct_cells(as_frame(raw), start_cell, *tables, chosen, got)
    wanted = twin.correct_cells(raw, start_cell, *tables, chosen)
    np.testing.assert_array_equal(got[chosen], wanted[chosen])


def noisy(random, channels, samples):
    """Waveforms with dips and bumps in most channels, at random places, ends included."""
    waves = np.rint(random.normal(3850, 3, (channels, samples))).astype(np.int32)
    for _ in range(12):
        place, width = random.integers(0, samples), random.integers(1, 9)
        present = random.random(channels) < random.choice([0.5, 0.9, 1.0])
        change = -random.integers(20, 90) if width < 4 else random.integers(20, 90)
        waves[present, place : place + width] += change
    return waves * COUNT


@given(st.integers(0, 2**32 - 1), st.integers(1, 200), st.integers(1, 8))
@settings(max_examples=80, deadline=None)
def test_spikes_are_taken_out_as_the_twin_does(seed, samples, least):
    random = np.random.default_rng(seed)
    waves = noisy(random, 8, samples)
    chosen = random.random(8) < 0.9
    got = waves.copy()
    bridged = kernel.remove_dips(got, chosen, least, 30 * COUNT)
    wanted = twin.remove_dips(waves, chosen, least, 30 * COUNT)
    np.testing.assert_array_equal(got, wanted)
    assert bridged or (got == waves).all()
    levelled = kernel.remove_bumps(got, chosen, least, 30 * COUNT)
    np.testing.assert_array_equal(got, twin.remove_bumps(wanted, chosen, least, 30 * COUNT))
    assert bool(levelled) == bool((got != wanted).any())


ALL = np.ones(8, np.bool_)


def test_a_common_dip_goes_and_a_pulse_stays():
    waves = np.full((8, 100), 3850, np.int32)
    waves[:, 40] -= 80
    waves[:, 60:62] -= 50
    waves[2, 20] -= 100
    waves[:, 80:90] -= 60
    waves *= COUNT
    assert kernel.remove_dips(waves, ALL, 7, 30 * COUNT) == 2
    assert (waves[:, 39:42] == 3850 * COUNT).all()
    assert (waves[:, 59:63] == 3850 * COUNT).all()
    assert waves[2, 20] == 3750 * COUNT
    assert (waves[:, 80:90] == 3790 * COUNT).all()


@pytest.mark.parametrize("samples", [slice(0, 2), slice(0, 3), slice(99, 100)])
def test_a_common_dip_at_an_end_takes_the_value_beside_it(samples):
    waves = np.full((8, 100), 3850, np.int32)
    waves[:, samples] -= 80
    waves *= COUNT
    assert kernel.remove_dips(waves, ALL, 7, 30 * COUNT) == 1
    assert (waves == 3850 * COUNT).all()


@pytest.mark.parametrize(("length", "stays"), [(5, True), (6, False), (20, False)])
def test_what_stands_up_in_all_channels_for_long_is_levelled(length, stays):
    waves = np.full((8, 1000), 3850, np.int32)
    waves[:, 500 : 500 + length] += 60
    waves *= COUNT
    mean = waves[0].sum() // 1000
    kernel.remove_bumps(waves, ALL, 7, 30 * COUNT)
    assert waves[3, 502] == (3910 * COUNT if stays else mean)
    assert waves[3, 499] == 3850 * COUNT
