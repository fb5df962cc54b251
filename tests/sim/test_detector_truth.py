"""The truth beside a run: complete when closed, readable while it grows and after a kill -9."""

import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from sim.detector.sensor import sensor_model, vignetting
from sim.detector.truth import KIND_NUMBERS, TRACK_DTYPE, read_truth, truth_path
from tests.conftest import started, wait_until
from tests.sim.driving import take_run


def test_an_analysis_that_knows_the_pedestal_finds_the_truth(tmp_path: Path) -> None:
    rates = {"iron": 1, "alpha": 0, "muon": 0, "recoil": 0, "dark": 0}
    common = {"address": "256x256", "seed": 4, "rates": rates}
    taken = take_run(30, truth_dir=str(tmp_path), clock="find", **common)
    dark = take_run(30, pedestal=True, clock="find dark", run=2, **common)
    pedestal = np.mean(dark.frames, axis=0)
    tracks = read_truth(truth_path(tmp_path, 1))["tracks"]
    checked = 0
    for frame, pixels in enumerate(taken.frames):
        here = tracks[tracks["frame"] == frame]
        if len(here) != 1 or not (40 < here[0]["row"] < 215 and 40 < here[0]["column"] < 215):
            continue
        row, column = round(here[0]["row"]), round(here[0]["column"])
        window = np.s_[row - 30 : row + 31, column - 30 : column + 31]
        light = pixels[window] - pedestal[window]
        # 61 x 61 pixels of 2.7 ADU, and rows of 0.4 ADU; hot pixels may add.
        assert light.sum() == pytest.approx(here[0]["integral_adu"], abs=1500)
        bright = np.where(light > 15, light, 0)
        found = np.average(np.arange(61), weights=bright.sum(axis=1)) + row - 30
        assert found == pytest.approx(here[0]["row"], abs=1.5)
        checked += 1
    assert checked >= 5


def test_light_before_vignetting_is_more_than_after(tmp_path: Path) -> None:
    take_run(20, seed=4, truth_dir=str(tmp_path), address="256x256", clock="vignetting")
    tracks = read_truth(truth_path(tmp_path, 1))["tracks"]
    assert np.all(tracks["integral_adu"] <= tracks["light_adu"])
    response, _ = vignetting(sensor_model("256x256"))
    assert tracks["integral_adu"].sum() < tracks["light_adu"].sum() * response.max()


def test_numbers_say_what_they_are(tmp_path: Path) -> None:
    take_run(2, seed=4, truth_dir=str(tmp_path), run=42, rate_hz=100, clock="titles")
    path = truth_path(tmp_path, 42)
    assert path == tmp_path / "run00042.truth.h5"
    with h5py.File(path) as file:
        assert dict(file.attrs)["run"] == 42
        assert dict(file.attrs)["seed"] == 4
        assert dict(file.attrs)["period_ns"] == 10_000_000
        titles = list(file["tracks"].attrs["titles"])
        assert titles[list(TRACK_DTYPE.names or ()).index("z_mm")].endswith("[mm]")
        assert h5py.check_enum_dtype(file["tracks"].dtype["kind"]) == KIND_NUMBERS


def test_every_camera_has_its_file(tmp_path: Path) -> None:
    assert truth_path(tmp_path, 7, 0).name == "run00007.truth.h5"
    assert truth_path(tmp_path, 7, 2).name == "run00007.cam2.truth.h5"


PROGRAM = """
import sys
from hardware.camera import CameraConfig
from sim.devices.camera import SimulatedCamera
import numpy as np
camera = SimulatedCamera("32x32", seed=4, truth_dir=sys.argv[1])
camera.ensure_ready(CameraConfig(rate_hz=500, exposure_s=0.001, run_number=1))
camera.start_acquiring()
pixels = np.empty((32, 32), np.uint16)
while True:
    camera.read_into(pixels, 1.0)
"""


def test_it_is_readable_while_it_grows_and_after_a_kill(tmp_path: Path) -> None:
    path = truth_path(tmp_path, 1)

    def has_frames() -> bool:
        return path.exists() and frames_in(path) > 0

    with started([sys.executable, "-c", PROGRAM, str(tmp_path)]):
        wait_until(has_frames, 60, "frames in the truth of a run that goes on")
    truth = read_truth(path)
    frames = truth["frames"]["frame"]
    assert frames.tolist() == list(range(len(frames)))
    for name in ("tracks", "triggers"):
        assert len(truth[name]) == truth["frames"][name].sum() > 0


def frames_in(path: Path) -> int:
    try:
        return len(read_truth(path)["frames"])
    except (OSError, KeyError):  # the writer is just making the file
        return 0
