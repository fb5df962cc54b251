"""Twin of `analyzer.kernels.pieces`."""

import math

import numpy as np

from analyzer.kernels import pieces as kernel
from analyzer.kernels.arrays import F64, I32


def join_near(labels: I32, link: int) -> I32:
    """Return labels, the same for clusters that nearly touch: the lowest of theirs."""
    points = np.argwhere(labels)
    if not len(points):
        return labels
    near = np.abs(points[:, np.newaxis] - points).max(axis=2) <= link
    name = labels[labels > 0]
    while True:
        lowest = np.where(near, name, np.iinfo(np.int32).max).min(axis=1)
        lowest = np.array([lowest[name == k].min() for k in name], np.int32)
        if (lowest == name).all():
            break
        name = lowest
    joined = labels.copy()
    joined[labels > 0] = name
    return joined


def measure_axes(labels: I32, sums: I32) -> F64:
    """Return the axes of clusters, (clusters, 10); see the kernel."""
    axes = []
    for label in range(1, int(labels.max(initial=0)) + 1):
        y, x = np.nonzero(labels == label)
        values, vectors = np.linalg.eigh(np.cov(np.stack([x, y]), bias=True))
        cosine, sine = vectors[:, 1] * (-1 if vectors[0, 1] < 0 else 1)
        along = (x - x.mean()) * cosine + (y - y.mean()) * sine
        wide, long = np.sqrt(np.maximum(values, 0))
        ends = [along.min(), along.max()]
        light = sums[y, x].mean()
        axes.append([len(x), x.mean(), y.mean(), cosine, sine, *ends, long, wide, light])
    return np.array(axes).reshape(-1, kernel.N_AXES)


def are_in_line(one: F64, other: F64, max_gap: float) -> bool:
    """Tell whether the near end of each of two pieces lies on the axis of the other."""
    turn = np.arctan2(one[kernel.SINE], one[kernel.COSINE])
    turn -= np.arctan2(other[kernel.SINE], other[kernel.COSINE])
    if abs(math.sin(turn)) > kernel.MAX_TURN:
        return False
    for a, b in ((one, other), (other, one)):
        axis = np.array([a[kernel.COSINE], a[kernel.SINE]])
        ends = np.array([[b[kernel.X], b[kernel.Y]]]) + np.outer(
            b[[kernel.LOW, kernel.HIGH]], b[[kernel.COSINE, kernel.SINE]]
        )
        ends -= a[[kernel.X, kernel.Y]]
        gaps = np.maximum(ends @ axis - a[kernel.HIGH], a[kernel.LOW] - ends @ axis)
        nearest = int(np.argmin(gaps))
        gap = gaps[nearest]
        side = abs(ends[nearest] @ np.array([-axis[1], axis[0]]))
        if not -kernel.MIN_LENGTH <= gap <= max_gap:
            return False
        if side > kernel.SIDE + kernel.SIDE_SLOPE * max(gap, 0):
            return False
    return True


def belongs(piece: F64, track: F64, max_gap: float) -> bool:
    """Tell whether a piece without a direction lies at the end of a track, and is like it."""
    low, high = sorted((piece[kernel.LIGHT], track[kernel.LIGHT]))
    axis = track[[kernel.COSINE, kernel.SINE]]
    place = piece[[kernel.X, kernel.Y]] - track[[kernel.X, kernel.Y]]
    gap = max(place @ axis - track[kernel.HIGH], track[kernel.LOW] - place @ axis)
    gap -= np.sqrt(piece[kernel.COUNT] / np.pi)
    side = abs(place @ np.array([-axis[1], axis[0]]))
    is_near = 0 <= gap <= max_gap and side <= kernel.SIDE + kernel.SIDE_SLOPE * gap
    return bool(is_near and high <= kernel.ALIKE * low)


def join_in_line(labels: I32, sums: I32, max_gap: int) -> I32:
    """Return labels, the same for pieces in one line, numbered anew."""
    axes = measure_axes(labels, sums)
    has_direction = axes[:, kernel.HIGH] - axes[:, kernel.LOW] >= kernel.MIN_LENGTH
    has_direction &= axes[:, kernel.LONG] >= kernel.MIN_ELONGATION * axes[:, kernel.WIDE]
    name = np.arange(len(axes))
    for i in np.flatnonzero(has_direction):
        for j in range(len(axes)):
            if has_direction[j]:
                is_one = i != j and are_in_line(axes[i], axes[j], max_gap)
            else:
                is_one = belongs(axes[j], axes[i], max_gap / 2)
            if is_one:
                low, high = sorted((name[i], name[j]))
                name[name == high] = low
    new = np.zeros(len(axes) + 1, np.int32)
    new[1:] = np.unique(name, return_inverse=True)[1] + 1 if len(axes) else 0
    return new[labels]
