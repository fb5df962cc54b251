"""From a raw frame to its lit macro-pixels, in one call."""

import numpy as np
from numba import njit

from analyzer.kernels.arrays import F32, I32, I64, U16
from analyzer.kernels.detect import find_lit
from analyzer.kernels.frame import find_shifts, rebin_frame
from analyzer.kernels.lean import lean
from analyzer.kernels.residual import SCALE


@lean
def average_shifts(shift: I64, rebin: int, row_shift: F32) -> None:
    """Average the rows' shifts [1/32 ADU] over rows of macro-pixels [ADU].

    The frame's last row counts for those that are missing in the last row of macro-pixels.
    """
    last = shift.shape[0] - 1
    for macro_row in range(row_shift.shape[0]):
        total = 0
        for row in range(macro_row * rebin, (macro_row + 1) * rebin):
            total += shift[min(row, last)]
        row_shift[macro_row] = np.float32(total / (rebin * SCALE))


@njit(nogil=True, cache=True)
def search_frame(
    frame: U16,
    level: U16,
    cimax: int,
    clip: int,
    rebin: int,
    shift_limit: int,
    full: float,
    odd: I32,
    odd_scale: F32,
    significance: U16,
    unit: F32,
    spike_adu: float,
    grow_sigma: float,
    min_neighbors_average: float,
    sums: I32,
    rows: I64,
    shift: I64,
    ys: I32,
    xs: I32,
    marks: U16,
) -> tuple[int, int]:
    """Rebin a frame and list its lit macro-pixels: see `rebin_frame`, `find_shifts`, `find_lit`.

    :param shift_limit: largest shift of a row [1/32 ADU].
    :param sums: out, and `rows`, of `rebin_frame`; `shift`, (rows,) int64, of `find_shifts`.
    :returns: how many macro-pixels are lit, and the sum of all [1/32 ADU].
    """
    light = rebin_frame(frame, level, cimax, clip, rebin, sums, rows)
    find_shifts(rows, shift_limit, shift)
    row_shift = np.empty(sums.shape[0], np.float32)
    average_shifts(shift, rebin, row_shift)
    n = find_lit(
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
    )
    return n, light
