"""A pedestal is the mean and noise of frames without their light; files bring it back unchanged."""

import dataclasses

import h5py
import numpy as np
import pytest

from analyzer.errors import PedestalError
from analyzer.pedestal import Defect, estimate_pedestal
from analyzer.pedestal_builder import PedestalBuilder
from analyzer.pedestal_files import (
    Wanted,
    find_pedestal,
    pedestal_name,
    read_pedestals,
    write_pedestals,
)
from analyzer.pedestal_run import make_pedestal
from analyzer.settings import AnalyzerSettings
from tests.analyzer.run_making import make_event, run_odb, write_run
from tests.analyzer.scenes import add_spot, add_track, make_scene

SETTINGS = AnalyzerSettings()


def build(frames, settings=SETTINGS, workers=0):
    builder = PedestalBuilder(frames[0].shape, settings, workers)
    for frame in frames:
        builder.add(frame)
    return builder.build(exposure_s=0.3, source="run 1", run=1)


def test_without_light_it_is_the_mean_and_standard_deviation():
    scene = make_scene((40, 48))
    frames = [scene.frame() for _ in range(60)]
    pedestal = build(frames)
    stack = np.array(frames, np.float64)
    np.testing.assert_allclose(pedestal.mean, stack.mean(axis=0), atol=1e-4)
    np.testing.assert_allclose(pedestal.sigma, stack.std(axis=0, ddof=1), atol=1e-3)
    assert not pedestal.defects.any()
    assert pedestal.frames == 60
    assert not pedestal.is_estimate


@pytest.mark.parametrize("first", [0, 5, 30])
def test_light_in_some_frames_leaves_no_trace(first):
    scene = make_scene((64, 64))
    frames = [scene.frame() for _ in range(60)]
    light = scene.light()
    add_spot(light, 32, 32, 60_000)
    for index in range(first, first + 3):
        frames[index] = scene.frame(light)
    pedestal = build(frames)
    difference = pedestal.mean - scene.pedestal.mean
    assert abs(difference[28:36, 28:36].mean()) < 0.1
    assert pedestal.sigma[28:36, 28:36].mean() == pytest.approx(2.42, abs=0.15)


def test_a_muon_and_a_spark_leave_no_trace_in_what_they_cross():
    scene = make_scene((96, 96))
    frames = [scene.frame() for _ in range(50)]
    frames[2] = scene.frame(np.full((96, 96), 3000.0))
    track = scene.light()
    for step in range(10, 86):
        track[step - 1 : step + 2, step - 1 : step + 2] += 40
    frames[20] = scene.frame(track)
    faint = scene.light()
    add_spot(faint, 20, 70, 1500)
    frames[30] = scene.frame(faint)
    pedestal = build(frames)
    on_track, on_spot = track > 0, faint > 1
    error = pedestal.mean - scene.pedestal.mean
    for part in (on_track, on_spot, ~on_track & ~on_spot):
        assert abs(error[part].mean()) < 0.12
        assert pedestal.sigma[part].mean() == pytest.approx(2.42, abs=0.12)
    assert np.count_nonzero(pedestal.defects) < 3


@pytest.mark.parametrize("n_frames", [10, 14, 15, 16, 22, 23, 40])
def test_any_number_of_frames_and_threads_gives_the_same(n_frames):
    scene = make_scene((33, 40))
    frames = [scene.frame() for _ in range(n_frames)]
    stack = np.array(frames, np.float64)
    one, many = build(frames, workers=1), build(frames, workers=3)
    assert one.mean.tobytes() == many.mean.tobytes()
    assert one.sigma.tobytes() == many.sigma.tobytes()
    assert (one.frames, one.shape) == (n_frames, (33, 40))
    near = np.abs(stack - np.median(stack, axis=0)).max(axis=0) < 10
    np.testing.assert_allclose(one.mean[near], stack.mean(axis=0)[near], atol=1e-4)


def test_hot_noisy_dead_and_unstable_pixels_are_defects():
    scene = make_scene((40, 48))
    frames = [scene.frame() for _ in range(60)]
    for index, frame in enumerate(frames):
        frame[3, 4] = 1200 + index % 3
        frame[5, 6] = scene.random.normal(500, 40)
        frame[7, 8] = 100
        if index % 4 == 3:
            frame[9, 10] = 400
    pedestal = build(frames)
    found = {
        (int(y), int(x)): int(pedestal.defects[y, x]) for y, x in np.argwhere(pedestal.defects)
    }
    assert found == {
        (3, 4): Defect.HOT,
        (5, 6): Defect.NOISY | Defect.HOT,
        (7, 8): Defect.DEAD,
        (9, 10): Defect.UNSTABLE,
    }


def test_too_few_frames_and_another_shape_are_refused_in_words():
    scene = make_scene((8, 8))
    with pytest.raises(PedestalError, match=r"9 frames, a pedestal needs at least 10"):
        build([scene.frame() for _ in range(9)])
    builder = PedestalBuilder((8, 8), SETTINGS)
    with pytest.raises(PedestalError, match="4x4"):
        builder.add(np.zeros((4, 4), np.uint16))


def test_one_frame_gives_an_estimate_in_spite_of_its_light_and_hot_pixels():
    scene = make_scene((200, 256))
    glow = 6 * np.exp(-np.arange(200) / 20)[:, np.newaxis]
    light = scene.light() + glow
    add_spot(light, 100, 100, 20_000)
    add_track(light, 180, 60, 1.0, 100, 40)
    frame = scene.frame(light)
    frame[20, 30] = frame[150, 200] = 900
    frame[160, 40] += 25  # ten times the noise
    frame[170, 60] -= 25
    pedestal = estimate_pedestal(frame, SETTINGS, source="estimated from event 0 of run 5")
    truth = scene.pedestal.mean + glow
    assert abs((pedestal.mean - truth).mean()) < 0.1
    assert np.std(pedestal.mean - truth) < 1.0
    assert pedestal.sigma[0, 0] == pytest.approx(np.hypot(2.4, 0.8), rel=0.05)
    assert {(int(y), int(x)) for y, x in np.argwhere(pedestal.defects)} == {
        (20, 30),
        (150, 200),
        (160, 40),
        (170, 60),
    }
    assert pedestal.is_estimate


def test_a_file_brings_a_pedestal_back(tmp_path):
    scene = make_scene((20, 24))
    path = write_pedestals(tmp_path / "sub" / pedestal_name(7), {2: scene.pedestal}, {"run": 7})
    (camera, again), *others = read_pedestals(path).items()
    assert (camera, others) == (2, [])
    for field in dataclasses.fields(again):
        np.testing.assert_array_equal(
            getattr(again, field.name), getattr(scene.pedestal, field.name)
        )
    assert [entry.name for entry in path.parent.iterdir()] == ["run00007.pedestal.h5"]


def at_run(scene, run, exposure_s=0.3):
    return dataclasses.replace(scene.pedestal, run=run, exposure_s=exposure_s, source=f"run {run}")


def test_the_nearest_earlier_pedestal_that_fits_is_found(tmp_path):
    small, large = make_scene((20, 24)), make_scene((24, 24))
    for run, pedestals in {
        10: {0: at_run(small, 10)},
        12: {0: at_run(small, 12), 1: at_run(large, 12)},
        14: {0: at_run(small, 14, exposure_s=0.5)},
        16: {0: at_run(large, 16)},
        20: {0: at_run(small, 20)},
    }.items():
        write_pedestals(tmp_path / pedestal_name(run), pedestals)

    def run_of(before, camera, shape, exposure_s):
        search = find_pedestal([tmp_path], Wanted(before, camera, shape, exposure_s))
        assert search.troubles == []
        if search.pedestal is None:
            return None
        return f"{search.pedestal.run}{' other' * search.has_other_exposure}"

    assert run_of(18, 0, (20, 24), 0.3) == "12"
    assert run_of(12, 0, (20, 24), 0.3) == "10"
    assert run_of(21, 0, (20, 24), 0.3) == "20"
    assert run_of(20, 0, (20, 24), 0.5) == "14"
    assert run_of(20, 0, (20, 24), 0.0) == "14"
    assert run_of(20, 1, (24, 24), 0.3) == "12"
    assert run_of(20, 1, (20, 24), 0.3) is None
    assert run_of(10, 0, (20, 24), 0.3) is None
    assert run_of(18, 0, (20, 24), 0.7) == "14 other"
    assert run_of(13, 0, (20, 24), 0.5) == "12 other"


def test_another_camera_and_an_ended_validity_do_not_fit(tmp_path):
    scene = make_scene((20, 24))
    for run, changes in {
        10: {},
        11: {"camera_name": "sim:fusion"},
        12: {"camera_name": "sim:quest"},
        13: {"camera_name": "sim:fusion", "valid_until": 20},
    }.items():
        pedestal = dataclasses.replace(at_run(scene, run), **changes)
        write_pedestals(tmp_path / pedestal_name(run), {0: pedestal})

    def run_of(before, name):
        wanted = Wanted(before, 0, (20, 24), 0.3, name)
        return find_pedestal([tmp_path], wanted).pedestal.run

    assert run_of(20, "sim:fusion") == 13
    assert run_of(21, "sim:fusion") == 11
    assert run_of(21, "sim:quest") == 12
    assert run_of(21, "sim:flash") == 10
    assert run_of(21, "") == 12


def test_damaged_pedestals_are_told_and_passed_over(tmp_path):
    scene = make_scene((20, 24))
    write_pedestals(tmp_path / pedestal_name(10), {0: at_run(scene, 10)})
    (tmp_path / pedestal_name(11)).write_bytes(b"no HDF5")
    broken = at_run(scene, 12)
    broken.mean[3, 5] = np.nan
    write_pedestals(tmp_path / pedestal_name(12), {0: broken})
    search = find_pedestal([tmp_path], Wanted(20, 0, (20, 24), 0.3))
    assert search.pedestal.run == 10
    assert len(search.troubles) == 2
    assert "row 3, column 5" in search.troubles[0]
    assert "run00011.pedestal.h5" in search.troubles[1]


def test_other_hdf5_files_are_refused(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w"):
        pass
    with pytest.raises(PedestalError, match="not a pedestal file"):
        read_pedestals(tmp_path / "x.h5")


# pedestal runs ---------------------------------------------------------------------------------


def run_of(folder, sides, **configuration):
    """A run whose frames have these sides."""
    random = np.random.default_rng(1)
    frames = [random.normal(100, 2, (side, side)).astype(np.uint16) for side in sides]
    events = [make_event(serial, {0: frame}) for serial, frame in enumerate(frames)]
    return write_run(folder, 9, events, run_odb(9, Pedestal=True, **configuration))


@pytest.mark.parametrize(
    ("sides", "expected", "left_out"),
    [
        ([16] + [32] * 12, (32, 12), [0]),
        ([16, 24] + [32] * 12, (32, 12), [0, 1]),
        ([32] * 6 + [16] + [32] * 6, (32, 12), [6]),
        ([32] * 12, (32, 12), []),
    ],
)
def test_a_single_frame_does_not_decide_the_shape(tmp_path, sides, expected, left_out):
    source = run_of(tmp_path, sides)
    _, pedestals, problems = make_pedestal(source, None, SETTINGS)
    assert (pedestals[0].shape[0], pedestals[0].frames) == expected
    assert [int(problem.split(":")[0].removeprefix("event ")) for problem in problems] == left_out


def test_crop_settings_decide_the_shape(tmp_path):
    crop = {"crop_enable": True, "crop_size": 32}
    source = run_of(tmp_path, [16, 16, 16] + [32] * 12, CameraCropSettings=crop)
    _, pedestals, problems = make_pedestal(source, None, SETTINGS)
    assert (pedestals[0].shape, pedestals[0].frames) == ((32, 32), 12)
    assert len(problems) == 3
    assert "crop_size says 32x32" in problems[0]


def test_a_run_without_a_frame_that_fits_says_why(tmp_path):
    crop = {"crop_enable": True, "crop_size": 64}
    with pytest.raises(PedestalError, match=r"no camera frames that fit .*crop_size says 64x64"):
        make_pedestal(run_of(tmp_path, [32] * 12, CameraCropSettings=crop), None, SETTINGS)


def test_a_run_of_one_frame_has_too_few(tmp_path):
    with pytest.raises(PedestalError, match="1 frame"):
        make_pedestal(run_of(tmp_path, [32]), None, SETTINGS)
