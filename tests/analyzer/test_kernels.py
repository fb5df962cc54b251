"""Every kernel does what its NumPy twin does."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit
from sklearn.cluster import DBSCAN

from analyzer.frames import as_frame
from analyzer.kernels import dbscan, detect, frame, measure, pedestal, rim
from analyzer.kernels.fetch import fetch
from analyzer.kernels.pixels import NONE, gather_residuals
from analyzer.kernels.residual import (
    DEFECT,
    MAX_CLIP,
    MAX_LEVEL,
    ROW_MAX,
    ROW_SATURATED,
    ROW_SQUARES,
    ROW_SUM,
    ROW_USED,
    SCALE,
)
from analyzer.kernels.search import search_frame
from analyzer.levels import make_grid
from analyzer.reference import dbscan as dbscan_twin
from analyzer.reference import detect as detect_twin
from analyzer.reference import frame as frame_twin
from analyzer.reference import measure as measure_twin
from analyzer.reference import pedestal as pedestal_twin
from analyzer.reference import pixels as pixels_twin
from analyzer.reference import rim as rim_twin

seeds = st.integers(0, 2**32 - 1)
few = settings(max_examples=40, deadline=None)


def random_frame(random, rows, columns):
    """A frame with light, saturated pixels and defects, and its pedestal level."""
    values = random.normal(100, 3, (rows, columns)).clip(0)
    values[random.random((rows, columns)) < 0.02] *= 30
    values[random.random((rows, columns)) < 0.01] = 65535
    level = random.normal(100 * SCALE, 30, (rows, columns)).astype(np.uint16)
    level[random.random((rows, columns)) < 0.02] = DEFECT
    return as_frame(values.astype(np.uint16)), as_frame(level)


def rebinned(pixels, level, cimax, clip, rebin):
    macro = (-(-pixels.shape[0] // rebin), -(-pixels.shape[1] // rebin))
    sums = np.full(macro, -1, np.int32)
    rows = np.full((pixels.shape[0], 7), -1, np.int64)
    frame.rebin_frame(pixels, level, cimax, clip, rebin, sums, rows)
    return sums, rows


@given(seeds, st.integers(1, 30), st.integers(1, 70), st.sampled_from([1, 2, 4, 8]))
@few
def test_frame_pass_is_exact_for_any_shape(seed, n_rows, n_columns, rebin):
    pixels, level = random_frame(np.random.default_rng(seed), n_rows, n_columns)
    sums, rows = rebinned(pixels, level, 5000, 300, rebin)
    twin_sums, twin_rows = frame_twin.rebin_frame(pixels, level, 5000, 300, rebin)
    np.testing.assert_array_equal(sums, twin_sums)
    np.testing.assert_array_equal(rows, twin_rows)
    shift = np.empty(n_rows, np.int64)
    frame.find_shifts(rows, 96, shift)
    np.testing.assert_array_equal(shift, frame_twin.find_shifts(rows, 96))


@given(seeds, st.sampled_from([1, 4, 8]), st.sampled_from([300, 2500, 65535]))
@few
def test_frame_pass_is_exact_for_any_values(seed, rebin, top):
    random = np.random.default_rng(seed)
    pixels, level = np.full((2, 16, 64), 100, np.uint16)
    some = random.random((2, 16, 64)) < random.choice([1e-3, 0.1, 1])
    pixels[some[0]] = random.integers(0, top, some[0].sum(), np.uint16, endpoint=True)
    level[some[1]] = random.integers(0, MAX_LEVEL, some[1].sum(), np.uint16, endpoint=True)
    got = rebinned(as_frame(pixels), as_frame(level), 65535, MAX_CLIP, rebin)
    twin = frame_twin.rebin_frame(pixels, level, 65535, MAX_CLIP, rebin)
    np.testing.assert_array_equal(got[0], twin[0])
    np.testing.assert_array_equal(got[1], twin[1])


@pytest.mark.parametrize("columns", [1023, 4096, 4097])
def test_frame_pass_does_not_overflow_on_wide_frames(columns):
    pixels = as_frame(np.full((4, columns), 65534, np.uint16))
    level = as_frame(np.full((4, columns), 0, np.uint16))
    sums, rows = rebinned(pixels, level, 65535, MAX_CLIP, 4)
    twin_sums, twin_rows = frame_twin.rebin_frame(pixels, level, 65535, MAX_CLIP, 4)
    np.testing.assert_array_equal(sums, twin_sums)
    np.testing.assert_array_equal(rows, twin_rows)
    edge = as_frame(np.full((4, columns), -(-MAX_CLIP // SCALE), np.uint16))
    _, rows = rebinned(edge, as_frame(level + 1), 65535, MAX_CLIP, 4)
    assert rows[0, ROW_SQUARES] == columns * MAX_CLIP**2
    assert rows[0, ROW_SUM] == columns * MAX_CLIP


@given(seeds, st.integers(300, 1200), st.sampled_from([40, MAX_CLIP]))
@few
def test_sums_of_wide_rows_are_exact_where_they_go_over_16_bits(seed, columns, clip):
    random = np.random.default_rng(seed)
    residual = random.choice(
        [-clip - 1, -clip, 0, clip, clip + 1], (4, columns), p=random.dirichlet(np.ones(5))
    )
    level = 100 * SCALE - residual
    got = rebinned(as_frame(np.full((4, columns), 100)), as_frame(level), 65535, clip, 4)
    twin = frame_twin.rebin_frame(np.full((4, columns), 100), level, 65535, clip, 4)
    np.testing.assert_array_equal(got[0], twin[0])
    np.testing.assert_array_equal(got[1], twin[1])


def test_defects_and_saturated_pixels_count_for_nothing():
    pixels = np.full((4, 8), 110, np.uint16)
    pixels[0, 0], pixels[1, 5] = 900, 5000
    level = np.full((4, 8), 100 * SCALE, np.uint16)
    level[0, 0] = DEFECT
    sums, rows = rebinned(as_frame(pixels), as_frame(level), 5000, 400, 4)
    assert sums.tolist() == [[15 * 10 * SCALE, 15 * 10 * SCALE]]
    assert rows[:, ROW_USED].tolist() == [7, 7, 8, 8]
    assert rows[:, ROW_SATURATED].tolist() == [0, 1, 0, 0]
    assert rows[:, ROW_MAX].tolist() == [900, 5000, 110, 110]


@given(
    seeds,
    st.integers(1, 20),
    st.one_of(st.integers(1, 24), st.integers(detect.PART - 2, 2 * detect.PART + 2)),
    st.sampled_from([1500, 9000]),
)
@few
def test_marks_agree_to_the_last_bit(seed, n_rows, n_columns, brightest):
    random = np.random.default_rng(seed)
    sums = random.integers(-4000, brightest, (n_rows, n_columns), dtype=np.int32)
    scale = np.full(sums.shape, 1 / 512, np.float32)
    scale[random.random(sums.shape) < 0.05] = 0
    scale[random.random(sums.shape) < 0.05] = 1 / 32
    shift = random.normal(0, 1, n_rows).astype(np.float32)
    significance = random.normal(0.19, 0.02, sums.shape).astype(np.float32)
    significance[random.random(sums.shape) < 0.05] = 0
    grid = make_grid(scale, 1 / 512, significance)
    lit = room_for(sums)
    n = detect.find_lit(sums, shift, *grid, 10.0, 3.0, 1.2, *lit)
    flat = detect_twin.flatten(detect_twin.correct(sums, scale, shift), 10.0)
    twin = detect_twin.mark(flat, detect_twin.significance_of(*grid[3:]), 3.0, 1.2)
    np.testing.assert_array_equal(np.stack(lit[:2])[:, :n], np.nonzero(twin))
    np.testing.assert_array_equal(lit[2][:n], twin[twin > 0])


def room_for(sums):
    return *np.zeros((2, sums.size), np.int32), np.zeros(sums.size, np.uint16)


@given(seeds, st.integers(1, 30), st.integers(1, 70), st.sampled_from([1, 2, 4, 8]), st.booleans())
@few
def test_search_finds_what_its_steps_find(seed, n_rows, n_columns, rebin, is_bright):
    random = np.random.default_rng(seed)
    pixels, level = random_frame(random, n_rows, n_columns)
    if is_bright:  # a row that does not tell its shift
        pixels = pixels.copy()
        pixels[random.integers(n_rows)] = 600
        pixels = as_frame(pixels)
    sums, rows = rebinned(pixels, level, 5000, 300, rebin)
    shift = np.empty(n_rows, np.int64)
    frame.find_shifts(rows, 96, shift)
    padded = np.append(shift, np.repeat(shift[-1:], -n_rows % rebin))
    row_shift = (padded.reshape(-1, rebin).mean(axis=1) / SCALE).astype(np.float32)
    scale = random.choice([1, 0.5, 0], sums.shape, p=[0.9, 0.05, 0.05]).astype(np.float32)
    grid = make_grid(scale / 512, 1 / 512, random.normal(0.5, 0.1, sums.shape).astype(np.float32))
    steps, once = room_for(sums), room_for(sums)
    n = detect.find_lit(sums, row_shift, *grid, 10.0, 3.0, 1.2, *steps)
    out = np.empty_like(sums), np.empty_like(rows), np.empty_like(shift)
    found, light = search_frame(
        pixels, level, 5000, 300, rebin, 96, *grid, 10.0, 3.0, 1.2, *out, *once
    )
    assert (found, light) == (n, sums.sum())
    for mine, other in zip(out, (sums, rows, shift), strict=True):
        np.testing.assert_array_equal(mine, other)
    for mine, other in zip(once, steps, strict=True):
        np.testing.assert_array_equal(mine[:n], other[:n])


def clustered(mark, eps, min_samples, is_cityblock=False):
    lit = np.argwhere(mark).astype(np.int32)
    ys, xs = np.ascontiguousarray(lit.T)
    labels, weights = np.zeros(mark.shape, np.int32), np.zeros(len(lit), np.int32)
    marks = mark[ys, xs]
    count, kept = dbscan.dbscan(
        marks, ys, xs, len(lit), eps, min_samples, labels, weights, is_cityblock
    )
    np.testing.assert_array_equal(marks[:kept], mark[ys[:kept], xs[:kept]])
    return labels, count, ys[:kept].copy(), xs[:kept].copy(), weights[:kept].copy()


def random_marks(seed, n_rows, n_columns):
    random = np.random.default_rng(seed)
    mark = random.integers(1, 128, (n_rows, n_columns), np.uint16) // random.choice([1, 16])
    mark[random.random(mark.shape) < random.uniform(0.3, 0.95)] = 0
    mark[(mark > 0) & (random.random(mark.shape) < 0.3)] |= dbscan.SEED
    return mark


@given(
    seeds,
    st.integers(1, 24),
    st.integers(1, 24),
    st.integers(1, 6),
    st.integers(1, 400),
    st.sampled_from(["chebyshev", "cityblock"]),
)
@few
def test_clusters_are_those_of_scikit_learn(seed, n_rows, n_columns, eps, min_samples, metric):
    mark = random_marks(seed, n_rows, n_columns)
    is_cityblock = metric == "cityblock"
    labels, count, ys, xs, weights = clustered(mark, eps, min_samples, is_cityblock)
    twin, around = dbscan_twin.dbscan(mark, eps, min_samples, is_cityblock)
    np.testing.assert_array_equal(labels, twin)
    lit = np.nonzero(mark)
    np.testing.assert_array_equal(weights, around[labels[lit] > 0])
    np.testing.assert_array_equal([ys, xs], np.nonzero(labels))
    assert count == labels.max(initial=0)
    if lit[0].size:
        peer = DBSCAN(eps=eps, min_samples=min_samples, metric=metric)
        points = np.stack(lit, axis=1)
        expected = peer.fit(points, sample_weight=mark[lit] & dbscan.WEIGHT).labels_ + 1
        np.testing.assert_array_equal(labels[lit], expected)


def labelled(mark, min_size, max_clusters, width):
    labels, count, ys, xs, weights = clustered(mark, 1, 100)
    marks = mark[ys, xs]
    count, n_core, dropped = dbscan.keep_clusters(
        marks, ys, xs, len(ys), weights, 200, min_size, max_clusters, count, labels
    )
    places = np.zeros((2, mark.size), np.int32)
    places[:, : len(ys)] = ys, xs
    cores = labels.copy()
    wanted = np.arange(count, dtype=np.uint8) % 3 != 1
    n = rim.add_rim(labels, wanted.astype(np.uint8), width, *places, n_core)
    return labels, cores, count, n_core, n, dropped, *places


@given(
    seeds,
    st.integers(1, 24),
    st.integers(1, 24),
    st.integers(1, 4),
    st.integers(0, 3),
    st.integers(1, 6),
)
@few
def test_clusters_with_seeds_are_kept_and_get_rims(
    seed, n_rows, n_columns, min_size, width, max_clusters
):
    mark = random_marks(seed, n_rows, n_columns)
    labels, cores, count, n_core, n, dropped, ys, xs = labelled(mark, min_size, max_clusters, width)
    twin, around = dbscan_twin.dbscan(mark, 1, 100)
    kept, twin_count, twin_dropped = dbscan_twin.keep_clusters(
        mark, twin, around, 200, min_size, max_clusters
    )
    np.testing.assert_array_equal(cores, kept)
    assert (count, dropped) == (twin_count, twin_dropped)
    wanted = (np.arange(count) % 3 != 1).astype(np.uint8)
    np.testing.assert_array_equal(labels, rim_twin.add_rim(kept, wanted, width))
    is_track = np.zeros(count, np.uint8)
    rim.mark_tracks(cores, ys, xs, n_core, 5, 1.43, is_track)
    np.testing.assert_array_equal(is_track, rim_twin.mark_tracks(cores, 5, 1.43))
    trimmed, left = cores.copy(), np.stack([ys, xs])
    n_left = rim.trim_spots(mark[ys, xs][:n_core], trimmed, *left, n_core, is_track, 0.3)
    np.testing.assert_array_equal(trimmed, rim_twin.trim_spots(mark, cores, is_track, 0.3))
    assert {(y, x) for y, x in left[:, :n_left].T} == {(y, x) for y, x in np.argwhere(trimmed)}
    assert n_core == np.count_nonzero(cores)
    assert n == np.count_nonzero(labels)
    assert {(int(y), int(x)) for y, x in zip(ys[:n], xs[:n], strict=True)} == {
        (int(y), int(x)) for y, x in np.argwhere(labels)
    }
    dbscan.clear_labels(labels, ys, xs, n)
    assert not labels.any()


@pytest.mark.parametrize(
    ("rows", "eps", "min_samples", "labels"),
    [
        (["9.9", "...", "..9"], 1, 9, [1, 2, 3]),
        (["9.9", "...", "..9"], 2, 9, [1, 1, 1]),
        (["99", "..", ".1"], 1, 10, [1, 1, 0]),
        (["99.", "..1"], 1, 10, [1, 1, 1]),  # near a core, no core itself
        (["111", "111", "111"], 1, 10, [0] * 9),
    ],
)
def test_cores_have_weight_around_them_and_take_their_neighbours(rows, eps, min_samples, labels):
    mark = np.array([[int(c) if c != "." else 0 for c in row] for row in rows], np.uint16)
    found = clustered(mark, eps, min_samples)[0]
    assert found[np.nonzero(mark)].tolist() == labels


@given(seeds, st.integers(8, 40), st.integers(8, 40), st.sampled_from([2, 4]))
@few
def test_sums_of_clusters_are_exact(seed, n_rows, n_columns, rebin):
    random = np.random.default_rng(seed)
    pixels, level = random_frame(random, n_rows, n_columns)
    sums, rows = rebinned(pixels, level, 5000, 300, rebin)
    mark = random.choice(np.array([0, 0x80FF], np.uint16), sums.shape, p=[0.8, 0.2])
    labels, cores, count, n_core, n, _, ys, xs = labelled(mark, 1, 1000, 1)
    rest = rows.copy()
    measure.exclude_clusters(pixels, level, 5000, 300, rebin, ys, xs, n, rest)
    twin = measure_twin.exclude_clusters(pixels, level, 5000, 300, rebin, labels, rows)
    np.testing.assert_array_equal(rest, twin)
    noise = np.where(level == DEFECT, 0, np.float32(3)).astype(np.float32)
    shift = random.integers(-20, 20, n_rows)
    values = np.empty((n, rebin, rebin), np.int32)
    gather_residuals(pixels, level, shift, 5000, ys, xs, values)
    residual = pixels_twin.residuals(pixels, level, shift, 5000)
    for y, x, inner in zip(ys, xs, values, strict=False):
        there = residual[y * rebin : (y + 1) * rebin, x * rebin : (x + 1) * rebin]
        np.testing.assert_array_equal(inner[: there.shape[0], : there.shape[1]], there)
        assert (inner == NONE).sum() == rebin**2 - there.size + (there == NONE).sum()
    got = np.zeros((count, measure.N_SUMS), np.int64)
    measure.sum_clusters(values, noise, 0.6, labels, ys, xs, n_core, got)
    wanted = measure_twin.sum_clusters(residual, noise, 0.6, rebin, labels, cores)
    np.testing.assert_array_equal(got, wanted)


@given(seeds, st.integers(1, 17))
@few
def test_pedestal_sums_do_not_depend_on_the_order_of_frames(seed, n_frames):
    random = np.random.default_rng(seed)
    stack = random.integers(90, 130, (n_frames, 3, 5)).astype(np.uint16)
    stack[random.random(stack.shape) < 0.1] = 65535
    center, spread = np.zeros((2, 3, 5), np.uint16)
    pairs = pedestal.sorting_network(n_frames)
    for rows in ((0, 2), (2, 3)):
        pedestal.center_and_spread(stack, pairs, *rows, center, spread)
    np.testing.assert_array_equal((center, spread), pedestal_twin.center_and_spread(stack))
    clip = random.choice([0, 12, 40, pedestal.MAX_CLIP], (3, 5)).astype(np.uint16)
    sums = [np.zeros((3, 5), kind) for kind in (np.uint32, np.int64, np.int64)]
    order = [as_frame(stack[index]) for index in random.permutation(n_frames)]
    for begin in range(0, n_frames, pedestal.BATCH):
        batch = tuple(order[begin : begin + pedestal.BATCH])
        for frames in [batch] if len(batch) == pedestal.BATCH else [(one,) for one in batch]:
            for rows in ((0, 1), (1, 3)):
                pedestal.accumulate(frames, *rows, center, clip, *sums)
    for got, wanted in zip(sums, pedestal_twin.accumulate(stack, center, clip), strict=True):
        np.testing.assert_array_equal(got, wanted)


def test_sums_of_a_batch_of_the_largest_residuals_do_not_overflow():
    center = np.full((1, 4), 30_000, np.uint16)
    clip = np.full((1, 4), pedestal.MAX_CLIP, np.uint16)
    frame = as_frame(center - np.uint16(pedestal.MAX_CLIP))
    sums = [np.zeros((1, 4), kind) for kind in (np.uint32, np.int64, np.int64)]
    pedestal.accumulate((frame,) * pedestal.BATCH, 0, 1, center, clip, *sums)
    assert sums[2][0, 0] == pedestal.BATCH * pedestal.MAX_CLIP**2


def test_asking_for_memory_beyond_an_array_does_nothing():
    @njit
    def ask(values):
        for offset in (0, 8, 1 << 40):
            fetch(values, offset)
        return values[0]

    assert ask(np.arange(3.0)) == 0.0
