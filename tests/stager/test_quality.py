"""The analyzer's summary of a run, in the catalog."""

import json
from pathlib import Path
from typing import Any

import pytest

from stager.catalog import Catalog
from stager.errors import FileError
from stager.quality import read_summary, write_quality
from stager.records import Quality, QualityValue, Transfer
from tests.stager.rows import add_file, all_rows
from tests.stager.runs import write_run
from tests.stager.staging import Folder

SUMMARY: dict[str, Any] = {
    "schema": "cygno-daq summary 1",
    "run": 7,
    "events_analyzed": 400,
    "complete": True,
    "trouble": "",
    "noise_adu": 2.51,
    "fe55_peak_adu": None,
    "fe55_fit_status": "too few",
}


def write(catalog: Catalog, folder: Path, summary: dict[str, Any]) -> None:
    path = folder / "run00007.summary.json"
    path.write_text(json.dumps(summary))
    with catalog.write() as session:
        file = add_file(session, path, 7, kind="summary")
        write_quality(session, file, *read_summary(path, 7))


def test_all_of_it_is_kept_and_each_quantity_under_its_name(
    catalog_url: str, tmp_path: Path
) -> None:
    catalog = Catalog(catalog_url)
    write(catalog, tmp_path, {**SUMMARY, "noise_adu": 9.9, "older": 1})
    write(catalog, tmp_path, SUMMARY)  # the analyzer wrote it anew
    (row,) = all_rows(catalog, Quality)
    values = {v.quantity: (v.value, v.text) for v in all_rows(catalog, QualityValue)}
    catalog.close()
    assert (row.run_number, row.verdict, row.events, row.summary) == (7, "good", 400, SUMMARY)
    assert values == {
        "schema": (None, "cygno-daq summary 1"),
        "events_analyzed": (400.0, None),
        "complete": (1.0, None),
        "trouble": (None, ""),
        "noise_adu": (2.51, None),
        "fe55_peak_adu": (None, None),
        "fe55_fit_status": (None, "too few"),
    }


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "run00007.summary.json is not a summary that can be read"),
        ("[1]", "holds no JSON object"),
        ('{"run": 8}', "is the summary of run 8, not of run 7; let the analyzer write it again"),
    ],
)
def test_what_is_no_summary_of_the_run_is_refused(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "run00007.summary.json"
    path.write_text(text)
    with pytest.raises(FileError, match=says):
        read_summary(path, 7)


def test_numbers_that_no_database_takes_are_not_known(catalog_url: str, tmp_path: Path) -> None:
    catalog = Catalog(catalog_url)
    write(catalog, tmp_path, {"run": 7, "a": 1e400, "b": float("nan")})
    assert {v.quantity: v.value for v in all_rows(catalog, QualityValue)} == {"a": None, "b": None}
    assert all_rows(catalog, Quality)[0].summary == {"run": 7, "a": None, "b": None}
    catalog.close()


def test_a_staged_summary_is_in_the_catalog_and_in_the_bucket(folder: Folder) -> None:
    write_run(folder.data, 7, events=1, size_bytes=1000)
    path = folder.data / "run00007.summary.json"
    path.write_text(json.dumps(SUMMARY))
    folder.stage()
    assert folder.content(path.name) == path.read_bytes()
    (row,) = folder.rows(Quality)
    assert (row.run_number, row.verdict) == (7, "good")
    assert row.file_sha256 == folder.file(path.name).sha256
    values = {value.quantity: value.value for value in folder.rows(QualityValue)}
    assert values["noise_adu"] == 2.51
    transfers = folder.rows(Transfer)
    assert {(t.outcome, t.number) for t in transfers} == {("verified", 1)}
    sent = {t.replica_id: t.bytes_sent for t in transfers}
    assert sent[folder.replica(path.name).id] == path.stat().st_size


def test_what_is_no_summary_is_kept_and_tells_of_no_quality(
    folder: Folder, caplog: pytest.LogCaptureFixture
) -> None:
    write_run(folder.data, 7, events=1, size_bytes=1000)
    (folder.data / "run00007.summary.json").write_text("{")
    folder.stage()
    assert "run00007.summary.json is not a summary that can be read" in caplog.text
    assert folder.content("run00007.summary.json") == b"{"
    assert folder.rows(Quality) == []
