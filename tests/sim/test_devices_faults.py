"""Faults on request: each happens as said, is seen through the contract, and is the same twice."""

import time

import numpy as np
import pytest

from hardware.camera import CameraConfig
from hardware.digitizer import TRIGGER_DTYPE
from hardware.errors import DeviceError
from sim.devices.camera import SimulatedCamera
from sim.devices.digitizer import SimulatedDigitizer
from sim.devices.faults import Faults
from tests.sim.driving import digitizer_config, take_run


def start(faults: object, clock: str, **config: float) -> tuple[SimulatedCamera, np.ndarray]:
    camera = SimulatedCamera("32x32", clock=clock, seed=1, faults=faults)
    camera.ensure_ready(CameraConfig(run_number=1, **config))  # type: ignore[arg-type]
    camera.start_acquiring()
    return camera, np.empty((32, 32), np.uint16)


def test_a_compact_string_and_a_dict_say_the_same() -> None:
    text = (
        "lose=0.01,hang_at=20,disconnect_at=30,late_ms=50,counter_start=4294967290,stuck_pixels=100"
    )
    same = {
        "lose": 0.01, "hang_at": 20, "disconnect_at": 30, "late_ms": 50,
        "counter_start": 4294967290, "stuck_pixels": 100,
    }  # fmt: skip
    assert Faults.parse(text) == Faults.parse(same)
    assert Faults.parse("lose_frames=3+7, again") == Faults(lose_frames=(3, 7), again=True)
    assert Faults.parse(None) == Faults.parse("") == Faults()


def test_frames_are_lost_by_chance_the_same_each_time() -> None:
    first = take_run(200, address="16x16", seed=1, faults="lose=0.1", clock="l1")
    again = take_run(200, address="16x16", seed=1, faults="lose=0.1", clock="l2")
    other = take_run(200, address="16x16", seed=2, faults="lose=0.1", clock="l3")
    counters = [info.counter for info in first.infos]
    assert counters == [info.counter for info in again.infos]
    assert counters != [info.counter for info in other.infos]
    assert 5 < 200 - len(counters) < 40


def test_gaps_of_the_counter_are_the_frames_lost() -> None:
    taken = take_run(12, seed=1, faults={"lose_frames": [0, 1, 5]}, clock="gaps")
    expected = -1
    for info in taken.infos:
        assert info.lost_before == info.counter - expected - 1
        expected = info.counter


def test_if_all_frames_are_lost_reading_still_returns() -> None:
    camera, pixels = start("lose=1", "all lost")
    assert camera.read_into(pixels, 0.05) is None
    camera.ensure_stopped()


def test_late_frames_come_late_with_their_own_time() -> None:
    camera = SimulatedCamera("32x32", clock="late", seed=1, faults="late_ms=60")
    camera.ensure_ready(CameraConfig(rate_hz=100, exposure_s=0.01))
    begin_s = time.monotonic()
    camera.start_acquiring()
    info = camera.read_into(np.empty((32, 32), np.uint16), 5.0)
    assert info is not None
    assert time.monotonic() - begin_s >= 0.07
    assert info[:3] == (0, 0, 10_000_000)
    camera.ensure_stopped()


def test_a_hang_lasts_until_the_next_run() -> None:
    camera, pixels = start("hang_at=2", "hang")
    assert [camera.read_into(pixels, 0.01) is None for _ in range(4)] == [False, False, True, True]
    assert camera.wait_for_idle(1.0)
    camera.ensure_stopped()
    camera.ensure_ready(CameraConfig(run_number=2))
    camera.start_acquiring()
    assert all(camera.read_into(pixels, 0.01) for _ in range(5))
    camera.ensure_stopped()


def test_a_hang_can_come_again() -> None:
    camera, pixels = start("hang_at=1,again", "hangs")
    for run in (2, 3):
        assert camera.read_into(pixels, 0.01) is not None
        assert camera.read_into(pixels, 0.01) is None
        camera.ensure_stopped()
        camera.ensure_ready(CameraConfig(run_number=run))
        camera.start_acquiring()
    camera.ensure_stopped()


def test_a_disconnected_camera_says_so_and_works_again_when_made_ready() -> None:
    camera, pixels = start("disconnect_at=3", "disconnect")
    for _ in range(3):
        assert camera.read_into(pixels, 0.1) is not None
    for _ in range(2):
        with pytest.raises(DeviceError, match="S/N 500100 is gone before frame 3 of run 1"):
            camera.read_into(pixels, 0.1)
    camera.ensure_stopped()
    camera.ensure_ready(CameraConfig(run_number=2))
    camera.start_acquiring()
    assert all(camera.read_into(pixels, 0.1) for _ in range(6))
    camera.ensure_stopped()


def test_the_counter_rolls_over() -> None:
    taken = take_run(5, seed=1, faults="counter_start=4294967294", clock="roll")
    assert [info.counter for info in taken.infos] == [2**32 - 2, 2**32 - 1, 0, 1, 2]


def test_stuck_pixels_never_change() -> None:
    taken = take_run(20, seed=1, faults="stuck_pixels=40", address="64x64", clock="stuck")
    frames = np.stack(taken.frames)
    constant = np.all(frames == frames[0], axis=0)
    assert constant.sum() == 40
    assert set(np.unique(frames[0][constant])) == {0, 65535}


def test_lost_triggers_are_counted_and_leave_gaps() -> None:
    whole = take_run(20, seed=1, boards=("V1720E",), clock="t1")
    some = take_run(20, seed=1, boards=("V1720E",), faults="lose_triggers=0.3", clock="t2")
    lost = some.lost_triggers["V1720E"]
    assert 0 < lost == len(whole.triggers["V1720E"]) - len(some.triggers["V1720E"])
    kept = some.triggers["V1720E"]["counter"]
    assert np.array_equal(some.triggers["V1720E"], whole.triggers["V1720E"][kept])
    assert np.array_equal(some.waveforms["V1720E"], whole.waveforms["V1720E"][kept])


def test_a_busy_board_refuses_the_triggers_of_those_frames() -> None:
    taken = take_run(8, seed=1, boards=("V1720E",), faults="busy_frames=2+3", clock="busy")
    frames = taken.triggers["V1720E"]["time_ns"] // 10_000_000
    assert not {2, 3} & set(frames.tolist())
    assert taken.lost_triggers["V1720E"] > 0


@pytest.mark.parametrize("fault", ["hang_triggers_at=2", "disconnect_triggers_at=2"])
def test_a_board_that_fails_never_says_that_time_is_complete(fault: str) -> None:
    camera, pixels = start(None, fault, exposure_s=0.01)
    board = SimulatedDigitizer("V1720E", clock=fault, faults=fault)
    board.ensure_ready(digitizer_config("V1720E"))
    board.start_acquiring()
    for _ in range(6):
        assert camera.read_into(pixels, 1.0) is not None
    waveforms, triggers = np.empty((64, 8, 4000), np.uint16), np.empty(64, TRIGGER_DTYPE)
    for _ in range(3):
        if fault.startswith("hang"):
            readout = board.read_into(waveforms, triggers, 0.01)
            assert readout.complete_until_ns <= 20_000_000
            assert np.all(triggers["time_ns"][: readout.triggers] < 20_000_000)
        else:
            with pytest.raises(DeviceError, match="S/N 17174 is gone in frame 2"):
                board.read_into(waveforms, triggers, 0.01)
    camera.ensure_stopped()
    board.ensure_stopped()
    again = take_run(4, seed=1, boards=("V1720E",), clock=f"{fault} again")
    assert len(again.triggers["V1720E"]) > 0
