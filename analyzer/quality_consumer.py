"""The quality of a run as it goes: fed event by event, shown each second, written at its end."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from analyzer.analysis import EventResult, RunAnalysis
from analyzer.consumer import Consumer, Rows
from analyzer.dtypes import FIGURES_ROW
from analyzer.figures import figures_of
from analyzer.quality import RunQuality
from analyzer.results import open_results
from analyzer.summary import duration_of, summary_of, summary_path, write_summary
from analyzer.trigger_record import trigger_record


class QualityConsumer(Consumer):
    """Sums the quality of a run and writes its summary."""

    def __init__(self, analysis: RunAnalysis) -> None:
        super().__init__(analysis)
        self.quality = RunQuality(analysis.settings)
        self._end_time = 0
        self._figures: dict[str, Any] = {}

    def take(self, result: EventResult) -> None:
        """Add an event."""
        self.quality.add(result.rows)
        self._end_time = int(result.rows["events"]["timestamp"][0])

    def finish(self) -> Mapping[str, Rows]:
        """Return the run's figures, one row of `FIGURES_ROW`, and its mean image."""
        analysis = self.analysis
        conditions = analysis.conditions
        self._figures = figures_of(
            self.quality,
            self.quality.spectrum.fit(),
            trigger_record(analysis.odb_end, conditions.run),
            analysis.slow.at_begin,
            conditions.exposure_s,
            self._duration_s(),
            {camera: pedestal.summary() for camera, pedestal in analysis.pedestals().items()},
        )
        row = np.zeros(1, FIGURES_ROW)
        for name in FIGURES_ROW.names or ():
            value = self._figures[name]
            row[name] = np.nan if value is None else value
        return {"figures": row, "mean_image": analysis.mean_image()}

    def conclude(self, output: Path) -> None:
        """Write the summary beside the results."""
        analysis = self.analysis
        record = trigger_record(analysis.odb_end, analysis.conditions.run)
        with open_results(output) as results:
            attributes = results.attributes
        summary = summary_of(
            attributes,
            self._figures,
            analysis.conditions.odb,
            record.events_sent,
            self._duration_s(),
        )
        write_summary(summary, summary_path(output))

    def _duration_s(self) -> float | None:
        analysis = self.analysis
        return duration_of(analysis.conditions.begin_time, self._end_time, analysis.odb_end)
