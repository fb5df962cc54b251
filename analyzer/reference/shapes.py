"""Twin of `analyzer.kernels.shapes`: the same in NumPy, on the profiles of kernels."""

from typing import Any

import numpy as np
import numpy.typing as npt

from analyzer.finding import Finding
from analyzer.kernels import profile as pk
from analyzer.kernels.shapes import BIN_PIXELS
from analyzer.levels import Levels
from analyzer.settings import AnalyzerSettings

Rows = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]


def describe_shapes(
    clusters: Rows,
    residuals: npt.NDArray[np.int32],
    levels: Levels,
    settings: AnalyzerSettings,
    finding: Finding,
    axes: tuple[Floats, Floats, Floats],
    extent: Floats,
) -> None:
    """Fill in what the profiles of clusters say; their pixels are those of `sc_size`.

    :param clusters: rows of `CLUSTER`, in the order of the labels.
    :param residuals: (macro-pixels, rebin, rebin) int32 of ``gather_residuals`` [1/32 ADU].
    :param axes: x and y of the centres [pixel], angle of the main axes [rad].
    :param extent: (clusters, 4) of ``extend_along_axes``, without the rim [pixel].
    """
    x, y, theta = axes
    rim = settings.margin_macro * levels.rebin
    half = 0.5 * levels.rebin
    # The corners of a macro-pixel reach farther than its side where the axis is oblique.
    corner = half * (np.abs(np.cos(theta)) + np.abs(np.sin(theta))) + rim
    low = np.stack([extent[:, 0] - corner, extent[:, 2] - corner], axis=1)
    high = np.stack([extent[:, 1] + corner, extent[:, 3] + corner], axis=1)
    bins = np.maximum(np.ceil((high - low) / BIN_PIXELS), 1).astype(np.int64)
    begin = np.concatenate([[0], np.cumsum(bins.reshape(-1))])
    light, variance = np.zeros(begin[-1]), np.zeros(begin[-1])
    corrected = np.zeros(finding.found)
    pk.project_clusters(
        residuals,
        levels.noise,
        levels.vignetting.gain,
        finding.labels,
        finding.ys,
        finding.xs,
        x,
        y,
        theta,
        low,
        begin,
        BIN_PIXELS,
        light,
        variance,
        corrected,
    )
    shapes, fits = np.empty((2 * finding.found, 5)), np.empty((2 * finding.found, 5))
    pk.describe_profiles(light, begin, low.reshape(-1), BIN_PIXELS, shapes)
    pk.fit_gaussians(light, variance, begin, low.reshape(-1), BIN_PIXELS, fits)
    path = np.empty(finding.found)
    length = clusters["sc_length"].astype(np.float64)
    pk.follow_paths(
        residuals,
        finding.labels,
        finding.ys,
        finding.xs,
        x,
        y,
        theta,
        low,
        length,
        path,
    )
    clusters["sc_corrintegral"] = corrected
    clusters["sc_energy"] = corrected / settings.adu_per_kev
    clusters["sc_pathlength"] = path
    along, across = shapes[0::2], shapes[1::2]
    clusters["sc_lfullrms"] = along[:, pk.FULL_RMS]
    clusters["sc_tfullrms"] = across[:, pk.FULL_RMS]
    clusters["sc_lp0amplitude"] = along[:, pk.PEAK_AMPLITUDE]
    clusters["sc_lp0prominence"] = along[:, pk.PEAK_PROMINENCE]
    clusters["sc_lp0fwhm"] = along[:, pk.PEAK_WIDTH]
    clusters["sc_lp0mean"] = along[:, pk.PEAK_MEAN]
    clusters["sc_tp0fwhm"] = across[:, pk.PEAK_WIDTH]
    for letter, fit in (("l", fits[0::2]), ("t", fits[1::2])):
        clusters[f"sc_{letter}gaussamp"] = fit[:, pk.AMPLITUDE]
        clusters[f"sc_{letter}gaussmean"] = fit[:, pk.MEAN]
        clusters[f"sc_{letter}gausssigma"] = fit[:, pk.SIGMA]
        clusters[f"sc_{letter}chi2"] = fit[:, pk.CHI2]
        clusters[f"sc_{letter}status"] = fit[:, pk.STATUS]
