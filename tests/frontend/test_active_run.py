"""A run from devices to the buffer, with threads: order, patience, failures, and closed counts."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from experiment.errors import MidasError
from frontend.acquisition import Acquisition, make_layout
from frontend.active_run import ActiveRun
from frontend.devices import Devices
from frontend.layout import Board, EventFlag
from hardware.errors import DeviceError
from rawdata.event import Event, parse_event
from rawdata.layouts import digitizer, times
from tests.conftest import wait_until
from tests.frontend.fakes import PERIOD_NS, FakeCamera, FakeDigitizer, camera_info
from tests.frontend.test_setup import make_setup

KEYS = {"Exposure": 0.0006, "TriggerMode": 3, "MultiTriggerMaxSize": 8}
RATE_HZ = 1e9 / PERIOD_NS


@dataclass
class Buffer:
    """An event buffer with room for as many events as it is told."""

    room: int = 1 << 30
    events: list[Event] = field(default_factory=list)

    def send(self, event: memoryview, timeout_ms: int) -> bool:
        assert timeout_ms == 20
        if self.room == 0:
            return False
        self.room -= 1
        self.events.append(parse_event(bytes(event)))
        return True


@dataclass
class Rig:
    """Fake devices, a run on them, and the buffer it sends to."""

    cameras: list[FakeCamera]
    boards: list[FakeDigitizer]
    run: ActiveRun
    buffer: Buffer

    @property
    def fids(self) -> list[int]:
        return [times.decode_fid(event, camera_of(event)) for event in self.buffer.events]


def camera_of(event: Event) -> int:
    return next(int(name[3]) for name in event if name.startswith("FID"))


def make_rig(
    cameras: list[FakeCamera],
    boards: list[FakeDigitizer] | None = None,
    trigger: dict[str, Any] | None = None,
    **keys: Any,
) -> Rig:
    boards = boards or []
    settings = {
        "Cameras": tuple("fake" for _ in cameras),
        "Digitizers": tuple("fake" for _ in boards) or ("none",),
        "Frame rate Hz": RATE_HZ,
        "Ring seconds": 0.0,
        **(trigger or {}),
    }
    setup = make_setup(settings, **{**KEYS, "Number of Digitizers": len(boards), **keys})
    devices = Devices(list(cameras), list(boards), [Board(board.info, ()) for board in boards])
    acquisition = Acquisition(setup, devices, make_layout(setup, devices))
    buffer = Buffer()
    return Rig(cameras, boards, ActiveRun(3, acquisition, buffer.send), buffer)


@pytest.fixture
def rigs() -> Iterator[list[Rig]]:
    """Rigs that a test has started; all are stopped at its end."""
    started: list[Rig] = []
    yield started
    for rig in started:
        rig.run.abort()


def start(rigs: list[Rig], *cameras: FakeCamera, **options: Any) -> Rig:
    rig = make_rig(list(cameras), **options)
    rigs.append(rig)
    rig.run.acquisition.start()
    return rig


def work(rig: Rig, events: int) -> None:
    """Let the main thread do its part until so many events are sent."""

    def enough() -> bool:
        rig.run.work(budget_s=0.02)
        return len(rig.buffer.events) >= events

    wait_until(enough, 10, f"{events} events")


def test_frames_and_triggers_travel_to_the_buffer(rigs: list[Rig]) -> None:
    board = FakeDigitizer([100_000, 1_200_000, 1_300_000])
    patient = {"Event wait ms": 60_000}  # silence is dead time once it is longer
    rig = start(rigs, FakeCamera([0, 1, 2]), boards=[board], trigger=patient)
    work(rig, 3)
    assert rig.fids == [0, 1, 2]
    assert [len(digitizer.decode(event)[1][0]) for event in rig.buffer.events] == [1, 2, 0]
    assert [int(event["CAM0"][5]) for event in rig.buffer.events] == [0, 1, 2]
    record = rig.run.finish()
    assert record.contradictions() == []
    assert (record.events_sent, record.frames_acquired, record.triggers_read) == (3, 3, 3)
    assert (record.live_time_s, record.dead_time_s) == (0.0018, 0.0012)
    assert record.live_percent == pytest.approx(60)
    assert rig.cameras[0].is_stopped
    assert board.is_stopped


def test_the_end_of_a_run_sends_what_is_here(rigs: list[Rig]) -> None:
    rig = start(rigs, FakeCamera(list(range(6))), boards=[FakeDigitizer([100_000])])
    record = rig.run.finish()
    assert rig.fids == list(range(6))
    assert record.contradictions() == []
    assert record.frames_lost == 0


def test_a_full_buffer_is_tried_again_in_order(rigs: list[Rig]) -> None:
    rig = start(rigs, FakeCamera(list(range(5))))
    rig.buffer.room = 2
    work(rig, 2)
    assert rig.run.work(budget_s=0.01)
    assert rig.run.sent.retries > 0
    rig.buffer.room = 100
    work(rig, 5)
    assert rig.fids == [0, 1, 2, 3, 4]
    assert [event.serial_number for event in rig.buffer.events] == [0, 1, 2, 3, 4]
    assert rig.run.finish().contradictions() == []


def test_the_ring_absorbs_what_it_holds_and_the_rest_is_counted(rigs: list[Rig]) -> None:
    rig = start(rigs, FakeCamera(list(range(20))), trigger={"Ring slots": 8})
    rig.buffer.room = 0
    counts = rig.run.acquisition.ring.counts[0]
    wait_until(lambda: counts.acquired == 20, 10, "all frames")
    assert counts.lost_by_ring == 12
    rig.buffer.room = 100
    rig.cameras[0].numbers += [20, 21]
    work(rig, 10)
    assert rig.fids == [*range(8), 20, 21]
    flagged = [event.trigger_mask for event in rig.buffer.events]
    assert flagged == [0] * 8 + [EventFlag.FRAMES_LOST_BEFORE, 0]
    record = rig.run.finish()
    assert record.frames_lost == record.frames_lost_by_ring == 12
    assert record.contradictions() == []
    assert "lost 12 frames" in record.summary()


def test_a_camera_that_goes_as_fast_as_it_is_read_waits_for_room(rigs: list[Rig]) -> None:
    rig = start(rigs, FakeCamera(list(range(30))), trigger={"Ring slots": 4, "Frame rate Hz": 0.0})
    rig.buffer.room = 0
    counts = rig.run.acquisition.ring.counts[0]
    wait_until(lambda: counts.acquired == 4, 10, "a full ring")
    rig.buffer.room = 100
    work(rig, 29)
    record = rig.run.finish()
    assert rig.fids == list(range(30))
    assert record.frames_lost == 0
    assert record.contradictions() == []


def test_what_cannot_be_sent_in_time_at_the_end_is_counted_lost(rigs: list[Rig]) -> None:
    rig = start(rigs, FakeCamera(list(range(5))), trigger={"Drain limit s": 0.05})
    wait_until(lambda: rig.run.acquisition.ring.counts[0].acquired == 5, 10, "all frames")
    rig.buffer.room = 2
    record = rig.run.finish()
    assert (record.events_built, record.events_sent, record.events_unsent) == (5, 2, 3)
    assert record.frames_lost == record.frames_unsent == 3
    assert record.contradictions() == []
    assert rig.cameras[0].is_stopped


def test_exactly_the_events_that_were_asked_for(rigs: list[Rig]) -> None:
    rig = start(rigs, FakeCamera(list(range(8))), MaxEvents=4)
    counts = rig.run.acquisition.ring.counts[0]
    wait_until(lambda: counts.acquired == 8, 10, "more frames than are wanted")
    rig.buffer.room = 3
    rig.run.work(budget_s=0.01)
    assert not rig.run.is_done
    (reader,) = rig.run.acquisition.camera_readers
    wait_until(lambda: not reader.is_alive(), 10, "the end of reading")
    rig.buffer.room = 100
    work(rig, 4)
    assert rig.run.is_done
    record = rig.run.finish()
    assert rig.fids == [0, 1, 2, 3]
    assert (record.events_sent, record.frames_surplus) == (4, 4)
    assert record.frames_lost == 0
    assert record.contradictions() == []


def test_a_dead_camera_is_known_and_does_not_hold_the_end(rigs: list[Rig]) -> None:
    camera = FakeCamera([0, 1], error=DeviceError("camera Fake S/N 007 is gone"))
    rig = start(rigs, camera)
    wait_until(lambda: rig.run.acquisition.failure() is not None, 10, "the failure")
    assert rig.run.acquisition.failure() == "camera 0 (fake): camera Fake S/N 007 is gone"
    record = rig.run.finish()
    assert rig.fids == [0, 1]
    assert record.contradictions() == []


def test_a_dead_digitizer_is_known_and_its_events_are_incomplete(rigs: list[Rig]) -> None:
    board = FakeDigitizer(error=RuntimeError("a bug in a driver"))
    rig = start(rigs, FakeCamera([0, 1]), boards=[board], trigger={"Event wait ms": 1})
    wait_until(lambda: rig.run.acquisition.failure() is not None, 10, "the failure")
    assert rig.run.acquisition.failure() == "digitizer 0 (fake): a bug in a driver"
    work(rig, 2)
    assert [event.trigger_mask for event in rig.buffer.events] == [EventFlag.INCOMPLETE] * 2
    assert rig.run.finish().events_incomplete == 2


def test_a_camera_that_hangs_makes_events_incomplete_never_a_stall(rigs: list[Rig]) -> None:
    hanging = FakeCamera([0, 1, 2])
    hanging.gate.clear()
    rig = start(rigs, FakeCamera([0, 1, 2]), hanging, trigger={"Event wait ms": 1})
    work(rig, 3)
    assert [camera_of(event) for event in rig.buffer.events] == [0, 0, 0]
    hanging.gate.set()
    wait_until(lambda: rig.run.acquisition.ring.counts[1].late == 3, 10, "late frames")
    rig.cameras[0].numbers.append(3)
    hanging.numbers.append(3)
    counts = rig.run.acquisition.ring.counts
    wait_until(lambda: [each.acquired for each in counts] == [4, 4], 10, "both frames")
    record = rig.run.finish()
    assert list(rig.buffer.events[-1])[:2] == ["CAM0", "CAM1"]
    assert (record.events_incomplete, record.frames_late, record.frames_lost) == (3, 3, 3)
    assert record.contradictions() == []


def test_cameras_that_lose_different_frames_meet_again(rigs: list[Rig]) -> None:
    first, second = FakeCamera([0, 1, 3, 4, 6]), FakeCamera([0, 2, 3, 5, 6])
    rig = start(rigs, first, second, trigger={"Event wait ms": 2000})
    record = rig.run.finish()
    found = {
        rig.fids[number]: [int(event[name][0]) for name in event if name.startswith("CAM")]
        for number, event in enumerate(rig.buffer.events)
    }
    assert found == {0: [0, 0], 1: [1], 2: [2], 3: [3, 3], 4: [4], 5: [5], 6: [6, 6]}
    assert record.frames_lost_by_camera == 4
    assert record.contradictions() == []


def test_a_pause_sends_what_was_here_and_counts_what_comes(rigs: list[Rig]) -> None:
    camera = FakeCamera([0, 1])
    rig = start(rigs, camera)
    wait_until(lambda: rig.run.acquisition.ring.counts[0].acquired == 2, 10, "two frames")
    rig.run.pause()
    assert rig.fids == [0, 1]
    camera.numbers += [2, 3]
    counts = rig.run.acquisition.assembler.counts

    def dropped() -> bool:
        rig.run.work(0.01)
        return counts.frames_paused == 2

    wait_until(dropped, 10, "frames of the pause")
    rig.run.resume()
    wait_until(lambda: not camera.numbers, 10)
    camera.numbers += [4]
    record = rig.run.finish()
    assert rig.fids in ([0, 1], [0, 1, 4])
    assert record.contradictions() == []


def test_the_driver_writes_into_memory_that_is_sent(rigs: list[Rig]) -> None:
    """No second copy: the bytes that are sent are those that the driver was given."""
    rig = make_rig([FakeCamera([0])])
    rigs.append(rig)
    addresses = {
        slot.memory.pixels[0].__array_interface__["data"][0]
        for slot in rig.run.acquisition.ring._free
    }
    seen: list[int] = []
    written: list[int] = []
    read_into = rig.cameras[0].read_into

    def spy(pixels: Any, timeout_s: float) -> Any:
        written.append(pixels.__array_interface__["data"][0])
        return read_into(pixels, timeout_s)

    def send(event: memoryview, timeout_ms: int) -> bool:
        seen.append(parse_event(event)["CAM0"].__array_interface__["data"][0])
        return True

    rig.cameras[0].read_into = spy  # type: ignore[method-assign]
    rig.run._send = send
    rig.run.acquisition.start()
    rig.run.finish()
    assert seen == [written[0]]
    assert set(seen) <= addresses


def test_an_event_that_never_fits_stops_the_devices(rigs: list[Rig]) -> None:
    rig = start(rigs, FakeCamera([0, 1]))

    def refuse(event: memoryview, timeout_ms: int) -> bool:
        raise MidasError(203, "the event is larger than the buffer")

    rig.run._send = refuse
    with pytest.raises(MidasError):
        rig.run.finish()
    assert rig.cameras[0].is_stopped
    assert rig.run.record.frames_unsent == 2
    assert rig.run.record.contradictions() == []


def test_silence_is_noticed(rigs: list[Rig]) -> None:
    rig = start(rigs, FakeCamera(), trigger={"Silence alarm s": 0.01})
    silence = rig.run.acquisition.silence
    wait_until(lambda: silence() is not None, 10, "the silence")
    assert "camera 0 (fake): no frame since" in str(silence())


def test_temperatures_are_read_beside_the_frames(rigs: list[Rig]) -> None:
    rig = start(rigs, FakeCamera([0], info=camera_info()))
    (reader,) = rig.run.acquisition.camera_readers
    wait_until(lambda: reader.temperature_c is not None, 10, "the temperature")
    assert reader.temperature_c == -18.5


def test_an_aborted_run_stops_its_devices(rigs: list[Rig]) -> None:
    rig = start(rigs, FakeCamera(list(range(5))))
    rig.run.abort()
    assert rig.cameras[0].is_stopped
    assert not any(reader.is_alive() for reader in rig.run.acquisition.readers)
