"""Events on their way out: order, compression, and what happens when it does not keep up."""

import threading
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pytest

from frontend import outbox as outbox_module
from frontend.assembly import EventAssembler, Rules
from frontend.compression import FrameCounts, compress_event
from frontend.layout import EventLayout
from frontend.memory import allocate_slots
from frontend.outbox import Outbox
from frontend.ring import FrameRing
from frontend.setup import Mode
from frontend.triggers import TriggerStore
from hardware.digitizer import Readout
from rawdata.event import Event, parse_event
from rawdata.layouts import camera
from rawdata.layouts.camera import Encode
from tests.conftest import wait_until
from tests.frontend.fakes import (
    COLUMNS,
    PERIOD_NS,
    ROWS,
    board_info,
    deliver,
    frame,
    make_layout,
    make_ring,
    triggers_at,
)

Pixels = npt.NDArray[np.uint16]
Bank = npt.NDArray[np.uint8]


class Gate:
    """A codec that compresses a frame only once it is let; frames by their first pixel."""

    def __init__(self, *open_frames: int) -> None:
        self._open = set(open_frames)
        self._changed = threading.Condition()
        self.begun: list[int] = []

    def __call__(self, pixels: Pixels, bank: Bank) -> int | None:
        number = int(pixels[0, 0]) // 100
        with self._changed:
            self.begun.append(number)
            self._changed.notify_all()
            self._changed.wait_for(lambda: number in self._open, timeout=30)
        return small(pixels, bank)

    def open(self, *numbers: int) -> None:
        with self._changed:
            self._open.update(numbers)
            self._changed.notify_all()


def small(pixels: Pixels, bank: Bank) -> int:
    """Stand for a compressed frame: one byte, the first pixel."""
    bank[:3] = np.frombuffer(b"!" + pixels[0, 0].tobytes(), np.uint8)
    return 3


class Rig:
    """A ring with an assembler before and an outbox behind it."""

    def __init__(
        self,
        encode: Encode,
        workers: int = 1,
        max_waiting: int = 2,
        slots: int = 8,
        cameras: int = 1,
        memories: int | None = None,
    ) -> None:
        layout: EventLayout = make_layout(cameras)
        self.ring: FrameRing = make_ring(layout, slots)
        self.assembler = EventAssembler(
            self.ring, [], layout, Rules(Mode.FREE, PERIOD_NS, 1000.0, None)
        )
        count = 2 * workers if memories is None else memories
        self.outbox = Outbox(
            self.ring.give_back,
            self.ring.wake,
            dict.fromkeys(range(cameras), (ROWS, COLUMNS)),
            allocate_slots(max(1, count), layout.max_bytes, layout.max_bytes)[:count],
            workers,
            max_waiting,
            encode,
        )
        self.outbox.start()
        self.counts = FrameCounts()

    def put(self, *numbers: int) -> None:
        for number in numbers:
            deliver(self.ring, number)
            event = self.assembler.next_event()
            assert event is not None
            self.outbox.put(event)

    def send(self) -> Event | None:
        """Take the first event, if it is ready."""
        first = self.outbox.first()
        if first is None:
            return None
        event = parse_event(bytes(first.content))
        self.counts += self.outbox.pop().counts
        return event

    def send_all(self) -> list[Event]:
        events: list[Event] = []

        def is_empty() -> bool:
            while (event := self.send()) is not None:
                events.append(event)
            return not self.outbox

        wait_until(is_empty, 10, "all events to be ready")
        return events


Make = Callable[..., Rig]


@pytest.fixture
def make() -> Iterator[Make]:
    """Make rigs whose workers are joined at the end."""
    rigs: list[Rig] = []

    def make_rig(encode: Encode, **options: int) -> Rig:
        rigs.append(Rig(encode, **options))
        return rigs[-1]

    yield make_rig
    for rig in rigs:
        if isinstance(rig.outbox._encode, Gate):
            rig.outbox._encode.open(*range(100))
        rig.outbox.stop(10)
        assert not any(worker.is_alive() for worker in rig.outbox._workers)


def names(events: Sequence[Event]) -> list[str]:
    """Return the first bank's name of each event."""
    return [next(iter(event)) for event in events]


def serials(events: Sequence[Event]) -> list[int]:
    return [event.serial_number for event in events]


def free_slots(rig: Rig) -> int:
    return len(rig.ring._free)


def test_without_workers_events_go_as_they_are(make: Make) -> None:
    rig = make(small, workers=0)
    assert not rig.outbox.compresses
    rig.put(0, 1)
    events = rig.send_all()
    assert (names(events), serials(events)) == (["CAM0", "CAM0"], [0, 1])
    assert rig.counts == FrameCounts()
    assert free_slots(rig) == 8


def test_events_leave_in_order_however_long_each_takes(make: Make) -> None:
    gate = Gate()
    rig = make(gate, workers=3, max_waiting=8)
    rig.put(0, 1, 2, 3)
    wait_until(lambda: len(gate.begun) == 3, 10, "three workers at work")
    gate.open(2)
    wait_until(lambda: len(gate.begun) == 4, 10, "the fourth frame")
    gate.open(1, 3)
    wait_until(lambda: free_slots(rig) == 7, 10, "the slots of compressed events")
    assert rig.send() is None
    gate.open(0)
    events = rig.send_all()
    assert serials(events) == [0, 1, 2, 3]
    assert [bytes(event["CZ0"][1:]) for event in events] == [
        np.uint16(100 * number).tobytes() for number in range(4)
    ]
    assert rig.counts == FrameCounts(4, pixel_bytes=4 * 2 * ROWS * COLUMNS, bank_bytes=12)
    assert free_slots(rig) == 8


def test_a_slot_is_free_as_soon_as_its_copy_exists(make: Make) -> None:
    rig = make(small)
    rig.put(0)
    wait_until(lambda: free_slots(rig) == 8, 10, "the slot")
    assert len(rig.outbox) == 1
    assert serials(rig.send_all()) == [0]
    assert free_slots(rig) == 8


def test_too_many_waiting_events_go_raw_the_oldest_first(make: Make) -> None:
    gate = Gate()
    rig = make(gate, max_waiting=2)
    rig.put(0)
    wait_until(lambda: gate.begun == [0], 10, "a busy worker")
    rig.put(1, 2, 3, 4)
    assert rig.send() is None
    gate.open(*range(5))
    events = rig.send_all()
    assert serials(events) == [0, 1, 2, 3, 4]
    assert names(events) == ["CZ0", "CAM0", "CAM0", "CZ0", "CZ0"]
    assert (rig.counts.compressed, rig.counts.busy) == (3, 2)
    assert rig.counts.frames == 5
    assert free_slots(rig) == 8


def test_a_full_buffer_is_no_reason_to_go_raw(make: Make) -> None:
    """Workers may stand still for want of memory, but only since nothing is taken out."""
    rig = make(small, max_waiting=1)
    rig.put(*range(6))
    wait_until(lambda: free_slots(rig) == 4, 10, "compressed events in all memory there is")
    assert rig.outbox.first() is not None
    assert len(rig.outbox._waiting) == 4
    event = rig.send()
    assert event is not None
    assert names([event]) == ["CZ0"]


def test_incompressible_frames_go_raw_and_are_counted(make: Make) -> None:
    def encode(pixels: Pixels, bank: Bank) -> int | None:
        return None if pixels[0, 0] == 100 else small(pixels, bank)

    rig = make(encode, max_waiting=8)
    rig.put(0, 1, 2)
    assert names(rig.send_all()) == ["CZ0", "CAM0", "CZ0"]
    size = 2 * ROWS * COLUMNS
    assert rig.counts == FrameCounts(2, 1, pixel_bytes=3 * size, bank_bytes=size + 2 * 3)
    assert len(rig.outbox._free) == 2
    assert free_slots(rig) == 8


def test_a_worker_that_hangs_delays_its_event_for_a_while_and_no_other(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_module, "PATIENCE_S", 0.05)
    gate = Gate()
    rig = make(gate)
    rig.put(0)
    wait_until(lambda: gate.begun == [0], 10, "a busy worker")
    rig.put(1, 2)
    events = rig.send_all()
    assert (serials(events), names(events)) == ([0, 1, 2], ["CAM0"] * 3)
    assert rig.outbox.failure() == "1 of 1 workers hang; frames go raw"
    assert (rig.counts.busy, rig.counts.failed) == (1, 2)
    assert free_slots(rig) == 7  # the worker still reads one
    gate.open(*range(9))
    wait_until(lambda: free_slots(rig) == 8, 10, "the slot of the hanging worker")
    wait_until(lambda: rig.outbox.failure() is None, 10, "the worker's return")
    assert len(rig.outbox._free) == 2
    rig.put(3)
    assert names(rig.send_all()) == ["CZ0"]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_worker_that_fails_costs_compression_never_an_event(make: Make, workers: int) -> None:
    def encode(pixels: Pixels, bank: Bank) -> int | None:
        if pixels[0, 0] == 100:
            raise MemoryError("no memory for a chunk")
        return small(pixels, bank)

    rig = make(encode, workers=workers, max_waiting=8)
    rig.put(0, 1, 2, 3)
    events = rig.send_all()
    assert serials(events) == [0, 1, 2, 3]
    tail = ["CAM0"] * 2 if workers == 1 else ["CZ0"] * 2
    assert names(events) == ["CZ0", "CAM0", *tail]
    assert (rig.counts.failed, rig.counts.frames) == (3 if workers == 1 else 1, 4)
    wait_until(lambda: rig.outbox.failure() is not None, 10, "the failure")
    assert "failed: MemoryError: no memory for a chunk" in str(rig.outbox.failure())
    assert free_slots(rig) == 8
    assert len(rig.outbox._free) == 2 * workers


def test_events_that_wait_at_the_end_are_there_to_be_counted(make: Make) -> None:
    gate = Gate()
    rig = make(gate, max_waiting=8)
    rig.put(0)
    wait_until(lambda: gate.begun == [0], 10, "a busy worker")
    rig.put(1, 2)
    rig.outbox.stop(0.0)
    popped = [rig.outbox.pop().event.frames for _ in range(3)]
    assert popped == [1, 1, 1]
    gate.open(0)
    wait_until(lambda: free_slots(rig) == 8, 10, "all slots")


def test_an_event_that_lacks_a_camera_is_compressed_too(make: Make) -> None:
    rig = make(small, cameras=2)
    deliver(rig.ring, 0, camera=1)
    event = rig.assembler.next_event(is_final=True)
    assert event is not None
    rig.outbox.put(event)
    (sent,) = rig.send_all()
    assert list(sent) == ["CZ1", "FID1", "TSP1"]
    assert rig.counts.compressed == 1


def test_only_frames_change_and_they_can_be_restored() -> None:
    """With the real codec: a frame that compresses, one of noise, and all other banks."""
    layout = make_layout(2, [board_info()])
    ring = make_ring(layout)
    store = TriggerStore(board_info(), 16)
    assembler = EventAssembler(ring, [store], layout, Rules(Mode.CONTINUOUS, PERIOD_NS, 1000.0))
    noise = np.random.default_rng(3).integers(0, 1 << 16, (ROWS, COLUMNS), np.uint16)
    for number in range(2):
        claim = ring.claim(number)
        claim.pixels[...] = noise if number else 7
        ring.deliver(number, claim, frame(0))
    span = store.free_span()
    assert span is not None
    span.triggers[:2] = triggers_at(100, 200)
    store.add(Readout(2, 1 << 62))
    ready = assembler.next_event()
    assert ready is not None
    shape = (ROWS, COLUMNS)
    source = bytes(ready.content)

    def encode(pixels: Pixels, bank: Bank) -> int | None:
        return None if pixels[0, 0] == noise[0, 0] else 7

    memory = memoryview(bytearray(layout.max_bytes))
    content, counts = compress_event(memoryview(source), {0: shape, 1: shape}, memory, encode)
    assert content is not None
    before, after = parse_event(source), parse_event(content)
    assert list(after) == ["CZ0", *list(before)[1:]]
    assert all(np.array_equal(after[name], before[name]) for name in list(before)[1:])
    for name in ("event_id", "serial_number", "timestamp", "trigger_mask"):
        assert getattr(after, name) == getattr(before, name)
    assert (counts.compressed, counts.incompressible) == (1, 1)
    assert counts.bank_bytes == 7 + noise.nbytes
    assert counts.ratio == 2 * noise.nbytes / (7 + noise.nbytes)


@pytest.mark.parametrize("generation", ["A", "C"])
def test_the_real_codec_gives_the_pixels_back(generation: str) -> None:
    layout = EventLayout(
        cameras=(make_layout().cameras[0].__class__("Fake", "007", 64, 48),),
        boards=(),
        max_triggers=1,
        generation="A" if generation == "A" else "C",
    )
    pixels = np.random.default_rng(5).integers(90, 110, (64, 48), np.uint16)
    memory = layout.prepare(memoryview(bytearray(layout.max_bytes)))
    memory.pixels[0][...] = pixels
    layout.complete(memory, [frame(0)], [], 7 if generation == "C" else None)
    source = memory.builder.finish(4, 5, 2)
    target = memoryview(bytearray(layout.max_bytes))
    content, counts = compress_event(source, layout.shapes, target)
    assert content is not None
    event = parse_event(content)
    assert np.array_equal(camera.decode_frame(event), pixels)
    assert len(content) < len(source)
    assert counts.bank_bytes == event.banks["CZ0"].size_bytes
    assert (event.serial_number, event.timestamp, event.trigger_mask) == (4, 5, 2)
