"""When a run is started again: how often, after which waits, and what ends it."""

import pytest

from frontend.restart import GOOD_RUN_S, LONGEST_WAIT_S, RestartPlan
from frontend.settings import TriggerSettings


def plan(tries: int, wait_s: float = 2.0) -> RestartPlan:
    made = RestartPlan()
    settings = {"Restart tries": tries, "Restart wait s": wait_s}
    made.run_begins(TriggerSettings.model_validate(settings))
    return made


def test_nothing_is_started_unless_the_settings_say_so() -> None:
    never = plan(0)
    assert not never.run_failed("gone", 5.0)
    never.run_ended(10.0)
    assert not never.is_due(1e9)


def test_the_wait_doubles_with_each_try_up_to_a_minute() -> None:
    made = plan(8)
    assert made.run_failed("gone", 5.0)
    assert not made.is_due(100.0)  # the run is still on
    made.run_ended(100.0)
    now, waits = 100.0, []
    while made.due_s is not None:
        waits.append(made.due_s - now)
        assert not made.is_due(made.due_s - 0.1)
        now = made.due_s
        assert made.is_due(now)
        made.begin_try(now)
        made.try_failed("still gone", now)
    assert waits == [2.0, 4.0, 8.0, 16.0, 32.0, LONGEST_WAIT_S, LONGEST_WAIT_S, LONGEST_WAIT_S]


@pytest.mark.parametrize(("lasted_s", "is_wanted"), [(5.0, False), (GOOD_RUN_S, True)])
def test_runs_that_fail_soon_use_up_the_tries(lasted_s: float, is_wanted: bool) -> None:
    made = plan(1)
    assert made.run_failed("gone", 5.0)
    made.run_ended(0.0)
    made.begin_try(2.0)
    made.run_begins(TriggerSettings.model_validate({"Restart tries": 1}))
    made.run_goes_on()
    assert made.tries == 1
    assert made.run_failed("gone again", lasted_s) is is_wanted


def test_a_run_that_somebody_else_starts_counts_anew() -> None:
    made = plan(2)
    made.run_failed("gone", 5.0)
    made.run_ended(0.0)
    made.begin_try(2.0)
    made.try_failed("still gone", 2.0)
    made.run_begins(TriggerSettings.model_validate({"Restart tries": 2}))
    assert made.tries == 0
    assert not made.is_due(1e9)


def test_a_start_that_was_called_off_never_comes() -> None:
    made = plan(3)
    made.run_failed("gone", 5.0)
    made.run_ended(0.0)
    made.call_off()
    assert not made.is_due(1e9)
    assert not made.is_pending
