"""Shapes of clusters: what their profiles along and across their axis say, paths, energies."""

import math

import numpy as np
from numba import njit

from analyzer.kernels import profile as pk
from analyzer.kernels.arrays import F32, F64, I32, Records, Row
from analyzer.kernels.axes import THETA, X, Y

BIN_PIXELS = 2.0
"""Bin of a profile: half a sigma of a 55Fe spot [pixel]."""


@njit(nogil=True, cache=True)
def describe_shapes(
    residuals: I32,
    noise: F32,
    gain: F32,
    labels: I32,
    ys: I32,
    xs: I32,
    axes: F64,
    extent: F64,
    setup: Row,
    clusters: Records,
) -> None:
    """Fill in what the profiles of clusters say; their pixels are those of `sc_size`.

    :param residuals: (macro-pixels, rebin, rebin) int32 of ``gather_residuals`` [1/32 ADU].
    :param noise: and `gain`, `labels`, `ys`, `xs`: see ``project_clusters``.
    :param axes: (N_AXES, clusters) float64 of ``find_axes``.
    :param extent: (clusters, 4) of ``extend_along_axes``, without the rim [pixel].
    :param setup: of `MEASURING`.
    :param clusters: in and out, fields of `dtypes.CLUSTER`, in the order of the labels, with their
        sums and lengths.
    """
    found = clusters.shape[0]
    x, y, theta = axes[X], axes[Y], axes[THETA]
    low, begin = np.empty(2 * found), np.zeros(2 * found + 1, np.int64)
    for k in range(found):
        # The corners of a macro-pixel reach farther than its side where the axis is oblique.
        oblique = abs(math.cos(theta[k])) + abs(math.sin(theta[k]))
        corner = 0.5 * residuals.shape[1] * oblique + setup.rim
        for side in range(2):
            place = 2 * k + side
            low[place] = extent[k, 2 * side] - corner
            reach = extent[k, 2 * side + 1] + corner - low[place]
            begin[place + 1] = begin[place] + max(math.ceil(reach / BIN_PIXELS), 1)
    light, variance = np.zeros(begin[2 * found]), np.zeros(begin[2 * found])
    corrected, length, path = np.zeros(found), np.empty(found), np.empty(found)
    shapes, fits = np.empty((2 * found, 5)), np.empty((2 * found, 5))
    for k in range(found):
        length[k] = clusters[k].sc_length
    lows = low.reshape((found, 2))
    pk.project_clusters(
        residuals,
        noise,
        gain,
        labels,
        ys,
        xs,
        x,
        y,
        theta,
        lows,
        begin,
        BIN_PIXELS,
        light,
        variance,
        corrected,
    )
    pk.describe_profiles(light, begin, low, BIN_PIXELS, shapes)
    pk.fit_gaussians(light, variance, begin, low, BIN_PIXELS, fits)
    pk.follow_paths(residuals, labels, ys, xs, x, y, theta, lows, length, path)
    for k in range(found):
        row = clusters[k]
        row.sc_corrintegral = corrected[k]
        row.sc_energy = corrected[k] / setup.adu_per_kev
        row.sc_pathlength = path[k]
        _fill_shapes(shapes[2 * k], shapes[2 * k + 1], row)
        _fill_fits(fits[2 * k], fits[2 * k + 1], row)


@njit(nogil=True, cache=True)
def _fill_shapes(along: F64, across: F64, row: Row) -> None:
    row.sc_lfullrms = along[pk.FULL_RMS]
    row.sc_tfullrms = across[pk.FULL_RMS]
    row.sc_lp0amplitude = along[pk.PEAK_AMPLITUDE]
    row.sc_lp0prominence = along[pk.PEAK_PROMINENCE]
    row.sc_lp0fwhm = along[pk.PEAK_WIDTH]
    row.sc_lp0mean = along[pk.PEAK_MEAN]
    row.sc_tp0fwhm = across[pk.PEAK_WIDTH]


@njit(nogil=True, cache=True)
def _fill_fits(along: F64, across: F64, row: Row) -> None:
    row.sc_lgaussamp = along[pk.AMPLITUDE]
    row.sc_lgaussmean = along[pk.MEAN]
    row.sc_lgausssigma = along[pk.SIGMA]
    row.sc_lchi2 = along[pk.CHI2]
    row.sc_lstatus = int(along[pk.STATUS])
    row.sc_tgaussamp = across[pk.AMPLITUDE]
    row.sc_tgaussmean = across[pk.MEAN]
    row.sc_tgausssigma = across[pk.SIGMA]
    row.sc_tchi2 = across[pk.CHI2]
    row.sc_tstatus = int(across[pk.STATUS])
