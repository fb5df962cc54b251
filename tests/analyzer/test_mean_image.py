"""The mean image: hot pixels are found, light is not taken for them, threads add up."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.images import ImageAnalysis
from analyzer.kernels.hot import count_spikes
from analyzer.levels import prepare_levels
from analyzer.lookup import PedestalLookup
from analyzer.mean_image import MeanImage, merged_rows
from analyzer.pedestal_files import pedestal_name, write_pedestals
from analyzer.reference import hot as twin
from analyzer.results import open_results
from analyzer.runs import analyze_run
from analyzer.settings import AnalyzerSettings
from analyzer.summary import read_summary, summary_path
from tests.analyzer.run_making import make_event, write_run
from tests.analyzer.scenes import add_spot, make_scene

ALL = AnalyzerSettings(ymin=0, ymax=0)
HOT_ROW, HOT_COLUMN = 101, 42


@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(1, 40), st.integers(0, 900))
@settings(max_examples=40, deadline=None)
def test_spikes_are_those_of_the_twin(seed, rows, columns, limit):
    sums = np.random.default_rng(seed).normal(0, 400, (rows, columns)).astype(np.int32)
    counts = np.ones(sums.shape, np.uint16)
    count_spikes(sums, limit, counts)
    np.testing.assert_array_equal(counts, 1 + twin.spikes(sums, limit))


def frames_with_a_hot_pixel(scene, count, adu):
    """Frames with bright spots here and there; a pixel turns hot in the middle of them."""
    for number in range(count):
        light = scene.light()
        for _ in range(4):
            x, y = scene.random.uniform(20, 170), scene.random.uniform(20, 140)
            add_spot(light, x, y, 12_300, 2.5)
        if number >= count // 2:
            light[HOT_ROW, HOT_COLUMN] += adu
        yield scene.frame(light)


def test_a_pixel_that_turns_hot_is_counted_and_light_is_not():
    scene = make_scene()
    images = ImageAnalysis(prepare_levels(scene.pedestal, ALL), ALL)
    parts = [MeanImage(images.levels, ALL.hot_adu) for _ in range(2)]
    for serial, frame in enumerate(frames_with_a_hot_pixel(scene, 240, 90)):
        images.analyze(frame)
        parts[serial // 8 % 2].add(images.macro_sums, serial)
    rows = merged_rows([(0, parts[0]), (0, parts[1])])
    hot = rows[rows["hot"] > 0]
    assert hot["hot"].tolist() == [1]
    assert (hot["y"][0], hot["x"][0]) == (HOT_ROW // 4 * 4, HOT_COLUMN // 4 * 4)


def test_a_run_tells_it(tmp_path):
    scene = make_scene()
    write_pedestals(tmp_path / pedestal_name(7), {0: scene.pedestal})
    frames = frames_with_a_hot_pixel(scene, 64, 300)
    events = [make_event(serial, {0: frame}) for serial, frame in enumerate(frames)]
    source, target = write_run(tmp_path, 9, events), tmp_path / "reco.h5"
    chosen = AnalyzerSettings(frame_columns=192, ymin=0, ymax=0)
    for workers in (1, 3):
        analyze_run(source, target, PedestalLookup([tmp_path]), settings=chosen, workers=workers)
        assert read_summary(summary_path(target))["hot_pixels"] == 1
    with open_results(target) as results:
        assert results["figures"]["hot_pixels"][0] == 1
