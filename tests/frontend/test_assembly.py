"""Putting events together: which trigger belongs to which frame, and which frame is kept."""

from typing import Any

import pytest

from frontend.assembly import EventAssembler, ReadyEvent, Rules
from frontend.layout import EventFlag, EventLayout
from frontend.ring import FrameRing
from frontend.setup import Mode
from frontend.triggers import TriggerStore
from hardware.digitizer import Readout
from rawdata.event import Event, parse_event
from rawdata.layouts import digitizer, times
from tests.frontend.fakes import (
    EXPOSURE_NS,
    PERIOD_NS,
    board_info,
    deliver,
    make_layout,
    make_ring,
    triggers_at,
)

NEVER = 1 << 62


class Bench:
    """A ring, stores and an assembler, driven by hand."""

    def __init__(
        self,
        mode: Mode = Mode.CONTINUOUS,
        cameras: int = 1,
        boards: int = 1,
        period_ns: int | None = PERIOD_NS,
        wait_s: float = 1000.0,
        max_events: int | None = None,
        slots: int = 6,
        **layout: Any,
    ) -> None:
        infos = [board_info("V1742"), board_info("V1720E", 2, 4)][:boards]
        self.layout: EventLayout = make_layout(cameras, infos, **layout)
        self.ring: FrameRing = make_ring(self.layout, slots)
        self.stores = [TriggerStore(info, 32) for info in infos]
        rules = Rules(mode, period_ns, wait_s, max_events)
        self.assembler = EventAssembler(self.ring, self.stores, self.layout, rules)

    def frames(self, *numbers: int, camera: int = 0, **info: Any) -> None:
        for number in numbers:
            deliver(self.ring, number, camera, **info)

    def triggers(
        self, *times_ns: int, board: int = 0, until_ns: int = NEVER, lost: int = 0
    ) -> None:
        span = self.stores[board].free_span()
        assert span is not None
        span.triggers[: len(times_ns)] = triggers_at(*times_ns)
        self.stores[board].add(Readout(len(times_ns), until_ns, lost))

    def next(self, is_final: bool = False) -> Event | None:
        ready = self.assembler.next_event(is_final)
        if ready is None:
            return None
        event = parse_event(bytes(ready.content))
        self.ring.give_back(ready.slot)
        return event

    def all(self, is_final: bool = False) -> list[Event]:
        events = []
        while (event := self.next(is_final)) is not None:
            events.append(event)
        return events


def fids(events: list[Event], camera: int = 0) -> list[int]:
    return [times.decode_fid(event, camera) for event in events]


def tags(event: Event, board: int = 0) -> list[int]:
    """Trigger times in us."""
    return digitizer.decode(event)[0].boards[board].time_tags.tolist()


def flags(event: Event) -> EventFlag:
    return EventFlag(event.trigger_mask)


def test_triggers_go_to_the_frame_in_whose_time_they_fall() -> None:
    bench = Bench()
    bench.frames(0, 1, 2)
    bench.triggers(0, 999_999, 1_000_000, 2_500_000)
    assert [tags(event) for event in bench.all()] == [[0, 999], [1000], [2500]]


def test_two_boards_have_counts_of_their_own() -> None:
    bench = Bench(boards=2)
    bench.frames(0)
    bench.triggers(1000, 2000, 3000, board=0)
    bench.triggers(1000, board=1)
    (event,) = bench.all()
    assert (tags(event, 0), tags(event, 1)) == ([1, 2, 3], [1])
    assert flags(event) == EventFlag(0)


def test_an_event_waits_for_each_board() -> None:
    bench = Bench(boards=2)
    bench.frames(0)
    bench.triggers(until_ns=PERIOD_NS, board=0)
    bench.triggers(until_ns=PERIOD_NS - 1, board=1)
    assert bench.next() is None
    bench.triggers(until_ns=PERIOD_NS, board=1)
    assert bench.next() is not None


def test_continuous_keeps_frames_without_triggers() -> None:
    bench = Bench(Mode.CONTINUOUS)
    bench.frames(0, 1)
    bench.triggers(1_000_000)
    assert [tags(event) for event in bench.all()] == [[], [1000]]


def test_pmt_keeps_frames_with_a_trigger_in_the_exposure() -> None:
    bench = Bench(Mode.PMT)
    bench.frames(0, 1, 2, 3)
    after_exposure = EXPOSURE_NS + 1
    bench.triggers(after_exposure, 1_100_000, 1_000_000 + after_exposure, 3_000_000)
    events = bench.all()
    assert fids(events) == [1, 3]
    assert [event.serial_number for event in events] == [0, 1]
    assert tags(events[0]) == [1100, 1600]
    assert bench.assembler.counts.frames_without_trigger == 2
    assert bench.stores[0].counts.in_events == 3
    assert bench.stores[0].counts.outside_frames == 1


def test_free_keeps_frames_alone() -> None:
    bench = Bench(Mode.FREE, boards=0)
    bench.frames(0, 1)
    assert [list(event) for event in bench.all()] == [["CAM0", "FID0", "TSP0"]] * 2


def test_serial_numbers_have_no_gap_and_lost_frames_are_flagged() -> None:
    bench = Bench()
    bench.frames(1, 2, 5)
    bench.triggers()
    events = bench.all()
    assert [event.serial_number for event in events] == [0, 1, 2]
    assert [flags(event) for event in events] == [
        EventFlag.FRAMES_LOST_BEFORE,
        EventFlag(0),
        EventFlag.FRAMES_LOST_BEFORE,
    ]


def test_triggers_of_a_lost_frame_belong_to_no_event() -> None:
    bench = Bench()
    bench.frames(0, 2)
    bench.triggers(500_000, 1_500_000, 2_500_000)
    assert [tags(event) for event in bench.all()] == [[500], [2500]]
    assert bench.stores[0].counts.outside_frames == 1


def test_no_trigger_falls_between_frames_that_are_not_quite_even() -> None:
    """The period is said to be 0.9 ms, the camera takes 1 ms: what is between goes to the next."""
    bench = Bench(period_ns=900_000)
    bench.frames(0, 1)
    bench.triggers(950_000, 1_050_000)
    assert [tags(event) for event in bench.all()] == [[], [950, 1050]]
    bench = Bench(period_ns=1_200_000)
    bench.frames(0, 1)
    bench.triggers(1_100_000, 1_300_000)
    assert [tags(event) for event in bench.all()] == [[1100], [1300]]


def test_a_camera_that_runs_by_itself_shows_its_period_by_the_next_frame() -> None:
    bench = Bench(period_ns=None)
    bench.triggers(700_000, 1_100_000, 2_200_000)
    bench.frames(0)
    assert bench.next() is None
    bench.frames(1)
    assert [tags(event) for event in bench.all()] == [[700]]
    assert [tags(event) for event in bench.all(is_final=True)] == [[1100]]


def test_the_only_frame_of_such_a_camera_ends_with_its_exposure() -> None:
    bench = Bench(period_ns=None)
    bench.triggers(500_000, 700_000)
    bench.frames(0)
    assert [tags(event) for event in bench.all(is_final=True)] == [[500]]


def test_a_board_that_does_not_answer_makes_the_event_incomplete() -> None:
    bench = Bench(boards=2, wait_s=0.0)
    bench.frames(0)
    bench.triggers(100_000, board=0)
    (event,) = bench.all()
    assert flags(event) == EventFlag.INCOMPLETE
    assert (tags(event, 0), tags(event, 1)) == ([100], [])
    assert bench.assembler.counts.events_incomplete == 1


def test_a_camera_that_does_not_answer_makes_the_event_incomplete() -> None:
    bench = Bench(cameras=2, wait_s=0.0)
    bench.triggers()
    bench.frames(0, 1, camera=1)
    events = bench.all()
    assert [list(event)[:3] for event in events] == [["CAM1", "FID1", "TSP1"]] * 2
    assert [int(event["CAM1"][0]) for event in events] == [1, 101]
    assert all(flags(event) == EventFlag.INCOMPLETE for event in events)


def test_a_camera_that_lost_a_frame_does_not_hold_the_others() -> None:
    bench = Bench(cameras=2)
    bench.triggers()
    bench.frames(0, 1, camera=0)
    bench.frames(1, camera=1)
    events = bench.all()
    assert [[name for name in event if name.startswith("CAM")] for event in events] == [
        ["CAM0"],
        ["CAM0", "CAM1"],
    ]
    assert [flags(event) for event in events] == [EventFlag.INCOMPLETE, EventFlag(0)]
    assert [int(events[1][name][0]) for name in ("CAM0", "CAM1")] == [100, 101]


def test_incomplete_events_go_one_at_a_time_and_none_is_stuck() -> None:
    bench = Bench(cameras=2, wait_s=0.0, slots=3)
    bench.triggers()
    bench.frames(0, 1, 2, camera=0)
    first = bench.assembler.next_event()
    assert isinstance(first, ReadyEvent)
    assert bench.assembler.next_event() is None
    bench.ring.give_back(first.slot)
    assert fids(bench.all()) == [1, 2]


def test_more_triggers_than_an_event_holds_are_flagged() -> None:
    bench = Bench(max_triggers=2)
    bench.frames(0, 1)
    bench.triggers(1000, 2000, 3000, 1_000_000)
    events = bench.all()
    assert [tags(event) for event in events] == [[1, 2], [1000]]
    assert [flags(event) for event in events] == [EventFlag.TRIGGERS_LOST, EventFlag(0)]


def test_triggers_that_the_board_lost_are_flagged() -> None:
    bench = Bench()
    bench.frames(0)
    bench.triggers(1000, lost=2)
    assert [flags(event) for event in bench.all()] == [EventFlag.TRIGGERS_LOST]


@pytest.mark.parametrize("mode", [Mode.CONTINUOUS, Mode.PMT])
def test_the_number_of_events_that_was_asked_for_is_exact(mode: Mode) -> None:
    bench = Bench(mode, max_events=2)
    bench.frames(0, 1, 2, 3)
    bench.triggers(1_000_000, 2_000_000, 3_000_000)
    events = bench.all()
    assert len(events) == 2
    assert bench.assembler.is_done
    counts = bench.assembler.counts
    seen = counts.frames_in_events + counts.frames_without_trigger + counts.frames_surplus
    assert (counts.frames_in_events, seen) == (2, 4)
    assert bench.ring.level == 0.0


def test_frames_of_a_pause_are_dropped_and_counted() -> None:
    bench = Bench()
    start = 1_700_000_000_000_000_000
    bench.triggers(100_000, 1_100_000, 2_100_000, 3_100_000)
    bench.frames(0, host_time_ns=start)
    bench.assembler.pause(start + 1)
    assert bench.assembler.holds_back_pause
    bench.frames(1, host_time_ns=start + 2)
    events = bench.all()
    assert fids(events) == [0]
    assert not bench.assembler.holds_back_pause
    resumed = start + PERIOD_NS
    bench.assembler.resume(resumed)
    bench.frames(2, host_time_ns=resumed + EXPOSURE_NS - 1)
    bench.frames(3, host_time_ns=resumed + EXPOSURE_NS)
    events = bench.all()
    assert fids(events) == [3]
    assert tags(events[0]) == [3100]
    assert [event.serial_number for event in events] == [1]
    assert bench.assembler.counts.frames_paused == 2


def test_live_time_is_exposure_and_lost_frames_are_dead_time() -> None:
    bench = Bench()
    bench.triggers()
    bench.frames(0, 1, 4)
    bench.all()
    counts = bench.assembler.counts
    assert counts.live_ns == 3 * EXPOSURE_NS
    assert counts.span_ns == 5 * PERIOD_NS


def test_silence_is_dead_time_once_a_frame_is_overdue() -> None:
    bench = Bench(wait_s=1.0)
    bench.triggers()
    start, second = 1_700_000_000_000_000_000, 1_000_000_000
    assert bench.assembler.silence_ns(start) == 0  # no camera was started
    bench.assembler.begin(start)
    assert bench.assembler.silence_ns(start + 100 * second) == 100 * second
    bench.frames(0, host_time_ns=start + second)
    bench.all()
    assert bench.assembler.silence_ns(start + second + PERIOD_NS) == 0
    assert bench.assembler.silence_ns(start + 101 * second) == 100 * second
    bench.assembler.pause(start + 50 * second)
    assert bench.assembler.silence_ns(start + 101 * second) == 49 * second
    bench.assembler.resume(start + 101 * second)
    assert bench.assembler.silence_ns(start + 101 * second) == 0
    bench.assembler.end(start + 111 * second)
    assert bench.assembler.silence_ns(start + 500 * second) == 10 * second


def test_a_pause_is_neither_live_nor_dead() -> None:
    bench = Bench()
    bench.triggers()
    bench.frames(0, host_time_ns=100)
    bench.all()
    bench.assembler.pause(100)
    bench.frames(1, 2, host_time_ns=1000)
    bench.all()
    bench.assembler.resume(2000)
    bench.frames(3, host_time_ns=2000 + EXPOSURE_NS)
    bench.all()
    assert bench.assembler.counts.span_ns == 2 * PERIOD_NS
    assert bench.assembler.counts.live_ns == 2 * EXPOSURE_NS


def test_generation_a_counts_unix_seconds_and_c_milliseconds_since_the_first() -> None:
    start = 1_700_000_000_250_000_000
    for generation, stamps in (("A", [1_700_000_000] * 2), ("C", [250, 1750 - 1000 + 250])):
        bench = Bench(boards=0, mode=Mode.FREE, generation=generation)
        bench.frames(0, host_time_ns=start)
        bench.frames(1, host_time_ns=start + 750_000_000 if generation == "C" else start)
        events = bench.all()
        assert [event.timestamp for event in events] == stamps
        assert ["TIME" in event for event in events] == [generation == "C", False]
