"""What a person is told while a run goes on: as much as is known."""

from typing import Any

import pytest
from rich.console import Console
from rich.progress import Progress

from experiment.constants import STATE_RUNNING, STATE_STOPPED
from sim.errors import SimulationError
from sim.main import report_to
from sim.run import wait_for_end


class Run:
    """An experiment whose run sends an event between two looks, or none; then it stops."""

    def __init__(self, last: int, stuck: bool = False) -> None:
        self.sent, self.last, self.stuck = 0, last, stuck

    def odb_get(self, path: str) -> Any:
        if path == "/Runinfo/State":
            return STATE_RUNNING if self.sent < self.last or self.stuck else STATE_STOPPED
        return float(self.sent)

    def communicate(self, _: int) -> None:
        self.sent += not self.stuck

    def get_recent_messages(self, _: int) -> list[str]:
        return ["the robot sleeps"]

    def require_running(self) -> None:
        """Say that all programs live."""


def told(wanted: int | None) -> list[tuple[str, float | None, float]]:
    """Return what the bar shows over a run of three events: text, total, completed."""
    run: Any = Run(3)
    progress = Progress(console=Console(quiet=True))
    report = report_to(progress)
    shown = []

    def spy(*told: Any) -> None:
        report(*told)
        (task,) = progress.tasks
        shown.append((task.description, task.total, task.completed))

    wait_for_end(run, run, wanted, spy)
    return shown


def test_events_are_counted_against_how_many_will_come() -> None:
    assert told(3) == [("event 0 of 3", 3, 0), ("event 1 of 3", 3, 1), ("event 2 of 3", 3, 2)]


def test_where_that_is_not_known_they_are_counted_alone() -> None:
    assert told(None) == [("event 0", None, 0), ("event 1", None, 1), ("event 2", None, 2)]


@pytest.mark.parametrize(("wanted", "said"), [(None, "after 0;"), (5, "after 0 of 5;")])
def test_a_run_that_stands_still_is_told_in_the_same_way(wanted: int | None, said: str) -> None:
    run: Any = Run(3, stuck=True)
    with pytest.raises(SimulationError, match=f"no event for 0 s {said} .* the robot sleeps"):
        wait_for_end(run, run, wanted, lambda *told: None, stall_s=0.0)
