"""Limits: what raises an alarm, when, and what the alarm says."""

from dataclasses import replace

import pytest

from analyzer.dtypes import FIGURES_ROW
from analyzer.figure_table import FIGURES
from analyzer.limits import (
    ALARM_CHARACTERS,
    Limit,
    LimitWatch,
    alarm_text,
    limits_of,
    violated,
    violated_by_cameras,
)
from analyzer.publish import NOTHING_KNOWN
from analyzer.quantities import LIMITS_PATH, MAX_CAMERAS, QUANTITIES, VARIABLES_PATH
from rawdata.datamodel import ODB_KEYS


class Odb:
    """As much of an experiment's client as limits need."""

    def __init__(self):
        self.limits = {}
        self.alarms = []
        self.said = []

    def odb_exists(self, path):
        key, _, name = path.removeprefix(LIMITS_PATH + "/").rpartition("/")
        return path == LIMITS_PATH or name in self.limits.get(key, {})

    def odb_set(self, path, value):
        key, _, name = path.removeprefix(LIMITS_PATH + "/").rpartition("/")
        self.limits.setdefault(key, {})[name] = value

    def odb_get(self, path):
        assert path == LIMITS_PATH
        return self.limits

    def msg(self, text, is_error=False):
        self.said.append((text, is_error))

    def trigger_internal_alarm(self, name, text):
        self.alarms.append((name, text))


@pytest.fixture
def odb():
    return Odb()


def set_limit(odb, key, **values):
    odb.limits[key].update({name.capitalize(): value for name, value in values.items()})


def feed(watch, key, values, start=1):
    for events, value in enumerate(values, start):
        watch.check(7, {key: value}, events)


def test_an_alarm_comes_after_so_many_violations_in_a_row_and_once(odb):
    watch = LimitWatch(odb)
    set_limit(odb, "Noise", violations=3)
    feed(watch, "Noise", [9, 9, 2, 9, 9])
    assert odb.alarms == []
    feed(watch, "Noise", [9, 9, 9, 9], start=6)
    assert odb.alarms == [
        ("Analyzer Noise", "Noise 9 ADU, limit 6: sensor cooling, light leak, pedestal")
    ]
    assert watch.raised == ["Noise"]
    (told,) = [text for text, is_error in odb.said if is_error]
    for part in (
        "run 7",
        "is 9 ADU",
        "allowed are 0 to 6",
        "3 checks in a row",
        f"{LIMITS_PATH}/Noise",
    ):
        assert part in told
    feed(watch, "Noise", [2, 9, 9, 9], start=20)
    assert len(odb.alarms) == 2
    assert any("within its limits again" in text for text, _ in odb.said)


def test_without_new_events_nothing_is_checked(odb):
    watch = LimitWatch(odb)
    set_limit(odb, "Noise", violations=2)
    for _ in range(10):
        watch.check(7, {"Noise": 9.0}, 1)
    assert odb.alarms == []


def test_a_run_that_begins_starts_to_count_anew(odb):
    watch = LimitWatch(odb)
    set_limit(odb, "Noise", violations=2)
    feed(watch, "Noise", [9])
    watch.begin()
    feed(watch, "Noise", [9])
    assert odb.alarms == []
    feed(watch, "Noise", [9], start=2)
    assert len(odb.alarms) == 1


def test_only_what_is_enabled_raises_alarms_and_edits_count_at_once(odb):
    watch = LimitWatch(odb)
    feed(watch, "Clusters per frame", [999] * 20)
    assert odb.alarms == []
    set_limit(odb, "Clusters per frame", enabled=True, high=500.0, violations=1)
    feed(watch, "Clusters per frame", [400, 999], start=30)
    assert [name for name, _ in odb.alarms] == ["Analyzer Clusters per frame"]
    set_limit(odb, "Clusters per frame", high=1000.0)
    feed(watch, "Clusters per frame", [999], start=40)
    assert watch.raised == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"high": -5.0}, "High is -5.0: at least Low, which is 0"),
        ({"violations": 0}, "Violations is 0: Input should be greater than or equal to 1"),
        ({"high": "often"}, "High is 'often'"),
    ],
)
def test_a_bad_limit_is_told_once_and_the_last_good_one_counts(odb, change, told):
    watch = LimitWatch(odb)
    set_limit(odb, "Noise", violations=1, high=4.0)
    feed(watch, "Noise", [1])
    set_limit(odb, "Noise", **change)
    feed(watch, "Noise", [3, 3, 5], start=2)
    assert [text for text, _ in odb.said if told in text and f"{LIMITS_PATH}/Noise" in text] == [
        odb.said[0][0]
    ]
    assert len(odb.alarms) == 1


def test_a_limit_that_was_deleted_is_told_and_its_default_counts(odb):
    watch = LimitWatch(odb)
    del odb.limits["Noise"]
    feed(watch, "Noise", [9] * 10)
    assert "Noise: it is missing" in odb.said[0][0]
    assert len(odb.alarms) == 1


def test_limits_that_stand_in_the_odb_are_not_changed(odb):
    odb.limits["Noise"] = {"Low": 1.0, "High": 2.0}
    LimitWatch(odb)
    assert odb.limits["Noise"] == {"Low": 1.0, "High": 2.0, "Enabled": True, "Violations": 10}


def feed_cameras(watch, key, values, start=1):
    """Each of `values` is what the cameras show at once."""
    for events, of_each in enumerate(values, start):
        together = {key: sum(of_each) / len(of_each)}
        watch.check(7, together, events, {camera: {key: v} for camera, v in enumerate(of_each)})


def test_each_of_several_cameras_is_watched_by_itself(odb):
    watch = LimitWatch(odb)
    set_limit(odb, "Noise", violations=2)
    feed_cameras(watch, "Noise", [(2.5, 7.0)] * 3)  # 4.75 together would be well
    assert odb.alarms == [
        ("Analyzer Noise c1", "cam1 Noise 7 ADU, limit 6: sensor cooling, light leak, pedestal")
    ]
    assert watch.raised == ["Noise c1"]
    assert "of camera 1 (Noise) is 7 ADU" in odb.said[-1][0]
    feed_cameras(watch, "Noise", [(2.5, 3.0)], start=9)
    assert watch.raised == []


def test_a_single_camera_has_the_alarm_of_the_quantity(odb):
    watch = LimitWatch(odb)
    set_limit(odb, "Noise", violations=1)
    watch.check(7, {"Noise": 9.0}, 1, {0: {"Noise": 9.0}})
    assert [name for name, _ in odb.alarms] == ["Analyzer Noise"]


def test_a_camera_may_have_limits_of_its_own(odb):
    watch = LimitWatch(odb)
    set_limit(odb, "Noise", violations=1)
    odb.limits["Camera 1"] = {"Noise": {"High": 8.0}}  # all else as for all cameras
    feed_cameras(watch, "Noise", [(2.5, 7.0)])
    assert odb.alarms == []
    feed_cameras(watch, "Noise", [(7.0, 8.5)], start=2)
    assert [name for name, _ in odb.alarms] == ["Analyzer Noise c0", "Analyzer Noise c1"]
    assert f"{LIMITS_PATH}/Camera 1/Noise" in odb.said[-1][0]
    odb.limits["Camera 1"]["Noise"] = {"High": -1.0}
    feed_cameras(watch, "Noise", [(2.5, 7.0)] * 2, start=3)
    told = [text for text, is_error in odb.said if "Camera 1/Noise: High is -1.0" in text]
    assert len(told) == 1
    assert "Analyzer Noise c1" not in [name for name, _ in odb.alarms[2:]]  # 8 goes on to count
    del odb.limits["Camera 1"]
    feed_cameras(watch, "Noise", [(2.5, 7.0)], start=9)
    assert [name for name, _ in odb.alarms[2:]] == ["Analyzer Noise c1"]


def test_a_run_names_the_camera_that_was_beyond():
    odb = {"Equipment": {"Analyzer": {"Limits": {
        "Noise": {"Low": 0.0, "High": 2.0, "Enabled": True, "Violations": 1},
        "Camera 2": {"Noise": {"High": 5.0}},
    }}}}  # fmt: skip
    limits = limits_of(odb)
    cameras = {0: {"noise_adu": 1.0}, 1: {"noise_adu": 3.0}, 2: {"noise_adu": 4.0}}
    found = violated_by_cameras(cameras, limits)
    assert [(camera, quantity.key) for camera, quantity in found] == [(1, "Noise")]


def test_a_run_says_which_of_its_figures_were_beyond():
    odb = {"Equipment": {"Analyzer": {"Limits": {
        "Noise": {"Low": 0.0, "High": 2.0, "Enabled": True, "Violations": 1},
        "Sparks %": {"Low": 9.0, "High": 2.0, "Enabled": True},
        "Humidity %": {"Low": 0.0, "High": 2.0, "Enabled": False},
    }}}}  # fmt: skip
    limits = limits_of(odb)
    assert limits["Sparks %"].high == 10.0  # out of bounds: the default
    values = {"noise_adu": 3.0, "spark_percent": 11.0, "humidity_percent": 50.0}
    assert [q.key for q in violated(values, limits)] == ["Noise", "Sparks %"]
    assert violated({"noise_adu": None}, limits) == []


@pytest.mark.parametrize("quantity", QUANTITIES, ids=lambda quantity: quantity.key)
def test_each_quantity_can_be_watched_published_and_told(quantity):
    suffix = f" c{MAX_CAMERAS - 1}" if quantity.of_cameras else ""
    assert len(f"Analyzer {quantity.key}{suffix}".encode()) <= 31
    assert "/" not in quantity.key
    limit = Limit(low=-123456.7, high=-123456.7)
    text = alarm_text(quantity, 123456.78, limit)
    assert len(text.encode()) <= ALARM_CHARACTERS
    assert quantity.look in text
    assert quantity.key in NOTHING_KNOWN
    figure = next(figure for figure in FIGURES if figure.key == quantity.figure)
    assert figure.kind is float
    assert quantity.figure in FIGURES_ROW.names
    path = f"{VARIABLES_PATH}/{quantity.key}"
    assert path in {key.path for key in ODB_KEYS}


def test_variables_need_no_padding_in_midas_history():
    sizes = [8 if isinstance(value, float | list) else 4 for value in NOTHING_KNOWN.values()]
    assert sizes == sorted(sizes, reverse=True)


def test_the_text_names_the_limit_that_is_exceeded():
    noise = replace(QUANTITIES[1], look="x")
    assert alarm_text(noise, 1.0, Limit(low=2, high=3)) == "Noise 1 ADU, limit 2: x"
    assert alarm_text(noise, 4.0, Limit(low=2, high=3)) == "Noise 4 ADU, limit 3: x"
