"""Find lit macro-pixels: significance of 3x3 macro-pixels, with CYGNO's rule of neighbours.

Three steps, each of a row and the rows beside it, follow each other so closely that all they need
stays in the core's cache. Rows have a rim of one macro-pixel that holds zero at either end, and the
frame a rim of such rows, so that no loop asks for edges.

Nearly all macro-pixels have all their pixels and are dark. So their scale is one number, with a
list of the others; and maps of the noise are read only where a part of a row may be lit.
"""

import numpy as np
from numba import njit

from analyzer.kernels.arrays import F32, I32, I64, U16
from analyzer.kernels.dbscan import SEED, WEIGHT
from analyzer.kernels.lean import lean

_f4 = np.float32  # numba widens to 64 bits unless told

PART = 192
"""Macro-pixels of a part of a row, of which all are dark as a rule."""

FULL = 0xFFFF
"""Highest significance of a part of a row, in its unit."""


_SAFE = 1 - 1e-5
"""More than the rounding of a significance: what is above a threshold is above that much of it."""


@lean
def _correct(sums: I32, scale: float, shift: float, limit: float, target: F32) -> int:
    """Turn sums of residuals [1/32 ADU] into means [ADU] without the shift of their row.

    :returns: how many of them are beyond `limit`, positive or negative.
    """
    unit, common, high = _f4(scale), _f4(shift), _f4(limit)
    far = np.int32(0)
    inner = target[1 : sums.shape[0] + 1]
    for column in range(inner.shape[0]):
        mean = _f4(_f4(_f4(sums[column]) * unit) - common)
        inner[column] = mean
        far += np.int32(abs(mean) > high)
    return int(far)


@lean
def _correct_odd(
    sums: I32, places: I32, scales: F32, shift: float, limit: float, target: F32
) -> int:
    """Do so for macro-pixels that lack pixels; 0 where all are missing."""
    far = np.int64(0)
    for index in range(places.shape[0]):
        place, scale = places[index], scales[index]
        mean = _f4(_f4(_f4(sums[place]) * scale) - _f4(shift)) if scale > 0 else _f4(0)
        target[place + 1] = mean
        far += np.int64(abs(mean) > _f4(limit))
    return int(far)


@lean
def _may_be_lit(column_sum: F32, least: float, n: int) -> bool:
    """Tell whether the sum of any 3x3 macro-pixels is above `least`."""
    left, middle, right = column_sum[:n], column_sum[1 : n + 1], column_sum[2 : n + 2]
    limit = _f4(least)
    lit = np.int32(0)
    for column in range(n):
        lit += np.int32(_f4(_f4(left[column] + right[column]) + middle[column]) > limit)
    return bool(lit > 0)


@lean
def _stack(above: F32, here: F32, below: F32, column_sum: F32) -> None:
    """Sum three rows."""
    for column in range(column_sum.shape[0]):
        column_sum[column] = _f4(_f4(above[column] + here[column]) + below[column])


@lean
def _flatten(here: F32, column_sum: F32, limit: float, target: F32) -> None:
    """Replace what differs from the mean of its eight neighbours by more than `limit`."""
    eighth = _f4(0.125)
    largest = _f4(limit)
    inner = target[1 : target.shape[0] - 1]
    n = inner.shape[0]
    left, middle, right = column_sum[:n], column_sum[1 : n + 1], column_sum[2 : n + 2]
    centres = here[1 : n + 1]
    for column in range(n):
        centre = centres[column]
        beside = _f4(left[column] + right[column])
        around = _f4(beside + _f4(middle[column] - centre))
        mean = _f4(around * eighth)
        inner[column] = mean if abs(_f4(centre - mean)) > largest else centre


@lean
def _weigh(column_sum: F32, significance: U16, unit: float, grow: float, sigmas: F32) -> int:
    """Work out the significance of 3x3 macro-pixels; return how many are lit."""
    n = sigmas.shape[0]
    left, middle, right = column_sum[:n], column_sum[1 : n + 1], column_sum[2 : n + 2]
    least = _f4(grow)
    step = _f4(unit)
    lit = np.int32(0)
    for column in range(n):
        box = _f4(_f4(left[column] + right[column]) + middle[column])
        sigmas[column] = _f4(box * _f4(_f4(significance[column]) * step))
        lit += np.int32(sigmas[column] > least)
    return int(lit)


@lean
def _list(
    here: F32,
    column_sum: F32,
    sigmas: F32,
    first: int,
    grow: float,
    least: float,
    xs: I32,
    marks: U16,
) -> int:
    """List the lit macro-pixels of a part of a row; return how many there are."""
    n = 0
    for column in range(sigmas.shape[0]):
        if sigmas[column] > _f4(grow):
            beside = _f4(column_sum[column] + column_sum[column + 2])
            box = _f4(beside + column_sum[column + 1])
            around = _f4(_f4(box - here[column + 1]) * _f4(0.125))
            weight = np.uint16(min(sigmas[column], _f4(WEIGHT)))
            marks[n] = weight | np.uint16(SEED) if around > _f4(least) else weight
            xs[n] = first + column
            n += 1
    return n


@lean
def _find(
    sums: I32,
    row_shift: F32,
    full: float,
    odd: I32,
    odd_scale: F32,
    significance: U16,
    unit: F32,
    spike_adu: float,
    grow_sigma: float,
    min_neighbors_average: float,
    ys: I32,
    xs: I32,
    marks: U16,
    lines: F32,
    place: I64,
    far: I64,
    sigmas: F32,
) -> int:
    """Do what `find_lit` does; `lines` and `sigmas` are room to work."""
    rows = sums.shape[0]
    # Five rows as they are, five flattened ones; `place` tells which of the two holds a row.
    column_sum = lines[10]
    limit = 0.5 * spike_adu
    n = 0
    for step in range(rows + 2):
        # Row `step` is corrected, the one above flattened, that above searched.
        here = step % 5
        above, beyond = (step + 4) % 5, (step + 3) % 5
        place[here] = here
        if step < rows:
            begin, end = odd[step], odd[step + 1]
            far[here] = _correct(sums[step], full, row_shift[step], limit, lines[here])
            far[here] += _correct_odd(
                sums[step],
                odd[rows + 1 + begin : rows + 1 + end],
                odd_scale[begin:end],
                row_shift[step],
                limit,
                lines[here],
            )
        else:
            lines[here] = 0
            far[here] = 0
        if 0 < step <= rows and far[here] + far[above] + far[beyond]:
            # Otherwise no difference can be that large.
            _stack(lines[beyond], lines[above], lines[here], column_sum)
            _flatten(lines[above], column_sum, spike_adu, lines[5 + above])
            place[above] = 5 + above
        row = step - 2
        if row < 0:
            continue
        centre = lines[place[beyond]]
        _stack(lines[place[(step + 2) % 5]], centre, lines[place[above]], column_sum)
        for index in range(unit.shape[1]):
            start = index * PART
            part = sigmas[start : start + PART]
            near = column_sum[start : start + PART + 2]
            step_sigma = unit[row, index]
            if step_sigma == 0:
                continue
            least = grow_sigma * _SAFE / (FULL * step_sigma)
            if _may_be_lit(near, least, part.shape[0]) and _weigh(
                near, significance[row, start : start + PART], step_sigma, grow_sigma, part
            ):
                beside = centre[start : start + PART + 2]
                found = _list(
                    beside,
                    near,
                    part,
                    start,
                    grow_sigma,
                    min_neighbors_average,
                    xs[n:],
                    marks[n:],
                )
                ys[n : n + found] = row
                n += found
    return n


@njit(nogil=True, cache=True)
def find_lit(
    sums: I32,
    row_shift: F32,
    full: float,
    odd: I32,
    odd_scale: F32,
    significance: U16,
    unit: F32,
    spike_adu: float,
    grow_sigma: float,
    min_neighbors_average: float,
    ys: I32,
    xs: I32,
    marks: U16,
) -> int:
    """List macro-pixels whose 3x3 mean is significant.

    Means of macro-pixels lose the common shift of their row; one that differs from the mean of its
    eight neighbours by more than `spike_adu` is replaced by that mean.

    :param sums: (rows, columns) int32, sums of the residuals of macro-pixels [1/32 ADU].
    :param row_shift: (rows,) float32, shift that is common to a row of macro-pixels [ADU].
    :param full: 1 / (32 * pixels of a macro-pixel).
    :param odd: (rows + 1 + n,) int32, macro-pixels that lack pixels: where those of each row begin,
        counted from 0, and where the last ends; then their columns.
    :param odd_scale: (n,) float32, their scales: 1 / (32 * good pixels), 0 where none is good.
    :param significance: (rows, columns) uint16, 1 / noise of the sum of 3x3 macro-pixels, in units
        of its `PART` of the row; 0 where nothing may be found.
    :param unit: (rows, parts) float32, that unit [1/ADU]: the highest of a part is `FULL` of it.
    :param grow_sigma: a macro-pixel is lit if the sum of it and its eight neighbours is above so
        many times its noise; at least 1.
    :param min_neighbors_average: least mean of the eight neighbours to start a cluster [ADU].
    :param ys: out, int32, rows of lit macro-pixels in the order of the raster; `xs` their columns.
    :param marks: out, uint16, their significance in whole sigmas, and `SEED` of ``dbscan`` where a
        cluster may start.
    :returns: how many there are.
    """
    lines = np.zeros((11, sums.shape[1] + 2), np.float32)
    sigmas = np.empty(sums.shape[1], np.float32)
    return _find(
        sums,
        row_shift,
        full,
        odd,
        odd_scale,
        significance,
        unit,
        spike_adu,
        grow_sigma,
        min_neighbors_average,
        ys,
        xs,
        marks,
        lines,
        np.arange(5),
        np.zeros(5, np.int64),
        sigmas,
    )
