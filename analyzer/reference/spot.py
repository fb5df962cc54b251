"""Twin of `analyzer.kernels.spot`."""

import numpy as np
import numpy.typing as npt

from analyzer.kernels.arrays import F64
from analyzer.kernels.spot import (
    LEAST_SEEN,
    LEAST_SIGMA,
    MOST_MOVE,
    MOST_SIGMA,
    STEP,
    STEPS,
    WIDTHS,
)

Good = npt.NDArray[np.bool_]


def weigh_spot(
    values: F64, good: Good, y: float, x: float, window: float, reach: float
) -> tuple[float, float]:
    """Return light [ADU] and sigma [pixel] of a spot, nan where they cannot be told.

    :param values: (rows, columns) float64, residuals of the whole frame [ADU].
    :param good: (rows, columns) bool, pixels that may be used for this spot.
    """
    rows, columns = np.indices(values.shape)
    begin = y, x

    def look() -> tuple[float, float, float, float, float]:
        dy, dx = rows - y, columns - x
        near = np.maximum(np.abs(rows - np.rint(y)), np.abs(columns - np.rint(x)))
        weight = np.exp(-(dy**2 + dx**2) / (2 * window**2)) * (near <= int(WIDTHS * window)) * good
        light = weight * values
        parts = weight, light, light * dy, light * dx, light * (dy**2 + dx**2)
        return tuple(float(part.sum()) for part in parts)  # type: ignore[return-value]

    for _ in range(STEPS):
        _, light, at_y, at_x, _ = look()
        if light <= 0:
            return np.nan, np.nan
        y, x = y + STEP * at_y / light, x + STEP * at_x / light
        if np.hypot(y - begin[0], x - begin[1]) > MOST_MOVE:
            return np.nan, np.nan
    weight, light, _, _, square = look()
    if light <= 0 or square <= 0 or weight / (2 * np.pi * window**2) < LEAST_SEEN:
        return np.nan, np.nan
    inverse = 2 * light / square - 1 / window**2
    if not 1 / MOST_SIGMA**2 <= inverse <= 1 / LEAST_SIGMA**2:
        return np.nan, np.nan
    distance = np.hypot(rows - y, columns - x) * np.sqrt(inverse)
    edge = np.exp(-((distance / reach) ** 6)) * (distance < 1.35 * reach)
    expected = edge * np.exp(-0.5 * distance**2)
    sigma = 1 / float(np.sqrt(inverse))
    if expected[good].sum() < LEAST_SEEN * expected.sum():
        return np.nan, sigma
    weighed = (edge * values)[good].sum() / expected[good].sum()
    return float(weighed) * 2 * np.pi / inverse, sigma
