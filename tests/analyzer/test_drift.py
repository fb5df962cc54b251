"""A pedestal that drifts is seen in empty pixels: as a whole, and part by part."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.analysis import RunAnalysis
from analyzer.conditions import RunConditions
from analyzer.drift import Drift, DriftWatch, exceeds
from analyzer.dtypes import EventFlag
from analyzer.kernels.tiles import average_tiles
from analyzer.levels import prepare_levels
from analyzer.record import Counts, end_attributes
from analyzer.reference import tiles as reference
from analyzer.settings import AnalyzerSettings
from tests.analyzer.run_making import make_event
from tests.analyzer.scenes import add_spot, make_scene

SETTINGS = AnalyzerSettings()


@given(st.integers(0, 2**32 - 1), st.integers(8, 80), st.integers(8, 80))
@settings(max_examples=40, deadline=None)
def test_tiles_are_those_of_the_reference(seed, rows, columns):
    random = np.random.default_rng(seed)
    sums = np.rint(random.normal(random.uniform(-3000, 3000), 300, (rows, columns)))
    sums = sums.astype(np.int32)
    sums[random.random((rows, columns)) < 0.05] += 50_000
    scale = np.where(random.random((rows, columns)) < 0.9, 1 / 512, 1 / 480).astype(np.float32)
    labels = (random.random((rows, columns)) < random.uniform(0, 0.8)).astype(np.int32)
    tiles = np.empty((4, 4), np.float32)
    average_tiles(sums, scale, 1 / 512, labels, 6000, 1200, tiles)
    expected = reference.average_tiles(sums, scale, 1 / 512, labels, 6000, 1200, (4, 4))
    np.testing.assert_allclose(tiles, expected, rtol=1e-6, atol=1e-3)


def analyze(scene, shifts, limit=1.0):
    """Analyze frames whose pedestal has moved by each of `shifts`, a spot in every one."""
    chosen = SETTINGS.model_copy(update={"drift_limit_adu": limit})
    analysis = RunAnalysis(RunConditions(5), chosen)
    analysis.set_pedestal(0, prepare_levels(scene.pedestal, chosen))
    light = scene.light()
    add_spot(light, 100, 60, 9000)
    rows = []
    for index, shift in enumerate(shifts):
        event = make_event(index, {0: scene.frame(light + shift)})
        rows.append(analysis.analyze(event, index).rows)
        analysis.drift.add(rows[-1])
    return analysis, rows


def test_a_run_on_its_own_pedestal_does_not_drift():
    analysis, rows = analyze(make_scene((256, 256)), [0.0] * 6)
    drift = analysis.drift.of_run()[0]
    assert drift.frames == 6
    assert abs(drift.level_adu) < 0.05
    assert np.nanmax(np.abs(drift.tiles_adu)) < 0.15
    assert drift.noise_ratio == pytest.approx(1, abs=0.02)
    assert not drift.is_exceeded
    assert not any(row["events"]["flags"].any() for row in rows)


@pytest.mark.parametrize("shift", [-2.0, 1.5, 2.5])
def test_a_drift_of_all_pixels_is_measured_and_flagged(shift):
    analysis, rows = analyze(make_scene((256, 256)), [shift] * 4)
    drift = analysis.drift.of_run()[0]
    known = np.isfinite(drift.tiles_adu)
    assert known.sum() >= 62  # the spot hides the others
    np.testing.assert_allclose(drift.tiles_adu[known], shift, atol=0.2)
    assert drift.is_exceeded
    assert "take a pedestal run" in str(drift)
    assert all(row["events"]["flags"] == EventFlag.DRIFTED for row in rows)


def test_a_drift_of_one_part_is_found_there():
    scene = make_scene((256, 256))
    glow = scene.light()
    glow[224:, 96:128] = 0.8
    analysis, _ = analyze(scene, [glow] * 3, limit=0.5)
    drift = analysis.drift.of_run()[0]
    assert drift.worst_tile == (7, 3)
    assert drift.worst_adu == pytest.approx(0.8, abs=0.2)
    assert abs(drift.level_adu) < 0.1
    assert drift.is_exceeded
    kept = json.loads(end_attributes(analysis, Counts(), 0, "")["drift"])["0"]
    assert kept["worst_tile"] == [7, 3]
    assert kept["exceeded"] is True


def test_recent_frames_forget_the_begin_of_the_run():
    analysis, _ = analyze(make_scene((128, 128)), [0.0] * 30 + [1.6] * 50, limit=0.0)
    assert analysis.drift.of_run()[0].level_adu == pytest.approx(1.0, abs=0.1)
    recent = analysis.drift.recent()[0]
    assert recent.frames == 50
    assert recent.level_adu == pytest.approx(1.6, abs=0.1)
    assert not recent.is_exceeded


def test_nothing_is_known_of_frames_that_were_not_analyzed():
    watch = DriftWatch(1.0)
    watch.add({})
    assert watch.of_run() == watch.recent() == {}
    nothing = Drift(0, 1, 0.0, 1.0, 0.0, np.full((8, 8), np.nan), 1.0)
    assert not nothing.is_exceeded
    assert nothing.summary()["worst_tile_adu"] is None
    assert not exceeds(5.0, np.zeros((8, 8)), 0.0)
