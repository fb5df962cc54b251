"""Branches of CYGNO's trees: names, types, and what ours hold.

Names and types are those of CYGNUS-RD/reconstruction, branch winter23 (``treeVars.py``), where all
that belongs to clusters is 32-bit floating point. CYGNO turns a frame before it measures in it: its
x is our row and its y counts our columns from the other side,

    x = row,   y = columns - 1 - column,   theta = ours - 90 degrees.
"""

from typing import Final

from analyzer.dtypes import CLUSTER, titles

PMT_CHANNELS: Final = (1, 2, 3, 4)
"""Default of the setting ``PMT channels`` (``board_pmt_channels`` of configFile_LNGS.txt)."""

GEM_CHANNELS: Final = (5, 6, 7)
"""Default of the setting ``GEM channels`` (``board_gem_channels`` of configFile_LNGS.txt)."""

TIME_TAG_MS: Final = 8.5e-6
"""Step of the trigger time tags [ms], as CYGNO takes it for both boards."""

MISSING: Final = -99.0
"""Value of an environment branch without a reading."""

EVENTS: Final[dict[str, tuple[str, str]]] = {
    "run": ("int32", "run number"),
    "event": ("int32", "index of the trigger event in the run, from 0"),
    "pedestal_run": ("int32", "run of the pedestal; 0: estimated from a frame"),
    "cmos_integral": ("float32", "sum of the zero-suppressed image [ADU]"),
    "cmos_mean": ("float32", "mean of the zero-suppressed image [ADU]"),
    "cmos_rms": ("float32", "standard deviation of the zero-suppressed image [ADU]"),
    "lp_len": ("float32", "macro-pixels in clusters (CYGNO: that clusters are sought among)"),
    "t_DBSCAN": ("float32", "time of DBSCAN, joining and taking clusters apart [s]"),
    "t_variables": ("float32", "time of all variables of the clusters [s]"),
    "t_pedsub": ("float32", "time of the one pass that also does the steps below [s]"),
    **{
        f"t_{step}": ("float32", "0: see t_pedsub")
        for step in ("saturation", "zerosup", "xycut", "rebin", "medianfilter", "noisered")
    },
    "Lime_pressure": ("float32", "pressure in the detector [bar]"),
    "Atm_pressure": ("float32", "atmospheric pressure [bar]"),
    "Lime_temperature": ("float32", "temperature in the detector [C]"),
    "Atm_temperature": ("float32", "temperature of the room [C]"),
    "Humidity": ("float32", "humidity [%]"),
    "Mixture_Density": ("float32", "density of the gas [g/l]"),
    "camera": ("int32", "index of the camera (not in CYGNO's)"),
    "flags": ("int32", "our flags of the event, see EventFlag (not in CYGNO's)"),
}
"""Plain branches of ``Events``: name -> (type, meaning). -99: missing."""

ENVIRONMENT: Final[dict[str, tuple[str, float]]] = {
    "Lime_pressure": ("gas_pressure_mbar", 1e-3),
    "Atm_pressure": ("atmospheric_pressure_mbar", 1e-3),
    "Lime_temperature": ("gas_temperature_c", 1.0),
    "Atm_temperature": ("room_temperature_c", 1.0),
    "Humidity": ("humidity_percent", 1.0),
    "Mixture_Density": ("gas_density_g_per_l", 1.0),
}
"""Branch -> quantity of slow control and factor."""

DIFFERENT: Final[dict[str, str]] = {
    "sc_theta": "angle of the major axis [degree], -90 to 90",
    "sc_xmean": "x of the barycentre, our row [pixel]",
    "sc_ymean": "y of the barycentre, columns - 1 - our column [pixel]",
    "sc_xmin": "first row [pixel]",
    "sc_xmax": "last row [pixel]",
    "sc_ymin": "columns - 1 - last column [pixel]",
    "sc_ymax": "columns - 1 - first column [pixel]",
    "sc_pearson": "correlation of x and y, light-weighted (CYGNO: always 999)",
    "sc_tstatus": "fit across: 3 good, 0 not converged, -1 too few bins",
    "sc_lstatus": "fit along: 3 good, 0 not converged, -1 too few bins",
}
"""Branches whose values are not those of our column of the same name."""

_MORE_CLUSTER: Final[dict[str, tuple[str, str]]] = {
    "sc_redpixIdx": ("float32", "index of the cluster's first pixel in redpix_*; -1: not kept"),
    "sc_flags": ("int32", "our flags of the cluster, see ClusterFlag (not in CYGNO's)"),
}

CLUSTERS: Final[dict[str, tuple[str, str]]] = {
    **{
        name: ("float32", DIFFERENT.get(name, title))
        for name, title in titles(CLUSTER).items()
        if name.startswith("sc_")
    },
    **_MORE_CLUSTER,
}
"""Branches of clusters, counted by nSc."""

REDPIXELS: Final[dict[str, tuple[str, str]]] = {
    "redpix_ix": ("int32", "x of the pixel, our row [pixel]"),
    "redpix_iy": ("int32", "y of the pixel, columns - 1 - our column [pixel]"),
    "redpix_iz": ("float32", "light above the pedestal, to 0.1 [ADU]"),
}
"""Branches of the pixels of clusters, counted by nRedpix."""

WAVES: Final[dict[str, tuple[str, str]]] = {
    "pmt_wf_ID": ("int32", "digits of event, trigger and channel, one after the other"),
    "pmt_wf_run": ("int32", "run number"),
    "pmt_wf_event": ("int32", "index of the trigger event in the run, from 0"),
    "pmt_wf_trigger": ("int32", "index of the trigger in the event"),
    "pmt_wf_channel": ("int32", "channel of the board"),
    "pmt_wf_insideGE": ("int32", "1: Readout time <= pmt_wf_TTT <= exposure"),
    "pmt_wf_sampling": ("int32", "1024: fast board (V1742), 4000: slow board (V1720)"),
    "pmt_wf_TTT": (
        "float32",
        "time of the trigger since the frame's exposure began [ms]; where that is not known, its "
        "time tag times 8.5 ns, as with CYGNO, whose tags begin with the frame",
    ),
    "pmt_wf_baseline": ("float32", "baseline [ADC counts] (CYGNO: of the centred waveform, 0)"),
    "pmt_wf_RMS": ("float32", "noise of the baseline [ADC counts]"),
    "pmt_wf_tot_integral": ("float32", "sum of all samples below the baseline [ADC counts]"),
    "pmt_wf_tot_charge": ("float32", "pmt_wf_tot_integral * 4/3 / 50"),
    "pmt_wf_max_ampl": ("float32", "largest excursion, not smoothed [ADC counts]"),
    "pmt_TOT_time": ("float32", "time over threshold [samples]"),
    "pmt_TOT_area": ("float32", "sum while over threshold [ADC counts]"),
}
"""Plain branches of ``PMT_Events`` and ``GEM_Events``, one entry a waveform."""

TIMES: Final[dict[str, tuple[str, str]]] = {
    "t_waveforms": ("float32", "time of the event's waveforms, divided by their number [s]")
}
"""What ``PMT_Events`` has besides."""

PEAKS: Final[dict[str, tuple[str, str]]] = {
    "pmt_peak_Number": ("int32", "number of the pulse in the waveform, from 1"),
    "pmt_peak_Position": ("float32", "place of the peak [samples]"),
    "pmt_peak_Height": ("float32", "height above the baseline, smoothed [ADC counts]"),
    "pmt_peak_HalfWidth": ("float32", "width at half the prominence [samples]"),
    "pmt_peak_FullWidth": ("float32", "width near the base [samples]"),
}
"""Branches of pulses, counted by pmt_wf_nPeaks."""

AVERAGES: Final[dict[str, tuple[str, str]]] = {
    name: WAVES[name]
    for name in (
        "pmt_wf_run", "pmt_wf_event", "pmt_wf_trigger", "pmt_wf_channel", "pmt_wf_insideGE",
        "pmt_wf_sampling", "pmt_wf_TTT", "pmt_TOT_time", "pmt_TOT_area",
    )
} | {
    "pmt_wf_channel": ("int32", "9: the average of the PMTs"),
    "pmt_wf_insideGE": ("int32", "9, as with CYGNO: see PMT_Events"),
}  # fmt: skip
"""Plain branches of ``PMT_Avg_Events``, one entry a trigger of a board."""
