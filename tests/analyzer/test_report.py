"""The report of a run: what stands on the page, not only that there is one."""

import json
import re

import cv2
import h5py
import numpy as np
import pytest

from analyzer.errors import ResultsError
from analyzer.lookup import PedestalLookup
from analyzer.pedestal_files import write_pedestals
from analyzer.report import PAGE_INCHES, draw_report, report_path, write_report
from analyzer.reports import Reports
from analyzer.results import open_results
from analyzer.runs import analyze_run
from analyzer.summary import read_summary, summary_path
from rawdata.build import EventBuilder
from rawdata.event import BankFormat, parse_event
from rawdata.layouts import slow
from rawdata.layouts.digitizer import BoardHeader, DigitizerHeader, dc_offset_words
from tests.analyzer.run_making import TIME, make_event, run_odb, write_run
from tests.analyzer.scenes import add_spot, make_scene
from tests.conftest import wait_until

EVENTS = 70
SPOT_ADU, SPREAD_ADU = 12_300, 700
NAMES = ["P0IIn0", "P0IIn5"]


def environment(serial):
    """A reading: 21.25 C, 908.9 mbar and some more each time."""
    builder = EventBuilder(memoryview(bytearray(500)), slow.ENVIRONMENT_ID, BankFormat.BANK)
    slow.encode_inputs(builder, [9.70, 13.04 + serial / 1000])
    return parse_event(builder.finish(serial, TIME + serial))


def one_pmt(index):
    """A V1720 whose channel 1 has a pulse of 100 to 170 counts in each event."""
    words = np.arange(1, dtype=np.uint32)
    board = BoardHeader(1720, 60, 2, 4096, 250, dc_offset_words([0.0, 0.0]), words)
    waves = np.full((1, 2, 60), 2000, np.uint16)
    waves[:, 1, 40:50] -= 100 + index
    return DigitizerHeader("A", (board,)), [waves]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Results of a run with a 55Fe line, gas pressure, four defects and a limit exceeded."""
    folder = tmp_path_factory.mktemp("report")
    random = np.random.default_rng(2)
    scene = make_scene((96, 96), seed=3)
    scene.pedestal.defects[10, (20, 40, 60, 80)] = 1
    events = []
    for index in range(EVENTS):
        light = scene.light()
        add_spot(light, 48, 48, random.normal(SPOT_ADU, SPREAD_ADU))
        if index % 10 == 0:
            events.append(environment(index))
        events.append(make_event(index, {0: scene.frame(light)}, one_pmt(index)))
    odb = run_odb(9) | {
        "Experiment": {"Run Parameters": {"Run description": "55Fe at 25 cm"}},
        "Equipment": {
            "Environment": {"Settings": {"Names Input": NAMES}},
            "Analyzer": {"Limits": {"Noise": {"Low": 0.0, "High": 1.0, "Enabled": True}}},
            "Trigger": {"Run": {"Run number": 9, "Live time s": 90.0, "Dead time s": 10.0}},
        },
    }
    source = write_run(folder, 9, events, odb)
    given = write_pedestals(folder / "given.h5", {0: scene.pedestal})
    return analyze_run(source, folder / "run00009.reco.h5", PedestalLookup([], given)).output


@pytest.fixture(scope="module")
def page(results):
    """The page as matplotlib's figure, and all its texts."""
    pytest.importorskip("matplotlib")
    with open_results(results) as opened:
        figure = draw_report(opened)
    texts = [text.get_text() for text in figure.texts]
    for axes in figure.axes:
        texts += [text.get_text() for text in axes.texts]
        texts += [axes.get_title(place) for place in ("left", "right")]
        texts += [axes.get_xlabel(), axes.get_ylabel()]
    return figure, [text for text in texts if text]


def panel(page, title):
    (found,) = [axes for axes in page[0].axes if axes.get_title("left") == title]
    return found


def test_the_head_says_which_run_it_is_and_how_it_went(page):
    texts = page[1]
    for text in ("Run 9", "55Fe at 25 cm", "70 analyzed, 0 lost", "70, 0.3 s exposure",
                 "70, 0.78 Hz", "run 7, noise 2.40 ADU", "4 pixels",
                 "90.0 %, dead 10.0 s"):  # fmt: skip
        assert text in texts, texts
    assert any(re.match(r"2023-11-1\d \d\d:\d\d:\d\d$", text) for text in texts)
    assert "1 beyond limits" in texts


def test_the_mean_image_shows_the_spot_and_the_defects(page):
    axes = panel(page, "Mean image")
    image = np.asarray(axes.images[0].get_array())
    row, column = np.unravel_index(np.nanargmax(image), image.shape)
    side = 96 / len(image)
    assert (row + 0.5) * side == pytest.approx(48, abs=side)
    assert (column + 0.5) * side == pytest.approx(48, abs=side)
    light = np.nansum(image) * side**2
    assert light == pytest.approx(SPOT_ADU, rel=0.05)
    (defects,) = axes.collections
    assert len(defects.get_offsets()) == 4


def test_the_cluster_map_has_each_cluster(page, results):
    axes = panel(page, "Clusters")
    drawn = [segment for lines in axes.collections for segment in lines.get_segments()]
    with open_results(results) as opened:
        assert len(drawn) == len(opened["clusters"]) == EVENTS
    assert np.mean([segment.mean(axis=0) for segment in drawn], axis=0) == pytest.approx(
        (48, 48), abs=1
    )
    (legend,) = [text.get_text() for text in axes.get_legend().get_texts()]
    assert legend == f"⁵⁵Fe-like {EVENTS}"


def test_the_spectrum_shows_the_line_where_it_is(page):
    axes = panel(page, "Light of spots, ⁵⁵Fe line")
    (curve,) = [line for line in axes.lines if len(line.get_xdata()) > 10]
    peak = curve.get_xdata()[np.argmax(curve.get_ydata())]
    assert peak == pytest.approx(SPOT_ADU, abs=4 * SPREAD_ADU / np.sqrt(EVENTS))
    (text,) = [text.get_text() for text in axes.texts]
    told = float(re.search(r"peak (\d+) ± (\d+) ADU", text)[1])
    assert told == pytest.approx(peak, abs=100)
    assert re.search(r"resolution [4-8]\.\d ± 0\.\d %", text)


def test_charges_of_pmts_and_curves_in_time_are_drawn(page):
    (steps,) = panel(page, "Charge of PMTs").patches
    assert steps.get_data().values.sum() == EVENTS
    curves = [axes for axes in page[0].axes if axes.get_ylabel() == "noise\n[ADU]"]
    (noise,) = curves
    assert noise.lines[0].get_ydata() == pytest.approx(2.4, abs=0.2)
    (pressure,) = [axes for axes in page[0].axes if axes.get_ylabel() == "P gas\n[mbar]"]
    assert pressure.lines[0].get_ydata()[0] == pytest.approx(908.9, abs=0.1)
    assert len(pressure.lines[0].get_xdata()) == 7


def test_the_table_has_each_known_figure_and_red_what_is_beyond(page, results):
    axes = panel(page, "Figures and limits")
    summary = read_summary(summary_path(results))
    assert summary["limits_violated"] == "noise_adu"
    texts = {text.get_text(): text for text in axes.texts}
    assert f"{summary['noise_adu']:.4g} ADU" in texts
    assert f"{summary['gas_pressure_mbar']:.4g} mbar" in texts
    assert "Humidity" not in texts  # nobody measured it
    red, ink = texts["Noise"].get_color(), texts["Sparks"].get_color()
    assert red != ink
    assert [name for name, text in texts.items() if text.get_color() == red] == [
        "Noise",
        f"{summary['noise_adu']:.4g} ADU",
        "0 to 1",
    ]
    assert len([patch for patch in axes.patches if patch.get_facecolor()[0] > 0.7 and
                patch.get_facecolor()[1] < 0.3]) == 1  # fmt: skip


def test_the_picture_is_a_page_with_ink_on_it_and_appears_when_it_is_whole(results, tmp_path):
    pytest.importorskip("matplotlib")
    path = write_report(results, tmp_path / "page.png")
    picture = cv2.imread(str(path))
    height, width, _ = picture.shape
    assert height / width == pytest.approx(PAGE_INCHES[1] / PAGE_INCHES[0], abs=0.01)
    assert width > 1200
    for rows in np.array_split(picture, 8):
        assert rows.std() > 5
    assert [entry.name for entry in tmp_path.iterdir()] == ["page.png"]
    assert write_report(results, tmp_path / "page.pdf").read_bytes()[:5] == b"%PDF-"


def test_what_no_report_can_be_made_of_is_refused_in_words(results, tmp_path):
    pytest.importorskip("matplotlib")
    with pytest.raises(ResultsError, match="one of png, pdf, svg"):
        write_report(results, tmp_path / "page.txt")
    with pytest.raises(ResultsError, match="no frames of camera 3; it has: 0"):
        write_report(results, tmp_path / "page.png", camera=3)
    old = tmp_path / "run00001.reco.h5"
    old.write_bytes(results.read_bytes())
    with h5py.File(old, "a") as file:
        del file["quality"]
    with pytest.raises(ResultsError, match="has no quality: it was written by an earlier version"):
        write_report(old)
    with pytest.raises(ResultsError, match="cannot be written"):
        write_report(results, tmp_path / "run00001.reco.h5" / "page.png")
    assert [entry.name for entry in tmp_path.iterdir()] == ["run00001.reco.h5"]


def test_a_run_of_nothing_has_a_report_too(tmp_path):
    pytest.importorskip("matplotlib")
    source = write_run(tmp_path, 9, [])
    output = analyze_run(source, tmp_path / "run00009.reco.h5", PedestalLookup([tmp_path])).output
    with open_results(output) as opened:
        figure = draw_report(opened)
    assert "Run 9" in [text.get_text() for text in figure.texts]
    json.loads(summary_path(output).read_text(), parse_constant=pytest.fail)


def test_reports_are_drawn_in_processes_one_after_the_other(results, tmp_path):
    pytest.importorskip("matplotlib")
    copy = tmp_path / "run00009.reco.h5"
    copy.write_bytes(results.read_bytes())
    broken = tmp_path / "run00010.reco.h5"
    broken.write_bytes(b"no results")
    reports = Reports()
    reports.add(10, broken)
    reports.add(9, copy)
    ended = []
    wait_until(lambda: ended.extend(reports.done()) or len(ended) == 2, 60, "both reports")
    (first, none, why), (second, path, nothing) = ended
    assert (first, none, second, nothing) == (10, None, 9, "")
    assert "not a results file" in why
    assert path == report_path(copy)
    assert path.stat().st_size > 10_000
    assert reports.close() == []


def test_a_report_that_is_given_up_leaves_nothing(results, tmp_path, monkeypatch):
    copy = tmp_path / "run00009.reco.h5"
    copy.write_bytes(results.read_bytes())
    monkeypatch.setattr("analyzer.reports.CLOSE_S", 0.0)
    reports = Reports()
    reports.add(9, copy)
    ((run, path, why),) = reports.close()
    assert (run, path) == (9, None)
    assert "ended before it was drawn" in why
    assert [entry.name for entry in tmp_path.iterdir()] == ["run00009.reco.h5"]
