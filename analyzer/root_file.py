"""Results as a ROOT file with CYGNO's trees, written as the run goes, renamed when it is whole."""

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

import rawdata
from analyzer import cygno_tree as tree
from analyzer.analysis import EventResult, RunAnalysis
from analyzer.cygno_branches import (
    AVERAGES,
    CLUSTERS,
    ENVIRONMENT,
    EVENTS,
    GEM_CHANNELS,
    MISSING,
    PEAKS,
    PMT_CHANNELS,
    REDPIXELS,
    TIMES,
    WAVES,
)
from analyzer.dtypes import REDPIX
from analyzer.errors import ResultsError
from analyzer.replace import publish
from rawdata.event import Event
from rawdata.layouts.digitizer import DRS4_MODEL

PARTIAL: Final = ".partial"

_BATCH_FRAMES: Final = 500
_BATCH_ROWS: Final = 500_000
"""Rows of pixels or pulses that wait at most: so memory does not grow with the run."""

_COUNTERS: Final = {"sc": "nSc", "redpix": "nRedpix", "pmt_peak": "pmt_wf_nPeaks"}
"""Group of jagged branches -> the branch that counts them."""

NOT_INSTALLED: Final = (
    "ROOT files need the packages uproot and awkward: pip install 'cygno-daq[root]'"
)


def root_name(run: int) -> str:
    """Return the name of a run's ROOT file; CYGNO's ends in ``_3D.root``, after its clustering.

    >>> root_name(42)
    'reco_run00042.root'
    """
    return f"reco_run{run:05d}.root"


class _Waveforms:
    """Waveforms that wait to be written."""

    def __init__(self) -> None:
        self.rows: list[npt.NDArray[Any]] = []
        self._pulses: list[npt.NDArray[Any]] = []
        self._time_ms: list[npt.NDArray[np.float64]] = []
        self._taken_s: list[npt.NDArray[np.float64]] = []

    def add(
        self,
        rows: npt.NDArray[Any],
        pulses: npt.NDArray[Any],
        triggers: npt.NDArray[Any],
        taken_s: float,
    ) -> None:
        """Add those of an event.

        :param taken_s: how long their analysis took.
        """
        self.rows.append(rows)
        self._pulses.append(pulses)
        self._time_ms.append(tree.frame_times(rows, triggers))
        self._taken_s.append(np.full(len(rows), taken_s / max(len(rows), 1)))

    def joined(self) -> tuple[npt.NDArray[Any], ...]:
        """Return rows, pulses, times in the frame [ms], and how long each took [s]."""
        parts = (self.rows, self._pulses, self._time_ms, self._taken_s)
        return tuple(np.concatenate(part) for part in parts)


class RootWriter:
    """Writes the results of a run; `close` gives the file its name, without it it stays partial.

    :param pmt_channels: channels whose waveforms have entries.
    :param gem_channels: the same of the tree of GEMs; of the V1742 alone, as with CYGNO.
    :param readout_ms: the setting Readout time.
    :param slow_control: quantity -> value, as at begin of run.
    :raises ResultsError: here and in all methods, if the file cannot be written.
    """

    def __init__(
        self,
        path: Path,
        attributes: Mapping[str, Any],
        partial: Path | None = None,
        *,
        pmt_channels: Sequence[int] = PMT_CHANNELS,
        gem_channels: Sequence[int] = GEM_CHANNELS,
        readout_ms: float = 180.0,
        slow_control: Mapping[str, float] | None = None,
    ) -> None:
        try:
            import awkward
            import uproot
        except ImportError as error:
            raise ResultsError(NOT_INSTALLED) from error
        self._awkward = awkward
        self.path = path
        self.partial = partial or path.with_name(path.name + PARTIAL)
        self._attributes = dict(attributes)
        self._run = int(attributes["run"])
        self._exposure_s = float(attributes["exposure_s"])
        self._readout_ms = readout_ms
        self._channels = list(pmt_channels)
        self._gem_channels = list(gem_channels)
        self._environment = dict.fromkeys(ENVIRONMENT, MISSING)
        for quantity, value in (slow_control or {}).items():
            self._note_slow(quantity, value)
        self._frames: list[tree.Columns] = []
        self._clusters: list[tree.Columns] = []
        self._pixels: list[tree.Columns] = []
        self._waves, self._averaged = _Waveforms(), _Waveforms()
        self._waiting = 0
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = uproot.recreate(self.partial)
            self._events = self._tree("Events", EVENTS, {"sc": CLUSTERS, "redpix": REDPIXELS})
            peaks = {"pmt_peak": PEAKS}
            self._pmts = self._tree("PMT_Events", WAVES | TIMES, peaks)
            self._averages = self._tree("PMT_Avg_Events", AVERAGES | TIMES, peaks)
            self._gems = self._tree("GEM_Events", WAVES, peaks)
        except OSError as error:
            raise self._failed(error) from error

    @staticmethod
    def measure(analysis: RunAnalysis, event: Event, result: EventResult) -> dict[str, Any]:
        """Return what an event's entries need beside its results; threads call it."""
        began_s = time.perf_counter()
        averages, pulses = tree.measure_averages(analysis, event, result)
        averages_s = time.perf_counter() - began_s
        return {
            "cmos": tree.measure_cmos(analysis, event, result),
            "averages": averages,
            "average_pulses": pulses,
            "waveform_times": np.array([result.times.waveforms, averages_s]),
        }

    def append(self, rows: Mapping[str, npt.NDArray[Any]]) -> None:
        """Add the rows of one event: dataset -> rows. Rows that belong to no event are left out."""
        for row in rows.get("slow", ()):
            quantity = bytes(row["quantity"]).rstrip(b"\0").decode()
            self._note_slow(quantity, float(row["value"]))
        if "cmos" not in rows:
            return
        events = {int(row["camera"]): row for row in rows["events"]}
        for frame in rows["cmos"]:
            self._add_frame(frame, events[int(frame["camera"])], rows)
        waves = rows.get("waveforms")
        if waves is not None and len(waves):
            waves_s, averages_s = rows["waveform_times"]
            self._waves.add(waves, rows["pulses"], rows["triggers"], waves_s)
            self._averaged.add(
                rows["averages"], rows["average_pulses"], rows["triggers"], averages_s
            )
        if len(self._frames) >= _BATCH_FRAMES or self._waiting >= _BATCH_ROWS:
            self.flush()

    def flush(self) -> None:
        """Bring all entries into the file."""
        try:
            if self._frames:
                counts = [len(part["sc_size"]) for part in self._clusters]
                pixels = [len(part["redpix_iz"]) for part in self._pixels]
                self._events.extend(
                    {
                        **tree.join(self._frames, EVENTS),
                        "sc": self._jagged(tree.join(self._clusters, CLUSTERS), counts, "sc"),
                        "redpix": self._jagged(
                            tree.join(self._pixels, REDPIXELS), pixels, "redpix"
                        ),
                    }
                )
            if self._waves.rows:
                waves, *others = self._waves.joined()
                is_gem = np.isin(waves["channel"], self._gem_channels)
                is_gem &= waves["model"] == DRS4_MODEL
                is_pmt = np.isin(waves["channel"], self._channels)
                self._extend(self._pmts, WAVES | TIMES, is_pmt, waves, *others)
                self._extend(self._gems, WAVES, is_gem, waves, *others)
                waves, *others = self._averaged.joined()
                every = np.ones(len(waves), np.bool_)
                self._extend(self._averages, AVERAGES | TIMES, every, waves, *others)
        except OSError as error:
            raise self._failed(error) from error
        for waiting in (self._frames, self._clusters, self._pixels):
            waiting.clear()
        self._waves, self._averaged = _Waveforms(), _Waveforms()
        self._waiting = 0

    def close(self, attributes: Mapping[str, Any]) -> Path:
        """Write how the run was analyzed, and give the file its name."""
        self.flush()
        content = {
            key: value.item() if isinstance(value, np.generic) else value
            for key, value in {**self._attributes, **attributes}.items()
        }
        try:
            self._file["gitHash"] = rawdata.__version__
            self._file["Reco_attributes"] = json.dumps(content, default=str)
            self._file.close()
            publish(self.partial, self.path)
        except OSError as error:
            raise self._failed(error) from error
        return self.path

    def abandon(self, *, keep: bool = False) -> None:
        """Let go of the file; remove it unless it is to be kept as it is, partial."""
        try:
            if keep:
                self.flush()
            self._file.close()
        except (OSError, ResultsError):
            pass
        if not keep:
            self.partial.unlink(missing_ok=True)

    def _tree(
        self,
        name: str,
        plain: Mapping[str, tuple[str, str]],
        groups: Mapping[str, Mapping[str, tuple[str, str]]],
    ) -> Any:
        types = {branch: kind for branch, (kind, _) in plain.items()}
        for group, branches in groups.items():
            fields = [f"{b.removeprefix(group + '_')}: {kind}" for b, (kind, _) in branches.items()]
            types[group] = f"var * {{{', '.join(fields)}}}"
        return self._file.mktree(
            name,
            types,
            counter_name=_COUNTERS.__getitem__,
            field_name=lambda group, field: f"{group}_{field}",
        )

    def _extend(
        self,
        target: Any,
        branches: Mapping[str, tuple[str, str]],
        chosen: npt.NDArray[np.bool_],
        waves: npt.NDArray[Any],
        pulses: npt.NDArray[Any],
        time_ms: npt.NDArray[np.float64],
        taken_s: npt.NDArray[np.float64],
    ) -> None:
        """Add chosen waveforms, and the pulses that are theirs, to a tree with such branches."""
        if not chosen.any():
            return
        numbers, peaks = tree.peak_columns(waves[chosen], pulses)
        columns = tree.wave_columns(
            self._run, waves[chosen], time_ms[chosen], taken_s[chosen],
            self._exposure_s, self._readout_ms,
        )  # fmt: skip
        content = {name: columns[name] for name in branches if name in columns}
        target.extend({**content, "pmt_peak": self._jagged(peaks, numbers, "pmt_peak")})

    def _add_frame(
        self, frame: npt.NDArray[Any], event: npt.NDArray[Any], rows: Mapping[str, Any]
    ) -> None:
        camera, columns = frame["camera"], int(frame["columns"])
        clusters = rows["clusters"]
        clusters = clusters[clusters["camera"] == camera]
        pixels = rows.get("redpix", np.zeros(0, REDPIX))
        pixels = pixels[pixels["camera"] == camera]
        clusters, pixels, first = tree.frame_clusters(clusters, pixels)
        entry = {
            "run": self._run,
            "event": frame["event"],
            "pedestal_run": frame["pedestal_run"],
            "cmos_integral": frame["integral"],
            "cmos_mean": frame["mean"],
            "cmos_rms": frame["rms"],
            "lp_len": clusters["sc_nmacro"].sum(dtype=np.int64),
            **{name: 0.0 for name in EVENTS if name.startswith("t_")},
            **dict(zip(("t_pedsub", "t_DBSCAN", "t_variables"), frame["times"], strict=True)),
            "camera": camera,
            "flags": event["flags"],
            **self._environment,
        }
        self._frames.append({name: np.array([value]) for name, value in entry.items()})
        self._clusters.append(tree.cluster_columns(clusters, columns, first))
        self._pixels.append(tree.pixel_columns(pixels, columns))
        self._waiting += len(pixels) + len(clusters)

    def _note_slow(self, quantity: str, value: float) -> None:
        """Take a reading of slow control, which holds until the next one."""
        for branch, (wanted, factor) in ENVIRONMENT.items():
            if wanted == quantity:
                self._environment[branch] = value * factor

    def _jagged(self, columns: tree.Columns, counts: Any, group: str) -> Any:
        fields = {name.removeprefix(f"{group}_"): values for name, values in columns.items()}
        return self._awkward.unflatten(self._awkward.zip(fields), np.asarray(counts, np.int64))

    def _failed(self, error: OSError) -> ResultsError:
        return ResultsError(f"results {self.partial} cannot be written: {error}")
