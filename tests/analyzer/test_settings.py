"""Settings are read from an ODB in bounds, and refused by their key out of them."""

import pytest
from pydantic import ValidationError

from analyzer.conditions import settings_of
from analyzer.errors import AnalyzerError
from analyzer.settings import PROFILES, AnalyzerSettings, profile
from experiment.settings import describe, to_odb


@pytest.mark.parametrize("name", PROFILES)
def test_each_profile_survives_the_odb(name):
    settings = profile(name)
    odb = {"Equipment": {"Analyzer": {"Settings": to_odb(settings)}}}
    assert settings_of(odb, "here") == settings


def test_an_odb_without_an_analyzer_has_no_settings():
    assert settings_of({"Equipment": {}}, "here") is None


@pytest.mark.parametrize(
    ("key", "value"),
    [("rebin", 3), ("nsigma", 0.0), ("ymax", 300), ("Workers", -1), ("Maximum occupancy", 2.0)],
)
def test_bad_values_are_named_by_key_and_place(key, value):
    odb = {"Equipment": {"Analyzer": {"Settings": {key: value}}}}
    with pytest.raises(AnalyzerError, match=rf"run 5: /Equipment/Analyzer/Settings/{key} is"):
        settings_of(odb, "run 5")


def test_the_acceptance_must_not_be_empty():
    with pytest.raises(ValidationError, match="more than xmin, which is 40"):
        AnalyzerSettings(xmin=40, xmax=40)
    assert AnalyzerSettings(xmin=40).acceptance(100, 200) == (40, 200, 0, 100)


def test_every_setting_has_a_sentence():
    for row in describe(AnalyzerSettings):
        assert row["description"], row["path"]
