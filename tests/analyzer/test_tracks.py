"""Pieces of a track become one cluster, tracks over each other become two."""

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from analyzer.images import ImageAnalysis
from analyzer.kernels import crossing, pieces
from analyzer.levels import prepare_levels
from analyzer.reference import crossing as crossing_twin
from analyzer.reference import pieces as pieces_twin
from analyzer.settings import AnalyzerSettings
from tests.analyzer.scenes import add_track, make_scene

few = settings(max_examples=30, deadline=None)
seeds = st.integers(0, 2**32 - 1)


def places(labels):
    return (*np.ascontiguousarray(np.argwhere(labels).astype(np.int32).T), np.count_nonzero(labels))


def draw(labels, x, y, angle, length, label, half_width=2):
    """Label what lies near a stretch of a line."""
    rows, columns = np.indices(labels.shape)
    dx, dy = columns - x, rows - y
    along = dx * math.cos(angle) + dy * math.sin(angle)
    across = dy * math.cos(angle) - dx * math.sin(angle)
    labels[(np.abs(along) <= length / 2) & (np.abs(across) <= half_width)] = label


def joined_in_line(labels, light, max_gap=12):
    joined = labels.copy()
    ys, xs, n = places(labels)
    axes = np.empty((int(labels.max()), pieces.N_AXES))
    pieces.measure_axes(joined, light, ys, xs, n, axes)
    count = pieces.join_in_line(joined, ys, xs, n, max_gap, axes)
    return joined, count, axes


def split(labels, light=None, max_clusters=1000):
    parts = labels.copy()
    ys, xs, n = places(labels)
    sums = np.full(labels.shape, 1000, np.int32) if light is None else light
    count = crossing.split_crossings(parts, sums, ys, xs, n, int(labels.max()), 60, max_clusters)
    return parts, count


@given(seeds, st.integers(1, 24), st.integers(1, 24), st.integers(1, 5))
@few
def test_near_clusters_are_joined_as_by_the_twin(seed, rows, columns, link):
    random = np.random.default_rng(seed)
    labels = random.integers(1, 9, (rows, columns), np.int32)
    labels[random.random(labels.shape) < random.uniform(0.5, 1)] = 0
    joined = labels.copy()
    ys, xs, n = places(labels)
    pieces.join_near(joined, ys, xs, n, link, 9)
    twin = pieces_twin.join_near(labels, link)
    twin_again = pieces_twin.join_near(twin, link)
    while (twin != twin_again).any():  # the same label far away is the same cluster, too
        twin, twin_again = twin_again, pieces_twin.join_near(twin_again, link)
    np.testing.assert_array_equal(joined, twin)


@given(seeds, st.integers(1, 6), st.integers(1, 30))
@few
def test_pieces_are_measured_and_joined_as_by_the_twin(seed, n_pieces, max_gap):
    random = np.random.default_rng(seed)
    labels = np.zeros((60, 80), np.int32)
    for label in range(1, n_pieces + 1):
        x, y = random.uniform(5, 75), random.uniform(5, 55)
        draw(labels, x, y, random.choice([0.0, 0.1, 0.7, 1.5]), random.uniform(4, 30), label, 1.5)
    _, dense = np.unique(labels, return_inverse=True)
    labels = dense.reshape(labels.shape).astype(np.int32)
    if not labels.max():
        return
    light = labels * np.int32(600)
    joined, _, axes = joined_in_line(labels, light, max_gap)
    twin = pieces_twin.measure_axes(labels, light)
    is_clear = twin[:, pieces.LONG] > 1.01 * twin[:, pieces.WIDE] + 0.01
    np.testing.assert_allclose(axes[:, :3], twin[:, :3], atol=1e-9)
    np.testing.assert_allclose(axes[:, 7:], twin[:, 7:], atol=1e-6)
    np.testing.assert_allclose(np.abs(axes[is_clear, 3]), np.abs(twin[is_clear, 3]), atol=1e-6)
    np.testing.assert_array_equal(joined, pieces_twin.join_in_line(labels, light, max_gap))


@pytest.mark.parametrize(
    ("second", "brighter", "clusters"),
    [
        ((70, 40, 0.0, 30), 5, 1),  # goes on after a gap
        ((70, 44, 0.0, 30), 1, 2),  # beside the line
        ((70, 47, 0.5, 30), 1, 2),  # in another direction
        ((85, 40, 0.0, 30), 1, 2),  # too far
        ((52, 41, 0.0, 5), 1, 1),  # too short for a direction, but there
        ((52, 41, 0.0, 5), 5, 2),  # a spot
        ((62, 41, 0.0, 5), 1, 2),  # too far for a piece that small
    ],
)
def test_only_pieces_in_one_line_are_joined(second, brighter, clusters):
    labels = np.zeros((80, 120), np.int32)
    draw(labels, 30, 40, 0.0, 30, 1)
    draw(labels, *second, 2)
    light = np.where(labels == 2, 1000 * brighter, 1000).astype(np.int32)
    assert joined_in_line(labels, light)[1] == clusters


@given(seeds)
@example(839)  # in these, macro-pixels belong to two valleys
@example(7109)
@few
def test_crossings_are_split_as_by_the_twin(seed):
    random = np.random.default_rng(seed)
    labels = np.zeros((150, 150), np.int32)
    for _ in range(random.integers(1, 4)):
        x, y = random.uniform(60, 90, 2)
        draw(labels, x, y, random.uniform(-1.5, 1.5), random.uniform(20, 120), 1)
    light = random.integers(500, 1500, labels.shape, np.int32)
    parts, count = split(labels, light)
    twin = crossing_twin.split_crossings(labels, light, 60, 1000)
    assert count == twin.max()
    # Where two lines are as near, the last bit may decide.
    assert (parts != twin).sum() <= 0.01 * np.count_nonzero(labels)


@pytest.mark.parametrize(
    ("tracks", "clusters"),
    [
        ([(75, 75, 0.2, 120)], 1),
        ([(75, 75, 0.2, 120), (75, 75, 1.2, 120)], 2),
        ([(75, 75, 0.2, 120), (65, 73, -0.2, 120)], 2),
        ([(75, 75, 0.2, 120), (75, 75, 1.2, 120), (75, 75, -0.8, 120)], 3),
        ([(75, 75, 0.0, 120), (75, 50, math.pi / 2, 50)], 2),  # one ends at the other's side
        ([(45, 75, 0.0, 60), (75, 45, math.pi / 2, 60)], 1),  # a kink
        ([(75, 75, 0.0, 120), (75, 70, math.pi / 2, 12)], 1),  # a spur
    ],
)
def test_straight_tracks_over_each_other_are_told_apart(tracks, clusters):
    labels = np.zeros((150, 150), np.int32)
    for track in tracks:
        draw(labels, *track, 1)
    parts, count = split(labels)
    assert count == clusters
    assert set(np.unique(parts)) == set(range(clusters + 1))
    assert ((parts > 0) == (labels > 0)).all()
    assert split(labels, max_clusters=1)[1] == 1


@pytest.mark.parametrize("half_width", [2, 6, 12])
def test_wide_bent_and_round_things_stay_whole(half_width):
    labels = np.zeros((200, 200), np.int32)
    draw(labels, 100, 100, 0.4, 120, 1, half_width)
    assert split(labels)[1] == 1
    rows, columns = np.indices(labels.shape)
    ring = np.abs(np.hypot(rows - 100, columns - 100) - 60)
    for arc in (ring < half_width, (ring < half_width) & (rows < 100), ring + rows * 0 < 60):
        assert split(arc.astype(np.int32))[1] == 1


@pytest.mark.parametrize(("valley", "clusters"), [(10, 2), (90, 1)])
@pytest.mark.parametrize("aside", [6, -6])
def test_a_track_beside_another_is_told_apart_by_the_darkness_between(valley, clusters, aside):
    labels = np.zeros((120, 200), np.int32)
    draw(labels, 100, 60, 0.0, 150, 1, 2)
    draw(labels, 60, 60 + aside, 0.0, 40, 1, 2)
    row = 60 + aside // 2
    labels[row, 40:81] = 1  # the threshold lies below what is between
    light = np.where(labels > 0, 100, 0).astype(np.int32)
    light[row, 40:81] = valley
    parts, count = split(labels, light)
    assert count == clusters
    np.testing.assert_array_equal(parts, crossing_twin.split_crossings(labels, light, 60, 1000))
    if clusters == 2:
        assert parts[60, 100] == parts[60, 60] != parts[60 + aside, 60]


def test_a_hairpin_stays_whole():
    labels = np.zeros((120, 200), np.int32)
    for row in (56, 64):
        draw(labels, 100, row, 0.0, 100, 1, 2)
    draw(labels, 150, 60, math.pi / 2, 10, 1, 2)  # joins them at one end
    labels[58:63, 55:146] = 1  # the threshold lies below what is between
    light = np.where(labels > 0, 100, 0)
    light[59:62, 52:144] = 5
    assert split(labels, light.astype(np.int32))[1] == 1


@pytest.mark.parametrize(
    ("along", "aside", "length", "brightness"),
    [
        (0, 28, 300, 60),  # within the length of the other
        (0, 26, 500, 60),  # as long
        (0, 28, 500, 1000),
        (150, 32, 500, 60),  # goes on beyond it
        (250, 32, 500, 60),
    ],
)
def test_two_parallel_muons_have_their_own_light(along, aside, length, brightness):
    scene = make_scene((600, 1000))
    light = scene.light()
    add_track(light, 350, 240, 0.3, 500, brightness)
    alone = light.sum()
    x = 350 + along * math.cos(0.3) - aside * math.sin(0.3)
    y = 240 + along * math.sin(0.3) + aside * math.cos(0.3)
    add_track(light, x, y, 0.3, length, brightness)
    chosen = AnalyzerSettings(ymin=0)
    images = ImageAnalysis(prepare_levels(scene.pedestal, chosen), chosen)
    _, clusters = images.analyze(scene.frame(light))
    assert len(clusters) == 2
    assert clusters["sc_integral"] == pytest.approx([alone, light.sum() - alone], rel=0.08)


def test_two_crossing_muons_have_their_own_light():
    scene = make_scene((700, 700))
    light = scene.light()
    add_track(light, 350, 350, 0.3, 500, 60)
    alone = light.sum()
    add_track(light, 350, 350, -0.9, 500, 60)
    chosen = AnalyzerSettings(ymin=0)
    images = ImageAnalysis(prepare_levels(scene.pedestal, chosen), chosen)
    _, clusters = images.analyze(scene.frame(light))
    assert sorted(clusters["sc_theta"]) == pytest.approx([-0.9, 0.3], abs=0.02)
    assert clusters["sc_integral"] == pytest.approx([alone, alone], rel=0.04)


def test_a_track_with_gaps_is_one_cluster():
    scene = make_scene((300, 700))
    light = scene.light()
    add_track(light, 350, 150, 0.1, 600, 60)
    for column in (200, 330, 500):
        light[:, column : column + 40] = 0
    chosen = AnalyzerSettings(ymin=0)
    images = ImageAnalysis(prepare_levels(scene.pedestal, chosen), chosen)
    _, clusters = images.analyze(scene.frame(light))
    assert len(clusters) == 1
    assert clusters["sc_length"][0] == pytest.approx(600, abs=30)
    assert clusters["sc_integral"][0] == pytest.approx(light.sum(), rel=0.04)
