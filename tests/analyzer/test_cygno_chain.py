"""CYGNO's steps: each kernel is its twin, the median is SciPy's, and clusters come of it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import median_filter

from analyzer.frames import as_frame
from analyzer.images import ImageAnalysis
from analyzer.kernels import cygno_chain as chain
from analyzer.kernels.dbscan import SEED, WEIGHT
from analyzer.kernels.residual import DEFECT, SCALE
from analyzer.levels import prepare_levels
from analyzer.reference import cygno_chain as twin
from analyzer.settings import AnalyzerSettings
from tests.analyzer.scenes import add_spot, add_track, make_scene

seeds = st.integers(0, 2**32 - 1)
few = settings(max_examples=40, deadline=None)
sides = st.integers(1, 40)


def random_image(seed, rows, columns):
    """Zero-suppressed residuals: half of the pixels are 0."""
    random = np.random.default_rng(seed)
    image = np.rint(random.normal(0, 90, (rows, columns))).astype(np.int32)
    image[random.random(image.shape) < 0.1] *= 20
    return np.where(image > 50, image, 0).astype(np.int32)


@given(seeds, sides, sides)
@few
def test_suppression_is_that_of_the_twin(seed, rows, columns):
    random = np.random.default_rng(seed)
    pixels = random.normal(101, 4, (rows, columns)).clip(0)
    pixels[random.random(pixels.shape) < 0.05] = 6000
    level = random.integers(99 * SCALE, 101 * SCALE, pixels.shape)
    level[random.random(pixels.shape) < 0.05] = DEFECT
    noise = random.uniform(1, 5, pixels.shape).astype(np.float32)
    frame, level = as_frame(pixels.astype(np.uint16)), as_frame(level.astype(np.uint16))
    acceptance = (columns // 5, columns - columns // 7, rows // 6, rows - rows // 4)
    kept = np.full(pixels.shape, -1, np.int32)
    chain.suppress(frame, level, noise, 5000, 0.6, *acceptance, kept)
    expected = twin.suppress(frame, level, noise, 5000, 0.6, acceptance)
    np.testing.assert_array_equal(kept, expected)


@given(seeds, sides, sides)
@few
def test_the_median_is_that_of_scipy(seed, rows, columns):
    image = random_image(seed, rows, columns)
    filtered = np.full(image.shape, -1, np.int32)
    chain.filter_median(image, filtered)
    np.testing.assert_array_equal(filtered, median_filter(image, size=2))
    np.testing.assert_array_equal(filtered, twin.filter_median(image))


@given(seeds, sides, sides, st.sampled_from([1, 2, 4]))
@few
def test_means_are_those_of_the_twin(seed, rows, columns, rebin):
    image = random_image(seed, rows, columns)
    means = np.full((rows // rebin, columns // rebin), np.nan)
    chain.rebin_mean(image, rebin, means)
    np.testing.assert_allclose(means, twin.rebin_mean(image, rebin), rtol=1e-14)


@given(seeds, sides, sides, st.floats(0, 4))
@few
def test_noise_is_reduced_as_by_the_twin(seed, rows, columns, least):
    means = random_image(seed, rows, columns) / 40
    reduced = means.copy()
    chain.reduce_noise(reduced, least)
    np.testing.assert_array_equal(reduced, twin.reduce_noise(means, least))


@given(seeds, sides, sides)
@few
def test_points_and_weights_are_those_of_the_twin(seed, rows, columns):
    means = random_image(seed, rows, columns) / 100
    reduced = np.where(means > 0.7, means, 0)
    ys, xs = np.zeros((2, reduced.size), np.int32)
    marks = np.zeros(reduced.size, np.uint16)
    n = chain.list_points(reduced, means, ys, xs, marks)
    found, weights = twin.points(reduced, means)
    np.testing.assert_array_equal(np.stack([ys, xs], axis=1)[:n], found)
    np.testing.assert_array_equal(marks[:n] & WEIGHT, weights)
    assert (marks[:n] & SEED).all()


@pytest.mark.parametrize("finder", ["significance", "cygno"])
def test_both_finders_find_spots_and_tracks(finder):
    scene = make_scene((240, 320))
    light = scene.light()
    add_spot(light, 60, 60, 8000)
    add_track(light, 190, 150, 0.5, 150, 60)
    chosen = AnalyzerSettings(ymin=0, ymax=0, finder=finder)
    analysis = ImageAnalysis(prepare_levels(scene.pedestal, chosen), chosen)
    for _ in range(2):  # nothing stays from the frame before
        _, clusters = analysis.analyze(scene.frame(light))
        assert len(clusters) == 2
        track, spot = clusters
        assert (spot["sc_xmean"], spot["sc_ymean"]) == pytest.approx((60, 60), abs=0.5)
        assert spot["sc_integral"] == pytest.approx(8000, rel=0.05)
        assert track["sc_integral"] == pytest.approx(light.sum() - 8000, rel=0.05)


def test_cygno_finds_nothing_outside_of_the_acceptance():
    scene = make_scene((240, 320))
    light = scene.light()
    add_spot(light, 60, 60, 8000)
    add_spot(light, 160, 120, 6000)
    chosen = AnalyzerSettings(ymin=90, ymax=200, finder="cygno")
    analysis = ImageAnalysis(prepare_levels(scene.pedestal, chosen), chosen)
    _, clusters = analysis.analyze(scene.frame(light))
    assert len(clusters) == 1
    assert clusters["sc_ymean"][0] == pytest.approx(120, abs=0.5)
