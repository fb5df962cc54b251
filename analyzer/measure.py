"""Measure the clusters of a frame: light, place, extent and shape."""

from typing import Any

import numpy as np
import numpy.typing as npt

from analyzer.dtypes import CLUSTER, ClusterFlag
from analyzer.finding import Finding
from analyzer.kernels import frame as fk
from analyzer.kernels import measure as mk
from analyzer.levels import Levels
from analyzer.settings import AnalyzerSettings

Rows = npt.NDArray[Any]


def measure_clusters(
    frame: npt.NDArray[np.uint16],
    levels: Levels,
    settings: AnalyzerSettings,
    shift: npt.NDArray[np.int64],
    finding: Finding,
) -> Rows:
    """Return a row of `CLUSTER` for each cluster found, brightest first.

    :param frame: (rows, columns) uint16 [ADU].
    :param shift: (rows,) int64, common shift of each row [1/32 ADU].
    """
    sums = np.zeros((finding.found, mk.N_SUMS), np.int64)
    mk.sum_clusters(
        frame,
        levels.level,
        levels.noise,
        shift,
        settings.cimax,
        settings.nsigma,
        levels.rebin,
        finding.labels,
        finding.ys,
        finding.xs,
        finding.n_core,
        finding.n,
        sums,
    )
    x, y, theta, long_rms, lat_rms = principal_axes(sums)
    extent = np.empty((finding.found, 4))
    mk.extend_along_axes(
        finding.labels, finding.ys, finding.xs, finding.n_core, levels.rebin, x, y, theta, extent
    )
    clusters = np.zeros(finding.found, CLUSTER)
    clusters["sc_size"] = sums[:, mk.SIZE]
    clusters["sc_nhits"] = sums[:, mk.HITS]
    clusters["sc_nmacro"] = sums[:, mk.MACRO]
    clusters["sc_integral"] = sums[:, mk.LIGHT] / fk.SCALE
    size = np.maximum(sums[:, mk.CORE_SIZE], 1)
    mean = sums[:, mk.CORE_LIGHT] / size
    variance = np.maximum(sums[:, mk.CORE_SQUARES] / size - mean**2, 0)
    clusters["sc_rms"] = np.sqrt(variance) / fk.SCALE
    clusters["sc_xmean"], clusters["sc_ymean"] = x, y
    clusters["sc_xmin"], clusters["sc_xmax"] = sums[:, mk.X_MIN], sums[:, mk.X_MAX]
    clusters["sc_ymin"], clusters["sc_ymax"] = sums[:, mk.Y_MIN], sums[:, mk.Y_MAX]
    clusters["sc_length"] = extent[:, 1] - extent[:, 0] + levels.rebin
    clusters["sc_width"] = extent[:, 3] - extent[:, 2] + levels.rebin
    clusters["sc_theta"] = theta
    clusters["sc_longrms"], clusters["sc_latrms"] = long_rms, lat_rms
    _flag(clusters, levels, settings)
    return clusters[np.argsort(-clusters["sc_integral"], kind="stable")]


def _flag(clusters: Rows, levels: Levels, settings: AnalyzerSettings) -> None:
    rows, columns = levels.shape
    xmin, xmax, ymin, ymax = settings.acceptance(rows, columns)
    x, y = clusters["sc_xmean"], clusters["sc_ymean"]
    outside = (x < xmin) | (x >= xmax) | (y < ymin) | (y >= ymax)
    at_edge = (clusters["sc_xmin"] == 0) | (clusters["sc_xmax"] == columns - 1)
    at_edge |= (clusters["sc_ymin"] == 0) | (clusters["sc_ymax"] == rows - 1)
    clusters["flags"] = outside * np.uint16(ClusterFlag.OUTSIDE)
    clusters["flags"] |= at_edge * np.uint16(ClusterFlag.AT_EDGE)


def principal_axes(sums: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.float64], ...]:
    """Return mean x, mean y, angle of the main axis, rms along and across it.

    :param sums: (clusters, N_SUMS) int64 of ``sum_clusters``.
    :returns: five (clusters,) float64 arrays: pixel, pixel, rad in (-pi/2, pi/2], pixel, pixel.
        A cluster whose light sums to nothing has the middle of its box and no extent.
    """
    light = sums[:, mk.CORE_LIGHT].astype(np.float64)
    is_lit = light > 0
    weight = np.where(is_lit, light, 1.0)
    x = np.where(is_lit, sums[:, mk.SUM_X] / weight, (sums[:, mk.X_MIN] + sums[:, mk.X_MAX]) / 2)
    y = np.where(is_lit, sums[:, mk.SUM_Y] / weight, (sums[:, mk.Y_MIN] + sums[:, mk.Y_MAX]) / 2)
    xx = np.where(is_lit, sums[:, mk.SUM_XX] / weight - x**2, 0.0)
    yy = np.where(is_lit, sums[:, mk.SUM_YY] / weight - y**2, 0.0)
    xy = np.where(is_lit, sums[:, mk.SUM_XY] / weight - x * y, 0.0)
    theta = 0.5 * np.arctan2(2 * xy, xx - yy)
    middle = (xx + yy) / 2
    half = np.hypot((xx - yy) / 2, xy)
    long_rms = np.sqrt(np.maximum(middle + half, 0.0))
    lat_rms = np.sqrt(np.maximum(middle - half, 0.0))
    return x, y, theta, long_rms, lat_rms
