"""Trigger events: banks, their order and content, and where the pixels lie."""

from typing import Literal

import numpy as np
import pytest

from frontend.layout import EventLayout, EventMemory
from frontend.memory import allocate_slots
from frontend.triggers import TriggerBatch, TriggerStore
from hardware.camera import FrameInfo
from hardware.digitizer import Readout
from rawdata.event import Event, parse_event
from rawdata.layouts import camera, digitizer, times
from tests.frontend.fakes import board_info, frame, make_layout, triggers_at

FAST, SLOW = board_info("V1742", 3, 5), board_info("V1720E", 2, 7)


def memory_for(layout: EventLayout) -> EventMemory:
    return layout.prepare(allocate_slots(1, layout.max_bytes, 1)[0])


def batch_of(layout: EventLayout, board: int, *times_ns: int) -> TriggerBatch:
    store = TriggerStore(layout.boards[board].info, 16)
    span = store.free_span()
    assert span is not None
    span.triggers[: len(times_ns)] = triggers_at(*times_ns)
    for number, time_ns in enumerate(times_ns):
        span.waveforms[number] = time_ns // 1000 % 60_000 + np.arange(
            store.info.samples, dtype=np.uint16
        )
    store.add(Readout(len(times_ns), 0))
    return store.find(0, 1 << 60, 128)


def build(
    layout: EventLayout,
    memory: EventMemory,
    frames: list[FrameInfo | None],
    batches: list[TriggerBatch],
    time_zero_s: int | None = None,
) -> Event:
    layout.complete(memory, frames, batches, time_zero_s)
    return parse_event(memory.builder.finish(serial_number=3, timestamp=1_700_000_000))


@pytest.mark.parametrize("generation", ["A", "C"])
def test_an_event_holds_all_of_its_frame(generation: Literal["A", "C"]) -> None:
    layout = make_layout(boards=[FAST, SLOW], generation=generation)
    memory = memory_for(layout)
    memory.pixels[0][...] = np.arange(24).reshape(4, 6)
    batches = [batch_of(layout, 0, 10_000, 20_000), batch_of(layout, 1, 15_000)]
    event = build(layout, memory, [frame(7)], batches)
    assert list(event) == ["CAM0", "FID0", "TSP0", "DIG0", "DGH0"]
    shape = (4, 6)
    assert camera.decode_frame(event, shape=shape).tolist() == memory.pixels[0].tolist()
    assert times.decode_fid(event) == 7
    assert times.decode_tsp(event) == 7_000_000
    header, waveforms = digitizer.decode(event)
    assert header.generation == generation
    assert [board.model for board in header.boards] == [1742, 1720]
    assert [board.sampling for board in header.boards] == [1333, 250]
    assert [board.resolution for board in header.boards] == [4096, 4096]
    assert header.boards[0].time_tags.tolist() == [10, 20]
    assert header.boards[1].time_tags.tolist() == [15]
    assert header.boards[0].start_cells is not None
    assert header.boards[0].start_cells.tolist() == [0, 1]
    assert header.boards[0].dc_offset_fractions.round(3).tolist() == [-0.3, 0.0, 0.0]
    high = header.boards[1].high_time_tags
    assert (high is None) if generation == "A" else (high is not None and high.tolist() == [7])
    assert waveforms[0].shape == (2, 3, 5)
    assert waveforms[0][1, 2].tolist() == [20, 21, 22, 23, 24]
    assert waveforms[1][0, 1].tolist() == [15, 16, 17, 18, 19, 20, 21]


def test_generation_c_keeps_30_bits_of_the_fast_board() -> None:
    layout = make_layout(boards=[FAST, SLOW], generation="C")
    batches = [batch_of(layout, 0, (0x40000005) * 1000), batch_of(layout, 1, 0x40000005 * 1000)]
    header, _ = digitizer.decode(build(layout, memory_for(layout), [frame(0)], batches))
    assert header.boards[0].time_tags.tolist() == [5]
    assert header.boards[1].time_tags.tolist() == [0x40000005]


def test_the_driver_writes_into_the_event() -> None:
    layout = make_layout()
    memory = memory_for(layout)
    event = build(layout, memory, [frame(0)], [])
    memory.pixels[0][3, 5] = 4242
    assert event["CAM0"][-1] == 4242


def test_several_cameras_have_banks_of_their_own() -> None:
    layout = make_layout(cameras=3)
    memory = memory_for(layout)
    for number, pixels in enumerate(memory.pixels):
        pixels[...] = number
    event = build(layout, memory, [frame(1), frame(1), frame(1)], [])
    names = ["CAM0", "CAM1", "CAM2", "FID0", "TSP0", "FID1", "TSP1", "FID2", "TSP2"]
    assert list(event) == names
    assert [int(event[f"CAM{number}"][0]) for number in range(3)] == [0, 1, 2]


def test_an_event_without_a_camera_has_no_bank_of_it() -> None:
    layout = make_layout(cameras=2)
    source, target = memory_for(layout), memory_for(layout)
    source.pixels[0][...] = 1
    source.pixels[1][...] = 2
    frames = [None, frame(5)]
    layout.copy_cameras(frames, source, target)
    event = build(layout, target, frames, [])
    assert list(event) == ["CAM1", "FID1", "TSP1"]
    assert set(event["CAM1"].tolist()) == {2}


def test_a_slot_is_used_again_with_other_numbers_of_triggers() -> None:
    layout = make_layout(boards=[FAST])
    memory = memory_for(layout)
    for count in (3, 0, 2):
        memory.builder.rewind(memory.after_cameras)
        memory.pixels[0][...] = count
        batch = batch_of(layout, 0, *range(1000, 1000 * (count + 1), 1000))
        event = build(layout, memory, [frame(count)], [batch])
        assert digitizer.decode(event)[1][0].shape == (count, 3, 5)
        assert set(event["CAM0"].tolist()) == {count}


@pytest.mark.parametrize("generation", ["A", "C"])
@pytest.mark.parametrize("cameras", [1, 3])
def test_the_largest_event_is_as_large_as_said(generation: Literal["A", "C"], cameras: int) -> None:
    layout = make_layout(cameras, [FAST, SLOW], max_triggers=4, generation=generation)
    frames: list[FrameInfo | None] = [frame(0)] * cameras
    batches = [batch_of(layout, board, *range(1000, 5000, 1000)) for board in (0, 1)]
    zero = 1_700_000_000 if generation == "C" else None
    event = build(layout, memory_for(layout), frames, batches, zero)
    assert len(event.raw) <= layout.max_bytes <= len(event.raw) + 64
    assert layout.typical_bytes(1) < layout.max_bytes == layout.typical_bytes(99)


def test_the_first_event_of_generation_c_says_when_the_run_began() -> None:
    layout = make_layout(generation="C")
    event = build(layout, memory_for(layout), [frame(0)], [], time_zero_s=1_700_000_000)
    assert list(event) == ["CAM0", "FID0", "TSP0", "TIME"]
    assert times.decode_time(event) == 1_700_000_000
