"""The commands answer people with one line and machines with JSON; exit codes say how it went."""

import json
import os
import re
import subprocess
import sys

import cv2
import numpy as np
import pytest
import uproot

from analyzer.pedestal_files import pedestal_name, write_pedestals
from analyzer.results import open_results
from tests.analyzer.run_making import make_event, run_odb, write_run
from tests.analyzer.scenes import add_spot, make_scene


def process(*arguments):
    """Run the program as a process of its own."""
    environment = {key: value for key, value in os.environ.items() if key != "CYGNO_EXPERIMENT"}
    return subprocess.run(
        [sys.executable, "-m", "analyzer.main", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
        env=environment,
    )


@pytest.fixture
def runs(tmp_path):
    """A folder with pedestal run 8 and run 9 with a spot in each of five frames."""
    scene = make_scene((96, 96))
    dark = [make_event(serial, {0: scene.frame()}) for serial in range(12)]
    write_run(tmp_path, 8, dark, run_odb(8, Pedestal=True), compress="gzip")
    light = scene.light()
    add_spot(light, 50, 40, 8000)
    write_run(tmp_path, 9, [make_event(n, {0: scene.frame(light)}) for n in range(5)])
    return tmp_path


def test_several_runs_go_to_a_folder_with_their_pedestal(runs):
    sidecar = runs / "run00008.mid.crc32c"  # as run*.mid* brings it along
    sidecar.touch()
    chosen = "8", "9", sidecar
    done = process("file", *chosen, "--data", runs, "-o", runs / "out", "-j", 2, "--json")
    assert done.returncode == 0, done.stderr
    first, second = (json.loads(line) for line in done.stdout.splitlines())
    assert (first["run"], first["analyzed"], first["pedestal_file"]) == (
        8,
        12,
        str(runs / "out" / pedestal_name(8)),
    )
    assert (second["run"], second["analyzed"], second["clusters"]) == (9, 5, 5)
    assert second["pedestals"]["0"]["run"] == 8
    with open_results(second["output"]) as results:
        assert results["clusters"]["sc_integral"].mean() == pytest.approx(8000, rel=0.05)
    assert sorted(entry.name for entry in (runs / "out").iterdir()) == [
        "run00008.pedestal.h5",
        "run00008.reco.h5",
        "run00008.summary.json",
        "run00009.reco.h5",
        "run00009.summary.json",
    ]


def test_settings_can_be_changed_for_one_analysis(runs, command):
    changes = ["finder=cygno", "grow sigma = 3.5", "PMT channels=1,2"]
    options = [part for change in changes for part in ("--set", change)]
    done = command("file", "9", "--data", runs, "-o", runs / "o.h5", "--profile", "LNF", *options)
    assert done.returncode == 0, done.stderr
    with open_results(runs / "o.h5") as results:
        used = json.loads(results.attributes["settings"])
        assert (used["Finder"], used["Grow sigma"], used["nsigma"]) == ("cygno", 3.5, 0.8)
        assert used["PMT channels"] == [1, 2]
        assert len(results["clusters"]) == 5


def test_reports_are_drawn_of_results_by_name_and_by_number(runs, command):
    pytest.importorskip("matplotlib")
    assert command("file", "9", "--data", runs, "-o", runs / "r").returncode == 0
    done = command("report", "9", "--data", runs / "r", "-o", runs / "pictures")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(runs / "pictures" / "run00009.report.png")
    assert (runs / "pictures" / "run00009.report.png").stat().st_size > 10_000
    done = command("report", runs / "none.h5", "7", "--data", runs / "r")
    assert done.returncode == 1
    assert "none.h5: no such file" in done.stderr
    assert "run 7: no run00007.reco.h5 in" in done.stderr
    two = command("report", "8", "9", "-o", runs / "one.png")
    assert two.returncode == 2
    assert "isonepicturefor2runs" in re.sub(r"[\s│]+", "", two.stderr)


def test_a_person_sees_a_table_and_notes_on_stderr(runs, command):
    done = command("file", runs / "run00009.mid", "-o", runs / "x.h5")
    assert done.returncode == 0, done.stderr
    assert "5 analyzed, 0 with problems" in done.stdout
    assert re.search(r"noise\s+│ 2\.\d\d ADU, level [+-]\d\.\d\d ADU", done.stdout), done.stdout
    assert "no earlier pedestal fits camera 0 (96x96, 0.3 s)" in done.stderr
    assert (runs / "x.h5").is_file()


def test_the_pedestal_command_makes_what_the_file_command_takes(runs, command):
    made = command("pedestal", runs / "run00008.mid.gz", "-o", runs / "p.h5", "--json")
    assert made.returncode == 0, made.stderr
    answer = json.loads(made.stdout)
    assert answer["file"] == str(runs / "p.h5")
    assert answer["cameras"]["0"]["frames"] == 12
    for given in (runs / "p.h5", "8", runs / "run00008.mid.gz"):
        done = command("file", runs / "run00009.mid", "--pedestal", given, "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["pedestals"]["0"]["run"] == 8
    assert (runs / "run00009.reco.h5").is_file()


def test_a_person_sees_a_pedestal_as_table_and_picture_and_what_changed(runs, command):
    scene = make_scene((96, 96))
    moved = [make_event(n, {0: scene.frame(scene.light() + 0.7)}) for n in range(12)]
    write_run(runs, 10, moved, run_odb(10, Pedestal=True))
    first = command("pedestal", "8", "--data", runs)
    assert first.returncode == 0, first.stderr
    assert "no earlier one that is alike" in first.stdout
    done = command("pedestal", "10", "--data", runs, "-o", runs / "p.png", "--until", "20")
    assert done.returncode == 0, done.stderr
    shown = " ".join(done.stdout.replace("│", " ").split())
    for text in ("12 of 96x96", "0.3 s", "until run 20", "since run 8: level +0.7", "frames/s"):
        assert text in shown
    picture = cv2.imread(str(runs / "p.png"))
    assert picture is not None
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 100
    asked = command("pedestal", "10", "--data", runs, "-o", runs / "p.svg", "--json")
    answer = json.loads(asked.stdout)
    change = answer["cameras"]["0"]["change"]
    assert change["level_adu"] == pytest.approx(0.7, abs=0.1)
    assert answer["cameras"]["0"]["defect_kinds"].keys() == {"hot", "noisy", "dead", "unstable"}
    assert answer["picture"] == str(runs / "p.svg")
    assert answer["frames_per_s"] > 0


def test_damage_is_one_line_and_exit_code_1_and_other_runs_are_analyzed(runs, command):
    source = runs / "run00009.mid"
    source.write_bytes(source.read_bytes()[:-30_000])
    done = command("file", source, runs / "run00008.mid.gz", "-o", runs / "out", "--json")
    assert done.returncode == 1
    damaged, whole = (json.loads(line) for line in done.stdout.splitlines())
    assert damaged["analyzed"] == 3
    assert whole["analyzed"] == 12
    (line,) = [line for line in done.stderr.splitlines() if "damaged" in line]
    assert str(source) in line
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["file", "nowhere.mid"], 1, "nowhere.mid: no such file"),
        (["file", "77"], 1, "no run00077.mid*"),
        (["pedestal", "nowhere.mid"], 1, "no such file"),
        (["file", "9", "8", "-o", "one.h5"], 2, "one file for 2 runs"),
        (["file", "9", "--profile", "CERN"], 2, "none of LNGS, LNF, MANGO"),
        (["file", "9", "--pedestal", "other.h5"], 1, "32x32 pixels, the run's frames 96x96"),
        (["pedestal", "9"], 1, "5 frames, a pedestal needs at least 10"),
        (["pedestal", "8", "-o", "x.txt"], 2, "x.txt ends in none of .h5, .hdf5, .png"),
        (["pedestal", "8", "-o", "a.h5", "-o", "b.h5"], 2, "one pedestal file and one picture"),
        (["pedestal", "8", "--until", "8"], 1, "cannot be valid until run 8"),
        (["file"], 2, "Missing argument"),
        (["file", "9", "--set", "nsigma"], 2, "write KEY=VALUE"),
        (["file", "9", "--set", "nsgima=1"], 2, "no setting 'nsgima'; similar: nsigma"),
        (["file", "9", "--set", "nsigma=-1"], 2, "setting nsigma is '-1': Input should be greater"),
        (["file", "9", "--set", "xmin=9", "--set", "xmax=5"], 2, "more than xmin, which is 9"),
    ],
)
def test_what_is_wrong_is_said_without_a_traceback(
    runs, command, monkeypatch, arguments, code, text
):
    monkeypatch.chdir(runs)
    write_pedestals(runs / "other.h5", {0: make_scene((32, 32)).pedestal})
    done = command(*arguments)
    assert done.returncode == code
    assert text in " ".join(done.stderr.replace("│", " ").split())
    assert "Traceback" not in done.stderr


def test_results_may_be_cygnos_trees(runs, command):
    done = command("file", runs / "run00009.mid", "--format", "root", "-o", runs / "out", "--json")
    assert done.returncode == 0, done.stderr
    output = json.loads(done.stdout)["output"]
    assert output == str(runs / "out" / "reco_run00009.root")
    with uproot.open(output) as file:
        assert file["Events"]["nSc"].array().tolist() == [1] * 5


def test_a_profile_changes_the_settings(runs, command):
    done = command("file", runs / "run00009.mid", "--profile", "LNF", "--json")
    assert done.returncode == 0, done.stderr
    with open_results(json.loads(done.stdout)["output"]) as results:
        assert json.loads(results.attributes["settings"])["nsigma"] == 0.8


@pytest.mark.parametrize("name", ["", "file", "pedestal", "online", "show"])
def test_help_shows_examples(command, name):
    done = command(*filter(None, [name, "--help"]))
    assert done.returncode == 0
    assert "cygno-analyzer" in done.stdout


def test_an_experiment_that_is_not_there_is_named(tmp_path):
    done = process("online", "--experiment", tmp_path / "nothing" / "here")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "nothing/here" in line
