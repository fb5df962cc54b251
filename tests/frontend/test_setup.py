"""Settings of a run: what they mean together, and what is refused with which words."""

from typing import Any

import pytest

from experiment.errors import SettingsError
from experiment.settings import describe
from frontend.settings import (
    Configurations,
    EnvironmentSettings,
    HighVoltageSettings,
    TriggerSettings,
    options_for,
)
from frontend.setup import Mode, RunSetup


def make_setup(trigger: dict[str, Any] | None = None, **keys: Any) -> RunSetup:
    """A setup from ODB keys: `keys` below /Configurations, `trigger` below Trigger/Settings."""
    configurations = Configurations.model_validate({"Exposure": 0.1, **keys})
    return RunSetup(configurations, TriggerSettings.model_validate(trigger or {}))


@pytest.mark.parametrize(
    ("keys", "mode"),
    [
        ({"FreeRunning": True, "TriggerMode": 0}, Mode.FREE),
        ({"FreeRunning": True, "TriggerMode": 3}, Mode.FREE),
        ({"FreeRunning": False, "TriggerMode": 0}, Mode.PMT),
        ({"FreeRunning": False, "TriggerMode": 3}, Mode.CONTINUOUS),
    ],
)
def test_cygnos_keys_choose_the_mode(keys: dict[str, Any], mode: Mode) -> None:
    assert make_setup(**keys).mode is mode


@pytest.mark.parametrize("mode", list(Mode))
def test_a_mode_that_is_named_overrules_cygnos_keys(mode: Mode) -> None:
    for free, number in ((True, 0), (False, 0), (False, 3)):
        setup = make_setup({"Mode": str(mode)}, FreeRunning=free, TriggerMode=number)
        assert setup.mode is mode
        assert bool(setup.digitizers) == (mode is not Mode.FREE)


def test_digitizers_are_those_that_are_read() -> None:
    boards = {"Digitizers": ("sim:V1742", "sim:V1720E")}
    assert [b.driver for b in make_setup(boards).digitizers] == ["sim:V1742", "sim:V1720E"]
    one = make_setup(boards, **{"Number of Digitizers": 1})
    assert [b.driver for b in one.digitizers] == ["sim:V1742"]
    assert make_setup(boards, FreeRunning=True).digitizers == []


def test_options_are_for_all_devices_or_for_each() -> None:
    names = {"Cameras": ("sim:a", "sim:b")}
    both = make_setup({**names, "Camera options": '{"seed": 7}'}).cameras
    assert [camera.keywords() for camera in both] == [{"seed": 7}, {"seed": 7}]
    each = make_setup({**names, "Camera options": '[{"seed": 7}, {"x": [1, null]}]'}).cameras
    assert [camera.keywords() for camera in each] == [{"seed": 7}, {"x": [1, None]}]


def test_same_names_and_options_are_the_same_device() -> None:
    one = make_setup({"Camera options": '{"a": 1, "b": 2}'}).cameras[0]
    assert one == make_setup({"Camera options": '{"b": 2, "a": 1}'}).cameras[0]
    assert one != make_setup({"Camera options": '{"a": 1}'}).cameras[0]


def test_devices_are_told_what_the_run_shall_be() -> None:
    setup = make_setup({"Frame rate Hz": 4.0}, Pedestal=True, DigitizerSamples=(520, 300))
    camera = setup.camera_config(run_number=5, index=1)
    assert (camera.exposure_s, camera.rate_hz, camera.run_number) == (0.1, 4.0, 5)
    assert camera.options == {"pedestal": True, "index": 1}
    board = setup.digitizer_config(run_number=5, index=1, channels_before=32)
    assert (board.samples, board.sampling_code, board.post_trigger_percent) == (300, 4, 60)
    assert board.offsets[:2] == (-0.45, 0.0)
    assert board.max_triggers == 128


@pytest.mark.parametrize(("limit", "events"), [(-1, None), (0, None), (7, 7)])
def test_max_events(limit: int, events: int | None) -> None:
    assert make_setup(MaxEvents=limit).max_events == events


def test_the_period_is_known_unless_the_camera_goes_as_fast_as_it_can() -> None:
    assert make_setup({"Frame rate Hz": 4.0}).period_ns == 250_000_000
    assert make_setup({"Frame rate Hz": 0.0}).period_ns is None
    assert make_setup({"Frame rate Hz": 0.0}).expected_rate_hz == 10.0
    assert make_setup({"Frame rate Hz": 0.0}, Exposure=0.001).expected_rate_hz == 100.0


def test_the_ring_holds_some_seconds_within_its_memory() -> None:
    rate = {"Frame rate Hz": 10.0, "Ring memory MB": 100, "Ring slots": 4}
    assert make_setup({**rate, "Ring seconds": 3.0}).ring_slots(1_000_000) == 30
    assert make_setup({**rate, "Ring seconds": 0.1}).ring_slots(1_000_000) == 4
    assert make_setup({**rate, "Ring seconds": 30.0}).ring_slots(1_000_000) == 100
    with pytest.raises(SettingsError, match=r"Ring memory MB is 100; allowed: at least 160 for 4"):
        make_setup(rate).ring_slots(40_000_000)


@pytest.mark.parametrize(
    ("trigger", "keys", "says"),
    [
        ({}, {"TriggerMode": 1}, "TriggerMode"),
        ({}, {"Exposure": 0.0}, "Exposure"),
        ({}, {"DigitizerOffset": (0.7,)}, "DigitizerOffset"),
        ({}, {"DigitizerPostTrg": (60, 101)}, "DigitizerPostTrg"),
        ({}, {"MultiTriggerMaxSize": 129}, "MultiTriggerMaxSize"),
        ({"Generation": "B"}, {}, "Generation"),
        ({"Camera options": "{seed: 7}"}, {}, "a JSON object"),
        ({"Camera options": "[1]"}, {}, "a JSON object"),
        ({"Send timeout ms": 1}, {}, "Send timeout ms"),
    ],
)
def test_a_value_out_of_bounds_is_refused(
    trigger: dict[str, Any], keys: dict[str, Any], says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        make_setup(trigger, **keys)


@pytest.mark.parametrize(
    ("trigger", "keys", "says"),
    [
        ({"Cameras": ("",)}, {}, r"Settings/Cameras is \[\]; allowed: 1 to 6 drivers"),
        (
            {"Frame rate Hz": 20.0},
            {},
            r"/Configurations/Exposure is 0\.1; allowed: at most 0\.05 s at .*Frame rate Hz = 20",
        ),
        (
            {},
            {"Number of Digitizers": 3},
            "/Configurations/Number of Digitizers is 3; allowed: at most 2, as many as",
        ),
        (
            {},
            {"Number of Digitizers": 0},
            r"/Configurations/TriggerMode is 0; allowed: 3 \(continuous\)",
        ),
        (
            {"Mode": "pmt"},
            {"Number of Digitizers": 0, "TriggerMode": 3},
            "Settings/Mode is 'pmt'; allowed: continuous or free while",
        ),
        (
            {},
            {"DigitizerSamples": (1024,)},
            r"DigitizerSamples is \[1024\]; allowed: one value for each of 2 digitizers",
        ),
        (
            {"Camera options": "[{}, {}]"},
            {},
            "Camera options is .*; allowed: one object for all, or a list of 1",
        ),
    ],
)
def test_values_that_do_not_fit_together_are_refused(
    trigger: dict[str, Any], keys: dict[str, Any], says: str
) -> None:
    with pytest.raises(SettingsError, match=says):
        make_setup(trigger, **keys)


def test_digitizer_keys_do_not_matter_to_frames_alone() -> None:
    assert make_setup(FreeRunning=True, DigitizerSamples=(1024,)).mode is Mode.FREE
    assert make_setup(TriggerMode=3, **{"Number of Digitizers": 0}).digitizers == []


def test_an_exposure_may_fill_the_period() -> None:
    assert make_setup({"Frame rate Hz": 10.0}, Exposure=0.1).period_ns == 100_000_000
    assert make_setup({"Frame rate Hz": 0.333333}, Exposure=3.0).mode is Mode.PMT


@pytest.mark.parametrize(
    "model", [Configurations, TriggerSettings, HighVoltageSettings, EnvironmentSettings]
)
def test_every_setting_says_what_it_is(model: type[Configurations]) -> None:
    rows = describe(model)
    assert len({row["path"] for row in rows}) == len(rows) > 0
    for row in rows:
        assert row["description"].endswith(".")
        assert row["effect"] in ("live", "next run", "restart")
        assert row["path"].startswith(model.odb_path)


def test_options_that_are_missing_in_a_list_are_none() -> None:
    assert options_for('[{"a": 1}]', 1) == {}
    assert options_for("", 0) == {}
