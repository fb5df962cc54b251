"""What takes the results of a run, event after event, beside the results file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy.typing as npt

from analyzer.analysis import EventResult, RunAnalysis

Rows = npt.NDArray[Any]


class Consumer:
    """Takes the results of one run; all methods do nothing here, so override what is wanted.

    It is made when the run begins, with the run's analysis, and listed in `consumers.CONSUMERS`.
    Online and from file the same calls come in the same order, one at a time: `take` for each event
    in the order of the run (online those that came), then `finish`, then `conclude`.
    """

    def __init__(self, analysis: RunAnalysis) -> None:
        self.analysis = analysis

    def take(self, result: EventResult) -> None:
        """Take one event's rows; online this is the main thread, so never wait here."""

    def variables(self) -> Mapping[str, Any]:
        """Return what /Equipment/Analyzer/Variables shall show now: key -> number.

        Called once a second online, and at the end. Keys that are not known yet are left out; the
        keys and their first values belong into `publish.NOTHING_KNOWN`.
        """
        return {}

    def finish(self) -> Mapping[str, Rows]:
        """Return the last rows for the results file: dataset -> rows. The run is over."""
        return {}

    def conclude(self, output: Path) -> None:
        """The results file is whole and has its name: write what lies beside it."""
