"""One event's analysis: images and waveforms; the same code online and from file.

An event's result depends on its bytes, on the run's pedestals and on the settings, and on nothing
else: so neither the number of threads nor the way the event came in can change a number.
"""

import math
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from analyzer.average_wave import AverageWaves
from analyzer.conditions import RunConditions
from analyzer.drift import DriftWatch, exceeds
from analyzer.drs4 import Drs4Tables
from analyzer.dtypes import (
    CLUSTER,
    EVENT,
    PULSE,
    REDPIX,
    TILE,
    TRIGGER,
    WAVEFORM,
    EventFlag,
    TriggerFlag,
)
from analyzer.frames import decode_frame
from analyzer.images import ImageAnalysis
from analyzer.levels import Levels
from analyzer.mean_image import MeanImage, merged_rows
from analyzer.pedestal import Pedestal, same_exposure
from analyzer.quality import quality_rows
from analyzer.settings import AnalyzerSettings
from analyzer.slow_control import SlowControl
from analyzer.waveforms import FrameTime, WaveformAnalysis
from rawdata.errors import RawDataError
from rawdata.event import Event
from rawdata.layouts import camera as camera_banks
from rawdata.layouts import digitizer, times

NO_CAMERA: Final = 255
"""Column `camera` of an event without any camera bank."""

_MAX_TRIGGERS: Final = np.iinfo(np.uint16).max

_LONGEST_RUN_NS: Final = 10**15
"""Cameras' times beyond 11 days are not since the run's begin: another clock's."""


@dataclass
class Times:
    """How long the steps of an event took; no results, as they differ at each analysis [s].

    :param images: camera -> search for lit macro-pixels, clusters, their variables.
    :param waveforms: of all boards.
    """

    images: dict[int, tuple[float, float, float]] = field(default_factory=dict)
    waveforms: float = 0.0


@dataclass
class EventResult:
    """What came of one event.

    :param index: of the trigger event in the run, from 0.
    :param rows: dataset -> rows.
    :param problems: what was wrong with it, for people.
    """

    index: int
    serial: int
    rows: dict[str, npt.NDArray[Any]]
    problems: list[str] = field(default_factory=list)
    times: Times = field(default_factory=Times)


class RunAnalysis:
    """Analyzes the events of one run; `analyze` may be called from many threads at once.

    :param tables: DRS4 tables, None where none are to be applied.
    :param slow: readings of slow control; belongs to the thread that hands out events.
    :param odb_end: the ODB at end of run, or its ``Runinfo`` and ``Equipment``; empty until then.

    Each camera needs a pedestal before its frames can be analyzed: `cameras_without_pedestal` tells
    which of an event lack one, `set_pedestal` gives it. Both belong to the one thread that hands
    out events in the order of the run.
    """

    def __init__(
        self,
        conditions: RunConditions,
        settings: AnalyzerSettings,
        tables: Drs4Tables | None = None,
    ) -> None:
        self.conditions = conditions
        self.settings = settings
        self.levels: dict[int, Levels] = {}
        self.drift = DriftWatch(settings.drift_limit_adu)
        self.slow = SlowControl(settings, conditions.odb)
        self.odb_end: Mapping[str, Any] = {}
        self.waveforms = WaveformAnalysis(
            settings, conditions.exposure_s, None if conditions.drs4_on_board else tables
        )
        self.averages = AverageWaves(settings, self.waveforms)
        self._local = threading.local()
        self._means: list[tuple[int, MeanImage]] = []

    def cameras_without_pedestal(self, event: Event) -> dict[int, npt.NDArray[np.uint16]]:
        """Return the frames of an event whose camera has no pedestal yet: camera -> pixels.

        Frames that cannot be read are left out: a later one of their camera will do.
        """
        frames = {}
        for camera in camera_banks.camera_indices(event):
            if camera not in self.levels:
                with suppress(RawDataError):
                    frames[camera] = decode_frame(event, camera, self.settings)
        return frames

    def set_pedestal(self, camera: int, levels: Levels) -> None:
        """Give a camera its pedestal, for the whole run."""
        self.levels[camera] = levels
        self.drift.set_pedestal(camera, levels.pedestal)

    def pedestals(self) -> dict[int, Pedestal]:
        """Return the pedestals in use: camera -> pedestal."""
        return {camera: levels.pedestal for camera, levels in self.levels.items()}

    def mean_image(self) -> npt.NDArray[Any]:
        """Return rows of `MEAN_IMAGE` over all frames so far; for when no thread is at work."""
        return merged_rows(self._means)

    def analyze(
        self, event: Event, index: int, slow: npt.NDArray[Any] | None = None
    ) -> EventResult:
        """Analyze one event; what is wrong with it is flagged and told, never raised.

        :param slow: rows of `SLOW` that came before it, which become rows of it.
        """
        problems: list[str] = []
        times = Times()
        try:
            rows = self._analyze(event, problems, times)
        except Exception as error:
            # Whatever an event may hold, it must not end the run's analysis.
            rows = {"events": _flagged(EventFlag.FAILED)}
            problems = [f"analysis failed: {type(error).__name__}: {error}"]
        pixels = {camera: levels.level.size for camera, levels in self.levels.items()}
        rows["quality"] = quality_rows(rows, pixels, self.settings)
        if slow is not None and len(slow):
            rows["slow"] = slow
        for part in rows.values():
            part["event"] = index
        rows["events"]["serial"] = event.serial_number
        rows["events"]["timestamp"] = event.timestamp
        return EventResult(index, event.serial_number, rows, problems, times)

    def _analyze(
        self, event: Event, problems: list[str], taken: Times
    ) -> dict[str, npt.NDArray[Any]]:
        events: list[npt.NDArray[Any]] = []
        clusters: list[npt.NDArray[Any]] = []
        pixels: list[npt.NDArray[Any]] = []
        tiles: list[npt.NDArray[Any]] = []
        for camera in camera_banks.camera_indices(event):
            row, found, kept, level = self._analyze_camera(event, camera, problems, taken)
            for part in (row, found, kept, level):
                part["camera"] = camera
            events.append(row)
            clusters.append(found)
            pixels.append(kept)
            tiles.append(level)
        if not events:
            problems.append(f"no camera bank; it has: {' '.join(event) or 'none'}")
            events.append(_flagged(EventFlag.NO_CAMERA))
        rows = {
            "events": _joined(events, EVENT),
            "clusters": _joined(clusters, CLUSTER),
            "redpix": _joined(pixels, REDPIX),
            "tiles": _joined(tiles, TILE),
        }
        began_s = time.perf_counter()
        rows |= self._analyze_digitizers(event, rows["events"], problems)
        taken.waveforms = time.perf_counter() - began_s
        return rows

    def _analyze_camera(
        self, event: Event, camera: int, problems: list[str], taken: Times
    ) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]:
        nothing, kept, tiles = np.zeros(0, CLUSTER), np.zeros(0, REDPIX), np.zeros(0, TILE)
        levels = self.levels.get(camera)
        try:
            shape = levels.shape if levels else None
            frame = decode_frame(event, camera, self.settings, shape)
        except RawDataError as error:
            problems.append(str(error))
            return _flagged(EventFlag.BAD_FRAME), nothing, kept, tiles
        if levels is None:
            problems.append(f"camera {camera} has no pedestal")
            return _flagged(EventFlag.BAD_FRAME), nothing, kept, tiles
        images = self._images(camera, levels)
        row, clusters = images.analyze(frame)
        taken.images[camera] = images.steps_s
        tiles = images.tiles()
        level = float(row["residual_mean"][0])
        if exceeds(level, tiles["level"], self.settings.drift_limit_adu):
            row["flags"] |= np.uint16(EventFlag.DRIFTED)
        if not same_exposure(levels.pedestal.exposure_s, self.conditions.exposure_s):
            row["flags"] |= np.uint16(EventFlag.OTHER_EXPOSURE)
        if not int(row["flags"][0]) & EventFlag.SPARK:
            self._mean_image(camera, levels).add(images.macro_sums, event.serial_number)
        if self.settings.keep_pixels:
            kept = images.pixels_of(clusters)
        if times.fid_name(camera) in event:
            try:
                row["frame_id"] = times.decode_fid(event, camera)
            except RawDataError as error:
                problems.append(str(error))
        return row, clusters, kept, tiles

    def _analyze_digitizers(
        self, event: Event, events: npt.NDArray[Any], problems: list[str]
    ) -> dict[str, npt.NDArray[Any]]:
        """Return the rows of the digitizers' data; note flags and triggers in those of `events`."""
        kinds = {"waveforms": WAVEFORM, "pulses": PULSE, "triggers": TRIGGER}
        nothing = {name: np.zeros(0, kind) for name, kind in kinds.items()}
        if digitizer.HEADER_BANK not in event and digitizer.SAMPLES_BANK not in event:
            return nothing
        try:
            header, samples, missing = digitizer.decode_whole(event)
            time = self._frame_time(event, header)
            rows = self.waveforms.analyze(header, samples, time)
        except RawDataError as error:
            problems.append(str(error))
            events["flags"] |= np.uint16(EventFlag.BAD_DIGITIZER)
            return nothing
        if missing:
            problems.append(missing)
            events["flags"] |= np.uint16(EventFlag.BAD_DIGITIZER)
        is_inside = rows[2]["flags"] & np.uint16(TriggerFlag.INSIDE_EXPOSURE)
        events["triggers"] = min(len(rows[2]), _MAX_TRIGGERS)
        events["triggers_inside"] = min(int(np.count_nonzero(is_inside)), _MAX_TRIGGERS)
        return dict(zip(kinds, rows, strict=True))

    def _frame_time(self, event: Event, header: digitizer.DigitizerHeader) -> FrameTime:
        """Return when the frame was exposed: the camera's clock, or else about the host's."""
        conditions = self.conditions
        if header.generation == "A":
            since_s = event.timestamp - conditions.begin_time if conditions.begin_time else math.nan
        else:
            since_s = event.timestamp / 1000
        for camera in camera_banks.camera_indices(event):
            if times.tsp_name(camera) in event:
                with suppress(RawDataError):
                    begin_ns = times.decode_tsp(event, camera)
                    if begin_ns < _LONGEST_RUN_NS:
                        return FrameTime(float(begin_ns), float(begin_ns), has_times=True)
        return FrameTime(expected_ns=since_s * 1e9)

    def _images(self, camera: int, levels: Levels) -> ImageAnalysis:
        """Return this thread's own analysis of a camera's frames."""
        images: dict[int, ImageAnalysis] | None = getattr(self._local, "images", None)
        if images is None:
            images = self._local.images = {}
        if camera not in images:
            images[camera] = ImageAnalysis(levels, self.settings)
        return images[camera]

    def _mean_image(self, camera: int, levels: Levels) -> MeanImage:
        """Return this thread's own mean image of a camera."""
        means: dict[int, MeanImage] | None = getattr(self._local, "means", None)
        if means is None:
            means = self._local.means = {}
        if camera not in means:
            means[camera] = MeanImage(levels, self.settings.hot_adu)
            self._means.append((camera, means[camera]))
        return means[camera]


def _flagged(flag: EventFlag) -> npt.NDArray[Any]:
    row = np.zeros(1, EVENT)
    row["camera"] = NO_CAMERA
    row["flags"] = int(flag)
    return row


def _joined(parts: list[npt.NDArray[Any]], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """Return rows in one array. To copy rows of many fields takes long: one part stays itself."""
    if len(parts) == 1:
        return parts[0]
    return np.concatenate([np.zeros(0, dtype), *parts])
