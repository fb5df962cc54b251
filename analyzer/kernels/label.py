"""From lit macro-pixels to labelled clusters, in one call."""

import numpy as np
from numba import njit

from analyzer.kernels.arrays import I32, U16
from analyzer.kernels.crossing import split_crossings
from analyzer.kernels.dbscan import dbscan, keep_clusters
from analyzer.kernels.pieces import N_AXES, join_in_line, join_near, measure_axes
from analyzer.kernels.rim import add_rim, mark_tracks, trim_spots


@njit(nogil=True, cache=True)
def label_clusters(
    marks: U16,
    ys: I32,
    xs: I32,
    n: int,
    sums: I32,
    eps: int,
    min_samples: int,
    is_cityblock: bool,
    link: int,
    seed_weight: int,
    min_macro: int,
    max_clusters: int,
    track_macro: int,
    track_elongation: float,
    gap_macro: int,
    spot_edge: float,
    margin_macro: int,
    labels: I32,
) -> tuple[int, int, int, bool]:
    """Label the clusters among `n` lit macro-pixels.

    The steps, each with its parameters, are `dbscan`, `join_near`, `keep_clusters`,
    `split_crossings`, `join_in_line`, `mark_tracks`, `trim_spots` and `add_rim`.

    :param marks: in and out, (room,) uint16, and `ys`, `xs`, (room,) int32: the lit macro-pixels,
        then the labelled ones; room is for all of a frame.
    :param sums: (rows, columns) int32, light of macro-pixels.
    :param labels: in and out, (rows, columns) int32, of zeros; then the labels.
    :returns: (clusters, labelled macro-pixels without rim, with it, whether clusters were dropped
        for their number).
    """
    weights = np.empty(n, np.int32)
    clusters, n = dbscan(marks, ys, xs, n, eps, min_samples, labels, weights, is_cityblock)
    join_near(labels, ys, xs, n, link, clusters)
    found, n_core, dropped = keep_clusters(
        marks, ys, xs, n, weights, seed_weight, min_macro, max_clusters, clusters, labels
    )
    found = split_crossings(labels, sums, ys, xs, n_core, found, track_macro, max_clusters)
    axes = np.empty((found, N_AXES))
    measure_axes(labels, sums, ys, xs, n_core, axes)
    found = join_in_line(labels, ys, xs, n_core, gap_macro, axes)
    is_track = np.zeros(found, np.uint8)
    mark_tracks(labels, ys, xs, n_core, track_macro, track_elongation, is_track)
    n_core = trim_spots(marks, labels, ys, xs, n_core, is_track, spot_edge)
    n = add_rim(labels, is_track, margin_macro, ys, xs, n_core)
    return found, n_core, n, dropped
