"""What `hardware.camera` promises, on every camera."""

import threading
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest

from hardware.camera import Camera, CameraConfig
from hardware.errors import DeviceError
from hardware.registry import open_device
from tests.hardware.conftest import devices

CONFIG = CameraConfig(exposure_s=0.02, rate_hz=20.0, run_number=1)


@pytest.fixture(params=devices("cameras"))
def camera(request: pytest.FixtureRequest) -> Iterator[Camera]:
    device = open_device("cameras", request.param)
    yield device
    device.ensure_stopped()


def buffer(camera: Camera) -> np.ndarray:
    return np.zeros((camera.info.rows, camera.info.columns), np.uint16)


def read(camera: Camera, pixels: np.ndarray, timeout_s: float = 5.0):
    info = camera.read_into(pixels, timeout_s)
    assert info is not None, "no frame came"
    return info


class TestCamera:
    def test_it_says_what_it_is(self, camera: Camera) -> None:
        camera.ensure_ready(CONFIG)
        info = camera.info
        assert info.rows > 0
        assert info.columns > 0
        assert info.frame_bytes == 2 * info.rows * info.columns
        assert info.model
        assert info.serial_number
        assert 8 <= info.bits <= 16

    def test_frames_come_in_order_with_their_times(self, camera: Camera) -> None:
        camera.ensure_ready(CONFIG)
        camera.start_acquiring()
        pixels = buffer(camera)
        infos = [read(camera, pixels) for _ in range(5)]
        lost = sum(info.lost_before for info in infos[1:])
        assert (infos[-1].counter - infos[0].counter) % 2**32 == 4 + lost
        for info in infos:
            assert info.exposure_end_ns > info.exposure_start_ns >= 0
        for before, after in pairwise(infos):
            assert after.exposure_start_ns >= before.exposure_end_ns - 1_000_000
            assert after.host_time_ns >= before.host_time_ns

    def test_all_pixels_are_written(self, camera: Camera) -> None:
        camera.ensure_ready(CONFIG)
        camera.start_acquiring()
        pixels = buffer(camera)
        pixels[:] = 54321
        read(camera, pixels)
        assert np.mean(pixels == 54321) < 0.01

    def test_frames_differ(self, camera: Camera) -> None:
        camera.ensure_ready(CONFIG)
        camera.start_acquiring()
        first, second = buffer(camera), buffer(camera)
        read(camera, first)
        read(camera, second)
        assert not np.array_equal(first, second)

    def test_counter_and_clock_begin_anew_in_each_acquisition(self, camera: Camera) -> None:
        pixels, starts = buffer_after_ready(camera), []
        for _ in range(2):
            camera.ensure_ready(CONFIG)
            camera.start_acquiring()
            first = read(camera, pixels)
            starts.append((first.counter - first.lost_before, first.exposure_start_ns))
            camera.ensure_stopped()
        assert starts[0][0] == starts[1][0]
        assert all(start_ns < 5_000_000_000 for _, start_ns in starts)

    def test_after_idle_what_was_exposed_is_read_and_then_nothing(self, camera: Camera) -> None:
        camera.ensure_ready(CONFIG)
        camera.start_acquiring()
        pixels = buffer(camera)
        read(camera, pixels)
        assert camera.wait_for_idle(5.0)
        rest = 0
        while camera.read_into(pixels, 0.2) is not None:
            rest += 1
            assert rest < 100, "frames go on after wait_for_idle"
        assert camera.read_into(pixels, 0.1) is None

    def test_reading_returns_none_when_no_frame_comes_in_time(self, camera: Camera) -> None:
        camera.ensure_ready(CameraConfig(exposure_s=2.0, rate_hz=0.4))
        camera.start_acquiring()
        assert camera.read_into(buffer(camera), 0.01) is None

    def test_stopping_is_possible_in_every_state_and_twice(self, camera: Camera) -> None:
        camera.ensure_stopped()
        camera.ensure_ready(CONFIG)
        camera.ensure_stopped()
        camera.ensure_ready(CONFIG)
        camera.start_acquiring()
        camera.ensure_stopped()
        camera.ensure_stopped()

    def test_stopping_ends_a_read_in_another_thread(self, camera: Camera) -> None:
        camera.ensure_ready(CameraConfig(exposure_s=5.0, rate_hz=0.1))
        camera.start_acquiring()
        pixels = buffer(camera)
        reader = threading.Thread(target=lambda: _read_quietly(camera, pixels), daemon=True)
        reader.start()
        camera.ensure_stopped()
        reader.join(10)
        assert not reader.is_alive()

    def test_the_sensor_has_a_temperature_also_while_it_acquires(self, camera: Camera) -> None:
        camera.ensure_ready(CONFIG)
        camera.start_acquiring()
        assert -50 < camera.sensor_temperature_c < 60

    def test_what_it_cannot_do_is_refused_in_words(self, camera: Camera) -> None:
        with pytest.raises(DeviceError, match=r"exposure is -1\.0 s; allowed"):
            camera.ensure_ready(CameraConfig(exposure_s=-1.0))
        with pytest.raises(DeviceError, match="no option nonsense"):
            camera.ensure_ready(CameraConfig(options={"nonsense": 1}))
        camera.ensure_ready(CONFIG)


def buffer_after_ready(camera: Camera) -> np.ndarray:
    camera.ensure_ready(CONFIG)
    return buffer(camera)


def _read_quietly(camera: Camera, pixels: np.ndarray) -> None:
    """Read as a frontend's thread: an error while the camera is stopped is allowed."""
    try:
        camera.read_into(pixels, 60.0)
    except DeviceError:
        return
