"""Pictures of single events: what is in the event is in the picture, from run file and results."""

import cv2
import numpy as np
import pytest
from matplotlib.text import Text

from analyzer.dtypes import ClusterFlag
from analyzer.event_page import draw_event, write_event
from analyzer.event_panels import color_range, kind_of
from analyzer.lookup import PedestalLookup
from analyzer.one_event import load_event
from analyzer.pedestal_files import pedestal_name, write_pedestals
from analyzer.results import open_results
from analyzer.runs import analyze_run
from analyzer.settings import AnalyzerSettings
from tests.analyzer.run_making import make_event, one_board, write_run
from tests.analyzer.scenes import add_spot, make_scene


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Run 9 with two spots in event 1, no camera in event 2, two triggers in event 3."""
    made = tmp_path_factory.mktemp("show")
    scene = make_scene((96, 96))
    write_pedestals(made / pedestal_name(7), {0: scene.pedestal})
    light = scene.light()
    add_spot(light, 60, 30, 9000)
    add_spot(light, 20, 70, 12300)
    events = [
        make_event(0, {0: scene.frame()}, one_board()),
        make_event(1, {0: scene.frame(light)}, one_board()),
        make_event(2, None, one_board()),
        make_event(3, {0: scene.frame()}, one_board(2)),
    ]
    source = write_run(made, 9, events)
    options = {"settings": AnalyzerSettings(keep_pixels=True)}
    analyze_run(source, made / "run00009.reco.h5", PedestalLookup([made]), **options)
    return made


def load(folder, name, index, places=None):
    said = []
    found = load_event(
        folder / name, index, places or [folder], lambda text, is_error: said.append(text)
    )
    return found, said


def texts_of(figure):
    """All that is written in a picture."""
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


@pytest.mark.parametrize("name", ["run00009.mid", "run00009.reco.h5"])
def test_run_file_and_results_show_the_same_event(folder, name):
    found, said = load(folder, name, 1)
    assert not said
    assert (found.run, found.index, found.pedestals) == (9, 1, {0: "run 7"})
    with open_results(folder / "run00009.reco.h5") as results:
        clusters = results["clusters"]
    assert found.rows["clusters"].tobytes() == clusters[clusters["event"] == 1].tobytes()
    assert found.images[0].light.shape == (24, 24)
    assert found.frames[0].max() == pytest.approx(12300 / (2 * np.pi * 16), rel=0.1)
    assert found.boards[0].model == 1720


def test_the_picture_names_clusters_and_draws_their_outlines(folder):
    found, _ = load(folder, "run00009.mid", 1)
    figure = draw_event(found, None, 0, (None, None))
    written = texts_of(figure)
    assert "Run 9, event 1" in written
    assert "1 ⁵⁵Fe" in written
    assert "2 ⁵⁵Fe" in written or "2 spot" in written
    assert "2 clusters" in written
    assert any("pedestal run 7" in text for text in written)
    light, *zooms = [axes.images[0] for axes in figure.axes if axes.images]
    np.testing.assert_array_equal(light.get_array(), found.images[0].light)
    assert len(zooms) == 2
    zoomed = np.asarray(zooms[0].get_array())
    left, _, bottom, _ = zooms[0].get_extent()
    y, x = np.unravel_index(zoomed.argmax(), zoomed.shape)
    assert (left + 0.5 + x, bottom + 0.5 - zoomed.shape[0] + y) == pytest.approx((20, 70), abs=3)


def test_colours_show_the_noise_and_keep_spots_bright():
    random = np.random.default_rng(1)
    image = random.normal(0, 0.6, (200, 200)).astype(np.float32)
    low, high = color_range(image)
    assert low == pytest.approx(-1.8, rel=0.1)
    assert high == pytest.approx(6, rel=0.1)
    image[50:60, 50:60] = 100
    assert color_range(image)[1] == 30
    assert color_range(image, -1.0, 50.0) == (-1.0, 50.0)


def test_kinds_have_names():
    cluster = np.zeros(1, [("flags", np.uint16), ("sc_length", np.float32)])
    names = []
    for flags, length in ((0, 20), (0, 300), (ClusterFlag.SPOT | ClusterFlag.FE55, 20)):
        cluster["flags"], cluster["sc_length"] = int(flags), length
        names.append(kind_of(cluster[0], AnalyzerSettings())[0])
    assert names == ["other", "track", "⁵⁵Fe"]


def test_without_the_run_file_the_kept_pixels_are_shown(folder, tmp_path):
    (tmp_path / "run00009.reco.h5").write_bytes((folder / "run00009.reco.h5").read_bytes())
    found, said = load(tmp_path, "run00009.reco.h5", 1)
    assert f"no run file of run 9 in {tmp_path}: the frame is not shown" in said
    figure = draw_event(found, None, 0, (None, None))
    assert "pixels of clusters only: the run file is not there" in texts_of(figure)
    (image,) = [axes.images[0] for axes in figure.axes if axes.images]
    row, column = np.unravel_index(np.asarray(image.get_array()).argmax(), image.get_array().shape)
    assert (4 * column, 4 * row) == (pytest.approx(20, abs=5), pytest.approx(70, abs=5))


def test_an_event_without_a_frame_says_why(folder, tmp_path):
    found, _ = load(folder, "run00009.mid", 2)
    path = write_event(found, tmp_path / "e.png")
    assert cv2.imread(str(path)).shape[1] > 1000
    figure = draw_event(found, None, 0, (None, None))
    assert any("no camera bank" in text for text in texts_of(figure))


def test_the_command_writes_a_picture_and_says_where(folder, command, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    done = command("show", folder / "run00009.mid", "--event", 1)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "run00009_0001.png"
    assert (tmp_path / "run00009_0001.png").is_file()
    done = command("show", 9, "--data", folder, "--event", 3, "--trigger", 1, "-o", "e.svg")
    assert done.returncode == 0, done.stderr
    assert "trigger 2 of 2" in (tmp_path / "e.svg").read_text()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["run00009.mid", "--event", 4], "has no event 4; it has 4 events"),
        (["run00009.reco.h5", "--event", 9], "has no event 9; it has 4"),
        (["run00009.mid", "--camera", 3], "event 0 has no camera 3; it has: 0"),
        (["run00009.mid", "--trigger", 5], "event 0 has no trigger 5; it has 1"),
        (["run00009.mid", "-o", "e.txt"], "a picture is one of png, pdf, svg"),
        (["nowhere.mid"], "nowhere.mid: no such file"),
        ([pedestal_name(7)], "not a results file of this software"),
    ],
)
def test_what_cannot_be_shown_is_told(folder, command, monkeypatch, arguments, text):
    monkeypatch.chdir(folder)
    done = command("show", *arguments)
    assert done.returncode == 1
    assert text in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
