"""Quality of events and of runs: from the rows of an event to one row, from rows to figures.

`quality_rows` makes the rows of dataset ``quality`` beside the others of an event. `RunQuality`
sums what the events of a run were like; it takes them one by one, needs constant memory, and two of
them merge to what one would have become: all its sums are of whole numbers (`analyzer.exact`). So a
run has the same figures online and from file, with any number of workers.
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from analyzer.dtypes import QUALITY, ClusterFlag, EventFlag, WaveformFlag
from analyzer.exact import Moments
from analyzer.figure_table import IMAGE_QUANTITIES, PMT_QUANTITIES, SLOW_QUANTITIES
from analyzer.settings import AnalyzerSettings
from analyzer.spectrum import Spectrum

NO_IMAGE: Final = EventFlag.NO_CAMERA | EventFlag.BAD_FRAME | EventFlag.FAILED

SPARK_ADU: Final = 1e7
"""Light in the clusters of a frame that makes it a spark (``reco2sql.py``: cmos_integral > 1e7)."""

LIME_PIXEL_MM: Final = 0.152
"""Where the setting Pixel size says nothing (``reco2sql.py`` has it in its cuts)."""

COUNTS: Final = (
    "events",
    "frames",
    "empty_frames",
    "spark_frames",
    "n_fe55",
    "n_alphas",
    "n_muons",
    "triggers",
    "n_waveforms",
    "n_pulses",
    "n_saturated",
)

Rows = npt.NDArray[Any]


def quality_rows(
    rows: Mapping[str, Rows], pixels: Mapping[int, int], settings: AnalyzerSettings
) -> Rows:
    """Return rows of `QUALITY` for the rows of one event.

    :param rows: dataset -> rows: events, clusters, waveforms.
    :param pixels: camera -> pixels of its frames.
    """
    events, clusters = rows["events"], rows.get("clusters")
    quality = np.zeros(len(events), QUALITY)
    for name in ("camera", "flags", "image_mean", "noise", "row_noise", "n_clusters"):
        quality[name] = events[name]
    quality["pedestal_drift"] = events["residual_mean"]
    quality["saturated_pixels"] = events["saturated"]
    for row, event in zip(quality, events, strict=True):
        _describe_frame(row, event, clusters, pixels.get(int(event["camera"]), 0))
    _describe_waveforms(quality, rows.get("waveforms"), settings)
    return quality


def _describe_frame(row: Any, event: Any, clusters: Rows | None, pixels: int) -> None:
    flags = int(event["flags"])
    if flags & NO_IMAGE or not pixels:
        for name in ("image_mean", "noise", "row_noise", "pedestal_drift", "light_outside"):
            row[name] = np.nan
        return
    cluster_light = float(event["cluster_light"])
    row["light_outside"] = (float(event["light"]) - cluster_light) / pixels
    is_spark = bool(flags & EventFlag.SPARK) or cluster_light > SPARK_ADU
    if clusters is not None and len(clusters):
        kinds = clusters["flags"][clusters["camera"] == event["camera"]]
        row["n_fe55"] = np.count_nonzero(kinds & ClusterFlag.FE55)
        row["n_alphas"] = np.count_nonzero(kinds & ClusterFlag.ALPHA)
        row["n_muons"] = np.count_nonzero(kinds & ClusterFlag.MUON)
        is_spark |= bool(np.any(kinds & ClusterFlag.SPARK))
    row["is_spark"] = is_spark


def _describe_waveforms(quality: Rows, waveforms: Rows | None, settings: AnalyzerSettings) -> None:
    pmts = pmt_waveforms(waveforms, settings)
    quality["n_waveforms"] = len(pmts)
    if not len(pmts):
        for name in PMT_QUANTITIES:
            quality[name] = np.nan
        return
    quality["pmt_noise"] = pmts["noise"].mean(dtype=np.float64)
    quality["pmt_baseline"] = pmts["baseline"].mean(dtype=np.float64)
    quality["pmt_amplitude"] = pmts["amplitude"].max()
    quality["pmt_charge"] = pmts["charge"].mean(dtype=np.float64)
    quality["n_pulses"] = pmts["n_pulses"].sum(dtype=np.int64)
    quality["n_saturated"] = np.count_nonzero(pmts["flags"] & WaveformFlag.SATURATED)


def pmt_waveforms(waveforms: Rows | None, settings: AnalyzerSettings) -> Rows:
    """Return those rows of `WAVEFORM` that are of PMTs: setting ``PMT channels``."""
    if waveforms is None or not len(waveforms):
        return np.zeros(0, QUALITY)
    is_pmt = np.zeros(256, np.bool_)
    is_pmt[[channel for channel in settings.pmt_channels if 0 <= channel < 256]] = True
    pmts: Rows = waveforms[is_pmt[waveforms["channel"]]]
    return pmts


class RunQuality:
    """What the events of a run were like.

    :param cameras: camera -> quantity -> moments over its frames.
    :param pmts: quantity -> moments over the events that have waveforms.
    :param slow: quantity -> moments over its readings.
    :param counts: whole numbers, see `COUNTS`.
    :param flagged: frames with each of `EventFlag`.
    """

    def __init__(self, settings: AnalyzerSettings) -> None:
        self.settings = settings
        self.spectrum = Spectrum(settings)
        self.clusters = ClusterQuality(settings.pixel_mm or LIME_PIXEL_MM)
        self.cameras: dict[int, dict[str, Moments]] = {}
        self.pmts = {name: Moments() for name in PMT_QUANTITIES}
        self.slow = {name: Moments() for name in SLOW_QUANTITIES}
        self.counts = dict.fromkeys(COUNTS, 0)
        self.flagged = dict.fromkeys(EventFlag, 0)

    def add(self, rows: Mapping[str, Rows]) -> None:
        """Add the rows of one event: dataset -> rows, `quality` among them."""
        quality = rows["quality"]
        counts = self.counts
        counts["events"] += 1
        for row in quality:
            flags = int(row["flags"])
            for flag in EventFlag:
                self.flagged[flag] += bool(flags & flag)
            if flags & NO_IMAGE:
                continue
            counts["frames"] += 1
            counts["empty_frames"] += not row["n_clusters"]
            counts["spark_frames"] += int(row["is_spark"])
            for name in ("n_fe55", "n_alphas", "n_muons"):
                counts[name] += int(row[name])
            camera = int(row["camera"])
            if camera not in self.cameras:
                self.cameras[camera] = {name: Moments() for name in IMAGE_QUANTITIES}
            for name, moments in self.cameras[camera].items():
                moments.add(float(row[name]))
        if len(quality):
            first = quality[0]
            for name in ("n_waveforms", "n_pulses", "n_saturated"):
                counts[name] += int(first[name])
            for name, moments in self.pmts.items():
                moments.add(float(first[name]))
        events = rows.get("events")
        if events is not None and len(events):
            counts["triggers"] += int(events["triggers"][0])
        clusters = rows.get("clusters")
        if clusters is not None and len(clusters):
            self.spectrum.add(clusters)
            self.clusters.add(clusters)
        for reading in rows.get("slow", ()):
            self.slow[reading["quantity"].decode()].add(float(reading["value"]))

    def merge(self, other: "RunQuality") -> None:
        """Add all that another of the same settings has seen."""
        for camera, quantities in other.cameras.items():
            mine = self.cameras.setdefault(camera, {name: Moments() for name in IMAGE_QUANTITIES})
            for name, moments in quantities.items():
                mine[name].merge(moments)
        for name, moments in other.pmts.items():
            self.pmts[name].merge(moments)
        for name, moments in other.slow.items():
            self.slow[name].merge(moments)
        for name, count in other.counts.items():
            self.counts[name] += count
        for flag, count in other.flagged.items():
            self.flagged[flag] += count
        self.spectrum.merge(other.spectrum)
        self.clusters.merge(other.clusters)

    def image(self, quantity: str) -> Moments:
        """Return the moments of an image quantity over the frames of all cameras."""
        together = Moments()
        for quantities in self.cameras.values():
            together.merge(quantities[quantity])
        return together


class ClusterQuality:
    """Clusters of a run as CYGNO's ``reco2sql.py`` selects them for its table SlowReco.

    :param light: of all clusters [ADU].
    :param bright_light: of those that count for LY, see `_is_bright` [ADU].
    :param alpha_length: of alphas [pixel].
    :param muon_density: light of muons on each pixel of their length [ADU/pixel].
    """

    def __init__(self, pixel_mm: float) -> None:
        self._pixel_mm = pixel_mm
        self.light = Moments()
        self.bright_light = Moments()
        self.alpha_length = Moments()
        self.muon_density = Moments()

    def add(self, clusters: Rows) -> None:
        """Add rows of `CLUSTER`."""
        light, length = clusters["sc_integral"], clusters["sc_length"]
        hits = np.maximum(clusters["sc_nhits"], 1)
        density = light / hits
        is_alpha = (density > 25) & (length > 100) & (clusters["sc_width"] > 50)
        is_alpha &= hits / np.maximum(clusters["sc_size"], 1) > 0.1
        is_muon = (density < 9) & (length > 1000) & (clusters["sc_tgausssigma"] < 7)
        for value in light.tolist():
            self.light.add(value)
        for value in light[self._is_bright(clusters)].tolist():
            self.bright_light.add(value)
        for value in length[is_alpha].tolist():
            self.alpha_length.add(value)
        for value in (light[is_muon] / np.maximum(length[is_muon], 1)).tolist():
            self.muon_density.add(value)

    def _is_bright(self, clusters: Rows) -> npt.NDArray[np.bool_]:
        """Tell which clusters count for LY.

        3e4 to 3e5 ADU, sc_rms above 6, tgausssigma above 0.5 mm, in the acceptance, which stands
        for CYGNO's 800 pixels around the centre.
        """
        light = clusters["sc_integral"]
        is_bright = (light > 3e4) & (light < 3e5) & (clusters["sc_rms"] > 6)
        is_bright &= self._pixel_mm * clusters["sc_tgausssigma"] > 0.5
        is_bright &= clusters["flags"] & np.uint16(ClusterFlag.OUTSIDE) == 0
        return np.asarray(is_bright)

    def merge(self, other: "ClusterQuality") -> None:
        """Add all that another has seen."""
        self.light.merge(other.light)
        self.bright_light.merge(other.bright_light)
        self.alpha_length.merge(other.alpha_length)
        self.muon_density.merge(other.muon_density)
