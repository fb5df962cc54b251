"""From the labelled macro-pixels of a frame to rows of clusters and statistics, in one call."""

import math

import numpy as np
from numba import njit

from analyzer.kernels import measure as mk
from analyzer.kernels.arrays import F32, F64, I32, I64, U16, Records
from analyzer.kernels.axes import LAT_RMS, LONG_RMS, N_AXES, THETA, X, Y, find_axes
from analyzer.kernels.describe import describe_frame
from analyzer.kernels.frame import find_shifts
from analyzer.kernels.kinds import flag_clusters
from analyzer.kernels.lean import lean
from analyzer.kernels.pixels import gather_residuals
from analyzer.kernels.residual import SCALE
from analyzer.kernels.round_spots import weigh_round_spots
from analyzer.kernels.shapes import describe_shapes


@njit(nogil=True, cache=True)
def measure_frame(
    frame: U16,
    level: U16,
    noise: F32,
    gain: F32,
    setups: Records,
    labels: I32,
    ys: I32,
    xs: I32,
    n_core: int,
    n: int,
    flags: int,
    rows: I64,
    shift: I64,
    residuals: I32,
    order: I64,
    clusters: Records,
    events: Records,
) -> None:
    """Measure a frame and its clusters.

    The steps are ``exclude_clusters``, ``find_shifts``, ``gather_residuals``, ``sum_clusters``,
    ``find_axes``, ``extend_along_axes``, ``describe_shapes``, ``weigh_round_spots``,
    ``flag_clusters`` and ``describe_frame``, which say what they need.

    :param frame: (rows, columns) uint16 [ADU].
    :param setups: one row of `MEASURING`.
    :param labels: and `ys`, `xs`, `n_core`, `n`: what was found; see `analyzer.finding.Finding`.
    :param flags: of the event, so far.
    :param rows: in and out, the row statistics of ``rebin_frame``; `shift`, (rows,) int64, likewise
        of ``find_shifts``.
    :param residuals: out, (n, rebin, rebin) int32 of ``gather_residuals`` [1/32 ADU].
    :param order: out, (clusters,) int64: label - 1 of each cluster, brightest first.
    :param clusters: out, rows of zeros with the fields of `dtypes.CLUSTER`, brightest first.
    :param events: out, a row of zeros with the fields of `dtypes.EVENT`.
    """
    setup = setups[0]
    found = clusters.shape[0]
    if found:
        mk.exclude_clusters(frame, level, setup.cimax, setup.clip, setup.rebin, ys, xs, n, rows)
        find_shifts(rows, setup.shift_limit, shift)
        gather_residuals(frame, level, shift, setup.cimax, ys, xs, residuals)
        sums, axes = np.zeros((found, mk.N_SUMS), np.int64), np.empty((N_AXES, found))
        extent = np.empty((found, 4))
        mk.sum_clusters(residuals, noise, setup.nsigma, labels, ys, xs, n_core, sums)
        find_axes(sums, axes)
        x, y, theta = axes[X], axes[Y], axes[THETA]
        mk.extend_along_axes(labels, ys, xs, n_core, setup.rebin, x, y, theta, extent)
        measured = clusters.copy()
        _fill_sums(sums, measured)
        _fill_axes(axes, extent, setup.rebin, measured)
        describe_shapes(residuals, noise, gain, labels, ys, xs, axes, extent, setup, measured)
        if setup.spot_reach > 0:
            weigh_round_spots(frame, level, shift, labels, axes, setup, measured)
        flag_clusters(frame.shape[0], frame.shape[1], setup, measured)
        _sort(measured, order, clusters)
    describe_frame(rows, frame.shape[1], flags, setup, clusters, events[0])


@lean
def _fill_sums(sums: I64, clusters: Records) -> None:
    """Fill in light, size and place."""
    for k in range(clusters.shape[0]):
        row, given = clusters[k], sums[k]
        size = max(given[mk.CORE_SIZE], 1)
        mean = given[mk.CORE_LIGHT] / size
        row.sc_size = given[mk.SIZE]
        row.sc_nhits = given[mk.HITS]
        row.sc_nmacro = given[mk.MACRO]
        row.sc_sum = given[mk.LIGHT] / SCALE
        row.sc_integral = row.sc_sum
        row.sc_rms = math.sqrt(max(given[mk.CORE_SQUARES] / size - mean * mean, 0.0)) / SCALE
        row.sc_xmin = given[mk.X_MIN]
        row.sc_xmax = given[mk.X_MAX]
        row.sc_ymin = given[mk.Y_MIN]
        row.sc_ymax = given[mk.Y_MAX]


@lean
def _fill_axes(axes: F64, extent: F64, rebin: int, clusters: Records) -> None:
    """Fill in centre, main axis and extent."""
    for k in range(clusters.shape[0]):
        row = clusters[k]
        theta, long_rms, lat_rms = axes[THETA, k], axes[LONG_RMS, k], axes[LAT_RMS, k]
        cosine, sine = math.cos(theta), math.sin(theta)
        both = max(long_rms**2 - lat_rms**2, 0.0) * math.sin(2 * theta) / 2
        spread_x = (long_rms * cosine) ** 2 + (lat_rms * sine) ** 2
        spread_y = (long_rms * sine) ** 2 + (lat_rms * cosine) ** 2
        product = math.sqrt(spread_x * spread_y)
        row.sc_xmean = axes[X, k]
        row.sc_ymean = axes[Y, k]
        row.sc_theta = theta
        row.sc_longrms = long_rms
        row.sc_latrms = lat_rms
        row.sc_length = extent[k, 1] - extent[k, 0] + rebin
        row.sc_width = extent[k, 3] - extent[k, 2] + rebin
        row.sc_pearson = both / product if product > 0.0 else 0.0


@lean
def _sort(measured: Records, order: I64, clusters: Records) -> None:
    """Put clusters in order, brightest first, of equal ones the lowest label first."""
    for k in range(measured.shape[0]):
        light = measured[k].sc_integral
        place = k
        while place > 0 and measured[order[place - 1]].sc_integral < light:
            order[place] = order[place - 1]
            place -= 1
        order[place] = k
    for place in range(measured.shape[0]):
        clusters[place] = measured[order[place]]
