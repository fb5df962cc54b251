"""A square part of the sensor, as CYGNO's generation C cuts it out."""

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiment.errors import SettingsError, TransitionFailedError
from frontend.crop import crop_of, cropped
from frontend.settings import Configurations, CropSettings
from rawdata.layouts import camera
from tests.frontend.fakes import FakeCamera, camera_info
from tests.frontend.test_active_run import make_rig
from tests.frontend.world import World

FOLDER = "/Configurations/CameraCropSettings"


def keys_of(size: int, x: int, y: int, is_on: bool = True) -> Configurations:
    crop = CropSettings(enable=is_on, size=size, origin_x=x, origin_y=y)
    return Configurations(crop=crop)


@given(st.data())
def test_a_pixel_is_kept_by_cygnos_rule(data: st.DataObject) -> None:
    rows, columns = data.draw(st.tuples(st.integers(1, 9), st.integers(1, 9)))
    size = data.draw(st.integers(1, min(rows, columns)))
    x0, y0 = (data.draw(st.integers(-1, length - size - 1)) for length in (columns, rows))
    info = camera_info(rows, columns)
    crop = crop_of(keys_of(size, x0, y0), info)
    assert crop is not None
    frame = np.arange(rows * columns, dtype=np.uint16).reshape(rows, columns)
    kept = np.zeros((size, size), np.uint16)
    crop.copy(frame, kept)
    expected = [
        frame[y, x]
        for y in range(rows)
        for x in range(columns)
        if x0 < x <= x0 + size and y0 < y <= y0 + size
    ]
    assert kept.ravel().tolist() == expected
    assert (cropped(info, crop).rows, cropped(info, crop).columns) == (size, size)
    assert camera.infer_shape(kept.nbytes) == (size, size)


def test_whole_frames_stay_whole() -> None:
    info = camera_info()
    assert crop_of(keys_of(2, 0, 0, is_on=False), info) is None
    assert cropped(info, None) is info


@pytest.mark.parametrize(
    ("size", "x", "y", "said"),
    [
        (7, -1, -1, f"{FOLDER}/crop_size is 7; allowed: at most 6"),
        (4, 2, 0, f"{FOLDER}/crop_origin_x is 2; allowed: -1 to 1 with crop_size 4"),
        (4, 0, 5, f"{FOLDER}/crop_origin_y is 5; allowed: -1 to 4 with crop_size 4"),
    ],
)
def test_a_crop_outside_the_sensor_is_refused(size: int, x: int, y: int, said: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(said)) as caught:
        crop_of(keys_of(size, x, y), camera_info(9, 6))
    assert "camera Fake S/N 007" in str(caught.value)


def test_readers_hand_on_what_is_kept() -> None:
    rig = make_rig([FakeCamera([0, 1])], CameraCropSettings=CropSettings(enable=True, size=3))
    sensor = np.arange(24, dtype=np.uint16).reshape(4, 6)
    read_into = rig.cameras[0].read_into

    def read(pixels: Any, timeout_s: float) -> Any:
        info = read_into(pixels, timeout_s)
        pixels[...] = sensor
        return info

    rig.cameras[0].read_into = read  # type: ignore[method-assign]
    rig.run.acquisition.start()
    rig.run.finish()
    assert len(rig.buffer.events) == 2
    for event in rig.buffer.events:
        assert np.array_equal(camera.decode_frame(event), sensor[:3, :3])


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World(tmp_path_factory.mktemp("experiment")) as world:
        world.listen()
        world.start_frontend()
        yield world


@pytest.mark.parametrize("generation", ["A", "C"])
@pytest.mark.parametrize("compresses", [False, True])
def test_a_cropped_run_has_the_pixels_of_the_whole_one(
    world: World, generation: str, compresses: bool
) -> None:
    world.small_camera(MaxEvents=4)
    world.configure({"Generation": generation, "Compress frames": compresses})
    world.client.odb_set(f"{FOLDER}/crop_enable", False)
    whole = [camera.decode_frame(event) for event in world.take_run(91)]
    for key, value in {"size": 24, "origin_x": 7, "origin_y": 30, "enable": True}.items():
        world.client.odb_set(f"{FOLDER}/crop_{key}", value)
    parts = [camera.decode_frame(event) for event in world.take_run(91)]
    assert len(whole) == len(parts) == 4
    for frame, part in zip(whole, parts, strict=True):
        assert frame.shape == (64, 64)
        assert np.array_equal(part, frame[31:55, 8:32])


def test_a_run_with_a_bad_crop_is_refused(world: World) -> None:
    world.small_camera()
    world.client.odb_set(f"{FOLDER}/crop_enable", True)
    world.client.odb_set(f"{FOLDER}/crop_size", 65)
    with pytest.raises(TransitionFailedError, match="crop_size is 65; allowed: at most 64"):
        world.start_run()
    world.client.odb_set(f"{FOLDER}/crop_enable", False)
