"""Frames in the dark and with light: noise as the sensor's maps say, light as the truth says."""

import numpy as np
import pytest

from sim.detector.event import Run, View, make_event
from sim.detector.light import draw_frame
from sim.detector.randomness import normal_quantiles, normal_table
from sim.detector.sensor import (
    HOT_FRACTION,
    MODELS,
    ROW_NOISE_ADU,
    Sensor,
    frame_key,
    make_sensor,
    sensor_model,
    stuck_pixels,
    vignetting,
)
from sim.detector.tracks import Rates
from sim.kernels.frame import add_photons

SIZE = "256x320"


def dark_frames(count: int, seed: int = 1, run: int = 1) -> tuple[Sensor, np.ndarray]:
    sensor = make_sensor(sensor_model(SIZE), 0)
    frames = np.empty((count, *sensor.model.shape), np.uint16)
    for n in range(count):
        sensor.fill_dark(frames[n], frame_key(seed, run, 0, n))
    return sensor, frames


@pytest.fixture(scope="module")
def dark() -> tuple[Sensor, np.ndarray]:
    return dark_frames(100)


def normal_pixels(sensor: Sensor) -> np.ndarray:
    return sensor.sigma_adu < 5.0


def test_each_pixel_has_the_mean_of_the_pedestal_map(dark: tuple[Sensor, np.ndarray]) -> None:
    sensor, frames = dark
    sigma = np.hypot(sensor.sigma_adu, ROW_NOISE_ADU)
    pull = (frames.mean(axis=0) - sensor.pedestal_adu) / (sigma / np.sqrt(len(frames)))
    pull = pull[normal_pixels(sensor)]
    assert abs(pull.mean()) < 0.05
    assert pull.std() == pytest.approx(1.0, abs=0.05)


def test_each_pixel_has_the_sigma_of_the_noise_map(dark: tuple[Sensor, np.ndarray]) -> None:
    sensor, frames = dark
    measured = frames.astype(np.float32).std(axis=0, ddof=1)
    expected = np.sqrt(sensor.sigma_adu**2 + ROW_NOISE_ADU**2 + 1 / 12)  # 1/12: whole ADU
    ratio = (measured / expected)[normal_pixels(sensor)]
    assert ratio.mean() == pytest.approx(1.0, abs=0.01)
    assert ratio.std() == pytest.approx(1 / np.sqrt(2 * 99), rel=0.1)


def test_noise_is_that_of_a_real_camera(dark: tuple[Sensor, np.ndarray]) -> None:
    sensor, frames = dark
    sigma = sensor.sigma_adu
    assert 2.4 < np.median(sigma) < 2.9
    body = sigma[normal_pixels(sensor)]
    assert body.std() / body.mean() == pytest.approx(0.12, abs=0.02)
    assert np.mean(sigma >= 6) == pytest.approx(HOT_FRACTION, rel=0.1)
    assert sigma.max() < 41
    rows = np.median(frames.mean(axis=0), axis=1)
    assert 6 < rows[0] - np.median(rows) < 8
    assert 6 < rows[-1] - np.median(rows) < 8
    assert abs(rows[40] - rows[128]) < 1.5


def test_rows_share_a_level_that_changes_with_the_frame(dark: tuple[Sensor, np.ndarray]) -> None:
    sensor, frames = dark
    residual = frames - sensor.pedestal_adu
    levels = np.median(residual, axis=2)
    residual[:, ~normal_pixels(sensor)] = np.nan
    spread = np.nanmean(residual, axis=2).std()
    assert spread == pytest.approx(np.hypot(ROW_NOISE_ADU, 2.6 / np.sqrt(320)), rel=0.1)
    assert abs(np.corrcoef(levels[0], levels[1])[0, 1]) < 0.2


@pytest.mark.parametrize("shift", [(1, 0, 0), (7, 0, 0), (0, 1, 0), (0, 0, 1), (0, 3, 5)])
def test_noise_of_other_pixels_and_frames_is_independent(
    dark: tuple[Sensor, np.ndarray], shift: tuple[int, int, int]
) -> None:
    sensor, frames = dark
    noise = (frames[:40] - sensor.pedestal_adu) / np.maximum(sensor.sigma_adu, 1)
    noise -= noise.mean(axis=2, keepdims=True)  # the level of the row
    noise[:, ~normal_pixels(sensor)] = 0
    frame, row, column = shift
    a = noise[: len(noise) - frame, : 256 - row, : 320 - column]
    b = noise[frame:, row:, column:]
    correlation = float((a * b).mean())
    assert abs(correlation) < 5 / np.sqrt(a.size) + 1 / 320


def test_no_two_frames_share_a_row_of_noise(dark: tuple[Sensor, np.ndarray]) -> None:
    _, frames = dark
    rows = frames.reshape(-1, 320)
    assert len(np.unique(rows, axis=0)) == len(rows)


def test_the_same_specimen_is_the_same_sensor_and_another_is_not() -> None:
    model = sensor_model(SIZE)
    make_sensor.cache_clear()
    first = make_sensor(model, 3).pedestal_map
    make_sensor.cache_clear()
    assert np.array_equal(make_sensor(model, 3).pedestal_map, first)
    assert not np.array_equal(make_sensor(model, 4).pedestal_map, first)


def test_frames_depend_on_seed_run_and_number() -> None:
    base = dark_frames(2, seed=1, run=1)[1]
    assert np.array_equal(base, dark_frames(2, seed=1, run=1)[1])
    assert not np.array_equal(base[0], base[1])
    assert not np.array_equal(base[0], dark_frames(1, seed=2, run=1)[1][0])
    assert not np.array_equal(base[0], dark_frames(1, seed=1, run=2)[1][0])


def test_noise_tables_are_normal() -> None:
    table = normal_table() / 4096
    assert abs(table.mean()) < 1e-4
    assert table.std() == pytest.approx(1, abs=1e-4)
    assert np.mean(np.abs(table) > 3) == pytest.approx(0.0027, rel=0.1)
    quantiles = normal_quantiles()
    assert quantiles.std() == pytest.approx(1, abs=1e-3)
    assert quantiles[65535] == -quantiles[0] > 4


def lit(frame: int, seed: int = 3, **rates: float) -> tuple[np.ndarray, list, list]:
    """Return light alone (frame minus the same frame in the dark), its tracks and their truth."""
    model = sensor_model("512x512")
    chosen = {"iron": 0, "alpha": 0, "muon": 0, "recoil": 0, "dark": 0, **rates}
    view = View(0, model, Rates(**chosen))
    run = Run(seed, 1, (view,), 10_000_000, 10_000_000)
    sensor = make_sensor(model, 0)
    pixels, dark = np.empty((2, *model.shape), np.uint16)
    tracks = make_event(run, frame).tracks[0]
    lights = draw_frame(pixels, sensor, run, 0, frame, tracks)
    draw_frame(dark, sensor, run, 0, frame, ())
    return pixels.astype(np.int64) - dark, list(tracks), lights


@pytest.mark.parametrize("kind", ["iron", "alpha", "muon", "recoil"])
def test_the_truth_is_what_the_pixels_have(kind: str) -> None:
    for frame in range(6):
        light, tracks, truth = lit(frame, **{kind: 2})
        assert light.sum() == sum(entry.integral_adu for entry in truth)
        assert light.min() == 0
        if len(tracks) == 1 and truth[0].integral_adu:
            rows, columns = np.nonzero(light)
            weights = light[rows, columns]
            assert np.average(rows, weights=weights) == pytest.approx(truth[0].row)
            assert np.average(columns, weights=weights) == pytest.approx(truth[0].column)


def test_vignetting_takes_light_at_the_edges() -> None:
    response, scale = vignetting(MODELS["fusion"])
    assert response[0] == 1.0
    assert response[int(450 * scale)] == pytest.approx(0.931, abs=0.005)
    assert response[int(1050 * scale)] == pytest.approx(0.677, abs=0.005)
    assert response[-1] == pytest.approx(0.224, abs=0.002)
    for frame in range(20):
        _, tracks, truth = lit(frame, iron=1)
        for track, entry in zip(tracks, truth, strict=True):
            radius = np.hypot(track.rows[0] - 255.5, track.columns[0] - 255.5)
            expected = np.interp(radius * 1629.2 / 362.04, np.linspace(0, 1629.2, 512), response)
            is_inside = min(*track.rows, *track.columns) > 30
            is_inside &= max(*track.rows, *track.columns) < 480
            if is_inside:
                seen = entry.integral_adu / entry.light_adu
                assert seen == pytest.approx(expected, abs=5 * np.sqrt(0.25 / 1000))


def test_pixels_saturate_at_the_range_of_the_converter() -> None:
    frame = np.full((9, 9), 100, np.uint16)
    middle, narrow = np.array([4.0]), np.array([0.01])
    light, added, _, _ = add_photons(
        frame, middle, middle, narrow, np.array([2000]), 4.0, np.ones(8), 1.0, 4095,
        normal_quantiles(), np.uint64(1),
    )  # fmt: skip
    assert (light, added) == (8000.0, 3995.0)
    assert frame[4, 4] == 4095
    assert frame.sum() == 80 * 100 + 4095


def test_quest_has_its_own_counts_for_a_photon() -> None:
    assert MODELS["quest"].shape == (2304, 4096)
    assert MODELS["flash"].shape == (2048, 2048)
    assert MODELS["quest"].counts == 8.98


@pytest.mark.parametrize("address", ["", "orca", "8x8", "512", "512x", "0x99", "99999x10"])
def test_a_wrong_address_says_what_is_allowed(address: str) -> None:
    with pytest.raises(ValueError, match="fusion, quest, flash, or ROWSxCOLS"):
        sensor_model(address)


def test_stuck_pixels_are_as_many_as_asked() -> None:
    places, values = stuck_pixels(sensor_model(SIZE), 0, 50)
    assert len(set(zip(*places, strict=True))) == 50
    assert set(values.tolist()) == {0, 65535}
