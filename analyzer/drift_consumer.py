"""Hands the rows of a run's events to its watch over the pedestal's drift."""

from analyzer.analysis import EventResult
from analyzer.consumer import Consumer


class DriftConsumer(Consumer):
    """Feeds `RunAnalysis.drift`, where others read it: ``analysis.drift.recent()``."""

    def take(self, result: EventResult) -> None:
        """Take note of an event."""
        self.analysis.drift.add(result.rows)
