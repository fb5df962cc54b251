"""Our rows as the branches of CYGNO's trees, with its units and its way to count x and y.

See `analyzer.cygno_branches`; the sources are CYGNUS-RD/reconstruction, branch winter23:
``treeVars.py``, ``clusterTools.py`` and ``waveform.py``.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from analyzer.analysis import EventResult, RunAnalysis
from analyzer.average_wave import AVERAGE_CHANNEL
from analyzer.cygno_branches import (
    CLUSTERS,
    PEAKS,
    REDPIXELS,
    TIME_TAG_MS,
    TIMES,
    WAVES,
)
from analyzer.dtypes import CLUSTER, PULSE, WAVEFORM, ClusterFlag, EventFlag
from analyzer.frames import as_frame, decode_frame
from analyzer.kernels.residual import SCALE
from analyzer.kernels.suppress import sum_suppressed
from analyzer.waveforms import FULL_SCALE_MV, IMPEDANCE_OHM
from rawdata.event import Event
from rawdata.layouts.digitizer import DRS4_MODEL, decode_whole

Rows = npt.NDArray[Any]
Columns = dict[str, npt.NDArray[Any]]

_SKIPPED: Final = EventFlag.NO_CAMERA | EventFlag.BAD_FRAME | EventFlag.FAILED | EventFlag.SPARK

CMOS: Final = np.dtype(
    [
        ("event", np.uint32),
        ("camera", np.uint8),
        ("columns", np.uint16),
        ("pedestal_run", np.int32),
        ("integral", np.float32),
        ("mean", np.float32),
        ("rms", np.float32),
        ("times", np.float32, (3,)),
    ]
)
"""What a frame's entry needs beside its results."""

_LOW_BITS: Final = np.uint64((1 << 30) - 1)
"""Bits of a time tag that all boards have, and that tell the triggers of an event apart."""

_STATUS: Final = np.array([3.0, -1.0, 0.0], np.float32)
"""Ours (0 converged, 1 too few bins, 2 not converged) as status of ROOT's covariance matrix."""


def measure_cmos(analysis: RunAnalysis, event: Event, result: EventResult) -> Rows:
    """Return rows of `CMOS` for the frames of an event that have entries in the tree."""
    events = result.rows["events"]
    rows = np.zeros(len(events), CMOS)
    used = 0
    for row in events[(events["flags"] & np.uint16(_SKIPPED)) == 0]:
        camera = int(row["camera"])
        levels = analysis.levels[camera]
        settings = analysis.settings
        frame = as_frame(decode_frame(event, camera, settings, levels.shape))
        sums = np.zeros(2, np.int64)
        sum_suppressed(frame, levels.level, levels.noise, settings.cimax, settings.nsigma, sums)
        integral, squares = int(sums[0]) / SCALE, int(sums[1]) / SCALE**2
        mean = integral / frame.size
        rms = np.sqrt(max(squares / frame.size - mean**2, 0.0))
        run = levels.pedestal.run
        times = result.times.images[camera]
        rows[used] = (result.index, camera, frame.shape[1], run, integral, mean, rms, times)
        used += 1
    return rows[:used]


def measure_averages(analysis: RunAnalysis, event: Event, result: EventResult) -> tuple[Rows, Rows]:
    """Return rows of `WAVEFORM` and `PULSE` of the average waveforms of the PMTs of an event."""
    waves = result.rows.get("waveforms")
    if waves is None or not len(waves):
        return np.zeros(0, WAVEFORM), np.zeros(0, PULSE)
    header, samples, _ = decode_whole(event)
    averages = analysis.averages.analyze(header, samples, waves)
    for part in averages:
        part["event"] = result.index
    return averages


def cluster_columns(clusters: Rows, columns: int, first_pixel: npt.NDArray[Any]) -> Columns:
    """Return CYGNO's branches of the clusters of a frame.

    :param clusters: rows of `CLUSTER`.
    :param columns: of the raw frame.
    :param first_pixel: (clusters,) index of each one's first pixel, -1 where none are kept.
    """
    last = columns - 1
    content = {name: clusters[name] for name in CLUSTERS if name in (CLUSTER.names or ())}
    theta = np.degrees(clusters["sc_theta"].astype(np.float64)) - 90
    content |= {
        "sc_theta": np.where(theta <= -90, theta + 180, theta),
        "sc_xmean": clusters["sc_ymean"],
        "sc_ymean": last - clusters["sc_xmean"],
        "sc_xmin": clusters["sc_ymin"],
        "sc_xmax": clusters["sc_ymax"],
        "sc_ymin": last - clusters["sc_xmax"],
        "sc_ymax": last - clusters["sc_xmin"],
        "sc_pearson": -clusters["sc_pearson"],
        "sc_tstatus": _STATUS[clusters["sc_tstatus"]],
        "sc_lstatus": _STATUS[clusters["sc_lstatus"]],
        "sc_redpixIdx": first_pixel,
        "sc_flags": clusters["flags"],
    }
    return _typed(content, CLUSTERS)


def pixel_columns(pixels: Rows, columns: int) -> Columns:
    """Return CYGNO's branches of the pixels of a frame's clusters, rows of `REDPIX`."""
    content = {
        "redpix_ix": pixels["redpix_iy"],
        "redpix_iy": columns - 1 - pixels["redpix_ix"].astype(np.int32),
        "redpix_iz": np.rint(pixels["redpix_iz"].astype(np.float64) * 10) / 10,
    }
    return _typed(content, REDPIXELS)


def frame_clusters(clusters: Rows, pixels: Rows) -> tuple[Rows, Rows, npt.NDArray[np.int64]]:
    """Return the clusters of a frame that CYGNO would have, their pixels and first pixels.

    CYGNO cuts frames to the acceptance before it looks for clusters: those outside are left out.
    """
    is_inside = clusters["flags"] & np.uint16(ClusterFlag.OUTSIDE) == 0
    chosen = pixels[is_inside[pixels["cluster"]]] if len(clusters) else pixels
    kept = np.flatnonzero(is_inside)
    begin = np.searchsorted(chosen["cluster"], kept)
    has_pixels = np.isin(kept, chosen["cluster"])
    return clusters[is_inside], chosen, np.where(has_pixels, begin, -1)


def frame_times(waves: Rows, triggers: Rows) -> npt.NDArray[np.float64]:
    """Return the time of an event's waveforms since the exposure began [ms].

    Where that is not known it is the time tag times 8.5 ns, as CYGNO has it.

    :param waves: rows of `WAVEFORM` of one event.
    :param triggers: rows of `TRIGGER` of the same.
    """
    tags = waves["time_tag"].astype(np.uint64)
    times = np.asarray(tags * TIME_TAG_MS, np.float64)
    triggers = triggers[np.isfinite(triggers["frame_time"])]
    for board in (0, 1):
        own = np.flatnonzero(waves["board"] == board)
        known = triggers[(triggers["boards"] >> board) & 1 == 1]
        if not len(known):
            continue
        is_its = (tags[own, np.newaxis] ^ known[f"time_tag_{board}"]) & _LOW_BITS == 0
        has_any = is_its.any(axis=1)
        times[own[has_any]] = known["frame_time"][is_its[has_any].argmax(axis=1)]
    return times


def wave_columns(
    run: int,
    waves: Rows,
    time_ms: npt.NDArray[np.float64],
    taken_s: npt.NDArray[np.float64],
    exposure_s: float,
    readout_ms: float,
) -> Columns:
    """Return CYGNO's plain branches of waveforms, rows of `WAVEFORM`.

    :param time_ms: (waveforms,) of `frame_times`.
    :param taken_s: (waveforms,) how long the analysis of each took.
    :param readout_ms: the setting Readout time: all rows are exposed from then on.
    """
    is_fast = waves["model"] == DRS4_MODEL
    counts = counts_per_picocoulomb(waves)
    integral = waves["charge"] * counts
    identity = [
        int(f"{event}{trigger}{channel}") & 0x7FFFFFFF
        for event, trigger, channel in zip(
            waves["event"], waves["trigger"], waves["channel"], strict=True
        )
    ]
    content = {
        "pmt_wf_ID": np.array(identity, np.int64),
        "pmt_wf_run": np.full(len(waves), run),
        "pmt_wf_event": waves["event"],
        "pmt_wf_trigger": waves["trigger"],
        "pmt_wf_channel": waves["channel"],
        "pmt_wf_insideGE": np.where(
            waves["channel"] == AVERAGE_CHANNEL,
            AVERAGE_CHANNEL,
            (time_ms >= readout_ms) & (time_ms <= 1000 * exposure_s),
        ),
        "pmt_wf_sampling": np.where(is_fast, 1024, 4000),
        "pmt_wf_TTT": time_ms,
        "pmt_wf_baseline": waves["baseline"],
        "pmt_wf_RMS": waves["noise"],
        "pmt_wf_tot_integral": integral,
        "pmt_wf_tot_charge": integral * (4 / 3) / 50,
        "pmt_wf_max_ampl": waves["amplitude"],
        "pmt_TOT_time": waves["tot"] / waves["sampling_ns"],
        "pmt_TOT_area": waves["tot_charge"] * counts,
        "t_waveforms": taken_s,
    }
    return _typed(content, WAVES | TIMES)


def peak_columns(waves: Rows, pulses: Rows) -> tuple[npt.NDArray[np.int64], Columns]:
    """Return the number of pulses of each waveform, and CYGNO's branches of the pulses."""
    keys = _keys(waves)
    order = np.argsort(keys, kind="stable")
    place = np.searchsorted(keys[order], _keys(pulses))
    found = place < len(keys)
    found[found] = keys[order][place[found]] == _keys(pulses)[found]
    owner = order[place[found]]
    pulses = pulses[found]
    sequence = np.argsort(owner, kind="stable")
    pulses, owner = pulses[sequence], owner[sequence]
    counts = np.bincount(owner, minlength=len(waves))
    first = np.cumsum(counts) - counts
    period = waves["sampling_ns"][owner]
    content = {
        "pmt_peak_Number": np.arange(len(pulses)) - first[owner] + 1,
        "pmt_peak_Position": pulses["time"] / period,
        "pmt_peak_Height": pulses["height"],
        "pmt_peak_HalfWidth": pulses["half_width"] / period,
        "pmt_peak_FullWidth": pulses["full_width"] / period,
    }
    return counts, _typed(content, PEAKS)


def counts_per_picocoulomb(waves: Rows) -> npt.NDArray[np.float64]:
    """Return how many ADC counts times samples make 1 pC, for each waveform."""
    full_scale = np.array([FULL_SCALE_MV.get(int(model), 1000.0) for model in waves["model"]])
    return np.asarray(IMPEDANCE_OHM / (full_scale / 4096 * waves["sampling_ns"]), np.float64)


def _keys(rows: Rows) -> npt.NDArray[np.uint64]:
    keys = rows["event"].astype(np.uint64) << np.uint64(32)
    keys |= rows["board"].astype(np.uint64) << np.uint64(24)
    keys |= rows["trigger"].astype(np.uint64) << np.uint64(8)
    return np.asarray(keys | rows["channel"], np.uint64)


def _typed(content: Mapping[str, Any], branches: Mapping[str, tuple[str, str]]) -> Columns:
    return {name: np.asarray(content[name], kind) for name, (kind, _) in branches.items()}


def join(parts: Sequence[Columns], branches: Mapping[str, tuple[str, str]]) -> Columns:
    """Return several parts as one."""
    return {
        name: np.concatenate([np.zeros(0, kind), *(part[name] for part in parts)]).astype(kind)
        for name, (kind, _) in branches.items()
    }
