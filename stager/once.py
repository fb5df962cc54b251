"""Stage all that is there, once."""

import logging
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Final

from stager.catalog import Catalog
from stager.configuration import Configuration
from stager.ledger import Ledger
from stager.models import State
from stager.outcome import WAITING, Outcome, Pass, Progress
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

    said = ""

    def wait(reason: str) -> None:
        nonlocal said
        if reason != said:
            said = reason
            log.warning("%s", reason)
        pulse()

    catalog.on_wait = wait
    try:
        ledger = Ledger(catalog, configuration.settings)
        worker = Worker(configuration, ledger, pulse, progress)
        result = worker.run_pass(current_run(), retry_all=True)
        end = time.monotonic() + configuration.settings.settle_s + 1.0
        while result.look_again_s is not None and time.monotonic() < end:
            wake = time.monotonic() + result.look_again_s
            while time.monotonic() < min(wake, end):
                time.sleep(_SLICE_S)
                pulse()
            result = _merged(result, worker.run_pass(current_run(), retry_all=False))
        return result
    finally:
        catalog.close()


def _merged(first: Pass, second: Pass) -> Pass:
    outcomes: dict[str, Outcome] = {outcome.path: outcome for outcome in first.outcomes}
    outcomes.update({outcome.path: outcome for outcome in second.outcomes})
    trouble = first.trouble or second.trouble
    return Pass(list(outcomes.values()), second.look_again_s, trouble)


def as_json(result: Pass, catalog_url: str, error: str = "") -> dict[str, Any]:
    """Return the object that ``once --json`` prints last."""
    answer: dict[str, Any] = {
        "staged": result.count(State.CATALOGUED),
        "failed": result.count(State.FAILED) or int(bool(error)),
        "waiting": result.count(WAITING),
        "files": [asdict(outcome) for outcome in result.outcomes],
        "catalog": catalog_url,
    }
    return {**answer, "error": error} if error else answer


def complaints(result: Pass) -> list[str]:
    """Return one line for each thing that went wrong; what ails the whole bucket is said once."""
    lines = []
    if result.trouble:
        held_up = sum(outcome.reason == result.trouble for outcome in result.outcomes)
        files = "1 file waits" if held_up == 1 else f"{held_up} files wait"
        lines.append(f"{result.trouble}. {files} for it; the run files are untouched; run again")
    lines.extend(
        f"{outcome.path}: {outcome.reason}"
        for outcome in result.outcomes
        if outcome.state == State.FAILED and outcome.reason != result.trouble
    )
    return lines
