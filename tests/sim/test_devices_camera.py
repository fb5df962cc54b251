"""The simulated camera: its clock, its driver's buffer, its stop, its options."""

import threading
import time
from pathlib import Path

import numpy as np
import pytest

from hardware.camera import CameraConfig
from hardware.errors import DeviceError
from hardware.registry import open_device
from sim.detector.truth import read_truth, truth_path
from sim.devices.camera import SimulatedCamera
from tests.conftest import wait_until
from tests.sim.driving import take_run


def ready(
    clock: str, address: str = "32x48", rate_hz: float = 0.0, **options: object
) -> SimulatedCamera:
    camera = SimulatedCamera(address, clock=clock, seed=1, **options)
    camera.ensure_ready(CameraConfig(exposure_s=0.01, rate_hz=rate_hz, run_number=3))
    return camera


def buffer(camera: SimulatedCamera) -> np.ndarray:
    return np.empty((camera.info.rows, camera.info.columns), np.uint16)


@pytest.mark.parametrize(
    ("address", "shape"),
    [
        ("fusion", (2304, 2304)),
        ("quest", (2304, 4096)),
        ("flash", (2048, 2048)),
        ("", (2304, 2304)),
    ],
)
def test_cameras_have_their_shapes(address: str, shape: tuple[int, int]) -> None:
    info = open_device("cameras", f"sim:{address}").info
    assert (info.rows, info.columns) == shape


def test_frames_are_exposed_exactly_every_period() -> None:
    taken = take_run(5, rate_hz=50, exposure_s=0.012, clock="exact")
    assert [info.exposure_start_ns for info in taken.infos] == [n * 20_000_000 for n in range(5)]
    assert {info.exposure_end_ns - info.exposure_start_ns for info in taken.infos} == {12_000_000}
    assert [info.counter for info in taken.infos] == list(range(5))
    assert [info.lost_before for info in taken.infos] == [0] * 5


def test_no_frame_comes_before_its_exposure_ended() -> None:
    begin_ns = time.time_ns()
    taken = take_run(6, rate_hz=50, clock="causal")
    for info in taken.infos:
        assert info.host_time_ns - begin_ns >= info.exposure_end_ns


def test_as_fast_as_it_goes_a_long_exposure_stays_as_long() -> None:
    taken = take_run(2, exposure_s=0.3, clock="long")
    assert [(info.exposure_start_ns, info.exposure_end_ns) for info in taken.infos] == [
        (0, 300_000_000),
        (300_000_000, 600_000_000),
    ]


def test_an_exposure_longer_than_the_period_is_cut() -> None:
    taken = take_run(2, rate_hz=100, exposure_s=0.3, clock="cut")
    assert {info.exposure_end_ns - info.exposure_start_ns for info in taken.infos} == {10_000_000}


def test_as_fast_as_it_goes_the_clock_goes_with_the_frames() -> None:
    taken = take_run(30, clock="max")
    assert [info.exposure_start_ns for info in taken.infos] == [n * 10_000_000 for n in range(30)]


def test_a_late_reader_loses_the_oldest_frames_and_is_told() -> None:
    camera = ready("late reader", rate_hz=1000, buffer_frames=4)
    camera.start_acquiring()
    begin_s = time.monotonic()
    wait_until(lambda: time.monotonic() > begin_s + 0.05, what="50 frames to pass")
    info = camera.read_into(buffer(camera), 1.0)
    assert info is not None
    assert info.counter >= 45
    assert info.lost_before == info.counter
    camera.ensure_stopped()


def test_prepared_frames_come_again_with_light_of_their_own() -> None:
    dark = take_run(6, clock="prepared", seed=5, prepared_frames=3, pedestal=True).frames
    lit = take_run(6, clock="lit", seed=5, prepared_frames=3, rates={"iron": 9}).frames
    again = take_run(2, run=2, clock="again", seed=5, prepared_frames=3, pedestal=True).frames
    assert all(np.array_equal(dark[i], dark[i % 3]) for i in range(6))
    assert not np.array_equal(dark[0], dark[1])
    assert np.array_equal(again[1], dark[1])
    assert all((bright.astype(int) >= plain).all() for bright, plain in zip(lit, dark, strict=True))
    assert not any(np.array_equal(*pair) for pair in zip(lit, dark, strict=True))


def test_truth_tells_lost_frames_from_those_delivered(tmp_path: Path) -> None:
    take_run(6, clock="truth", seed=2, faults={"lose_frames": [1, 4]}, truth_dir=str(tmp_path))
    truth = read_truth(truth_path(tmp_path, 1))
    assert truth["frames"]["lost"].tolist() == [0, 1, 0, 0, 1, 0]
    assert not {1, 4} & set(truth["tracks"]["frame"].tolist())


def test_it_stops_exposing_and_can_be_read_to_the_end() -> None:
    camera = ready("idle", rate_hz=200)
    camera.start_acquiring()
    pixels, counters, lost = buffer(camera), [], 0
    for _ in range(3):
        info = camera.read_into(pixels, 1.0)
        assert info is not None
        counters.append(info.counter)
        lost += info.lost_before
    assert camera.wait_for_idle(5.0)
    while (info := camera.read_into(pixels, 0.01)) is not None:
        counters.append(info.counter)
        lost += info.lost_before
    assert counters[-1] + 1 == len(counters) + lost
    assert counters == sorted(set(counters))
    assert camera.read_into(pixels, 0.01) is None
    camera.ensure_stopped()


def test_stopping_wakes_a_reader_that_waits() -> None:
    camera = SimulatedCamera("32x48", clock="wake", seed=1)
    camera.ensure_ready(CameraConfig(exposure_s=50.0, rate_hz=0.01, run_number=3))
    camera.start_acquiring()  # its first frame is exposed for as long as no test lasts
    got: list[object] = []
    reader = threading.Thread(target=lambda: got.append(camera.read_into(buffer(camera), 100.0)))
    reader.start()
    camera.ensure_stopped()
    reader.join(10)
    assert not reader.is_alive()
    assert got == [None]


def test_it_can_be_stopped_in_any_state_and_twice() -> None:
    camera = SimulatedCamera("32x48", clock="any")
    camera.ensure_stopped()
    camera.ensure_ready(CameraConfig())
    camera.ensure_stopped()
    camera.ensure_ready(CameraConfig())
    camera.start_acquiring()
    camera.ensure_stopped()
    camera.ensure_stopped()
    assert camera.read_into(buffer(camera), 0.0) is None


def test_each_run_begins_at_zero() -> None:
    camera = SimulatedCamera("32x48", clock="again", seed=1)
    pixels = buffer(camera)
    frames = []
    for run in (1, 2):
        camera.ensure_ready(CameraConfig(run_number=run))
        camera.start_acquiring()
        info = camera.read_into(pixels, 1.0)
        assert info is not None
        assert (info.counter, info.exposure_start_ns) == (0, 0)
        frames.append(pixels.copy())
        camera.ensure_stopped()
    assert not np.array_equal(*frames)


def test_a_pedestal_run_has_no_light() -> None:
    rates = {"alpha": 5}
    lit = take_run(3, seed=1, rates=rates, address="128x128", clock="lit")
    dark = take_run(
        3, seed=1, rates=rates, address="128x128", pedestal=True, clock="dark", boards=("V1742",)
    )
    assert len(dark.triggers["V1742"]) == 0
    for bright, pedestal in zip(lit.frames, dark.frames, strict=True):
        assert int(bright.sum()) - int(pedestal.sum()) > 100_000
        assert np.all(bright >= pedestal)


def test_two_cameras_share_the_clock_and_see_their_own_part() -> None:
    config = CameraConfig(run_number=1)
    cameras = [SimulatedCamera("64x64", clock="two", seed=1, index=index) for index in (0, 1)]
    for camera in cameras:
        camera.ensure_ready(config)
    for camera in cameras:
        camera.start_acquiring()
    frames = []
    for camera in cameras:
        frame = buffer(camera)
        info = camera.read_into(frame, 1.0)
        assert info is not None
        assert info[:3] == (0, 0, 300_000_000)
        frames.append(frame)
    assert not np.array_equal(*frames)
    for camera in cameras:
        assert camera.wait_for_idle(1.0)
        camera.ensure_stopped()


def test_cameras_that_disagree_are_refused() -> None:
    cameras = [
        SimulatedCamera("32x32", clock="disagree", seed=index, index=index) for index in (0, 1)
    ]
    for camera in cameras:
        camera.ensure_ready(CameraConfig())
    cameras[0].start_acquiring()
    with pytest.raises(DeviceError, match="cameras disagree"):
        cameras[1].start_acquiring()
    cameras[0].ensure_stopped()


def test_the_same_camera_cannot_run_twice() -> None:
    cameras = [ready("twice"), ready("twice")]
    cameras[0].start_acquiring()
    with pytest.raises(DeviceError, match="runs already"):
        cameras[1].start_acquiring()
    cameras[0].ensure_stopped()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sede": 1}, "knows no option sede; known are: .*seed"),
        ({"seed": -1}, "option seed is -1; allowed: greater than or equal to 0"),
        ({"rates": {"irn": 1}}, "option rates.irn is 1; allowed: no such option"),
        ({"rates": {"iron": -1}}, "option rates.iron is -1"),
        ({"faults": "lose=2"}, "lose"),
        ({"faults": "explode"}, "explode"),
        ({"buffer_frames": 0}, "option buffer_frames is 0"),
    ],
)
def test_a_bad_option_is_refused_with_what_is_allowed(
    options: dict[str, object], message: str
) -> None:
    with pytest.raises(DeviceError, match=message):
        SimulatedCamera("32x32", **options)
    camera = SimulatedCamera("32x32")
    with pytest.raises(DeviceError, match=message):
        camera.ensure_ready(CameraConfig(options=options))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (CameraConfig(exposure_s=0.0), "exposure is 0.0 s; allowed"),
        (CameraConfig(rate_hz=-1.0), "rate is -1.0 Hz; allowed"),
        (CameraConfig(exposure_s=float("nan")), "exposure is nan s"),
    ],
)
def test_a_bad_setting_is_refused(config: CameraConfig, message: str) -> None:
    with pytest.raises(DeviceError, match=message):
        SimulatedCamera("32x32", clock="bad").ensure_ready(config)


def test_truth_that_cannot_be_written_is_a_device_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    camera = ready("no truth", truth_dir=str(tmp_path / "file"))
    with pytest.raises(DeviceError, match="cannot write the truth of run 3"):
        camera.start_acquiring()
    camera.ensure_ready(CameraConfig(options={"truth_dir": ""}))
    camera.start_acquiring()
    assert camera.read_into(buffer(camera), 1.0) is not None
    camera.ensure_stopped()
