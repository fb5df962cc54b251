"""Questions of the operator page are answered with JSON that fits, or with why not."""

import base64
import json

import cv2
import numpy as np
import pytest

from analyzer.analysis import RunAnalysis
from analyzer.answers import answer
from analyzer.conditions import RunConditions
from analyzer.levels import prepare_levels
from analyzer.questions import QUESTIONS, Shown
from analyzer.settings import AnalyzerSettings
from analyzer.spectra import Spectra
from analyzer.view import view_event
from tests.analyzer.run_making import make_event, one_board
from tests.analyzer.scenes import add_spot, make_scene


@pytest.fixture(scope="module")
def shown():
    """An event of a camera of 96x192 with a spot, and a V1720 with two triggers."""
    scene = make_scene((96, 192))
    settings = AnalyzerSettings()
    analysis = RunAnalysis(RunConditions(42), settings)
    analysis.set_pedestal(0, prepare_levels(scene.pedestal, settings))
    light = scene.light()
    add_spot(light, 150, 40, 8000)
    event = make_event(5, {0: scene.frame(light)}, one_board(2))
    result = analysis.analyze(event, 5)
    spectra = Spectra(analysis)
    spectra.take(result)
    return Shown({"ready": True}, view_event(analysis, event, result), spectra)


def ask(shown, verb, room=1 << 20, **arguments):
    text = answer(shown, verb, json.dumps(arguments) if arguments else "", room)
    assert len(text.encode()) <= room
    return json.loads(text)


def picture_of(content):
    data = np.frombuffer(base64.b64decode(content["picture"]), np.uint8)
    return cv2.imdecode(data, cv2.IMREAD_UNCHANGED)


def test_status_names_run_cameras_boards_and_verbs(shown):
    content = ask(shown, "status")
    assert content["ok"]
    assert content["ready"]
    assert (content["event"], content["cameras"], content["boards"]) == (5, [0], [1720])
    assert content["verbs"] == list(QUESTIONS)


def test_the_image_shows_light_above_the_pedestal_where_it_is(shown):
    content = ask(shown, "image", colors="gray", format="png", low=0, high=51)
    assert (content["run"], content["event"], content["camera"]) == (42, 5, 0)
    assert (content["rows"], content["columns"]) == (96, 192)
    picture = picture_of(content)
    assert picture.shape == (24, 48)
    row, column = np.unravel_index(picture.argmax(), picture.shape)
    assert (row, column) == (pytest.approx(40 / 4, abs=1), pytest.approx(150 / 4, abs=1))
    light = shown.view.images[0].light
    assert picture[row, column] == pytest.approx(min(255, 5 * light.max()), abs=1)
    assert np.median(picture) <= 2


def test_colours_and_jpeg(shown):
    picture = picture_of(ask(shown, "image", colors="inferno", format="jpeg"))
    assert picture.shape == (24, 48, 3)


def test_what_is_too_long_is_made_smaller(shown):
    whole = ask(shown, "image", format="png")
    size = len(json.dumps(whole))
    small = ask(shown, "image", room=size // 2, format="png")
    assert small["ok"]
    assert max(picture_of(small).shape) < max(picture_of(whole).shape)
    assert (small["rows"], small["columns"]) == (96, 192)
    waves = ask(shown, "waveforms", room=800, points=64)
    assert waves["ok"]
    assert waves["traces"][0]["step"] > 1


def test_what_does_not_fit_at_all_is_refused_with_the_sizes(shown):
    content = ask(shown, "image", room=200)
    assert not content["ok"]
    assert "max_reply_length has room for 200" in content["message"]


def test_clusters_are_columns_brightest_first(shown):
    content = ask(shown, "clusters", columns=["sc_integral", "sc_xmean", "flags"])
    assert list(content["columns"]) == ["sc_integral", "sc_xmean", "flags"]
    assert content["columns"]["sc_integral"][0] == pytest.approx(8000, rel=0.05)
    assert content["columns"]["sc_xmean"][0] == pytest.approx(150, abs=0.5)
    assert ask(shown, "clusters", most=0)["left_out"] == 1
    assert ask(shown, "clusters", camera=3)["columns"]["flags"] == []


def test_waveforms_keep_their_extremes(shown):
    content = ask(shown, "waveforms", trigger=1, channels=[1], points=16)
    (trace,) = content["traces"]
    assert content["triggers"] == [2]
    assert (trace["model"], trace["channel"], trace["step"]) == (1720, 1, 3)
    assert (min(trace["low"]), max(trace["high"])) == (1900, 2000)
    assert ask(shown, "waveforms", trigger=2)["traces"] == []


def test_spectra_count_what_was_seen(shown):
    content = ask(shown, "spectra", names=["light", "clusters"])
    light = content["spectra"]["light"]
    (filled,) = np.flatnonzero(light["counts"])
    assert light["edges"][filled] <= 8000 * 1.05
    assert light["edges"][filled + 1] >= 8000 * 0.95
    assert content["spectra"]["clusters"]["counts"][1] == 1
    assert content["events"] == 1


@pytest.mark.parametrize(
    ("verb", "arguments", "text"),
    [
        ("dance", "", "'dance' is unknown; known: status, image"),
        ("image", '{"camera": 4}', "camera 4 is not in event 5; it has: 0"),
        ("image", '{"side": 5}', "image: side: Input should be greater than or equal to 32"),
        ("image", '{"sides": 500}', "image: sides: Extra inputs are not permitted"),
        ("image", "{", "image: arguments: Invalid JSON"),
        ("clusters", '{"columns": ["mass"]}', "'mass' is no column of clusters"),
        ("spectra", '{"names": ["mass"]}', "'mass' is no spectrum; there are: light"),
    ],
)
def test_a_bad_question_is_refused_with_the_reason(shown, verb, arguments, text):
    content = json.loads(answer(shown, verb, arguments, 1000))
    assert not content["ok"]
    assert text in content["message"]


@pytest.mark.parametrize("verb", ["image", "clusters", "waveforms", "spectra"])
def test_before_the_first_event_there_is_nothing_to_show(verb):
    content = json.loads(answer(Shown(), verb, "", 1000))
    assert not content["ok"]
    assert "was analyzed yet" in content["message"]


def test_a_spark_of_an_answer_is_cut_to_its_room():
    assert len(answer(Shown(), "x" * 1000, "", 60)) <= 60
