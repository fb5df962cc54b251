"""Twin of `analyzer.kernels.clusters`: the same in NumPy, on the sums and profiles of kernels."""

from typing import Any

import numpy as np
import numpy.typing as npt

from analyzer.dtypes import CLUSTER, ClusterFlag
from analyzer.finding import Finding
from analyzer.kernels import measure as mk
from analyzer.kernels.kinds import FE55_KEV
from analyzer.kernels.residual import SCALE
from analyzer.levels import Levels
from analyzer.reference.round_spots import weigh_round_spots
from analyzer.reference.shapes import describe_shapes
from analyzer.settings import AnalyzerSettings

Rows = npt.NDArray[Any]


def measure_clusters(
    residuals: npt.NDArray[np.int32],
    levels: Levels,
    settings: AnalyzerSettings,
    finding: Finding,
    source: tuple[npt.NDArray[np.uint16], npt.NDArray[np.int64]],
) -> Rows:
    """Return a row of `CLUSTER` for each cluster found, in the order of the labels.

    :param residuals: (macro-pixels, rebin, rebin) int32 of ``gather_residuals`` [1/32 ADU].
    :param source: the frame, (rows, columns) uint16 [ADU], and the common shift of each of its
        rows, (rows,) int64 [1/32 ADU].
    """
    sums = np.zeros((finding.found, mk.N_SUMS), np.int64)
    mk.sum_clusters(
        residuals,
        levels.noise,
        settings.nsigma,
        finding.labels,
        finding.ys,
        finding.xs,
        finding.n_core,
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
    clusters["sc_sum"] = clusters["sc_integral"] = sums[:, mk.LIGHT] / SCALE
    size = np.maximum(sums[:, mk.CORE_SIZE], 1)
    mean = sums[:, mk.CORE_LIGHT] / size
    variance = np.maximum(sums[:, mk.CORE_SQUARES] / size - mean**2, 0)
    clusters["sc_rms"] = np.sqrt(variance) / SCALE
    clusters["sc_xmean"], clusters["sc_ymean"] = x, y
    clusters["sc_xmin"], clusters["sc_xmax"] = sums[:, mk.X_MIN], sums[:, mk.X_MAX]
    clusters["sc_ymin"], clusters["sc_ymax"] = sums[:, mk.Y_MIN], sums[:, mk.Y_MAX]
    clusters["sc_length"] = extent[:, 1] - extent[:, 0] + levels.rebin
    clusters["sc_width"] = extent[:, 3] - extent[:, 2] + levels.rebin
    clusters["sc_theta"] = theta
    clusters["sc_longrms"], clusters["sc_latrms"] = long_rms, lat_rms
    both = np.maximum(long_rms**2 - lat_rms**2, 0) * np.sin(2 * theta) / 2
    spread_x = (long_rms * np.cos(theta)) ** 2 + (lat_rms * np.sin(theta)) ** 2
    spread_y = (long_rms * np.sin(theta)) ** 2 + (lat_rms * np.cos(theta)) ** 2
    product = np.sqrt(spread_x * spread_y)
    clusters["sc_pearson"] = np.divide(both, product, where=product > 0, out=np.zeros_like(both))
    describe_shapes(clusters, residuals, levels, settings, finding, (x, y, theta), extent)
    if settings.spot_reach:
        weigh_round_spots(clusters, source, levels, settings, finding)
    flag_clusters(clusters, levels, settings)
    return clusters


def flag_clusters(clusters: Rows, levels: Levels, settings: AnalyzerSettings) -> None:
    """Fill in the flags of clusters: what they look like, and where they lie."""
    rows, columns = levels.shape
    xmin, xmax, ymin, ymax = settings.acceptance(rows, columns)
    x, y = clusters["sc_xmean"], clusters["sc_ymean"]
    outside = (x < xmin) | (x >= xmax) | (y < ymin) | (y >= ymax)
    at_edge = (clusters["sc_xmin"] == 0) | (clusters["sc_xmax"] == columns - 1)
    at_edge |= (clusters["sc_ymin"] == 0) | (clusters["sc_ymax"] == rows - 1)
    clusters["flags"] = outside * np.uint16(ClusterFlag.OUTSIDE)
    clusters["flags"] |= at_edge * np.uint16(ClusterFlag.AT_EDGE)
    for flag, applies in _kinds(clusters, settings).items():
        clusters["flags"] |= applies * np.uint16(flag)


def _kinds(clusters: Rows, settings: AnalyzerSettings) -> dict[ClusterFlag, npt.NDArray[np.bool_]]:
    """Tell what clusters look like."""
    length, light = clusters["sc_length"], clusters["sc_integral"]
    density = light / np.maximum(clusters["sc_nhits"], 1)
    elongation = clusters["sc_longrms"] / np.maximum(clusters["sc_latrms"], 1e-3)
    is_spark = light > settings.spark_adu
    is_spot = (length <= settings.spot_length) & (elongation < 2 * settings.track_elongation)
    is_spot &= ~is_spark
    distance = np.abs(clusters["sc_energy"] / FE55_KEV - 1)
    is_dense = density > settings.alpha_density
    return {
        ClusterFlag.SPOT: is_spot,
        ClusterFlag.FE55: is_spot & (distance < settings.fe55_window),
        ClusterFlag.ALPHA: ~is_spot & ~is_spark & is_dense & (length > settings.alpha_length),
        ClusterFlag.MUON: (density < settings.muon_density) & (length > settings.muon_length),
        ClusterFlag.SPARK: is_spark,
    }


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
