"""Twin of `analyzer.kernels.profile`: the profile of one cluster, and what it says."""

import numpy as np

from analyzer.kernels.arrays import F64


def project(place: F64, residual: F64, low: float, bins: int, bin_pixels: float) -> F64:
    """Return the light in each bin; what lies beyond goes to the nearest one.

    :param place: (pixels,) float64, from the centre [pixel]; `residual` of each [ADU].
    """
    target = np.clip(np.floor((place - low) / bin_pixels).astype(int), 0, bins - 1)
    return np.bincount(target, residual, bins).astype(np.float64)


def describe_profile(light: F64, low: float, bin_pixels: float) -> F64:
    """Return height, prominence, full width at half height, place and rms; see the kernel."""
    top = int(np.argmax(light))
    height = light[top]
    valleys = [side.min() for side in (light[:top], light[top + 1 :]) if side.size]
    valley = max([0.0, *valleys])
    padded = np.concatenate([[0.0], light, [0.0]])
    half, edges = height / 2, []
    for step in (-1, 1):
        index = top + 1
        while 0 < index + step < len(padded) - 1 and padded[index + step] >= half:
            index += step
        inner, outer = padded[index], padded[index + step]
        part = min((inner - half) / (inner - outer), 1.0) if inner > outer else 0.0
        edges.append(abs(index - top - 1) + part)
    places = (np.arange(light.size) + 0.5) * bin_pixels
    mean = np.average(places, weights=light) if light.sum() > 0 else 0.0
    spread = np.average((places - mean) ** 2, weights=light) if light.sum() > 0 else 0.0
    return np.array(
        [
            height / bin_pixels,
            max(height - valley, 0.0) / bin_pixels,
            sum(edges) * bin_pixels,
            low + (top + 0.5) * bin_pixels,
            np.sqrt(max(spread, 0.0)),
        ]
    )
