"""Stage all that is there, once."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from stager.catalog import Catalog
from stager.configuration import Configuration
from stager.ledger import Ledger
from stager.models import State
from stager.outcome import WAITING, Outcome, Pass
from stager.progress import Progress
from stager.settings import CLOUD
from stager.worker import Worker

_SLICE_S: Final = 0.1

log = logging.getLogger(__name__)


def stage_once(
    configuration: Configuration,
    current_run: Callable[[], int | None],
    pulse: Callable[[], None],
    progress: Progress,
) -> Pass:
    """Bring every file that is closed to its places; wait for those that only must settle.

    :raises StagerError: if the data folder or the catalog cannot be used at all.
    """
    catalog = Catalog(configuration.catalog_url)
    catalog.wait_s = configuration.settings.catalog_wait_s
    own, said = threading.get_ident(), ""

    def wait(reason: str) -> None:
        nonlocal said
        if reason != said:
            said = reason
            log.warning("%s", reason)
        if threading.get_ident() == own:  # only this thread may serve an experiment
            pulse()
        else:
            worker.raise_if_over()

    catalog.on_wait = wait
    worker = Worker(configuration, Ledger(catalog, configuration), pulse, progress)
    try:
        result = worker.run_pass(current_run, retry_all=True)
        end = time.monotonic() + configuration.settings.settle_s + 1.0
        while result.look_again_s is not None and time.monotonic() < end:
            wake = time.monotonic() + result.look_again_s
            while time.monotonic() < min(wake, end):
                time.sleep(_SLICE_S)
                pulse()
            result = _merged(result, worker.run_pass(current_run, retry_all=False))
        return result
    finally:
        worker.close()
        catalog.close()


def _merged(first: Pass, second: Pass) -> Pass:
    outcomes: dict[str, Outcome] = {outcome.path: outcome for outcome in first.outcomes}
    outcomes.update({outcome.path: outcome for outcome in second.outcomes})
    troubles = {**first.troubles, **second.troubles}
    return Pass(list(outcomes.values()), second.look_again_s, troubles)


def as_json(result: Pass, catalog_url: str, error: str = "") -> dict[str, Any]:
    """Return the object that ``once --json`` prints last."""
    answer: dict[str, Any] = {
        "staged": result.staged,
        "failed": result.count(State.FAILED) or int(bool(error)),
        "optional_failed": result.optional_failed,
        "waiting": result.count(WAITING),
        "files": [asdict(outcome) for outcome in result.outcomes],
        "catalog": catalog_url,
    }
    return {**answer, "error": error} if error else answer


def complaints(result: Pass) -> list[str]:
    """Return one line for each thing that went wrong; what ails a whole place is said once."""
    lines = []
    for trouble in dict.fromkeys(result.troubles.values()):
        troubled = [place for place, why in result.troubles.items() if why == trouble]
        where = "" if troubled == [CLOUD] else f"{' and '.join(troubled)}: "
        held_up = sum(
            any(place["reason"] == trouble for place in outcome.places)
            for outcome in result.outcomes
        )
        files = "1 file waits" if held_up == 1 else f"{held_up} files wait"
        lines.append(f"{where}{trouble}. {files} for it; the run files are untouched; run again")
    known = set(result.troubles.values())
    for outcome in result.outcomes:
        reasons = [
            (place["place"], place["reason"])
            for place in outcome.places
            if place["state"] == State.FAILED and place["reason"] not in known
        ]
        if not outcome.places and outcome.state == State.FAILED:
            reasons = [("", outcome.reason)]
        for place, reason in reasons:
            at = f" at {place}" if place else ""
            lines.append(f"run {outcome.run}, {Path(outcome.path).name}{at}: {reason}")
    return lines
