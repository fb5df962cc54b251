"""What the analyzer's results are: one row type per dataset; titles say what and in which unit.

Fields are declared ``((title, name), type)``. Each row carries `event`, the index of the trigger
event in the run from 0, and where it applies `camera`. Positions are in pixels of the raw frame,
x the column and y the row, both from 0 and at the middle of the pixel. Names beginning with ``sc_``
are CYGNO's (reconstruction of winter 2023), which turns frames before it measures in them.
"""

from collections.abc import Mapping
from enum import IntFlag
from typing import Any, Final

import numpy as np

from analyzer.figure_table import FIGURES


class EventFlag(IntFlag):
    """What is to be known of an event; column `flags` of the events."""

    FALLBACK_PEDESTAL = 1 << 0
    """No pedestal run fitted: the pedestal was estimated from the run's first frame."""
    SPARK = 1 << 1
    """The whole frame is lit; clusters were not searched."""
    CUT_SHORT = 1 << 2
    """Too much light for clusters, or more clusters than allowed: those found are not all."""
    SATURATED = 1 << 3
    """Some pixels reached cimax."""
    NO_CAMERA = 1 << 4
    """There is no camera bank."""
    BAD_FRAME = 1 << 5
    """The frame has not the size or type of the run's frames: it was not analyzed."""
    BAD_DIGITIZER = 1 << 6
    """The digitizer banks could not be read: no waveforms were analyzed."""
    FAILED = 1 << 7
    """The analysis of this event failed; the message log says why."""
    DRIFTED = 1 << 8
    """The empty part of the frame is farther from the pedestal than `Drift limit`."""
    OTHER_EXPOSURE = 1 << 9
    """The pedestal was taken at another exposure; none at that of the run was found."""
    MAP_WITH_HOLES = 1 << 10
    """The vignetting map says nothing of some parts: energies there are not corrected."""


class ClusterFlag(IntFlag):
    """What is to be known of a cluster; column `flags` of the clusters."""

    OUTSIDE = 1 << 0
    """Its centre is outside of the acceptance (xmin, xmax, ymin, ymax)."""
    AT_EDGE = 1 << 1
    """It touches the edge of the frame."""
    SPOT = 1 << 2
    """Short and no track: `Spot length`."""
    FE55 = 1 << 3
    """A spot with the light of 5.9 keV: `55Fe window`, `ADU per keV`."""
    ALPHA = 1 << 4
    """Long and dense: `Alpha length`, `Alpha density`."""
    MUON = 1 << 5
    """Very long and thin: `Muon length`, `Muon density`."""
    SPARK = 1 << 6
    """More light than particles give: `Spark light`."""


class WaveformFlag(IntFlag):
    """What is to be known of a waveform; column `flags` of the waveforms."""

    DRS4_CORRECTED = 1 << 0
    """The DRS4 tables were applied."""
    SATURATED = 1 << 1
    """Some samples are at the end of the digitizer's range."""


class TriggerFlag(IntFlag):
    """What is to be known of a trigger; column `flags` of the triggers."""

    INSIDE_EXPOSURE = 1 << 0
    """All rows of the frame were exposed: from `Readout time` to the end of the exposure."""
    PARTLY_EXPOSED = 1 << 1
    """Some rows of the frame were exposed: during `Readout time`, at its begin or after its end."""
    SATURATED = 1 << 2
    """A PMT has samples at the end of the digitizer's range."""
    NOT_ON_ALL_BOARDS = 1 << 3
    """Not every board of the event has this trigger."""


EVENT: Final = np.dtype(
    [
        (("index of the trigger event in the run", "event"), np.uint32),
        (("index of the camera", "camera"), np.uint8),
        (("MIDAS serial number", "serial"), np.uint32),
        (("MIDAS time stamp [s since 1970; generations B and C: ms]", "timestamp"), np.uint32),
        (("camera's own frame number (bank FID), 0 if there is none", "frame_id"), np.uint32),
        (("flags, see EventFlag", "flags"), np.uint16),
        (("triggers of the digitizers in this event", "triggers"), np.uint16),
        (("those of them while the whole frame was exposed", "triggers_inside"), np.uint16),
        (("mean of the raw pixels, every eighth row [ADU]", "image_mean"), np.float32),
        (("standard deviation of these pixels [ADU]", "image_sigma"), np.float32),
        (("highest raw pixel [ADU]", "image_max"), np.uint16),
        (("saturated pixels", "saturated"), np.uint32),
        (("mean of pixels without light above the pedestal [ADU]", "residual_mean"), np.float32),
        (("noise of pixels without light about the pedestal [ADU]", "noise"), np.float32),
        (("spread of the rows' common shift [ADU]", "row_noise"), np.float32),
        (("sum of all pixels above the pedestal [ADU]", "light"), np.float32),
        (("clusters in this frame", "n_clusters"), np.uint32),
        (("sum of the integrals of the clusters [ADU]", "cluster_light"), np.float32),
    ]
)

_F4: Final = np.float32
_F8: Final = np.float64

CLUSTER: Final = np.dtype(
    [
        (("index of the trigger event in the run", "event"), np.uint32),
        (("index of the camera", "camera"), np.uint8),
        (("flags, see ClusterFlag", "flags"), np.uint16),
        (("pixels summed: those over threshold and the rim around", "sc_size"), np.int32),
        (("pixels above nsigma times noise, without the rim", "sc_nhits"), np.int32),
        (("macro-pixels over threshold", "sc_nmacro"), np.int32),
        (("light [ADU]: sc_sum, but of round spots see Spot reach", "sc_integral"), _F4),
        (("light above the pedestal in all pixels of sc_size [ADU]", "sc_sum"), _F4),
        (("standard deviation of the pixels without the rim [ADU]", "sc_rms"), np.float32),
        (("light-weighted mean column [pixel]", "sc_xmean"), np.float32),
        (("light-weighted mean row [pixel]", "sc_ymean"), np.float32),
        (("first column, without the rim [pixel]", "sc_xmin"), np.int32),
        (("last column, without the rim [pixel]", "sc_xmax"), np.int32),
        (("first row, without the rim [pixel]", "sc_ymin"), np.int32),
        (("last row, without the rim [pixel]", "sc_ymax"), np.int32),
        (("extent along the main axis, without the rim [pixel]", "sc_length"), np.float32),
        (("extent across the main axis, without the rim [pixel]", "sc_width"), np.float32),
        (("angle of the main axis from +x to +y [rad]", "sc_theta"), np.float32),
        (("light-weighted rms along the main axis [pixel]", "sc_longrms"), np.float32),
        (("light-weighted rms across the main axis [pixel]", "sc_latrms"), np.float32),
        (("sc_integral with each macro-pixel over its response [ADU]", "sc_corrintegral"), _F4),
        (("sc_corrintegral over ADU per keV [keV]", "sc_energy"), _F4),
        (("length along its path, in steps of 16 pixels [pixel]", "sc_pathlength"), _F4),
        (("correlation of column and row, light-weighted", "sc_pearson"), _F4),
        (("rms of the profile along the axis, with the rim [pixel]", "sc_lfullrms"), _F4),
        (("rms of the profile across the axis, with the rim [pixel]", "sc_tfullrms"), _F4),
        (("highest bin of the profile along [ADU/pixel]", "sc_lp0amplitude"), _F4),
        (("that above the higher valley beside it [ADU/pixel]", "sc_lp0prominence"), _F4),
        (("full width of that peak at half its height [pixel]", "sc_lp0fwhm"), _F4),
        (("place of that peak along, from the centre [pixel]", "sc_lp0mean"), _F4),
        (("full width at half height of the profile across [pixel]", "sc_tp0fwhm"), _F4),
        (("Gaussian fitted across: amplitude [ADU/pixel]", "sc_tgaussamp"), _F4),
        (("Gaussian fitted across: mean, from the centre [pixel]", "sc_tgaussmean"), _F4),
        (("Gaussian fitted across: sigma [pixel]", "sc_tgausssigma"), _F4),
        (("Gaussian fitted across: chi square over degrees of freedom", "sc_tchi2"), _F4),
        (("fit across: 0 converged, 1 too few bins, 2 not converged", "sc_tstatus"), np.uint8),
        (("Gaussian fitted along: amplitude [ADU/pixel]", "sc_lgaussamp"), _F4),
        (("Gaussian fitted along: mean, from the centre [pixel]", "sc_lgaussmean"), _F4),
        (("Gaussian fitted along: sigma [pixel]", "sc_lgausssigma"), _F4),
        (("Gaussian fitted along: chi square over degrees of freedom", "sc_lchi2"), _F4),
        (("fit along: 0 converged, 1 too few bins, 2 not converged", "sc_lstatus"), np.uint8),
    ]
)

REDPIX: Final = np.dtype(
    [
        (("index of the trigger event in the run", "event"), np.uint32),
        (("index of the camera", "camera"), np.uint8),
        (("index of the cluster in its frame, the brightest is 0", "cluster"), np.uint16),
        (("column [pixel]", "redpix_ix"), np.uint16),
        (("row [pixel]", "redpix_iy"), np.uint16),
        (("light above the pedestal [ADU]", "redpix_iz"), np.float32),
    ]
)

TILES: Final = 8
"""Frames are divided into so many parts in each direction to see a drift of the pedestal."""

TILE: Final = np.dtype(
    [
        (("index of the trigger event in the run", "event"), np.uint32),
        (("index of the camera", "camera"), np.uint8),
        (
            ("mean of each of 8x8 parts without light above the pedestal [ADU]", "level"),
            np.float32,
            (TILES, TILES),
        ),
    ]
)
"""One row for each frame; nan in a part that is lit all over."""

WAVEFORM: Final = np.dtype(
    [
        (("index of the trigger event in the run", "event"), np.uint32),
        (("index of the digitizer board", "board"), np.uint8),
        (("model of the board: 1742, 1720", "model"), np.uint16),
        (("index of the trigger in the event", "trigger"), np.uint16),
        (("channel of the board", "channel"), np.uint8),
        (("flags, see WaveformFlag", "flags"), np.uint16),
        (("trigger time tag as the board gave it", "time_tag"), np.uint64),
        (("time between samples [ns]", "sampling_ns"), np.float32),
        (("mean of the baseline [ADC counts]", "baseline"), np.float32),
        (("standard deviation of the baseline [ADC counts]", "noise"), np.float32),
        (("largest excursion below the baseline [ADC counts]", "amplitude"), np.float32),
        (("sample of the largest excursion", "peak_sample"), np.uint16),
        (("pulses, see dataset pulses", "n_pulses"), np.uint16),
        (("time over threshold [ns]", "tot"), np.float32),
        (("charge while over threshold at 50 ohm [pC]", "tot_charge"), np.float32),
        (
            ("charge after the baseline at 50 ohm, negative pulses count up [pC]", "charge"),
            np.float32,
        ),
    ]
)

PULSE: Final = np.dtype(
    [
        (("index of the trigger event in the run", "event"), np.uint32),
        (("index of the digitizer board", "board"), np.uint8),
        (("index of the trigger in the event", "trigger"), np.uint16),
        (("channel of the board", "channel"), np.uint8),
        (("time of the peak in the waveform [ns]", "time"), np.float32),
        (("height above the baseline, smoothed [ADC counts]", "height"), np.float32),
        (("height above the higher base, smoothed [ADC counts]", "prominence"), np.float32),
        (("width at half the prominence [ns]", "half_width"), np.float32),
        (("width at 90 % of the prominence below the peak [ns]", "full_width"), np.float32),
        (("charge within full_width at 50 ohm [pC]", "charge"), np.float32),
    ]
)
"""As ``scipy.signal.find_peaks`` finds them on the moving average of 5 samples."""

QUALITY: Final = np.dtype(
    [
        (("index of the trigger event in the run", "event"), np.uint32),
        (("index of the camera, 255 if the event has none", "camera"), np.uint8),
        (("flags, see EventFlag", "flags"), np.uint16),
        (("mean of the raw pixels [ADU]", "image_mean"), _F4),
        (("noise of pixels without light about the pedestal [ADU]", "noise"), _F4),
        (("spread of the rows' common shift [ADU]", "row_noise"), _F4),
        (("mean of pixels without light above the pedestal [ADU]", "pedestal_drift"), _F4),
        (("light that belongs to no cluster [ADU/pixel]", "light_outside"), _F4),
        (("saturated pixels", "saturated_pixels"), np.uint32),
        (("1: the frame or a cluster of it is a spark", "is_spark"), np.uint8),
        (("clusters in the frame", "n_clusters"), np.uint32),
        (("clusters like 55Fe, see ClusterFlag", "n_fe55"), np.uint32),
        (("alphas, see ClusterFlag", "n_alphas"), np.uint32),
        (("muons, see ClusterFlag", "n_muons"), np.uint32),
        (("waveforms of PMT channels in the event", "n_waveforms"), np.uint32),
        (("mean noise of the PMT waveforms [ADC counts]", "pmt_noise"), _F4),
        (("mean baseline of the PMT waveforms [ADC counts]", "pmt_baseline"), _F4),
        (("largest excursion of the PMT waveforms [ADC counts]", "pmt_amplitude"), _F4),
        (("mean charge of the PMT waveforms [pC]", "pmt_charge"), _F4),
        (("pulses in the PMT waveforms", "n_pulses"), np.uint32),
        (("PMT waveforms that are saturated", "n_saturated"), np.uint32),
    ]
)
"""A row for each camera of an event; what comes of waveforms is of the event, the same in each. nan
where there is no such image or waveform."""

SLOW: Final = np.dtype(
    [
        (("index of the trigger event that came next", "event"), np.uint32),
        (("time of the reading [s since 1970]", "time"), np.uint32),
        (("quantity, as in the summary of the run", "quantity"), "S32"),
        (("its value, in the unit that its name ends in", "value"), _F4),
    ]
)
"""Readings of slow control between the first and the last trigger event."""

MEAN_IMAGE: Final = np.dtype(
    [
        (("index of the camera", "camera"), np.uint8),
        (("first column of the cell [pixel]", "x"), np.uint16),
        (("first row of the cell [pixel]", "y"), np.uint16),
        (("light above the pedestal, mean over frames and pixels [ADU]", "light"), _F4),
        (("pixels of the cell that are defects of the pedestal", "defects"), np.uint16),
        (("macro-pixels of the cell with a pixel that turned hot", "hot"), np.uint16),
    ]
)
"""The mean of a run's frames but sparks, a row for each cell of some 8x8 pixels."""

FIGURES_ROW: Final = np.dtype(
    [((f.meaning, f.key), np.float64) for f in FIGURES if f.kind in (int, float)]
)
"""The figures of the run as numbers, nan where nothing is known: one row."""

TRIGGER: Final = np.dtype(
    [
        (("index of the trigger event in the run", "event"), np.uint32),
        (("index of the trigger in the event", "trigger"), np.uint16),
        (("flags, see TriggerFlag", "flags"), np.uint16),
        (("boards that recorded it: bit i is board i", "boards"), np.uint8),
        (("board whose clock and PMTs this row is about", "board"), np.uint8),
        (("time tag of board 0, upper bits included; 0 if it has none", "time_tag_0"), np.uint64),
        (("time tag of board 1, upper bits included; 0 if it has none", "time_tag_1"), np.uint64),
        (("time since the begin of the run; nan if tags begin with the frame [s]", "time"), _F8),
        (("time since the begin of the frame's exposure, nan if unknown [ms]", "frame_time"), _F8),
        (("PMTs with a pulse in coincidence, see Coincidence window", "pmts"), np.uint8),
        (("time of the first of these pulses in the waveform [ns]", "pulse_time"), np.float32),
        (("largest excursion of a PMT [mV]", "amplitude"), np.float32),
        (("sum of the charges of the PMTs after the baseline [pC]", "charge"), np.float32),
        (("sum of the charges of the PMTs' pulses [pC]", "pulse_charge"), np.float32),
        (("longest time over threshold of a PMT [ns]", "tot"), np.float32),
        (("noise of the sum of the PMTs' waveforms [mV]", "sum_noise"), np.float32),
        (("largest excursion of that sum [mV]", "sum_amplitude"), np.float32),
        (("pulses of that sum", "sum_pulses"), np.uint16),
        (("time over threshold of that sum [ns]", "sum_tot"), np.float32),
    ]
)
"""One row for each trigger, whatever number of boards recorded it."""

DATASETS: Final[dict[str, np.dtype[Any]]] = {
    "events": EVENT,
    "clusters": CLUSTER,
    "redpix": REDPIX,
    "tiles": TILE,
    "waveforms": WAVEFORM,
    "pulses": PULSE,
    "quality": QUALITY,
    "slow": SLOW,
    "mean_image": MEAN_IMAGE,
    "figures": FIGURES_ROW,
    "triggers": TRIGGER,
}
"""Datasets of a results file and their rows."""

OF_THE_RUN: Final = ("mean_image", "figures")
"""Those whose rows belong to the run and to no event of it."""


def titles(dtype: np.dtype[Any]) -> dict[str, str]:
    """Return what each field of a row means, with its unit.

    >>> titles(CLUSTER)["sc_xmean"]
    'light-weighted mean column [pixel]'
    """
    fields: Mapping[str, Any] = dtype.fields or {}
    return {name: str(fields[name][2]) for name in dtype.names or ()}


def untitled(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the same row type without titles, as HDF5 stores it.

    >>> untitled(EVENT).itemsize == EVENT.itemsize
    True
    """
    fields: Mapping[str, Any] = dtype.fields or {}
    return np.dtype([(name, fields[name][0]) for name in dtype.names or ()])
