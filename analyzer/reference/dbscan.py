"""Twin of `analyzer.kernels.dbscan`: all distances between all points."""

import numpy as np
import numpy.typing as npt

from analyzer.kernels.arrays import I32, I64, U16
from analyzer.kernels.dbscan import SEED


def dbscan(mark: U16, eps: int, min_samples: int, is_cityblock: bool = False) -> tuple[I32, I64]:
    """Return labels from 1, 0 for noise, and the weights around each lit macro-pixel."""
    points = np.argwhere(mark)
    weight = (mark[mark > 0] & ~np.uint16(SEED)).astype(np.int64)
    apart = np.abs(points[:, np.newaxis] - points)
    near = (apart.sum(axis=2) if is_cityblock else apart.max(axis=2)) <= eps
    around = near @ weight
    is_core = around >= min_samples
    name = np.zeros(len(points), np.int32)
    for first in np.flatnonzero(is_core):
        if name[first] == 0:
            reached = _grow(first, near, is_core)
            name[reached & (name == 0)] = name.max(initial=0) + 1
    labels = np.zeros(mark.shape, np.int32)
    labels[tuple(points.T)] = name
    return labels, around


def _grow(
    first: np.intp, near: npt.NDArray[np.bool_], is_core: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
    """Return which points can be reached from a core over cores."""
    reached = near[first]
    while True:
        more = near[reached & is_core].any(axis=0) | reached
        if (more == reached).all():
            return np.asarray(reached)
        reached = more


def keep_clusters(
    mark: U16, labels: I32, weights: I64, seed_weight: int, min_size: int, max_clusters: int
) -> tuple[I32, int, bool]:
    """Return the labels of clusters that are kept, their number, and whether some were too many."""
    around = np.zeros(mark.shape, np.int64)
    around[mark > 0] = weights
    is_seed = (mark & SEED > 0) & (around >= seed_weight)
    clusters = range(1, int(labels.max(initial=0)) + 1)
    good = [k for k in clusters if is_seed[labels == k].any() and (labels == k).sum() >= min_size]
    kept = np.zeros_like(labels)
    for new, old in enumerate(good[:max_clusters], 1):
        kept[labels == old] = new
    return kept, min(len(good), max_clusters), len(good) > max_clusters
