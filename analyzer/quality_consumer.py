"""The quality of a run as it goes: fed event by event, shown each second, written at its end."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from analyzer.analysis import EventResult, RunAnalysis
from analyzer.consumer import Consumer, Rows
from analyzer.dtypes import FIGURES_ROW
from analyzer.figures import camera_figures, figures_of
from analyzer.kernels.kinds import FE55_KEV
from analyzer.limits import limits_of
from analyzer.quality import RunQuality
from analyzer.quantities import CAMERA_QUANTITIES, MAX_CAMERAS, QUANTITIES, camera_variable
from analyzer.recent import RecentQuality
from analyzer.results import open_results
from analyzer.spectrum import PeakFit
from analyzer.summary import duration_of, summary_of, summary_path, write_summary
from analyzer.trigger_record import trigger_record

FIT_PERIOD_S: Final = 10.0
"""Least time between two fits of the 55Fe line while a run goes on; one takes some 15 ms."""


class QualityConsumer(Consumer):
    """Sums the quality of a run and writes its summary."""

    def __init__(self, analysis: RunAnalysis) -> None:
        super().__init__(analysis)
        self.quality = RunQuality(analysis.settings)
        self._recent = RecentQuality(analysis.conditions.exposure_s)
        self._slow = dict(analysis.slow.at_begin)
        self._fit = PeakFit("too few", 0)
        self._fit_due_s = 0.0
        self._end_time = 0
        self._figures: dict[str, Any] = {}
        self._cameras: dict[str, Any] = {}

    def take(self, result: EventResult) -> None:
        """Add an event."""
        self.quality.add(result.rows)
        self._recent.add(result.rows)
        for reading in result.rows.get("slow", ()):
            self._slow[reading["quantity"].decode()] = float(reading["value"])
        self._end_time = int(result.rows["events"]["timestamp"][0])

    def variables(self) -> Mapping[str, Any]:
        """Return what the last events were like, and the 55Fe line of the run so far."""
        now = time.monotonic()
        if now >= self._fit_due_s:
            self._fit = self.quality.spectrum.fit()
            self._fit_due_s = now + FIT_PERIOD_S
        slow = {
            quantity.key: self._slow[quantity.figure]
            for quantity in QUANTITIES
            if quantity.figure in self._slow
        }
        return {
            **self._recent.variables(),
            **_arrays(self.cameras()),
            **slow,
            "55Fe peak ADU": self._fit.mean,
            "55Fe resolution %": 100 * self._fit.resolution,
            "Light yield ADU": self._fit.mean / FE55_KEV,
        }

    def cameras(self) -> Mapping[int, Mapping[str, float]]:
        """Return what the last frames of each camera were like."""
        return self._recent.cameras()

    def finish(self) -> Mapping[str, Rows]:
        """Return the run's figures, one row of `FIGURES_ROW`, and its mean image."""
        analysis = self.analysis
        conditions = analysis.conditions
        pedestals = {camera: used.summary() for camera, used in analysis.pedestals().items()}
        image = analysis.mean_image()
        hot = {
            int(camera): int(image["hot"][image["camera"] == camera].sum(dtype=np.int64))
            for camera in np.unique(image["camera"])
        }
        self._figures = figures_of(
            self.quality,
            self.quality.spectrum.fit(),
            trigger_record(analysis.odb_end, conditions.run),
            analysis.slow.at_begin,
            conditions.exposure_s,
            self._duration_s(),
            pedestals,
            limits_of(conditions.odb),
            hot,
        )
        self._cameras = camera_figures(self.quality, pedestals, hot)
        row = np.zeros(1, FIGURES_ROW)
        for name in FIGURES_ROW.names or ():
            value = self._figures[name]
            row[name] = np.nan if value is None else value
        return {"figures": row, "mean_image": image}

    def conclude(self, output: Path) -> None:
        """Write the summary beside the results."""
        analysis = self.analysis
        record = trigger_record(analysis.odb_end, analysis.conditions.run)
        with open_results(output) as results:
            attributes = results.attributes
        summary = summary_of(
            attributes,
            {**self._figures, **self._cameras},
            analysis.conditions.odb,
            record.events_sent,
            self._duration_s(),
        )
        write_summary(summary, summary_path(output))

    def _duration_s(self) -> float | None:
        analysis = self.analysis
        return duration_of(analysis.conditions.begin_time, self._end_time, analysis.odb_end)


def _arrays(cameras: Mapping[int, Mapping[str, float]]) -> dict[str, list[float]]:
    """Return the cameras' own values as arrays; 0 where there is no camera."""
    return {
        camera_variable(quantity): [
            cameras.get(camera, {}).get(quantity.key, 0.0) for camera in range(MAX_CAMERAS)
        ]
        for quantity in CAMERA_QUANTITIES
    }
