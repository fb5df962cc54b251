"""Previews: small images that mean what their scale says, at the rate asked for."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiment.constants import GET_ALL
from frontend.preview import MAX_COLUMNS, MAX_POINTS, image_shape, shorten, shrink
from rawdata.datamodel import PREVIEW_EVENT_ID
from rawdata.event import Event, parse_event
from rawdata.layouts import camera, digitizer, preview
from tests.conftest import wait_until
from tests.frontend.world import TRIGGER, World


@settings(deadline=None, max_examples=30)
@given(rows=st.integers(1, 40), columns=st.integers(1, 1800), seed=st.integers(0, 9))
def test_a_pixel_is_the_mean_of_its_square(rows: int, columns: int, seed: int) -> None:
    frame = np.random.default_rng(seed).integers(0, 1 << 16, (rows, columns), np.uint16)
    image = shrink(frame, 5)
    assert image.pixels.shape == image_shape(frame.shape)
    assert image.pixels.shape[1] <= MAX_COLUMNS or rows < 4
    k, (height, width) = image.factor, image.pixels.shape
    squares = frame[: height * k, : width * k].reshape(height, k, width, k)
    means = squares.mean(axis=(1, 3))
    step = (image.high_adu - image.low_adu) / 255
    shown = image.low_adu + step * image.pixels
    expected = np.clip(means, image.low_adu, image.high_adu)
    assert np.abs(shown - expected).max() <= 0.51 * step + 0.01
    assert image.frame_counter == 5


def test_a_hot_pixel_does_not_take_the_scale() -> None:
    frame = np.random.default_rng(1).normal(100, 2, (1152, 1152)).astype(np.uint16)
    frame[300, 500] = 65_535
    image = shrink(frame)
    assert image.factor == 2
    assert 94 < image.low_adu < 100 < image.high_adu < 106
    assert image.pixels[150, 250] == 255


def test_a_frame_without_noise_has_a_scale() -> None:
    image = shrink(np.full((8, 8), 65_535, np.uint16))
    assert (image.low_adu, image.high_adu) == (65_535, 65_536)
    assert not image.pixels.any()


def test_a_pulse_of_one_sample_survives_in_a_long_waveform() -> None:
    samples = np.full(4000, 3000, np.uint16)
    samples[1234] = 17
    step, points = shorten(samples)
    assert (step, len(points)) == (4, 1000)
    assert points[1234 // 4] == 17
    assert shorten(samples[:MAX_POINTS])[0] == 1


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World(tmp_path_factory.mktemp("experiment")) as world:
        world.start_frontend()
        yield world


class Viewer:
    """Receives both, previews and events."""

    def __init__(self, world: World) -> None:
        self.world = world
        world.listen()
        self.handle = world.client.open_event_buffer("PREVIEW", max_event_size=1 << 20)
        self.request = world.client.register_event_request(self.handle, -1, -1, GET_ALL)
        self.previews: list[Event] = []

    def receive(self) -> list[Event]:
        self.world.receive()
        space = memoryview(bytearray(1 << 20))
        while (content := self.world.client.receive_buffer(self.handle, space)) is not None:
            self.previews.append(parse_event(bytes(content)))
        return self.previews


@pytest.fixture(scope="module")
def viewer(world: World) -> Viewer:
    return Viewer(world)


@pytest.mark.parametrize("compresses", [False, True])
def test_previews_show_events_of_the_run(viewer: Viewer, compresses: bool) -> None:
    world = viewer.world
    world.small_camera(cameras=2)
    # No event shall be incomplete because the machine is busy.
    world.configure(
        {"Compress frames": compresses, "Preview rate Hz": 5.0, "Event wait ms": 10_000}
    )
    viewer.receive()
    viewer.previews.clear()
    world.start_run()
    wait_until(lambda: len(viewer.receive()) >= 3, 20, "three previews")
    world.stop_run()
    viewer.receive()
    events = {event.serial_number: event for event in world.events}
    run = world.get("/Runinfo/Run number")
    for number, shown in enumerate(viewer.previews):
        assert (shown.event_id, shown.serial_number) == (PREVIEW_EVENT_ID, number)
        header = preview.decode_header(shown)
        event = events[header.serial_number]
        assert header == (1, run, 1, event.serial_number, event.timestamp, 2)
        for index in range(2):
            image, frame = preview.decode_image(shown, index), camera.decode_frame(event, index)
            assert (image.factor, image.pixels.shape) == (1, (64, 64))
            assert np.array_equal(image.pixels, shrink(frame).pixels)
        _, boards = digitizer.decode(event)
        for wave in preview.decode_waveforms(shown):
            points = shorten(boards[wave.board][0, wave.channel])[1]
            assert np.array_equal(wave.points, points)
        assert len(preview.decode_waveforms(shown)) == 4 * sum(len(board) > 0 for board in boards)
    assert world.get("/Equipment/Preview/Statistics/Events sent") == len(viewer.previews)
    assert all(event.event_id == 1 for event in world.events)


def test_the_rate_changes_while_a_run_goes_on(viewer: Viewer) -> None:
    world = viewer.world
    world.small_camera()
    world.configure({"Compress frames": False, "Preview rate Hz": 0.0})
    viewer.receive()
    viewer.previews.clear()
    world.start_run()
    world.wait_for_events(10)
    assert viewer.receive() == []
    world.client.odb_set(f"{TRIGGER}/Settings/Preview rate Hz", 5.0)
    wait_until(lambda: len(viewer.receive()) >= 2, 20, "previews")
    world.client.odb_set(f"{TRIGGER}/Settings/Preview rate Hz", 0.0)
    world.stop_run()


def test_a_viewer_that_sleeps_holds_up_no_frame(tmp_path: Path) -> None:
    """Its request is for all previews, and the buffer has room for three."""
    with World(tmp_path) as world:
        world.client.odb_set("/Experiment/Buffer sizes/PREVIEW", 16_000)
        Viewer(world)
        world.small_camera(FreeRunning=True, MaxEvents=100)
        world.configure({"Preview rate Hz": 5.0})
        world.start_frontend()
        events = world.take_run()
        assert len(events) == 100
        assert world.record["Frames lost"] == 0
        assert 1 <= world.get("/Equipment/Preview/Statistics/Events sent") <= 3
