"""What came in and what did not adds up, and each event that did not has a reason."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.arrivals import BUSY, COMPILING, DAMAGED, JOINED_LATE, Arrivals
from rawdata.datamodel import TRIGGER_EVENT_ID
from tests.analyzer.run_making import make_event


def come(arrivals, *serials, event_id=TRIGGER_EVENT_ID):
    return [arrivals.add(make_event(serial, event_id=event_id)) for serial in serials]


def counted(arrivals):
    return {reason: n for reason, n in arrivals.missed.items() if n}


def test_a_run_that_comes_whole():
    arrivals = Arrivals()
    assert come(arrivals, 0, 1, 2) == [0, 1, 2]
    assert (arrivals.seen, arrivals.fraction_seen, counted(arrivals)) == (3, 1.0, {})


def test_frontends_that_number_from_1():
    arrivals = Arrivals()
    assert come(arrivals, 1, 2, 4) == [0, 1, 3]
    assert counted(arrivals) == {BUSY: 1}


def test_gaps_are_put_down_to_what_kept_us():
    arrivals = Arrivals()
    arrivals.hinder(COMPILING)
    come(arrivals, 10)
    arrivals.caught_up()
    come(arrivals, 11, 15)
    assert counted(arrivals) == {COMPILING: 10, BUSY: 3}
    assert arrivals.in_words() == [
        "3 events overwritten before read",
        "10 events overwritten while the kernels were compiled",
    ]
    assert arrivals.fraction_seen == pytest.approx(3 / 16)


def test_who_joins_late_says_how_much_was_before():
    arrivals = Arrivals(joined=True)
    assert come(arrivals, 20, 21) == [20, 21]
    assert counted(arrivals) == {JOINED_LATE: 20}


def test_a_damaged_event_is_counted_once():
    arrivals = Arrivals()
    come(arrivals, 0)
    arrivals.damaged()
    come(arrivals, 2, 3)
    assert counted(arrivals) == {DAMAGED: 1}
    assert arrivals.total_missed == 1


def test_several_frontends_have_serial_numbers_of_their_own():
    arrivals = Arrivals()
    come(arrivals, 0, 1, event_id=TRIGGER_EVENT_ID)
    come(arrivals, 0, 3, event_id=101)
    assert arrivals.seen == 4
    assert counted(arrivals) == {BUSY: 2}


@given(st.sets(st.integers(0, 60), min_size=1), st.booleans())
def test_seen_and_missed_make_all_that_were_sent_up_to_the_last(serials, joined):
    arrivals = Arrivals(joined=joined)
    come(arrivals, *sorted(serials))
    first = 1 if min(serials) == 1 and not joined else 0
    assert arrivals.seen + arrivals.total_missed == max(serials) + 1 - first
