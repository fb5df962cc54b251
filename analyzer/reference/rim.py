"""Twin of `analyzer.kernels.rim`."""

import numpy as np

from analyzer.kernels.arrays import I32, U8, U16
from analyzer.kernels.dbscan import WEIGHT


def mark_tracks(labels: I32, min_macro: int, elongation: float) -> U8:
    """Return which clusters are tracks."""
    clusters = int(labels.max())
    is_track = np.zeros(clusters, np.uint8)
    for cluster in range(clusters):
        places = np.argwhere(labels == cluster + 1)
        if len(places) >= min_macro:
            low, high = np.linalg.eigvalsh(np.cov(places.T, bias=True))
            is_track[cluster] = high >= elongation**2 * low
    return is_track


def trim_spots(mark: U16, labels: I32, is_track: U8, fraction: float) -> I32:
    """Return the labels without what is less significant than a part of its spot's peak."""
    weight, trimmed = mark & WEIGHT, labels.copy()
    for cluster in np.flatnonzero(is_track == 0):
        mine = labels == cluster + 1
        trimmed[mine & (weight < fraction * weight[mine].max(initial=0))] = 0
    return trimmed


def add_rim(labels: I32, wanted: U8, width: int) -> I32:
    """Return the labels with a rim of `width`; the lower label wins where two meet."""
    for _ in range(width):
        sources = np.where(np.concatenate([[0], wanted]).astype(bool)[labels], labels, 0)
        padded = np.pad(sources, 1)
        rows, columns = labels.shape
        near = [padded[i : i + rows, j : j + columns] for i in range(3) for j in range(3)]
        nobody = np.iinfo(np.int32).max
        lowest = np.min([np.where(part > 0, part, nobody) for part in near], axis=0)
        claimed = np.where(lowest < nobody, lowest, 0)
        labels = np.where(labels > 0, labels, claimed).astype(np.int32)
    return labels
