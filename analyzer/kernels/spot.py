"""Weigh the light of round spots: up to some sigmas, over what a Gaussian has there.

The sum over the pixels above a threshold loses the wings of a spot, the more the fainter and the
wider it is, and gains by noise, as what noise lifts over the threshold is summed. Here neither the
middle nor the width asks which pixels are over threshold: both come from a window of fixed size.
"""

import numpy as np
from numba import njit

from analyzer.kernels.arrays import F64, I32, I64, U8, U16
from analyzer.kernels.residual import DEFECT, SCALE

HALF = 40
"""Half of the side of what is looked at around a spot [pixel]."""
STEPS = 5
"""Moves of the window; the last one is about 0.01 pixel."""
STEP = 1.5
"""A window as wide as the spot sees half of its own distance from the middle."""
MOST_MOVE = 6.0
"""A window that moves farther has found something else [pixel]."""
LEAST_SIGMA, MOST_SIGMA = 1.2, 9.0
"""Range of widths that a window of 5 pixels tells [pixel]."""
WIDTHS = 3.6
"""The window ends at so many of its sigmas."""
LEAST_SEEN = 0.95
"""Part of the weight that must be on pixels that can be used."""
LIGHT, SIGMA = range(2)
"""Columns of the result."""


@njit(nogil=True, cache=True)
def _gather(
    frame: U16,
    level: U16,
    shift: I64,
    cimax: int,
    labels: I32,
    rebin: int,
    label: int,
    y0: int,
    x0: int,
    values: F64,
    good: U8,
) -> None:
    """Copy the residuals around a pixel; those of other clusters and defects are no good."""
    good[:] = 0
    begin = max(0, x0 - HALF)
    end = min(frame.shape[1], x0 + HALF + 1)
    step = 1.0 / SCALE
    for i in range(values.shape[0]):
        y = y0 + i - HALF
        if y < 0 or y >= frame.shape[0]:
            continue
        whose = labels[y // rebin]
        place = begin // rebin
        x = begin
        while x < end:  # macro-pixel by macro-pixel: a division for each pixel takes long
            last = min(end, (place + 1) * rebin)
            if whose[place] == 0 or whose[place] == label:
                for column in range(x, last):
                    value = np.int32(frame[y, column])
                    pedestal = np.int32(level[y, column])
                    residual = value * np.int32(SCALE) - pedestal - np.int32(shift[y])
                    j = column - x0 + HALF
                    values[i, j] = residual * step
                    good[i, j] = (pedestal != np.int32(DEFECT)) & (value < np.int32(cimax))
            x = last
            place += 1


@njit(nogil=True, cache=True)
def _look(
    values: F64, good: U8, y: float, x: float, window: float, weights: F64, moments: F64
) -> None:
    """Sum within a Gaussian window: weights, light, its y and x, and its square distance."""
    total = light = first_y = first_x = second = 0.0
    reach = int(WIDTHS * window)
    middle_y = int(np.rint(y))
    middle_x = int(np.rint(x))
    first = max(0, middle_x - reach)
    last = min(values.shape[1], middle_x + reach + 1)
    for j in range(first, last):
        weights[j] = np.exp(-((j - x) ** 2) / (2.0 * window * window))
    for i in range(max(0, middle_y - reach), min(values.shape[0], middle_y + reach + 1)):
        dy = i - y
        of_row = np.exp(-dy * dy / (2.0 * window * window))
        for j in range(first, last):
            dx = j - x
            weight = of_row * weights[j] * good[i, j]
            part = weight * values[i, j]
            total += weight
            light += part
            first_y += part * dy
            first_x += part * dx
            second += part * (dy * dy + dx * dx)
    moments[0], moments[1], moments[2] = total, light, first_y
    moments[3], moments[4] = first_x, second


@njit(nogil=True, cache=True)
def _weigh(
    values: F64, good: U8, y: float, x: float, sigma: float, reach: float, weights: F64
) -> float:
    """Return the weighted light over the weighted Gaussian; nan where too much is missing.

    The weight falls from 1 to 0 about `reach` sigmas: an edge would count each pixel or not.
    """
    light = 0.0
    gaussian = 0.0
    missing = 0.0
    farthest = (1.35 * reach * sigma) ** 2
    side = int(np.sqrt(farthest)) + 1
    middle_y = int(np.rint(y))
    middle_x = int(np.rint(x))
    first = max(0, middle_x - side)
    last = min(values.shape[1], middle_x + side + 1)
    half = 0.5 / (sigma * sigma)
    for j in range(first, last):
        weights[j] = np.exp(-half * (j - x) ** 2)
    shrink = 1.0 / (sigma * sigma * reach * reach)
    for i in range(max(0, middle_y - side), min(values.shape[0], middle_y + side + 1)):
        of_row = np.exp(-half * (i - y) ** 2)
        for j in range(first, last):
            square = (i - y) ** 2 + (j - x) ** 2
            if square < farthest:
                edge = square * shrink
                weight = np.exp(-edge * edge * edge)
                expected = weight * of_row * weights[j]
                if good[i, j]:
                    light += weight * values[i, j]
                    gaussian += expected
                else:
                    missing += expected
    if gaussian < LEAST_SEEN * (gaussian + missing):
        return np.nan
    return light / gaussian * 2.0 * np.pi * sigma * sigma


@njit(nogil=True, cache=True)
def weigh_spots(
    frame: U16,
    level: U16,
    shift: I64,
    cimax: int,
    labels: I32,
    rebin: int,
    chosen: U8,
    x: F64,
    y: F64,
    window: float,
    reach: float,
    spots: F64,
) -> None:
    """Work out light and width of spots.

    :param frame: (rows, columns) uint16 [ADU].
    :param level: (rows, columns) uint16, pedestal mean [1/32 ADU] or `DEFECT`.
    :param shift: (rows,) int64, common shift of each row [1/32 ADU].
    :param cimax: pixels of at least this [ADU] are saturated.
    :param labels: (macro rows, macro columns) int32, from 1; `rebin` pixels a side.
    :param chosen: (clusters,) uint8, 1 for those to weigh.
    :param x: (clusters,) float64, column of their middle [pixel]; `y` the row.
    :param window: sigma of the window for middle and width [pixel].
    :param reach: light is summed up to about so many sigmas.
    :param spots: out, (clusters, 2) float64: light [ADU] and sigma [pixel], nan for those that are
        not chosen, too wide, too narrow, or hidden in part.
    """
    side = 2 * HALF + 1
    values = np.zeros((side, side))
    good = np.zeros((side, side), np.uint8)
    weights = np.zeros(side)
    moments = np.zeros(5)
    spots[:] = np.nan
    for k in range(chosen.shape[0]):
        if not chosen[k]:
            continue
        y0 = int(np.rint(y[k]))
        x0 = int(np.rint(x[k]))
        _gather(frame, level, shift, cimax, labels, rebin, k + 1, y0, x0, values, good)
        at_y = y[k] - y0 + HALF
        at_x = x[k] - x0 + HALF
        begin_y = at_y
        begin_x = at_x
        is_lost = False
        for _ in range(STEPS):
            _look(values, good, at_y, at_x, window, weights, moments)
            if moments[1] <= 0.0:
                is_lost = True
                break
            at_y += STEP * moments[2] / moments[1]
            at_x += STEP * moments[3] / moments[1]
            if (at_y - begin_y) ** 2 + (at_x - begin_x) ** 2 > MOST_MOVE * MOST_MOVE:
                is_lost = True
                break
        if is_lost:
            continue
        _look(values, good, at_y, at_x, window, weights, moments)
        seen = moments[0] / (2.0 * np.pi * window * window)
        if moments[1] <= 0.0 or moments[4] <= 0.0 or seen < LEAST_SEEN:
            continue
        # The product of two Gaussians: their inverse variances add up.
        inverse = 2.0 * moments[1] / moments[4] - 1.0 / (window * window)
        if inverse < 1.0 / MOST_SIGMA**2 or inverse > 1.0 / LEAST_SIGMA**2:
            continue
        sigma = 1.0 / np.sqrt(inverse)
        spots[k, LIGHT] = _weigh(values, good, at_y, at_x, sigma, reach, weights)
        spots[k, SIGMA] = sigma
