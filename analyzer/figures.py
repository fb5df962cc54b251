"""The quality figures of a run, worked out from its sums.

`analyzer.figure_table` says what they are.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np

from analyzer.dtypes import EventFlag
from analyzer.exact import Moments
from analyzer.figure_table import (
    CAMERA_FIGURES,
    FIGURES,
    IMAGE_QUANTITIES,
    PMT_QUANTITIES,
    image_key,
    pmt_key,
    slow_std_key,
)
from analyzer.kernels.kinds import FE55_KEV
from analyzer.limits import Limit, violated, violated_by_cameras
from analyzer.quality import RunQuality
from analyzer.spectrum import PeakFit
from analyzer.trigger_record import TriggerRecord

CYGNO_LIVE_FACTOR: Final = 0.58
CYGNO_LY_SLOPE: Final = 0.07513
CYGNO_LY_OFFSET_ADU: Final = -1324.9
"""``reco2sql.py``: ltime = (stop - start) * 0.58; LY = 0.07513 * mean(sc_integral) - 1324.9."""


def figures_of(
    quality: RunQuality,
    fit: PeakFit,
    record: TriggerRecord,
    at_begin: Mapping[str, float],
    exposure_s: float,
    duration_s: float | None,
    pedestals: Mapping[int, Mapping[str, Any]],
    limits: Mapping[str, Limit],
    hot: Mapping[int, int],
) -> dict[str, Any]:
    """Return the figures of a run: key -> value, None where nothing is known.

    :param fit: of `quality`'s spectrum.
    :param at_begin: slow quantity -> what the ODB said at begin of run.
    :param pedestals: camera -> summary of its pedestal.
    :param limits: quantity -> its limits.
    :param hot: camera -> macro-pixels with pixels that turned hot.
    """
    values = dict(_figures(quality, fit, record, at_begin, exposure_s, duration_s, pedestals))
    values["hot_pixels"] = sum(hot.values()) if hot else None
    plain = {figure.key: _plain(values.get(figure.key), figure.kind) for figure in FIGURES}
    cameras = _of_each_camera(quality, pedestals, hot)
    beyond = [
        quantity.figure
        for quantity in violated(plain, limits)
        if not (cameras and quantity.of_cameras)
    ]
    beyond += [
        f"cam{camera}_{quantity.figure}"
        for camera, quantity in violated_by_cameras(cameras, limits)
    ]
    plain["limits_violated"] = ",".join(beyond)
    return plain


def camera_figures(
    quality: RunQuality, pedestals: Mapping[int, Mapping[str, Any]], hot: Mapping[int, int]
) -> dict[str, Any]:
    """Return the figures of each camera, ``cam<i>_`` before their keys; none of a single one."""
    return {
        f"cam{camera}_{key}": value
        for camera, figures in _of_each_camera(quality, pedestals, hot).items()
        for key, value in figures.items()
    }


def _of_each_camera(
    quality: RunQuality, pedestals: Mapping[int, Mapping[str, Any]], hot: Mapping[int, int]
) -> dict[int, dict[str, Any]]:
    """Return camera -> figure -> value; nothing where there is one camera alone."""
    if len(quality.cameras) < 2:
        return {}
    found: dict[int, dict[str, Any]] = {}
    for camera, quantities in sorted(quality.cameras.items()):
        known: dict[str, Any] = {image_key(name): m.mean for name, m in quantities.items()}
        known["frames"] = quantities["noise"].count
        known["defects"] = pedestals.get(camera, {}).get("defects")
        known["hot_pixels"] = hot.get(camera)
        found[camera] = {key: _plain(known[key], kind) for key, (kind, _) in CAMERA_FIGURES.items()}
    return found


def _plain(value: Any, kind: type) -> Any:
    """Return a value as JSON has it; what is not finite is not known."""
    if value is None or (isinstance(value, float | np.floating) and not math.isfinite(value)):
        return None
    return kind(value)


def _figures(
    quality: RunQuality,
    fit: PeakFit,
    record: TriggerRecord,
    at_begin: Mapping[str, float],
    exposure_s: float,
    duration_s: float | None,
    pedestals: Mapping[int, Mapping[str, Any]],
) -> Iterator[tuple[str, Any]]:
    counts, flagged = quality.counts, quality.flagged
    exposed_s = counts["frames"] * exposure_s or math.nan
    for key in ("frames", "empty_frames", "spark_frames", "triggers"):
        yield key, counts[key]
    yield "cameras", len(quality.cameras)
    bad = (EventFlag.NO_CAMERA, EventFlag.BAD_FRAME, EventFlag.FAILED)
    yield "bad_frames", sum(flagged[flag] for flag in bad)
    yield "fallback_frames", flagged[EventFlag.FALLBACK_PEDESTAL]
    looked_at = counts["frames"] + sum(flagged[flag] for flag in bad)
    if looked_at:
        yield "bad_percent", 100 - 100 * counts["frames"] / looked_at
    if counts["frames"]:
        yield "spark_percent", 100 * counts["spark_frames"] / counts["frames"]
    yield "cut_short_frames", flagged[EventFlag.CUT_SHORT]
    for quantity in IMAGE_QUANTITIES:
        moments = quality.image(quantity)
        yield image_key(quantity), moments.mean
        yield image_key(quantity, "std"), moments.sigma
    yield "defects", sum(used["defects"] for used in pedestals.values()) if pedestals else None
    if pedestals:
        first = pedestals[min(pedestals)]
        yield "pedestal_noise_adu", float(first["noise_adu"])
        yield "pedestal_mean_adu", float(first["mean_adu"])
    yield from _cluster_figures(quality, fit, exposed_s)
    if duration_s is not None:
        yield "cygno_ltime_s", CYGNO_LIVE_FACTOR * duration_s
    yield "pmt_waveforms", counts["n_waveforms"]
    yield "pmt_pulses", counts["n_pulses"]
    if counts["n_waveforms"]:
        yield "pmt_saturated_percent", 100 * counts["n_saturated"] / counts["n_waveforms"]
    for quantity in PMT_QUANTITIES:
        yield pmt_key(quantity), quality.pmts[quantity].mean
        yield pmt_key(quantity, "std"), quality.pmts[quantity].sigma
    yield from record.figures()
    if record.live_time_s:
        yield "trigger_rate_hz", counts["triggers"] / record.live_time_s
    for quantity, moments in quality.slow.items():
        yield quantity, moments.mean if moments.count else at_begin.get(quantity)
        yield slow_std_key(quantity), moments.sigma


def _cluster_figures(
    quality: RunQuality, fit: PeakFit, exposed_s: float
) -> Iterator[tuple[str, Any]]:
    counts, clusters = quality.counts, quality.clusters
    yield "clusters", clusters.light.count
    yield "cluster_rate_hz", clusters.light.count / exposed_s
    yield "cluster_light_mean_adu", clusters.light.mean
    yield "fe55_clusters", counts["n_fe55"]
    yield "alpha_clusters", counts["n_alphas"]
    yield "muon_clusters", counts["n_muons"]
    yield "fe55_fit_status", fit.status
    yield "fe55_fit_entries", fit.entries
    yield "fe55_peak_adu", fit.mean
    yield "fe55_peak_error_adu", fit.mean_error
    yield "fe55_resolution_percent", 100 * fit.resolution
    yield "fe55_resolution_error_percent", 100 * fit.resolution_error
    yield "fe55_line_entries", fit.area
    yield "fe55_line_rate_hz", fit.area / exposed_s
    yield "fe55_fit_chi2", fit.chi2
    yield "fe55_fit_degrees", fit.degrees
    yield "light_yield_adu_per_kev", fit.mean / FE55_KEV
    yield "light_yield_error_adu_per_kev", fit.mean_error / FE55_KEV
    bright: Moments = clusters.bright_light
    yield "cygno_ly_adu", CYGNO_LY_SLOPE * bright.mean + CYGNO_LY_OFFSET_ADU
    yield "cygno_ly_clusters", bright.count
    yield "cygno_alpha", clusters.alpha_length.count
    yield "cygno_alpha_length_px", clusters.alpha_length.mean
    yield "cygno_mu", clusters.muon_density.count
    yield "cygno_mu_yield_adu_per_px", clusters.muon_density.mean
