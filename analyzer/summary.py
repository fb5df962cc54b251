"""The summary of a run: ``run00042.summary.json``, beside its results, one flat JSON object.

It says which run it is, what was counted, and each figure of `analyzer.figure_table`. Keys are
stable and end in their unit; a value that is not known is null. The file appears when it is whole.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import rawdata
from analyzer.errors import ResultsError
from analyzer.figure_table import FIGURES, Figure
from analyzer.replace import replaced_file
from rawdata import odbdump

SCHEMA: Final = "cygno-daq summary 1"

HEAD: Final = (
    Figure("schema", str, f"`{SCHEMA}`; the number grows if a key changes its meaning"),
    Figure("run", int, "run number"),
    Figure("software_version", str, "of the analyzer"),
    Figure("begin_time_s", int, "unix time of the begin of the run"),
    Figure("end_time_s", int, "unix time of its end"),
    Figure("duration_s", float, "from begin to end"),
    Figure("exposure_s", float, "exposure of a frame"),
    Figure("pedestal_run", bool, "the run makes a pedestal"),
    Figure("pedestal_used_run", int, "run of the first camera's pedestal; 0: estimated"),
    Figure("run_description", str, "what the operator wrote"),
    Figure("source_type", int, "0 none, 1 55Fe"),
    Figure("source_position_cm", float, "position of the source"),
    Figure("events_sent", int, "trigger events that the frontends sent"),
    Figure("events_seen", int, "trigger events that came to the analyzer"),
    Figure("events_analyzed", int, "trigger events in the results"),
    Figure("events_lost", int, "trigger events of the run that are not in the results"),
    Figure("events_troubled", int, "analyzed events that something was wrong with"),
    Figure("complete", bool, "the results are of the whole run"),
    Figure("trouble", str, "why they are not; empty if they are"),
)
"""What the summary says before the figures."""

KEYS: Final = (*HEAD, *FIGURES)


def summary_name(run: int) -> str:
    """Return the name of a run's summary.

    >>> summary_name(42)
    'run00042.summary.json'
    """
    return f"run{run:05d}.summary.json"


def summary_path(results: Path) -> Path:
    """Return where the summary of a results file stands.

    >>> summary_path(Path("/data/run00042.reco.h5")).name, summary_path(Path("my.h5")).name
    ('run00042.summary.json', 'my.summary.json')
    """
    name = results.name.removesuffix(results.suffix).removesuffix(".reco")
    return results.with_name(f"{name}.summary.json")


def duration_of(begin_time: int, end_time: int, odb_end: Mapping[str, Any]) -> float | None:
    """Return how long a run took [s], by the ODB at its end or else its last event.

    >>> duration_of(1000, 1240, {}), duration_of(0, 1240, {})
    (240.0, None)
    """
    stop = int(odbdump.get(odb_end, "/Runinfo/Stop time binary", 0) or 0)
    end = stop if stop >= begin_time > 0 else end_time
    return float(end - begin_time) if end >= begin_time > 0 else None


def summary_of(
    attributes: Mapping[str, Any],
    figures: Mapping[str, Any],
    odb: Mapping[str, Any],
    events_sent: int | None,
    duration_s: float | None,
) -> dict[str, Any]:
    """Return the summary of a run.

    :param attributes: of its results file.
    :param figures: of `figures_of`.
    :param odb: the ODB at begin of run.
    """
    pedestals = json.loads(attributes.get("pedestals") or "{}")
    begin = int(attributes["begin_time"]) or None
    first = pedestals[min(pedestals, key=int)] if pedestals else None
    head = {
        "schema": SCHEMA,
        "run": attributes["run"],
        "software_version": rawdata.__version__,
        "begin_time_s": begin,
        "end_time_s": None if begin is None or duration_s is None else begin + int(duration_s),
        "duration_s": duration_s,
        "exposure_s": attributes["exposure_s"] or None,
        "pedestal_run": attributes["pedestal_run"],
        "pedestal_used_run": None if first is None else first["run"],
        "run_description": odbdump.get(odb, "/Experiment/Run Parameters/Run description"),
        "source_type": odbdump.get(odb, "/Configurations/SourceState/source_type"),
        "source_position_cm": odbdump.get(odb, "/Configurations/SourceState/source_position"),
        "events_sent": events_sent,
        **{
            key: attributes[key]
            for key in ("events_seen", "events_analyzed", "events_lost", "events_troubled")
        },
        "complete": attributes["complete"],
        "trouble": attributes["trouble"],
    }
    typed = {
        figure.key: None if head[figure.key] is None else figure.kind(head[figure.key])
        for figure in HEAD
    }
    return {**typed, **figures}


def write_summary(summary: Mapping[str, Any], path: Path) -> None:
    """Write a summary; it appears when it is whole.

    :raises ResultsError: if it cannot be written.
    """
    text = json.dumps(summary, indent=1, allow_nan=False, ensure_ascii=False) + "\n"
    try:
        with replaced_file(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ResultsError(f"summary {path} cannot be written: {error}") from error


def read_summary(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a summary.

    :raises ResultsError: if it is not one.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ResultsError(f"{path}: not a summary that can be read: {error}") from error
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise ResultsError(f"{path}: not a summary of this software ({SCHEMA!r})")
    return content
