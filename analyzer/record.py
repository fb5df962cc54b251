"""What a results file says of its run: the attributes, and the counts that must agree."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from analyzer.analysis import EventResult, RunAnalysis
from analyzer.conditions import RunConditions
from analyzer.limits import limits_of
from analyzer.settings import AnalyzerSettings
from experiment.settings import to_odb
from rawdata import odbdump


@dataclass
class Counts:
    """What came of a run's trigger events.

    :param seen: events that came in.
    :param analyzed: events that have rows in the results; those with trouble are among them.
    :param lost: events of the run that did not come in.
    :param troubled: events that are flagged because something was wrong with them.
    :param clusters: clusters in all frames.
    :param waveforms: waveforms in all events.
    """

    seen: int = 0
    analyzed: int = 0
    lost: int = 0
    troubled: int = 0
    clusters: int = 0
    waveforms: int = 0

    def add(self, result: EventResult) -> None:
        """Count an event's results."""
        self.analyzed += 1
        self.troubled += bool(result.problems)
        self.clusters += len(result.rows.get("clusters", ()))
        self.waveforms += len(result.rows.get("waveforms", ()))


def begin_attributes(
    conditions: RunConditions, settings: AnalyzerSettings, source: str
) -> dict[str, Any]:
    """Return the attributes that are known when a run begins.

    :param source: where the events come from: the name of a run file, or a buffer.
    """
    return {
        "run": conditions.run,
        "exposure_s": conditions.exposure_s,
        "pedestal_run": conditions.is_pedestal,
        "begin_time": conditions.begin_time,
        "source": source,
        "settings": settings.model_dump_json(by_alias=True),
        "limits": json.dumps(
            {key: to_odb(limit) for key, limit in limits_of(conditions.odb).items()}
        ),
        "description": str(
            odbdump.get(conditions.odb, "/Experiment/Run Parameters/Run description") or ""
        ),
    }


def end_attributes(
    analysis: RunAnalysis, counts: Counts, end_time: int, trouble: str
) -> dict[str, Any]:
    """Return the attributes that are known when a run is over.

    :param trouble: what keeps the results from being whole; empty if nothing does.
    """
    pedestals: Mapping[str, Any] = {
        str(camera): pedestal.summary() for camera, pedestal in analysis.pedestals().items()
    }
    drift = {str(camera): found.summary() for camera, found in analysis.drift.of_run().items()}
    return {
        "end_time": end_time,
        "pedestals": json.dumps(pedestals),
        "drift": json.dumps(drift),
        "trouble": trouble,
        "complete": not trouble and counts.lost == 0,
        **{f"events_{name}": asdict(counts)[name] for name in ("seen", "analyzed", "lost")},
        "events_troubled": counts.troubled,
    }
