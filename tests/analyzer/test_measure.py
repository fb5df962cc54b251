"""What one kernel measures of a frame is what NumPy says of it."""

import numpy as np
import pytest

from analyzer.dtypes import CLUSTER, ClusterFlag
from analyzer.frames import as_frame
from analyzer.images import ImageAnalysis
from analyzer.kernels import axes, frame, kinds, measure
from analyzer.kernels.pixels import gather_residuals
from analyzer.kernels.residual import SCALE
from analyzer.levels import prepare_levels
from analyzer.measuring import make_setup
from analyzer.reference import clusters as twin
from analyzer.reference.describe import describe_frame
from analyzer.settings import AnalyzerSettings
from tests.analyzer.scenes import add_spot, add_track, make_scene

ALL = AnalyzerSettings(ymin=0, ymax=0)
SOME = AnalyzerSettings(xmin=100, xmax=300, ymin=60, ymax=300)
PLAIN = AnalyzerSettings(ymin=0, ymax=0, spot_reach=0)
COARSE = AnalyzerSettings(ymin=0, ymax=0, rebin=8)


def busy_scene(seed):
    """A frame with spots faint and bright, tracks, saturated pixels and defects."""
    scene, random = make_scene((390, 510), seed), np.random.default_rng(seed)
    scene.pedestal.defects[random.random(scene.shape) < 0.01] = 1
    light = scene.light()
    for _ in range(9):
        place = random.uniform(-2, 512), random.uniform(-2, 392)
        add_spot(light, *place, 10 ** random.uniform(2.7, 4.3), random.uniform(2.5, 6))
    for _ in range(2):
        middle = random.uniform(140, 370), random.uniform(140, 250)
        add_track(light, *middle, random.uniform(-1.6, 1.6), random.uniform(20, 200), 90)
    pixels = scene.frame(light)
    pixels[light > 200] = 65535
    return scene, as_frame(pixels)


def measured_by_numpy(levels, chosen, pixels, finding):
    """Return the rows that NumPy fills, for the clusters that were found."""
    rows = np.empty((pixels.shape[0], 7), np.int64)
    shift = np.empty(pixels.shape[0], np.int64)
    fixed = chosen.cimax, levels.clip, levels.rebin
    frame.rebin_frame(pixels, levels.level, *fixed, np.empty(levels.macro_shape, np.int32), rows)
    places = finding.ys, finding.xs
    measure.exclude_clusters(pixels, levels.level, *fixed, *places, finding.n, rows)
    frame.find_shifts(rows, round(chosen.row_limit_adu * SCALE), shift)
    residuals = np.empty((finding.n, levels.rebin, levels.rebin), np.int32)
    gather_residuals(pixels, levels.level, shift, chosen.cimax, *places, residuals)
    clusters = twin.measure_clusters(residuals, levels, chosen, finding, (pixels, shift))
    order = np.argsort(-clusters["sc_integral"], kind="stable")
    return describe_frame(rows, pixels.shape[1], levels.rebin, clusters), clusters[order]


@pytest.mark.parametrize("chosen", [ALL, SOME, PLAIN, COARSE], ids=["all", "some", "plain", "8"])
@pytest.mark.parametrize("seed", range(6))
def test_frames_and_clusters_are_measured_as_by_numpy(seed, chosen):
    scene, pixels = busy_scene(seed)
    levels = prepare_levels(scene.pedestal, chosen)
    images = ImageAnalysis(levels, chosen)
    event, clusters = images.analyze(pixels)
    wanted_event, wanted = measured_by_numpy(levels, chosen, pixels, images.find(pixels))
    assert len(clusters) == len(wanted) > 2
    wanted_event["light"] = event["light"]
    for got, other in ((event, wanted_event), (clusters, wanted)):
        for name in got.dtype.names:
            np.testing.assert_allclose(got[name], other[name], 2e-6, 1e-5, err_msg=name)


def test_a_frame_without_clusters_has_its_statistics():
    scene = make_scene()
    pixels = as_frame(scene.frame())
    levels = prepare_levels(scene.pedestal, ALL)
    images = ImageAnalysis(levels, ALL)
    event, clusters = images.analyze(pixels)
    wanted, _ = measured_by_numpy(levels, ALL, pixels, images.find(pixels))
    assert len(clusters) == 0
    wanted["light"] = event["light"]
    for name in event.dtype.names:
        np.testing.assert_allclose(event[name], wanted[name], 2e-6, 1e-5, err_msg=name)


def test_clusters_without_light_have_the_middle_of_their_box():
    sums = np.zeros((2, measure.N_SUMS), np.int64)
    sums[:, measure.X_MIN], sums[:, measure.X_MAX] = 4, 7
    sums[:, measure.Y_MIN], sums[:, measure.Y_MAX] = 8, 19
    sums[1, measure.CORE_LIGHT] = -5
    found = np.empty((axes.N_AXES, 2))
    axes.find_axes(sums, found)
    np.testing.assert_array_equal(found, twin.principal_axes(sums))
    assert found[:, 0].tolist() == [5.5, 13.5, 0, 0, 0]


def test_clusters_of_any_light_and_length_get_the_flags_that_numpy_gives():
    random = np.random.default_rng(3)
    clusters = np.zeros(4000, CLUSTER)
    for name, highest in (
        ("sc_integral", 3e6),
        ("sc_length", 800),
        ("sc_longrms", 90),
        ("sc_latrms", 30),
        ("sc_energy", 12),
    ):
        clusters[name] = highest * random.uniform(0, 1, len(clusters)) ** 3
    clusters["sc_nhits"] = random.integers(0, 9000, len(clusters))
    for name, side in (("x", 192), ("y", 160)):
        low = random.integers(0, side, len(clusters))
        clusters[f"sc_{name}min"] = low
        clusters[f"sc_{name}max"] = random.integers(low, side)
        clusters[f"sc_{name}mean"] = low
    chosen = AnalyzerSettings(xmin=20, xmax=150, ymin=10, ymax=120, spark_adu=2e6)
    levels = prepare_levels(make_scene((160, 192)).pedestal, chosen)
    wanted = clusters.copy()
    twin.flag_clusters(wanted, levels, chosen)
    kinds.flag_clusters(160, 192, make_setup(levels, chosen)[0], clusters)
    np.testing.assert_array_equal(clusters["flags"], wanted["flags"])
    assert np.bitwise_or.reduce(clusters["flags"]) == sum(ClusterFlag)
