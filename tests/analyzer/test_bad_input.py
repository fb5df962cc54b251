"""Bad input is told in one clear line and flagged; the rest is analyzed; the exit code is right."""

import json

import h5py
import numpy as np
import pytest

from analyzer.dtypes import EventFlag
from analyzer.pedestal_files import pedestal_name, write_pedestals
from analyzer.results import open_results
from analyzer.settings import AnalyzerSettings
from experiment.settings import to_odb
from rawdata.checksum import data_path, sidecar_path
from tests.analyzer.run_making import make_event, one_board, run_odb, write_run
from tests.analyzer.scenes import add_spot, make_scene

SIDE = 96


@pytest.fixture
def scene(tmp_path):
    """Frames with a pedestal of run 7 in the folder."""
    made = make_scene((SIDE, SIDE))
    write_pedestals(tmp_path / pedestal_name(7), {0: made.pedestal})
    return made


def good(scene, serial):
    light = scene.light()
    add_spot(light, 50, 40, 8000)
    return make_event(serial, {0: scene.frame(light)}, one_board())


def odb_with(**settings):
    """An ODB in which the analyzer has these settings."""
    content = to_odb(AnalyzerSettings(**settings))
    return {**run_odb(9), "Equipment": {"Analyzer": {"Settings": content}}}


def analyze(command, source, *options):
    """Analyze a file; return the exit code, stderr, and flags and clusters of each event."""
    target = source.with_name("out.h5")
    done = command("file", source, "-o", target, *options)
    assert "Traceback" not in done.stderr
    if not target.exists():
        return done.returncode, done.stderr, None, None
    with open_results(target) as results:
        flags = [EventFlag(int(value)) for value in results["events"]["flags"]]
        return done.returncode, done.stderr, flags, results["clusters"]["event"].tolist()


@pytest.mark.parametrize("compress", ["none", "lz4"])
def test_a_file_that_is_not_what_its_logger_wrote(command, scene, tmp_path, compress):
    good_one = write_run(tmp_path, 9, [good(scene, 0), good(scene, 1)], compress=compress)
    text = sidecar_path(data_path(good_one)).read_text()
    assert analyze(command, good_one)[0] == 0
    good_one.unlink()
    changed = [good(scene, 0), good(scene, 2)]  # an event as whole as the one in its place
    source = write_run(tmp_path, 9, changed, compress=compress)
    sidecar_path(data_path(source)).write_text(text)
    code, said, flags, clusters = analyze(command, source)
    assert (code, flags, clusters) == (1, [EventFlag(0)] * 2, [0, 1])
    assert "CRC32C of the uncompressed data is" in said
    assert "run00009.mid.crc32c says" in said
    with open_results(source.with_name("out.h5")) as results:
        assert "CRC32C" in results.attributes["trouble"]
        assert not results.attributes["complete"]
    sidecar_path(data_path(source)).write_text("nonsense")
    code, said, *_ = analyze(command, source)
    assert code == 0
    assert "not a CRC32C sidecar" in said
    sidecar_path(data_path(source)).unlink()
    assert analyze(command, source)[0] == 0


def test_a_first_frame_of_another_size_does_not_decide(command, scene, tmp_path):
    small = make_event(0, {0: scene.frame()[:64, :64]})
    source = write_run(tmp_path, 9, [small, good(scene, 1), small, good(scene, 3)])
    code, said, flags, clusters = analyze(command, source)
    assert (code, clusters) == (0, [1, 3])
    bad = EventFlag.BAD_FRAME
    assert flags == [bad, EventFlag(0), bad, EventFlag(0)]
    assert (
        "run 9, event 0: camera 0 has a frame of 64x64 pixels, not 96x96 as the pedestal of run 7"
    ) in said


def test_two_frames_of_a_shape_are_the_runs_whatever_the_pedestal_is_of(command, scene, tmp_path):
    small = [make_event(serial, {0: scene.frame()[:64, :64]}) for serial in range(4)]
    code, said, flags, _ = analyze(command, write_run(tmp_path, 9, small))
    assert code == 0
    estimated = EventFlag.FALLBACK_PEDESTAL
    assert [flag & (estimated | EventFlag.BAD_FRAME) for flag in flags] == [estimated] * 4
    assert "no earlier pedestal fits camera 0 (64x64, 0.3 s)" in said
    assert "estimated from event 0 of run 9" in said


def test_an_earlier_pedestal_that_fits_serves_all_events(command, scene, tmp_path):
    small = make_scene((64, 64))
    write_pedestals(tmp_path / pedestal_name(5), {0: small.pedestal})
    light = small.light()
    add_spot(light, 30, 40, 8000)
    events = [make_event(serial, {0: small.frame(light)}) for serial in range(3)]
    code, _, flags, clusters = analyze(command, write_run(tmp_path, 9, events))
    assert (code, flags, clusters) == (0, [EventFlag(0)] * 3, [0, 1, 2])


def test_of_a_single_event_nobody_knows_whether_its_frame_is_the_runs(command, scene, tmp_path):
    small = make_event(0, {0: scene.frame()[:64, :64]})
    code, said, flags, _ = analyze(command, write_run(tmp_path, 9, [small]))
    assert (code, flags) == (0, [EventFlag.BAD_FRAME])
    assert "and no second one like it follows: it is left out" in said


def test_crop_settings_say_which_frames_are_the_runs(command, scene, tmp_path):
    crop = {"crop_enable": True, "crop_size": 64, "crop_origin_x": 0, "crop_origin_y": 0}
    events = [make_event(0, {0: scene.frame()})]
    events += [make_event(serial, {0: scene.frame()[:64, :64]}) for serial in (1, 2)]
    odb = run_odb(9, CameraCropSettings=crop)
    code, said, flags, _ = analyze(command, write_run(tmp_path, 9, events, odb))
    assert code == 0
    assert [bool(flag & EventFlag.BAD_FRAME) for flag in flags] == [True, False, False]
    assert "not 64x64 as /Configurations/CameraCropSettings/crop_size says" in said


@pytest.mark.parametrize("count", [1, 3])
def test_a_given_pedestal_that_fits_no_frame_ends_the_run(command, scene, tmp_path, count):
    other = make_scene((32, 32)).pedestal
    write_pedestals(tmp_path / "other.h5", {0: other})
    source = write_run(tmp_path, 9, [good(scene, serial) for serial in range(count)])
    code, said, flags, _ = analyze(command, source, "--pedestal", tmp_path / "other.h5")
    assert (code, flags) == (1, None)
    assert "32x32 pixels, the run's frames 96x96" in said


def test_a_frame_of_another_size_than_its_pedestal(command, scene, tmp_path):
    small = make_event(1, {0: scene.frame()[:64, :64]})
    source = write_run(tmp_path, 9, [good(scene, 0), small, good(scene, 2)])
    code, said, flags, clusters = analyze(command, source)
    assert (code, clusters) == (0, [0, 2])
    assert flags == [EventFlag(0), EventFlag.BAD_FRAME, EventFlag(0)]
    assert "run 9, event 1: bank CAM0 holds 4096 pixels, not 96x96" in said


def test_a_missing_camera_bank_and_a_missing_digitizer_bank(command, scene, tmp_path):
    words = np.arange(5, dtype=np.uint32)
    made = [
        good(scene, 0),
        make_event(1, None, one_board()),
        make_event(2, {0: scene.frame()}, None, {"DGH0": words}),
        good(scene, 3),
    ]
    code, said, flags, clusters = analyze(command, write_run(tmp_path, 9, made))
    assert (code, clusters) == (0, [0, 3])
    assert flags == [EventFlag(0), EventFlag.NO_CAMERA, EventFlag.BAD_DIGITIZER, EventFlag(0)]
    assert "run 9, event 1: no camera bank; it has: DIG0 DGH0" in said
    assert "run 9, event 2: event 2 (id 1) has no bank DIG0" in said


def test_a_pedestal_with_nan_is_named_and_the_run_is_analyzed_without_it(command, scene, tmp_path):
    with h5py.File(tmp_path / pedestal_name(7), "r+") as file:
        file["camera0/mean"][3, 5] = np.nan
    source = write_run(tmp_path, 9, [good(scene, n) for n in range(3)])
    code, said, flags, clusters = analyze(command, source)
    assert code == 0
    assert flags == [EventFlag.FALLBACK_PEDESTAL] * 3
    assert sorted(set(clusters)) == [0, 1, 2]
    assert f"{tmp_path / pedestal_name(7)}: 1 pixels of /camera0 are not finite" in said
    assert "row 3, column 5; make the pedestal again" in said
    (tmp_path / "out.h5").unlink()
    code, said, flags, _ = analyze(command, source, "--pedestal", tmp_path / pedestal_name(7))
    assert (code, flags) == (1, None)
    assert "are not finite" in said


def test_a_vignetting_map_with_nan_is_named_and_the_events_are_flagged(command, scene, tmp_path):
    response = np.ones((12, 12))
    response[0, 0] = np.nan
    np.save(tmp_path / "map.npy", response)
    odb = odb_with(vignetting_map=str(tmp_path / "map.npy"))
    source = write_run(tmp_path, 9, [good(scene, n) for n in range(2)], odb)
    code, said, flags, clusters = analyze(command, source)
    assert (code, clusters) == (0, [0, 1])
    assert flags == [EventFlag.MAP_WITH_HOLES] * 2
    assert f"vignetting map {tmp_path / 'map.npy'}: 1 blocks are not finite" in said


def test_a_drs4_table_with_nan_is_refused_with_the_place(command, scene, tmp_path):
    table = np.zeros((8, 1024))
    table[2, 7] = np.nan
    for kind in ("cell", "nsample"):
        np.save(tmp_path / f"table_{kind}_LNGS.npy", table)
    odb = odb_with(drs4_tables=str(tmp_path), drs4_site="LNGS")
    code, said, flags, _ = analyze(command, write_run(tmp_path, 9, [good(scene, 0)], odb))
    assert (code, flags) == (1, None)
    assert "1 values are not finite, the first at channel 2, cell 7" in said


def test_an_empty_run_is_told_and_is_no_failure(command, scene, tmp_path):
    code, said, flags, clusters = analyze(command, write_run(tmp_path, 9, []))
    assert (code, flags, clusters) == (0, [], [])
    assert "run 9 has no trigger events" in said


@pytest.mark.parametrize("compress", ["none", "gzip"])
def test_a_damaged_file_gives_the_events_before_the_damage(command, scene, tmp_path, compress):
    source = write_run(tmp_path, 9, [good(scene, n) for n in range(6)], compress=compress)
    whole = bytearray(source.read_bytes())
    middle = len(whole) // 2
    if compress == "none":  # where the header of event 3 is
        middle = whole.index(bytes(good(scene, 3).raw[:16]))
    whole[middle : middle + 40] = b"\xff" * 40
    source.write_bytes(whole)
    code, said, flags, clusters = analyze(command, source)
    assert code == 1
    assert clusters == list(range(len(flags)))
    assert 0 < len(flags) < 6
    assert f"{source}: damaged at byte" in said
    assert "whole events were read before" in said


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "the file is empty (0 bytes)"),
        (b"\x89HDF\r\n\x1a\n" + bytes(3000), "is it a MIDAS run file?"),
        (
            b"a long text that somebody has put into a folder of run files" * 9,
            "is it a MIDAS run file?",
        ),
    ],
)
def test_a_file_that_is_no_run(command, scene, tmp_path, content, text):
    source = tmp_path / "run00010.mid"
    source.write_bytes(content)
    write_run(tmp_path, 9, [good(scene, 0)])
    done = command("file", source, tmp_path / "run00009.mid", "-o", tmp_path / "out", "--json")
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if str(source) in line]
    assert text in line
    (other,) = [json.loads(line) for line in done.stdout.splitlines()]
    assert (other["run"], other["analyzed"]) == (9, 1)
    assert not (tmp_path / "out" / "run00010.reco.h5").exists()
