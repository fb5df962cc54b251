"""The store of a board's triggers: windows of time, wrap-around, and what is lost."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frontend.triggers import TriggerBatch, TriggerStore
from hardware.digitizer import Readout
from tests.frontend.fakes import board_info, triggers_at


def make_store(capacity: int = 8) -> TriggerStore:
    return TriggerStore(board_info(channels=2, samples=3), capacity)


def write(store: TriggerStore, *times_ns: int, until_ns: int = 0) -> None:
    """Let a driver write triggers, in as many calls as the store's room asks for."""
    left = list(times_ns)
    while True:
        span = store.free_span()
        waveforms, triggers = span or store.spare_span
        count = min(len(left), len(triggers))
        triggers[:count] = triggers_at(*left[:count])
        for number in range(count):
            waveforms[number] = left[number]
        del left[:count]
        is_last = not left
        readout = Readout(count, until_ns if is_last else 0)
        store.add(readout, is_stored=span is not None)
        if is_last:
            return


def times(batch: TriggerBatch) -> list[int]:
    return batch.field("time_ns").tolist()


def test_a_batch_holds_the_triggers_of_its_window() -> None:
    store = make_store()
    write(store, 10, 20, 30, 40)
    batch = store.find(10, 30, limit=128)
    assert times(batch) == [10, 20]
    store.remove(batch, is_kept=True)
    assert times(store.find(30, 50, limit=128)) == [30, 40]
    assert store.counts.in_events == 2


def test_waveforms_are_copied_trigger_after_trigger() -> None:
    store = make_store()
    write(store, 1, 2)
    target = np.zeros(2 * 2 * 3, np.uint16)
    store.find(0, 10, limit=128).copy_waveforms(target)
    assert target.tolist() == [1] * 6 + [2] * 6


def test_triggers_before_the_window_belong_to_no_frame() -> None:
    store = make_store()
    write(store, 1, 2, 30)
    batch = store.find(10, 40, limit=128)
    store.remove(batch, is_kept=True)
    assert times(batch) == [30]
    assert store.counts.outside_frames == 2


def test_what_one_event_cannot_hold_is_lost_and_counted() -> None:
    store = make_store()
    write(store, 1, 2, 3, 4, 50)
    batch = store.find(0, 10, limit=3)
    store.remove(batch, is_kept=True)
    assert times(batch) == [1, 2, 3]
    assert store.counts.over_limit == 1
    assert times(store.find(10, 60, limit=3)) == [50]


def test_a_batch_may_wrap_around() -> None:
    store = make_store(capacity=4)
    write(store, 1, 2, 3)
    store.remove(store.find(0, 10, limit=9), is_kept=True)
    write(store, 11, 12, 13)
    batch = store.find(10, 20, limit=9)
    assert len(batch.spans) == 2
    assert times(batch) == [11, 12, 13]
    target = np.zeros(3 * 6, np.uint16)
    batch.copy_waveforms(target)
    assert target[::6].tolist() == [11, 12, 13]


def test_a_full_store_loses_the_newest_and_counts_it() -> None:
    store = make_store(capacity=2)
    write(store, 1, 2, 3, 4, 5)
    assert times(store.find(0, 10, limit=9)) == [1, 2]
    assert store.counts.read == 5
    assert store.counts.lost_by_store == store.counts.lost == 3


def test_the_board_says_until_when_all_is_here() -> None:
    store = make_store()
    write(store, 1, until_ns=100)
    assert store.is_complete_until(100)
    assert not store.is_complete_until(101)
    write(store, until_ns=50)
    assert store.is_complete_until(100)
    store.end()
    assert store.is_complete_until(1 << 60)


def test_an_empty_batch_has_empty_fields() -> None:
    batch = make_store().find(0, 10, limit=3)
    assert batch.count == 0
    assert batch.field("time_tag").dtype == np.uint32
    batch.copy_waveforms(np.zeros(0, np.uint16))


@settings(deadline=None)
@given(
    gaps=st.lists(st.integers(1, 40), max_size=60),
    widths=st.lists(st.integers(1, 60), max_size=40),
    capacity=st.integers(1, 12),
    limit=st.integers(1, 5),
)
def test_every_trigger_is_in_one_event_or_counted(
    gaps: list[int], widths: list[int], capacity: int, limit: int
) -> None:
    store = make_store(capacity)
    written = np.cumsum(gaps).tolist()
    kept: list[int] = []
    start = 0
    for number, width in enumerate(widths):
        write(store, *written[2 * number : 2 * number + 2])
        batch = store.find(start, start + width, limit)
        assert batch.count <= limit
        assert all(start <= time < start + width for time in times(batch))
        kept += times(batch)
        store.remove(batch, is_kept=True)
        start += width
    store.drop_all()
    counts = store.counts
    assert kept == sorted(set(kept))
    assert counts.in_events == len(kept)
    total = counts.in_events + counts.outside_frames + counts.over_limit + counts.lost_by_store
    assert counts.read == total


@pytest.mark.parametrize("lost", [0, 3])
def test_what_the_board_lost_is_counted_apart(lost: int) -> None:
    store = make_store()
    store.add(Readout(0, 0, lost))
    assert (store.counts.read, store.counts.lost) == (0, lost)
