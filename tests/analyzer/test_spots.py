"""The light of round spots: the kernel is its twin, and free of the threshold."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.frames import as_frame
from analyzer.images import ImageAnalysis
from analyzer.kernels import spot
from analyzer.kernels.residual import DEFECT, SCALE
from analyzer.levels import prepare_levels
from analyzer.reference.spot import weigh_spot
from analyzer.settings import AnalyzerSettings
from tests.analyzer.scenes import add_spot, add_track, make_scene

ALL = AnalyzerSettings(ymin=0, ymax=0)
PLAIN = AnalyzerSettings(ymin=0, ymax=0, spot_reach=0)


def analyze(scene, light, chosen=ALL):
    analysis = ImageAnalysis(prepare_levels(scene.pedestal, chosen), chosen)
    return analysis.analyze(scene.frame(light))[1]


@given(
    st.integers(0, 2**32 - 1),
    st.floats(4, 92),
    st.floats(4, 60),
    st.floats(0.8, 11),
    st.floats(200, 9000),
    st.floats(0, 0.05),
)
@settings(max_examples=80, deadline=None)
def test_the_kernel_is_its_twin(seed, x, y, sigma, light, bad):
    random = np.random.default_rng(seed)
    wanted = np.zeros((64, 96))
    add_spot(wanted, x, y, light, sigma)
    pixels = np.rint(100 + random.normal(0, 2.4, wanted.shape) + wanted).clip(0)
    pedestal = np.full(wanted.shape, 100 * SCALE)
    pedestal[random.random(pedestal.shape) < bad] = DEFECT
    frame, level = (as_frame(part.astype(np.uint16)) for part in (pixels, pedestal))
    labels = random.integers(0, 2, (16, 24)).astype(np.int32)
    labels[random.integers(0, 16) :, random.integers(0, 24) :] = 2  # a neighbour
    cimax = int(random.choice([130, 5000]))
    shift = random.integers(-20, 20, len(frame))
    spots = np.empty((2, 2))
    middle = np.array([x, 0.0]), np.array([y, 0.0])
    chosen = np.array([1, 0], np.uint8)
    spot.weigh_spots(frame, level, shift, cimax, labels, 4, chosen, *middle, 5.0, 2.75, spots)
    values = frame.astype(float) - 100 - shift[:, np.newaxis] / SCALE
    whose = np.kron(labels, np.ones((4, 4), int))
    good = (level != DEFECT) & (frame < cimax) & (whose != 2)
    pad = 60
    expected = weigh_spot(
        np.pad(values, pad), np.pad(good, pad), y + pad, x + pad, window=5.0, reach=2.75
    )
    np.testing.assert_allclose(spots[0], expected, rtol=1e-7)
    assert np.isnan(spots[1]).all()


@pytest.mark.parametrize("sigma", [2.5, 4.0, 6.0])
def test_the_light_of_spots_does_not_depend_on_their_width(sigma):
    """The sum over the pixels loses 5 % of the widest, at 1500 ADU."""
    ratios = []
    for number in range(40):
        scene = make_scene(seed=number)
        light = scene.light()
        add_spot(light, 96.3, 80.6, 1500, sigma)
        ratios.append(analyze(scene, light)["sc_integral"][0] / 1500)
    assert np.mean(ratios) == pytest.approx(1, abs=0.025)
    assert np.std(ratios) < 0.06


def test_it_fluctuates_less_than_the_sum():
    weighed, summed = [], []
    for number in range(60):
        scene = make_scene(seed=number)
        light = scene.light()
        add_spot(light, 96.3, 80.6, 1500)
        found = analyze(scene, light)[0]
        weighed.append(found["sc_integral"])
        summed.append(found["sc_sum"])
    assert np.std(weighed) < np.std(summed)


def test_energies_follow():
    scene = make_scene()
    light = scene.light()
    add_spot(light, 96, 80, 1500)
    weighed, plain = analyze(scene, light)[0], analyze(make_scene(), light, PLAIN)[0]
    assert weighed["sc_sum"] == plain["sc_sum"] == plain["sc_integral"]
    assert weighed["sc_integral"] != weighed["sc_sum"]
    factor = weighed["sc_integral"] / weighed["sc_sum"]
    for name in ("sc_corrintegral", "sc_energy"):
        assert weighed[name] == pytest.approx(plain[name] * factor, rel=1e-5)


def test_what_is_no_round_spot_keeps_its_sum():
    scene = make_scene((240, 320))
    light = scene.light()
    add_track(light, 80, 120, 0.4, 60, 40)  # a track
    add_spot(light, 200, 60, 2000)  # two spots over each other
    add_spot(light, 216, 60, 2000)
    add_spot(light, 250, 180, 12300)  # bright
    clusters = analyze(scene, light)
    assert len(clusters) == 3
    np.testing.assert_array_equal(clusters["sc_integral"], clusters["sc_sum"])


def test_a_neighbour_takes_no_light_and_gives_none():
    alone, beside = [], []
    for number in range(20):
        for sums, other in ((alone, False), (beside, True)):
            scene = make_scene(seed=number)
            light = scene.light()
            add_spot(light, 80, 80, 1500)
            if other:
                add_spot(light, 122, 80, 9000)
            clusters = analyze(scene, light)
            sums.append(clusters["sc_integral"][-1])
    assert np.mean(beside) == pytest.approx(np.mean(alone), rel=0.02)
