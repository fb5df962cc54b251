"""Clusters are found where light is, with its sum, place and shape; noise alone gives none."""

import dataclasses

import numpy as np
import pytest

from analyzer.dtypes import CLUSTER, EVENT, ClusterFlag, EventFlag
from analyzer.images import ImageAnalysis
from analyzer.levels import prepare_levels
from analyzer.pedestal import Defect
from analyzer.settings import AnalyzerSettings
from tests.analyzer.scenes import add_spot, make_scene

SETTINGS = AnalyzerSettings()


def analysis(scene, settings=SETTINGS):
    return ImageAnalysis(prepare_levels(scene.pedestal, settings), settings)


def test_noise_alone_has_no_clusters():
    scene = make_scene((512, 512))
    images = analysis(scene)
    for _ in range(20):
        event, clusters = images.analyze(scene.frame())
        assert len(clusters) == 0
        assert event["flags"][0] == 0
        assert event["noise"][0] == pytest.approx(2.4, rel=0.02)
        assert event["residual_mean"][0] == pytest.approx(0, abs=0.03)
        assert event["image_mean"][0] == pytest.approx(100, abs=0.1)
        assert event["image_sigma"][0] == pytest.approx(np.hypot(2.4, 0.8), rel=0.02)


@pytest.mark.parametrize(
    ("integral", "bias", "distance"), [(12300, 0.02, 0.4), (3200, 0.06, 0.8), (1500, 0.12, 1.5)]
)
def test_a_spot_has_its_light_and_its_place(integral, bias, distance):
    scene = make_scene()
    images = analysis(scene)
    sums = []
    for x, y in ((60.3, 70.8), (100, 100), (45.5, 120.1), (150, 33.3)):
        light = scene.light()
        add_spot(light, x, y, integral)
        event, clusters = images.analyze(scene.frame(light))
        assert len(clusters) == 1
        found = clusters[0]
        assert np.hypot(found["sc_xmean"] - x, found["sc_ymean"] - y) < distance
        assert found["sc_xmin"] < x < found["sc_xmax"]
        assert found["sc_ymin"] < y < found["sc_ymax"]
        assert event["n_clusters"][0] == 1
        assert event["cluster_light"][0] == found["sc_integral"]
        sums.append(found["sc_integral"])
    assert np.mean(sums) == pytest.approx(integral, rel=bias)


def test_a_track_is_one_cluster_with_its_direction():
    scene = make_scene((200, 240))
    light = scene.light()
    for step in np.linspace(-60, 60, 61):
        add_spot(light, 120 + step * np.cos(0.5), 100 + step * np.sin(0.5), 400, sigma=3)
    _, clusters = analysis(scene).analyze(scene.frame(light))
    assert len(clusters) == 1
    track = clusters[0]
    assert track["sc_integral"] == pytest.approx(61 * 400, rel=0.03)
    assert track["sc_theta"] == pytest.approx(0.5, abs=0.02)
    assert track["sc_longrms"] == pytest.approx(120 / np.sqrt(12), rel=0.05)
    assert track["sc_latrms"] == pytest.approx(3, rel=0.15)
    assert 115 < track["sc_length"] < 150
    assert track["sc_width"] < 40
    assert track["sc_nhits"] <= track["sc_size"]


def test_clusters_come_brightest_first_and_apart():
    scene = make_scene()
    light = scene.light()
    for x, y, integral in ((40, 40, 2000), (120, 40, 9000), (80, 120, 4000)):
        add_spot(light, x, y, integral)
    _, clusters = analysis(scene).analyze(scene.frame(light))
    assert [round(float(x) / 40) for x in clusters["sc_xmean"]] == [3, 2, 1]


def test_hot_pixels_make_no_clusters_even_where_they_are_not_known():
    scene = make_scene()
    frame = scene.frame()
    rows, columns = scene.random.integers(0, 160, (2, 30))
    frame[rows, columns] = 600
    _, clusters = analysis(scene).analyze(frame)
    assert len(clusters) == 0


def test_known_defects_take_no_part():
    scene = make_scene()
    scene.pedestal.defects[60:64, 60:64] = Defect.HOT
    frame = scene.frame()
    frame[60:64, 60:64] = 4000
    event, clusters = analysis(scene).analyze(frame)
    assert len(clusters) == 0
    assert event["light"][0] == pytest.approx(0, abs=5 * 2.4 * np.sqrt(160 * 192))


def test_row_noise_is_taken_out():
    scene = make_scene((256, 512))
    light = scene.light() + scene.random.normal(0, 1.0, (256, 1))
    light[60:64] += 2
    add_spot(light, 200, 120, 3000)
    frame = scene.frame(light)
    event, clusters = analysis(scene, AnalyzerSettings(row_limit_adu=6)).analyze(frame)
    assert event["row_noise"][0] == pytest.approx(1.0, rel=0.2)
    assert len(clusters) == 1
    assert clusters[0]["sc_integral"] == pytest.approx(3000, rel=0.15)
    _, without = analysis(scene, AnalyzerSettings(row_limit_adu=0)).analyze(frame)
    assert any(clusters["sc_xmax"].max() < x for x in without["sc_xmax"])


def test_a_drift_of_the_pedestal_does_not_bias_the_light():
    scene = make_scene()
    light = scene.light() + 1.0
    add_spot(light, 80, 80, 12300)
    event, clusters = analysis(scene).analyze(scene.frame(light))
    assert event["residual_mean"][0] == pytest.approx(1.0, abs=0.05)
    assert clusters[0]["sc_integral"] == pytest.approx(12300, rel=0.03)


def test_saturated_pixels_are_counted_and_flagged():
    scene = make_scene()
    frame = scene.frame()
    frame[10, 10:13] = 6000
    event, _ = analysis(scene).analyze(frame)
    assert event["saturated"][0] == 3
    assert event["image_max"][0] == 6000
    assert event["flags"][0] & EventFlag.SATURATED


def test_a_spark_is_flagged_and_not_searched():
    scene = make_scene((512, 512))
    event, clusters = analysis(scene).analyze(scene.frame(scene.light() + 150))
    assert event["flags"][0] & EventFlag.SPARK
    assert len(clusters) == 0


def test_a_messy_frame_is_cut_short_and_says_so():
    scene = make_scene()
    light = scene.light()
    light[::8] += 60
    event, clusters = analysis(scene).analyze(scene.frame(light))
    assert event["flags"][0] & EventFlag.CUT_SHORT
    assert len(clusters) == 0
    few = AnalyzerSettings(max_clusters=2)
    light = scene.light()
    for x, y in ((40, 40), (120, 40), (80, 120)):
        add_spot(light, x, y, 5000)
    event, clusters = analysis(scene, few).analyze(scene.frame(light))
    assert event["flags"][0] & EventFlag.CUT_SHORT
    assert len(clusters) == 2


def test_acceptance_flags_clusters_and_drops_none():
    scene = make_scene()
    light = scene.light()
    add_spot(light, 40, 40, 5000)
    add_spot(light, 120, 120, 4000)
    settings = AnalyzerSettings(ymin=80, ymax=160)
    _, clusters = analysis(scene, settings).analyze(scene.frame(light))
    assert [bool(flag & ClusterFlag.OUTSIDE) for flag in clusters["flags"]] == [True, False]


def test_clusters_at_the_edge_are_flagged():
    scene = make_scene()
    light = scene.light()
    add_spot(light, 1, 80, 8000)
    _, clusters = analysis(scene).analyze(scene.frame(light))
    assert len(clusters) == 1
    assert clusters["flags"][0] & ClusterFlag.AT_EDGE


@pytest.mark.parametrize("shape", [(61, 83), (64, 64), (7, 9), (1, 1)])
@pytest.mark.parametrize("rebin", [1, 2, 4, 8])
def test_any_shape_and_rebinning_works(shape, rebin):
    scene = make_scene(shape)
    event, _ = analysis(scene, AnalyzerSettings(rebin=rebin)).analyze(scene.frame())
    assert event["image_mean"][0] == pytest.approx(100, abs=10)


def test_a_pedestal_with_nothing_but_defects_gives_nothing():
    scene = make_scene()
    bad = dataclasses.replace(scene.pedestal, defects=np.ones(scene.shape, np.uint8))
    settings = AnalyzerSettings()
    event, clusters = ImageAnalysis(prepare_levels(bad, settings), settings).analyze(scene.frame())
    assert len(clusters) == 0
    assert event["noise"][0] == 0


def test_the_same_frame_gives_the_same_rows_whatever_came_before():
    scene = make_scene()
    light = scene.light()
    add_spot(light, 80, 80, 5000)
    frame, other = scene.frame(light), scene.frame(light + 3)
    images = analysis(scene)
    first = images.analyze(frame)
    images.analyze(other)
    again = images.analyze(frame)
    assert first[0].tobytes() == again[0].tobytes()
    assert first[1].tobytes() == again[1].tobytes()
    assert first[0].dtype == EVENT
    assert first[1].dtype == CLUSTER


def test_pixels_that_a_pedestal_does_not_know_take_no_part():
    scene = make_scene()
    light = scene.light()
    add_spot(light, 120, 120, 5000)
    frame = scene.frame(light)
    scene.pedestal.mean[40:48, 40:48] = np.nan
    scene.pedestal.sigma[60, 60] = np.nan
    levels = prepare_levels(scene.pedestal, SETTINGS)
    assert np.isfinite(levels.grid.unit).all()
    _, clusters = ImageAnalysis(levels, SETTINGS).analyze(frame)
    assert len(clusters) == 1
    assert clusters["sc_xmean"][0] == pytest.approx(120, abs=1)
