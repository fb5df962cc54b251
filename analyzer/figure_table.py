"""The table of a run's quality figures: each with its key, type and meaning.

They are the content of the summary (`analyzer.summary`), of dataset ``figures`` of the results, and
of the page ``docs/reference/results.md``. Keys end in the unit and are never renamed or reused:
other programs keep them in their tables.
"""

from dataclasses import dataclass
from typing import Final

HV_CHANNELS: Final = {
    "hv_gem1_v": "VGEM1",
    "hv_gem2_v": "VGEM2",
    "hv_gem3_v": "VGEM3",
    "hv_transfer1_v": "Transf1",
    "hv_transfer2_v": "Transf2",
    "hv_drift_v": "Drift",
    "hv_offset_v": "Offset",
    "hv_pmt1_v": "PMT1",
    "hv_pmt2_v": "PMT2",
    "hv_pmt3_v": "PMT3",
    "hv_pmt4_v": "PMT4",
}
"""Quantity -> name of the channel in /Equipment/HV/Settings/Names, as at LNGS."""

INPUT_QUANTITIES: Final = (
    "gas_temperature_c",
    "room_temperature_c",
    "gas_pressure_mbar",
    "atmospheric_pressure_mbar",
    "humidity_percent",
    "gas_density_g_per_l",
)
"""Quantities made from inputs; each has a setting of its name."""

SLOW_QUANTITIES: Final[tuple[str, ...]] = (
    *INPUT_QUANTITIES,
    "sensor_temperature_c",
    "trigger_module_rate_hz",
    *HV_CHANNELS,
    "hv_cathode_v",
)


@dataclass(frozen=True)
class Figure:
    """One figure.

    :param kind: int, float, bool or str; any of them may be None where nothing is known.
    """

    key: str
    kind: type
    meaning: str


IMAGE_QUANTITIES: Final[dict[str, tuple[str, str]]] = {
    "image_mean": ("adu", "mean of the raw pixels"),
    "noise": ("adu", "noise of pixels without light about the pedestal"),
    "row_noise": ("adu", "spread of the rows' common shift"),
    "pedestal_drift": ("adu", "mean of pixels without light above the pedestal"),
    "light_outside": ("adu_per_pixel", "light that belongs to no cluster"),
    "saturated_pixels": ("per_frame", "saturated pixels of a frame"),
    "n_clusters": ("per_frame", "clusters of a frame"),
}
PMT_QUANTITIES: Final[dict[str, tuple[str, str]]] = {
    "pmt_noise": ("counts", "noise of the PMT waveforms"),
    "pmt_baseline": ("counts", "baseline of the PMT waveforms"),
    "pmt_amplitude": ("counts", "largest excursion of an event's PMT waveforms"),
    "pmt_charge": ("pc", "charge of the PMT waveforms"),
}
_SLOW_MEANINGS: Final = {
    "gas_temperature_c": "temperature of the gas",
    "room_temperature_c": "temperature of the room",
    "gas_pressure_mbar": "pressure of the gas",
    "atmospheric_pressure_mbar": "pressure of the atmosphere",
    "humidity_percent": "relative humidity",
    "gas_density_g_per_l": "density of the gas",
    "sensor_temperature_c": "temperature of the first camera's sensor",
    "trigger_module_rate_hz": "first rate of the trigger module",
    "hv_cathode_v": "measured voltage, cathode",
}


CAMERA_FIGURES: Final = {
    "frames": (int, "frames that were analyzed"),
    "image_mean_adu": (float, "mean of the raw pixels"),
    "noise_adu": (float, "noise of pixels without light"),
    "pedestal_drift_adu": (float, "level of empty pixels above the pedestal"),
    "light_outside_adu_per_pixel": (float, "light that belongs to no cluster"),
    "saturated_pixels_per_frame": (float, "saturated pixels of a frame"),
    "clusters_per_frame": (float, "clusters of a frame"),
    "defects": (int, "defects of its pedestal"),
    "hot_pixels": (int, "macro-pixels with a pixel that turned hot since its pedestal"),
}
"""Figures of each camera i, under ``cam<i>_`` and this key, where there are several cameras."""


def image_key(quantity: str, what: str = "") -> str:
    """Return the key of an image quantity; `what` is ``std`` or nothing.

    >>> image_key("noise"), image_key("n_clusters"), image_key("noise", "std")
    ('noise_adu', 'clusters_per_frame', 'noise_std_adu')
    """
    unit = IMAGE_QUANTITIES[quantity][0]
    return "_".join(part for part in (quantity.removeprefix("n_"), what, unit) if part)


def pmt_key(quantity: str, what: str = "") -> str:
    """Return the key of a PMT quantity."""
    unit = PMT_QUANTITIES[quantity][0]
    return "_".join(part for part in (quantity, what, unit) if part)


def slow_std_key(quantity: str) -> str:
    """Return the key of the spread of a quantity of slow control.

    >>> slow_std_key("gas_pressure_mbar")
    'gas_pressure_std_mbar'
    """
    unit = next(u for u in ("g_per_l", "percent", "mbar", "hz", "c", "v") if quantity.endswith(u))
    return f"{quantity.removesuffix(unit)}std_{unit}"


def slow_meaning(quantity: str) -> str:
    """Return what a quantity of slow control is.

    >>> slow_meaning("hv_gem1_v"), slow_meaning("humidity_percent")
    ('measured voltage, gem1', 'relative humidity')
    """
    return _SLOW_MEANINGS.get(quantity, f"measured voltage, {quantity[3:-2]}")


FIGURES: Final = (
    Figure("frames", int, "frames that were analyzed, of all cameras"),
    Figure("cameras", int, "cameras with such frames"),
    Figure("bad_frames", int, "events without camera, frames that do not fit, failed analyses"),
    Figure("fallback_frames", int, "frames analyzed with an estimated pedestal"),
    Figure("cut_short_frames", int, "frames whose clusters are not all found"),
    Figure("spark_frames", int, "frames that are sparks or hold more than 1e7 ADU in clusters"),
    Figure("empty_frames", int, "frames without cluster"),
    Figure("bad_percent", float, "bad frames, in all"),
    Figure("spark_percent", float, "sparks, in all frames that were analyzed"),
    Figure("limits_violated", str, "figures out of limits at begin of run, with commas between"),
    *(
        figure
        for quantity, (_, meaning) in IMAGE_QUANTITIES.items()
        for figure in (
            Figure(image_key(quantity), float, f"{meaning}, mean over frames"),
            Figure(image_key(quantity, "std"), float, f"{meaning}, spread over frames"),
        )
    ),
    Figure("defects", int, "defects of the pedestals of all cameras"),
    Figure("hot_pixels", int, "macro-pixels with a pixel that turned hot since the pedestal run"),
    Figure("pedestal_noise_adu", float, "median noise of the first camera's pedestal"),
    Figure("pedestal_mean_adu", float, "mean of the first camera's pedestal"),
    Figure("clusters", int, "clusters of all frames"),
    Figure("cluster_rate_hz", float, "clusters in the time of exposure"),
    Figure("cluster_light_mean_adu", float, "light of a cluster, mean"),
    Figure("fe55_clusters", int, "spots with the light of 55Fe"),
    Figure("alpha_clusters", int, "alphas by the analyzer's settings"),
    Figure("muon_clusters", int, "muons by the analyzer's settings"),
    Figure("fe55_fit_status", str, "ok; too few: spots; no line: in them; not converged"),
    Figure("fe55_fit_entries", int, "spots in the window of the fit"),
    Figure("fe55_peak_adu", float, "place of the 55Fe line"),
    Figure("fe55_peak_error_adu", float, "error of fe55_peak_adu"),
    Figure("fe55_resolution_percent", float, "sigma of the line over its place"),
    Figure("fe55_resolution_error_percent", float, "error of fe55_resolution_percent"),
    Figure("fe55_line_entries", float, "spots in the line"),
    Figure("fe55_line_rate_hz", float, "spots in the line, in the time of exposure"),
    Figure("fe55_fit_chi2", float, "chi square of the fit"),
    Figure("fe55_fit_degrees", int, "degrees of freedom of the fit"),
    Figure("light_yield_adu_per_kev", float, "place of the line over 5.9 keV"),
    Figure("light_yield_error_adu_per_kev", float, "error of light_yield_adu_per_kev"),
    Figure("cygno_ly_adu", float, "CYGNO's LY: 0.07513 mean(sc_integral) - 1324.9, bright tracks"),
    Figure("cygno_ly_clusters", int, "clusters that cygno_ly_adu is made of"),
    Figure("cygno_ltime_s", float, "CYGNO's ltime: 0.58 times the duration"),
    Figure("cygno_alpha", int, "alphas by CYGNO's cuts (reco2sql.py)"),
    Figure("cygno_alpha_length_px", float, "mean length of cygno_alpha"),
    Figure("cygno_mu", int, "muons by CYGNO's cuts (reco2sql.py)"),
    Figure("cygno_mu_yield_adu_per_px", float, "light of cygno_mu on a pixel of length"),
    Figure("triggers", int, "triggers of the digitizers in the analyzed events"),
    Figure("pmt_waveforms", int, "waveforms of PMT channels"),
    Figure("pmt_pulses", int, "pulses in the PMT waveforms"),
    Figure("pmt_saturated_percent", float, "part of the PMT waveforms that is saturated"),
    *(
        figure
        for quantity, (_, meaning) in PMT_QUANTITIES.items()
        for figure in (
            Figure(pmt_key(quantity), float, f"{meaning}, mean over events"),
            Figure(pmt_key(quantity, "std"), float, f"{meaning}, spread over events"),
        )
    ),
    Figure("frames_acquired", int, "frames that the cameras gave, said the frontends"),
    Figure("frames_lost", int, "frames that were lost, said the frontends"),
    Figure("triggers_read", int, "triggers that all boards together gave, said the frontends"),
    Figure("triggers_lost", int, "triggers that were lost, said the frontends"),
    Figure("live_time_s", float, "time in which triggers could be taken"),
    Figure("dead_time_s", float, "time in which no triggers could be taken"),
    Figure("live_percent", float, "live time over live and dead time"),
    Figure("trigger_rate_hz", float, "triggers in the analyzed events, in the live time"),
    *(
        figure
        for quantity in SLOW_QUANTITIES
        for figure in (
            Figure(quantity, float, f"{slow_meaning(quantity)}, mean over readings"),
            Figure(
                slow_std_key(quantity), float, f"{slow_meaning(quantity)}, spread over readings"
            ),
        )
    ),
)
