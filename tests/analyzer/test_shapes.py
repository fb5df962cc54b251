"""Shapes of clusters: profiles, Gaussians, paths, energies, kinds, pixels."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import curve_fit

from analyzer.dtypes import ClusterFlag
from analyzer.images import ImageAnalysis
from analyzer.kernels import profile
from analyzer.levels import prepare_levels
from analyzer.reference import profile as twin
from analyzer.settings import AnalyzerSettings
from tests.analyzer.scenes import add_spot, add_track, make_scene

ALL = AnalyzerSettings(ymin=0, ymax=0)


def analyze(scene, light, chosen=ALL):
    analysis = ImageAnalysis(prepare_levels(scene.pedestal, chosen), chosen)
    _, clusters = analysis.analyze(scene.frame(light))
    return clusters, analysis


# kernels ---------------------------------------------------------------------------------------


@given(st.integers(0, 2**32 - 1), st.integers(1, 60))
@settings(max_examples=60, deadline=None)
def test_profiles_are_described_as_by_the_twin(seed, bins):
    random = np.random.default_rng(seed)
    light = np.concatenate([random.normal(20, 15, bins), random.uniform(1, 9, 5)])
    begin = np.array([0, bins, bins + 5])
    shapes = np.empty((2, 5))
    low = np.array([-bins / 2, -4.0])
    profile.describe_profiles(light, begin, low, 2.0, shapes)
    for number, (first, last) in enumerate(((0, bins), (bins, bins + 5))):
        if light[first:last].max() > 0:
            expected = twin.describe_profile(light[first:last], low[number], 2.0)
            np.testing.assert_allclose(shapes[number], expected, rtol=1e-9, atol=1e-9)


@given(
    st.integers(0, 2**32 - 1),
    st.floats(150, 5000),
    st.integers(-8, 8),
    st.floats(2.5, 12),
)
@settings(max_examples=60, deadline=None)
def test_the_fit_is_that_of_scipy(seed, amplitude, mean, sigma):
    random = np.random.default_rng(seed)
    places = -40 + (np.arange(40) + 0.5) * 2.0
    noise = random.uniform(5, 9, 40)

    def gaussian(x, a, m, s):
        return a * np.exp(-0.5 * ((x - m) / s) ** 2)

    light = gaussian(places, amplitude, mean, sigma) + random.normal(0, noise)
    fits = np.empty((1, 5))
    profile.fit_gaussians(light, noise**2, np.array([0, 40]), np.array([-40.0]), 2.0, fits)
    found, _ = curve_fit(gaussian, places, light, (amplitude, mean, sigma), noise)
    assert fits[0, profile.STATUS] == 0
    assert fits[0, profile.AMPLITUDE] * 2.0 == pytest.approx(found[0], rel=1e-4)
    assert fits[0, profile.MEAN] == pytest.approx(found[1], abs=1e-3 * sigma)
    assert fits[0, profile.SIGMA] == pytest.approx(abs(found[2]), rel=1e-3)
    chi2 = (((light - gaussian(places, *found)) / noise) ** 2).sum() / 37
    assert fits[0, profile.CHI2] == pytest.approx(chi2, rel=1e-4)


@pytest.mark.parametrize("light", [[1.0, 2.0, 1.0], [0.0] * 9, [-5.0] * 9])
def test_what_cannot_be_fitted_says_so(light):
    fits = np.empty((1, 5))
    values = np.array(light)
    begin, low = np.array([0, len(light)]), np.array([0.0])
    profile.fit_gaussians(values, np.ones(len(light)), begin, low, 2.0, fits)
    assert fits[0].tolist() == [0, 0, 0, 0, 1]


# clusters --------------------------------------------------------------------------------------


def test_a_spot_has_its_sigma_along_and_across():
    scene = make_scene((192, 192))
    light = scene.light()
    add_spot(light, 90, 100, 12300, sigma=5.0)
    clusters, _ = analyze(scene, light)
    (spot,) = clusters
    for axis in "tl":
        assert spot[f"sc_{axis}gausssigma"] == pytest.approx(5.0, rel=0.03)
        assert abs(spot[f"sc_{axis}gaussmean"]) < 0.3
        height = 12300 / math.sqrt(2 * math.pi) / 5
        assert spot[f"sc_{axis}gaussamp"] == pytest.approx(height, rel=0.03)
        assert spot[f"sc_{axis}status"] == 0
        assert (
            spot[f"sc_{axis}chi2"] < 15
        )  # where the spot ends its light is not that of a Gaussian
    assert spot["sc_tp0fwhm"] == pytest.approx(2.355 * 5, rel=0.1)
    assert spot["sc_lp0fwhm"] == pytest.approx(2.355 * 5, rel=0.1)
    assert spot["sc_tfullrms"] == pytest.approx(5.0, rel=0.1)
    assert spot["sc_lp0amplitude"] == pytest.approx(12300 / math.sqrt(2 * math.pi) / 5, rel=0.08)
    assert spot["sc_energy"] == pytest.approx(5.9, rel=0.03)
    assert spot["flags"] == ClusterFlag.SPOT | ClusterFlag.FE55


def test_a_spot_of_another_energy_is_not_like_55fe():
    scene = make_scene((192, 192))
    light = scene.light()
    add_spot(light, 90, 100, 3000)
    clusters, _ = analyze(scene, light)
    assert [int(row["flags"]) for row in clusters] == [ClusterFlag.SPOT]


@pytest.mark.parametrize("angle", [0.0, 0.6, -1.2])
def test_tracks_are_called_by_length_and_density(angle):
    scene = make_scene((700, 700))
    light = scene.light()
    add_track(light, 350, 350, angle, 600, 60)
    clusters, _ = analyze(scene, light)
    (muon,) = clusters
    assert muon["flags"] == ClusterFlag.MUON
    assert muon["sc_theta"] == pytest.approx(angle, abs=0.01)
    assert muon["sc_pathlength"] == pytest.approx(muon["sc_length"], rel=0.06)
    assert muon["sc_tgausssigma"] == pytest.approx(4.0, rel=0.08)
    light = scene.light()
    add_track(light, 350, 350, angle, 260, 2000)
    clusters, _ = analyze(scene, light)
    assert [int(row["flags"]) for row in clusters] == [ClusterFlag.ALPHA]


def test_the_path_of_a_bent_track_is_longer_than_its_axis():
    scene = make_scene((500, 700))
    light = scene.light()
    add_track(light, 350, 200, 0.0, 500, 80, bend=120)
    clusters, _ = analyze(scene, light)
    (bent,) = clusters
    arc = sum(
        math.hypot(2, 120 * ((2 * (a + 2) / 500) ** 2 - (2 * a / 500) ** 2))
        for a in range(-250, 250, 2)
    )
    assert bent["sc_pathlength"] == pytest.approx(arc, rel=0.1)
    assert bent["sc_pathlength"] > 1.05 * bent["sc_length"]


def test_column_and_row_are_correlated_as_the_track_lies():
    scene = make_scene((400, 400))
    for angle, sign in ((0.7, 1), (-0.7, -1), (0.0, 0)):
        light = scene.light()
        add_track(light, 200, 200, angle, 200, 100)
        clusters, _ = analyze(scene, light)
        assert clusters["sc_pearson"][0] == pytest.approx(0.97 * sign, abs=0.08)


def test_energies_are_corrected_for_the_response(tmp_path):
    scene = make_scene((192, 192))
    light = scene.light()
    add_spot(light, 48, 100, 10000)
    add_spot(light, 144, 100, 10000)
    response = np.ones((24, 24))
    response[:, 12:] = 0.5
    light[:, 96:] *= 0.5
    np.save(tmp_path / "map.npy", response)
    chosen = ALL.model_copy(update={"vignetting_map": str(tmp_path / "map.npy")})
    clusters, _ = analyze(scene, light, chosen)
    assert sorted(clusters["sc_integral"]) == pytest.approx([5000, 10000], rel=0.05)
    assert clusters["sc_corrintegral"] == pytest.approx([10000, 10000], rel=0.05)


def test_kept_pixels_are_those_of_their_cluster():
    scene = make_scene((192, 192))
    light = scene.light()
    add_spot(light, 48, 100, 12300)
    add_spot(light, 144, 60, 5000)
    add_spot(light, 140, 150, 600)
    clusters, analysis = analyze(scene, light)
    pixels = analysis.pixels_of(clusters)
    assert len(clusters) == 3
    assert set(pixels["cluster"]) == {0, 1}  # the third has less than `Keep from`
    for number in (0, 1):
        mine = pixels[pixels["cluster"] == number]
        assert len(mine) == clusters["sc_size"][number]
        assert mine["redpix_iz"].sum() == pytest.approx(clusters["sc_sum"][number], rel=1e-4)
        assert mine["redpix_ix"].min() == clusters["sc_xmin"][number]
        assert mine["redpix_iy"].max() == clusters["sc_ymax"][number]
    assert len({(int(p["redpix_ix"]), int(p["redpix_iy"])) for p in pixels}) == len(pixels)
