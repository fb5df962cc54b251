"""The light of round spots, 55Fe's above all: their integral, free of the threshold."""

import math

import numpy as np
from numba import njit

from analyzer.kernels.arrays import F64, I32, I64, U16, Records, Row
from analyzer.kernels.axes import X, Y
from analyzer.kernels.spot import LIGHT, weigh_spots

BRIGHT = 0.01
"""A spot whose sum has a noise below that part of it keeps the sum: what its wings lack is less."""
NOISES = 4.0
"""The sum over its pixels and the weighed light of a round spot differ by less than so many times
the noise of that sum,"""
PART = 0.01
"""and this part of the sum: a cluster that differs more has another shape, and keeps its sum."""


@njit(nogil=True, cache=True)
def weigh_round_spots(
    frame: U16,
    level: U16,
    shift: I64,
    labels: I32,
    axes: F64,
    setup: Row,
    clusters: Records,
) -> None:
    """Give round spots their integral, and what follows from it.

    :param frame: (rows, columns) uint16 [ADU]; `level`, `shift`, `labels`: see ``weigh_spots``.
    :param axes: (N_AXES, clusters) float64 of ``find_axes``.
    :param setup: of `MEASURING`.
    :param clusters: in and out, fields of `dtypes.CLUSTER` with sums and shapes, in the order of
        the labels.
    """
    found = clusters.shape[0]
    is_round, noise = np.zeros(found, np.uint8), np.empty(found)
    is_any = False
    for k in range(found):
        row = clusters[k]
        noise[k] = setup.pixel_noise * math.sqrt(row.sc_size)
        is_narrow = row.sc_longrms < setup.track_elongation * row.sc_latrms
        is_faint = row.sc_sum > 0 and noise[k] > BRIGHT * row.sc_sum
        if is_narrow and is_faint and row.sc_length <= setup.spot_length:
            is_round[k] = 1
            is_any = True
    if not is_any:
        return
    spots = np.empty((found, 2))
    weigh_spots(
        frame,
        level,
        shift,
        setup.cimax,
        labels,
        setup.rebin,
        is_round,
        axes[X],
        axes[Y],
        setup.spot_window,
        setup.spot_reach,
        spots,
    )
    for k in range(found):
        row = clusters[k]
        light, plain = spots[k, LIGHT], float(row.sc_sum)
        if abs(light - plain) < NOISES * noise[k] + PART * plain:  # false for nan
            factor = light / plain
            row.sc_integral = row.sc_integral * factor
            row.sc_corrintegral = row.sc_corrintegral * factor
            row.sc_energy = row.sc_energy * factor
