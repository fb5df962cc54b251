"""The run's record: what adds up, what does not, and the one line for the operator."""

from dataclasses import replace

import pytest

from frontend.record import RunRecord

GOOD = RunRecord(
    run_number=12,
    frames_acquired=20,
    frames_lost=6,
    frames_lost_by_camera=1,
    frames_lost_by_ring=2,
    frames_late=1,
    frames_unsent=2,
    frames_without_trigger=3,
    frames_paused=1,
    frames_surplus=1,
    frames_in_events=12,
    events_built=12,
    events_incomplete=0,
    events_sent=10,
    events_unsent=2,
    bytes_sent=5_000_000_000,
    send_retries=9,
    triggers_read=30,
    triggers_in_events=20,
    triggers_outside_frames=6,
    triggers_lost=7,
    triggers_lost_by_boards=3,
    live_time_s=3.0,
    dead_time_s=1.5,
)


def test_counts_that_add_up_have_no_contradiction() -> None:
    assert GOOD.contradictions() == []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"frames_acquired": 21}, "cameras gave 21 frames, 20 were accounted for"),
        ({"frames_late": 0}, "cameras gave 20 frames, 19 were accounted for"),
        ({"events_sent": 9}, "12 events built, 9 sent"),
        ({"triggers_read": 31}, "digitizers gave 31 triggers, 30 were accounted for"),
    ],
)
def test_a_count_that_is_off_is_named(change: dict[str, int], says: str) -> None:
    assert replace(GOOD, **change).contradictions() == [says]  # type: ignore[arg-type]


def test_the_summary_is_one_line_with_all_that_happened() -> None:
    assert GOOD.summary() == (
        "Run 12: 10 events sent of 20 frames, 30 triggers; live 3.0 s, dead 1.5 s;"
        " lost 6 frames, 7 triggers; 3 frames without trigger; 1 frames while paused;"
        " 1 frames after the last event"
    )


def test_the_odb_has_the_keys_that_others_read() -> None:
    content = GOOD.as_odb()
    assert content["Run number"].value == 12
    assert content["Frames lost"].value == 6
    assert content["Events sent"].value == 10
    assert isinstance(content["Bytes sent"], float)  # more than INT32 holds
    keys = {"Frames acquired", "Events built", "Events incomplete", "Bytes sent"}
    assert keys | {"Triggers read", "Live time s", "Dead time s"} <= set(content)
