"""The analyzer's summary of a run, ``run00042.summary.json``, in the catalog.

It is one flat JSON object whose keys are stable and end in their unit; what is not known is null.
All of it is kept, and each number and text under its key, so that keys that later versions add
need no change here.
"""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from sqlalchemy import delete, insert
from sqlalchemy.orm import Session

from stager.errors import FileError
from stager.models import File, now
from stager.records import Quality, QualityValue

LONGEST_NAME: Final = 96
GOOD: Final = "good"
WARNING: Final = "warning"
TROUBLED: Final = "troubled"


def read_summary(path: Path, run_number: int) -> tuple[dict[str, Any], str]:
    """Return a summary and the SHA-256 of its file.

    :raises FileError: if it is not one, or of another run.
    """
    try:
        content = path.read_bytes()
        summary = json.loads(content)
    except (OSError, ValueError) as error:
        raise FileError(f"{path.name} is not a summary that can be read: {error}") from error
    if not isinstance(summary, dict):
        raise FileError(f"{path.name} is not a summary: it holds no JSON object")
    if summary.get("run", run_number) != run_number:
        raise FileError(
            f"{path.name} is the summary of run {summary['run']}, not of run {run_number}; "
            "let the analyzer write it again"
        )
    return _finite(summary), hashlib.sha256(content).hexdigest()


def _finite(value: Any) -> Any:
    """Return it with null for each number that JSON does not know, and databases refuse."""
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_finite(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def flatten(summary: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each number, text and flag of a summary with its name; lists are passed over.

    >>> list(flatten({"noise_adu": 2.5, "fit": {"status": "ok"}, "limits": [1, 2]}))
    [('noise_adu', 2.5), ('fit.status', 'ok')]
    """
    for key, value in summary.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from flatten(value, f"{name}.")
        elif not isinstance(value, list):
            yield name, value


def write_quality(session: Session, file: File, summary: Mapping[str, Any], sha256: str) -> None:
    """Write a run's summary down, in place of the one before."""
    run = file.run_number
    session.execute(delete(QualityValue).where(QualityValue.run_number == run))
    row = session.get(Quality, run) or Quality(run_number=run)
    row.verdict = verdict_of(summary)
    row.events = _integer(summary.get("events_analyzed"))
    row.summary, row.file_sha256, row.updated_at = dict(summary), sha256, now()
    session.add(row)
    session.flush()
    values = [
        {"run_number": run, "quantity": name[:LONGEST_NAME], **_columns(value)}
        for name, value in dict(flatten(summary)).items()
        if name != "run"
    ]
    if values:
        session.execute(insert(QualityValue), values)


def verdict_of(summary: Mapping[str, Any]) -> str | None:
    """Return how the run is: troubled, out of limits, or good; None if the summary does not tell.

    >>> verdict_of({"complete": True, "trouble": ""}), verdict_of({"complete": False})
    ('good', 'troubled')
    >>> verdict_of({"complete": True, "limits_violated": "noise_adu"}), verdict_of({})
    ('warning', None)
    """
    complete = summary.get("complete")
    if complete is None and "trouble" not in summary:
        return None
    if summary.get("trouble") or complete is False:
        return TROUBLED
    return WARNING if summary.get("limits_violated") else GOOD


def _columns(value: Any) -> dict[str, Any]:
    if isinstance(value, str):
        return {"value": None, "text": value}
    return {"value": None if value is None else float(value), "text": None}


def _integer(value: Any) -> int | None:
    return int(value) if isinstance(value, (int, float)) else None
