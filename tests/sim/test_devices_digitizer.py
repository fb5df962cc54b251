"""The simulated digitizers: triggers in order, tags that roll over, time that is complete."""

import threading
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from hardware.camera import CameraConfig
from hardware.digitizer import TRIGGER_DTYPE, DigitizerConfig
from hardware.errors import DeviceError
from hardware.registry import open_device
from sim.detector.truth import read_truth, truth_path
from sim.devices.camera import SimulatedCamera
from sim.devices.digitizer import SimulatedDigitizer
from tests.sim.driving import Taken, digitizer_config, take_run

BOARDS = ("V1742", "V1720E")
RATES = {"iron": 3, "alpha": 0.3, "muon": 0.5, "recoil": 0.5, "dark": 0.5}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Taken, dict[str, np.ndarray]]:
    folder = tmp_path_factory.mktemp("truth")
    taken = take_run(
        25, seed=3, boards=BOARDS, clock="run", truth_dir=str(folder), rates=RATES,
        rate_hz=100, exposure_s=0.006,
    )  # fmt: skip
    return taken, read_truth(truth_path(folder, 1))


def test_boards_are_as_cygno_has_them() -> None:
    expected = {
        "V1742": (32, 1024, 1333, 1.333, 12, 8.5, 16362),
        "V1720E": (8, 4000, 250, 4.0, 12, 8.5, 17174),
    }
    for model, values in expected.items():
        board = open_device("digitizers", f"sim:{model}")
        board.ensure_ready(digitizer_config(model))
        info = board.info
        assert info.model == model
        assert values == (
            info.channels, info.samples, info.sampling_word, info.sample_period_ns, info.bits,
            info.time_tag_ns, info.serial_number,
        )  # fmt: skip


def test_triggers_come_in_time_order_and_are_counted(run: tuple[Taken, dict]) -> None:
    for model in BOARDS:
        triggers = run[0].triggers[model]
        assert len(triggers) > 50
        assert np.all(np.diff(triggers["time_ns"]) >= 9_990)
        assert triggers["counter"].tolist() == list(range(len(triggers)))
        assert run[0].lost_triggers[model] == 0


def test_triggers_are_those_of_the_truth(run: tuple[Taken, dict]) -> None:
    taken, truth = run
    for model in BOARDS:
        times = taken.triggers[model]["time_ns"]
        assert np.all(truth["triggers"]["time_ns"] - times >= 0)
        assert np.all(truth["triggers"]["time_ns"] - times < 8.5)


def test_both_boards_have_the_same_triggers(run: tuple[Taken, dict]) -> None:
    fast, slow = (run[0].triggers[model] for model in BOARDS)
    assert np.array_equal(fast["time_ns"], slow["time_ns"])
    assert np.array_equal(fast["time_tag"], slow["time_tag"])
    assert set(slow["start_cell"]) == {0}
    assert len(set(fast["start_cell"])) > 30


def test_tracks_with_light_trigger_while_the_camera_exposes(run: tuple[Taken, dict]) -> None:
    truth = run[1]["triggers"]
    with_light = truth[truth["track"] >= 0]
    assert len(with_light) > 30
    assert np.all(with_light["time_ns"] % 10_000_000 < 6_000_000)
    assert np.any(truth["time_ns"] % 10_000_000 >= 6_000_000)
    tracks = run[1]["tracks"]
    for trigger in with_light:
        same = tracks[(tracks["frame"] == trigger["frame"]) & (tracks["track"] == trigger["track"])]
        assert same["time_ns"].tolist() == [trigger["time_ns"]]
        assert same["kind"].tolist() == [trigger["kind"]]


def test_time_tags_count_8_5_ns(run: tuple[Taken, dict]) -> None:
    triggers = run[0].triggers["V1742"]
    assert np.all(triggers["time_ns"] == (triggers["time_tag"].astype(np.int64) * 17) // 2)
    assert set(triggers["time_tag_high"]) == {0}


@pytest.mark.parametrize(("model", "bits"), [("V1742", 30), ("V1720E", 32)])
def test_time_tags_roll_over_and_time_does_not(model: str, bits: int) -> None:
    start = (1 << bits) - 3_000_000  # 25 ms before
    faults = {"time_tag_start": start}
    taken = take_run(8, seed=3, boards=(model,), clock=f"roll {model}", faults=faults, rates=RATES)
    triggers = taken.triggers[model]
    assert set(triggers["time_tag_high"]) == {0, 1}
    assert np.any(np.diff(triggers["time_tag"].astype(np.int64)) < 0)
    tags = (triggers["time_tag_high"].astype(np.int64) << bits) + triggers["time_tag"] - start
    assert np.all(np.diff(triggers["time_ns"]) > 0)
    assert np.all(triggers["time_ns"] == tags * 17 // 2)


def test_no_trigger_is_told_after_its_time_was_complete() -> None:
    camera = SimulatedCamera("32x32", clock="complete", seed=1, rates=RATES, frames=30)
    camera.ensure_ready(CameraConfig(rate_hz=300, exposure_s=0.002))
    board = SimulatedDigitizer("V1742", clock="complete")
    board.ensure_ready(digitizer_config("V1742"))
    board.start_acquiring()
    camera.start_acquiring()
    reader = threading.Thread(target=_read_all, args=(camera,))
    reader.start()
    waveforms, triggers = np.empty((2, 32, 1024), np.uint16), np.empty(2, TRIGGER_DTYPE)
    complete_ns, told, steps = 0, 0, []
    while complete_ns < 90_000_000:
        readout = board.read_into(waveforms, triggers, 0.01)
        times = triggers["time_ns"][: readout.triggers]
        assert np.all(times >= complete_ns)
        assert np.all(times < readout.complete_until_ns)
        assert readout.complete_until_ns >= complete_ns
        complete_ns, told = readout.complete_until_ns, told + readout.triggers
        steps.append(complete_ns)
    assert told > 20
    assert all(b >= a for a, b in pairwise(steps))
    reader.join(10)
    board.ensure_stopped()
    camera.ensure_stopped()


def _read_all(camera: SimulatedCamera) -> None:
    pixels = np.empty((32, 32), np.uint16)
    while camera.read_into(pixels, 0.2) is not None:
        pass


def test_nothing_comes_before_the_camera_started() -> None:
    board = SimulatedDigitizer("V1720E", clock="alone")
    board.ensure_ready(digitizer_config("V1720E"))
    board.start_acquiring()
    waveforms, triggers = np.empty((4, 8, 4000), np.uint16), np.empty(4, TRIGGER_DTYPE)
    assert board.read_into(waveforms, triggers, 0.02) == (0, 0, 0)
    camera = SimulatedCamera("32x32", clock="alone", seed=1, rates=RATES)
    camera.ensure_ready(CameraConfig())
    camera.start_acquiring()
    assert camera.read_into(np.empty((32, 32), np.uint16), 1.0) is not None
    readout = board.read_into(waveforms, triggers, 1.0)
    assert readout.complete_until_ns > 0
    camera.ensure_stopped()
    board.ensure_stopped()


def test_after_the_stop_what_was_recorded_is_read_and_all_time_is_complete() -> None:
    camera = SimulatedCamera("32x32", clock="stop", seed=1, rates={"iron": 8}, frames=5)
    camera.ensure_ready(CameraConfig())
    board = SimulatedDigitizer("V1742", clock="stop")
    board.ensure_ready(digitizer_config("V1742"))
    board.start_acquiring()
    camera.start_acquiring()
    _read_all(camera)
    assert camera.wait_for_idle(1.0)
    assert board.wait_for_idle(1.0)
    camera.ensure_stopped()
    waveforms, triggers = np.empty((3, 32, 1024), np.uint16), np.empty(3, TRIGGER_DTYPE)
    count = 0
    while (readout := board.read_into(waveforms, triggers, 0.01)).triggers:
        count += readout.triggers
    assert count > 20
    assert readout.complete_until_ns > 10**15
    board.ensure_stopped()
    assert board.read_into(waveforms, triggers, 0.0).triggers == 0


def test_a_full_memory_loses_triggers_and_counts_them() -> None:
    camera = SimulatedCamera("32x32", clock="full", seed=1, rates={"iron": 20}, frames=10)
    camera.ensure_ready(CameraConfig(rate_hz=200))
    board = SimulatedDigitizer("V1720E", clock="full", buffer_triggers=5)
    board.ensure_ready(digitizer_config("V1720E"))
    board.start_acquiring()
    camera.start_acquiring()
    _read_all(camera)
    waveforms, triggers = np.empty((50, 8, 4000), np.uint16), np.empty(50, TRIGGER_DTYPE)
    first = board.read_into(waveforms, triggers, 0.1)
    assert first.triggers == 5
    assert first.lost > 100
    camera.ensure_stopped()
    board.ensure_stopped()


def test_stopping_wakes_a_reader_that_waits() -> None:
    board = SimulatedDigitizer("V1742", clock="wake board")
    board.ensure_ready(digitizer_config("V1742"))
    board.start_acquiring()
    waveforms, triggers = np.empty((1, 32, 1024), np.uint16), np.empty(1, TRIGGER_DTYPE)
    reader = threading.Thread(target=lambda: board.read_into(waveforms, triggers, 100.0))
    reader.start()
    board.ensure_stopped()
    reader.join(10)
    assert not reader.is_alive()


@pytest.mark.parametrize(
    ("model", "config", "message"),
    [
        ("V1742", DigitizerConfig(samples=1000), "samples is 1000; allowed"),
        ("V1742", DigitizerConfig(sampling_code=7), "sampling code is 7; allowed"),
        ("V1742", DigitizerConfig(post_trigger_percent=101), "post-trigger is 101 %"),
        ("V1720E", DigitizerConfig(samples=20_000, max_triggers=128), "samples is 20000"),
        ("V1720E", DigitizerConfig(options={"colour": "red"}), "knows no option colour"),
    ],
)
def test_a_bad_setting_is_refused(model: str, config: DigitizerConfig, message: str) -> None:
    with pytest.raises(DeviceError, match=message):
        SimulatedDigitizer(model).ensure_ready(config)


def test_an_unknown_board_is_refused() -> None:
    with pytest.raises(DeviceError, match="address is 'V9999'; allowed: V1742, V1720E"):
        SimulatedDigitizer("V9999")


def test_sampling_and_samples_follow_the_settings(tmp_path: Path) -> None:
    board = SimulatedDigitizer("V1742")
    for code, word in ((0, 1333), (1, 1000), (2, 400), (3, 200)):
        board.ensure_ready(DigitizerConfig(sampling_code=code, samples=520))
        assert (board.info.sampling_word, board.info.samples) == (word, 520)
