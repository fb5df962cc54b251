"""The ring: who writes where, what is lost, and that nothing is lost uncounted."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frontend.ring import Claim, FrameRing, Slot
from tests.frontend.fakes import deliver, frame, make_layout, make_ring


def pop(ring: FrameRing) -> tuple[int, list[int | None]]:
    """Take the oldest slot; return its index and each camera's first pixel."""
    slot = ring.oldest()
    assert slot is not None
    return slot.index, take(ring, slot)


def take(ring: FrameRing, slot: Slot) -> list[int | None]:
    ring.take(slot)
    pixels = [
        int(slot.memory.pixels[camera][0, 0]) if info is not None else None
        for camera, info in enumerate(slot.frames)
    ]
    ring.give_back(slot)
    return pixels


def test_frames_come_out_in_order_with_their_pixels() -> None:
    ring = make_ring(make_layout())
    assert all(deliver(ring, number) for number in range(3))
    assert [pop(ring) for _ in range(3)] == [(0, [0]), (1, [100]), (2, [200])]
    assert ring.oldest() is None
    assert ring.counts[0].acquired == 3


def test_a_camera_writes_at_the_final_place() -> None:
    ring = make_ring(make_layout())
    claim = ring.claim(0)
    assert claim.slot is not None
    assert ring.deliver(0, claim, frame(0))
    slot = ring.oldest()
    assert slot is claim.slot
    assert np.shares_memory(slot.memory.pixels[0], claim.pixels)


def test_a_lost_frame_costs_one_camera_no_copy() -> None:
    ring = make_ring(make_layout())
    deliver(ring, 0)
    claim = ring.claim(0)
    ring.deliver(0, claim, frame(5))
    assert pop(ring)[0] == 0
    slot = ring.oldest()
    assert slot is claim.slot
    assert slot is not None
    assert slot.index == 5
    assert ring.counts[0].lost_by_camera == 4


def test_frames_lost_before_the_first_one_count() -> None:
    ring = make_ring(make_layout())
    deliver(ring, 2)
    assert ring.counts[0].lost_by_camera == 2


def test_a_full_ring_loses_the_newest_and_counts_it() -> None:
    ring = make_ring(make_layout(), slots=3)
    assert [deliver(ring, number) for number in range(5)] == [True, True, True, False, False]
    assert ring.level == 1.0
    assert ring.counts[0].lost_by_ring == 2
    assert pop(ring) == (0, [0])
    assert deliver(ring, 5)
    assert [pop(ring)[0] for _ in range(3)] == [1, 2, 5]
    assert ring.counts[0].acquired == 6
    assert ring.counts[0].lost_by_camera == 0


def test_a_frame_in_the_spare_place_is_saved_if_a_slot_becomes_free() -> None:
    ring = make_ring(make_layout(), slots=3)
    for number in range(3):
        deliver(ring, number)
    claim = ring.claim(0)
    assert claim.slot is None
    claim.pixels[...] = 333
    pop(ring)
    assert ring.deliver(0, claim, frame(3))
    assert [pop(ring) for _ in range(3)] == [(1, [100]), (2, [200]), (3, [333])]


def test_the_counter_rolls_over_without_a_gap() -> None:
    ring = make_ring(make_layout(), slots=8)
    start = (1 << 32) - 2
    for number in (start, start + 1, start + 2, start + 4):
        claim = ring.claim(0)
        ring.deliver(0, claim, frame(number))
    assert [pop(ring)[0] for _ in range(4)] == [0, 1, 2, 4]
    assert ring.counts[0].lost_by_camera == 1


@pytest.mark.parametrize("again", [3, 1])
def test_a_frame_that_comes_again_is_ignored_and_counted(again: int) -> None:
    ring = make_ring(make_layout(), slots=8)
    for number in range(4):
        deliver(ring, number)
    assert not deliver(ring, again)
    assert deliver(ring, 4)
    assert [pop(ring)[1] for _ in range(5)] == [[0], [100], [200], [300], [400]]
    assert (ring.counts[0].acquired, ring.counts[0].repeated) == (5, 1)


def test_two_cameras_meet_in_one_slot() -> None:
    ring = make_ring(make_layout(cameras=2))
    deliver(ring, 0, camera=1)
    slot = ring.oldest()
    assert slot is not None
    assert not ring.is_complete(slot)
    deliver(ring, 0, camera=0)
    assert ring.is_complete(slot)
    assert pop(ring) == (0, [0, 1])


def test_a_camera_that_lost_a_frame_joins_the_right_event() -> None:
    ring = make_ring(make_layout(cameras=2))
    deliver(ring, 0, camera=0)
    deliver(ring, 1, camera=0)
    deliver(ring, 1, camera=1)
    slot = ring.oldest()
    assert slot is not None
    assert ring.is_complete(slot)
    assert [pop(ring), pop(ring)] == [(0, [0, None]), (1, [100, 101])]
    assert [counts.lost_by_camera for counts in ring.counts] == [0, 1]


def test_both_cameras_waiting_and_both_losing_leaves_no_slot_behind() -> None:
    ring = make_ring(make_layout(cameras=2), slots=3)
    claims = [ring.claim(0), ring.claim(1)]
    for camera in (0, 1):
        claims[camera].pixels[...] = 700 + camera
        ring.deliver(camera, claims[camera], frame(7))
    assert pop(ring) == (7, [700, 701])
    assert ring.level == 0.0
    for number in (8, 9, 10):
        assert deliver(ring, number, camera=0)


def test_a_frame_whose_event_has_gone_is_late() -> None:
    ring = make_ring(make_layout(cameras=2))
    deliver(ring, 0, camera=0)
    assert pop(ring) == (0, [0, None])
    assert not deliver(ring, 0, camera=1)
    assert ring.counts[1].late == 1
    assert ring.level == 0.0


def test_a_camera_that_still_writes_keeps_its_slot_until_it_is_done() -> None:
    """The event goes without camera 1, whose driver may write to the slot at any time."""
    ring = make_ring(make_layout(cameras=2), slots=2)
    late = ring.claim(1)
    deliver(ring, 0, camera=0)
    assert pop(ring) == (0, [0, None])
    deliver(ring, 1, camera=0)
    second = ring.oldest()
    assert second is not late.slot
    late.pixels[...] = 11
    assert ring.deliver(1, late, frame(1))
    assert pop(ring) == (1, [100, 11])
    assert ring.level == 0.0


def test_the_slot_in_reserve_is_lent_once() -> None:
    ring = make_ring(make_layout(cameras=2), slots=2)
    reserve = ring.borrow()
    assert reserve is not None
    assert ring.borrow() is None
    ring.give_back(reserve)
    assert ring.borrow() is reserve


def test_a_claim_that_is_given_up_frees_its_slot() -> None:
    ring = make_ring(make_layout(cameras=2), slots=2)
    for camera in (0, 1):
        ring.give_up(camera, ring.claim(camera))
    deliver(ring, 0, camera=0)
    deliver(ring, 1, camera=0)
    assert ring.counts[0].lost_by_ring == 0


@pytest.mark.parametrize(
    ("numbers", "expected"), [([0, 1], 1_000_000), ([0, 3], 1_000_000), ([0], None)]
)
def test_the_next_exposure_is_known_from_the_next_frame(
    numbers: list[int], expected: int | None
) -> None:
    ring = make_ring(make_layout())
    for number in numbers:
        deliver(ring, number)
    slot = ring.oldest()
    assert slot is not None
    assert ring.next_start_ns(slot) == expected


def test_waiting_ends_with_news() -> None:
    ring = make_ring(make_layout())
    assert not ring.wait(0.0)
    deliver(ring, 0)
    assert ring.wait(10.0)
    assert not ring.wait(0.0)
    ring.wake()
    assert ring.wait(10.0)


steps = st.lists(
    st.one_of(
        st.tuples(st.just("deliver"), st.integers(0, 2), st.integers(0, 2)),
        st.tuples(st.just("claim"), st.integers(0, 2), st.just(0)),
        st.tuples(st.just("pop"), st.just(0), st.just(0)),
    ),
    max_size=80,
)


@settings(deadline=None)
@given(cameras=st.integers(1, 3), slots=st.integers(1, 4), script=steps)
def test_every_frame_comes_out_once_with_its_pixels_or_is_counted(
    cameras: int, slots: int, script: list[tuple[str, int, int]]
) -> None:
    ring = make_ring(make_layout(cameras=cameras), slots=slots)
    number = [0] * cameras
    held: dict[int, Claim] = {}
    came_out = 0
    last_index = -1

    def pop_one() -> None:
        nonlocal came_out, last_index
        slot = ring.oldest()
        if slot is None:
            return
        assert slot.index > last_index
        last_index = slot.index
        for camera, pixel in enumerate(take(ring, slot)):
            assert pixel in (None, 100 * last_index + camera)
            came_out += pixel is not None

    for step, camera, gap in script:
        if step == "pop":
            pop_one()
        elif camera < cameras and step == "claim":
            if camera not in held:
                held[camera] = ring.claim(camera)
        elif camera < cameras:
            number[camera] += gap
            claim = held.pop(camera, None) or ring.claim(camera)
            claim.pixels[...] = 100 * number[camera] + camera
            ring.deliver(camera, claim, frame(number[camera]))
            number[camera] += 1
    while ring.oldest() is not None:
        pop_one()
    for camera, counts in enumerate(ring.counts):
        assert counts.acquired + counts.lost_by_camera == number[camera]
    lost = sum(counts.lost_by_ring + counts.late for counts in ring.counts)
    assert came_out == sum(counts.acquired for counts in ring.counts) - lost
    for camera, claim in held.items():
        ring.give_up(camera, claim)
    assert ring.level == 0.0
