from pathlib import Path

import rawdata
from rawdata.datamodel import BANKS, EVENTS, ODB_KEYS, RUNLOG_COLUMNS, render
from rawdata.layouts import camera, digitizer, slow, times

PAGE = Path(rawdata.__file__).parents[1] / "docs" / "reference" / "datamodel.md"


def test_the_page_is_what_the_tables_say() -> None:
    assert PAGE.read_text(encoding="utf-8") == render(), (
        "docs/reference/datamodel.md is stale; make it anew with "
        "python -m rawdata.datamodel > docs/reference/datamodel.md"
    )


def test_names_are_there_once() -> None:
    for names in (
        [kind.name for kind in BANKS],
        [kind.event_id for kind in EVENTS],
        [key.path for key in ODB_KEYS],
        [column.name for column in RUNLOG_COLUMNS],
    ):
        assert len(set(names)) == len(names)


def test_every_bank_of_an_event_is_told_and_every_told_bank_is_in_an_event() -> None:
    assert {bank for kind in EVENTS for bank in kind.banks} == {bank.name for bank in BANKS}


def test_layouts_use_the_names_of_the_table() -> None:
    names = {bank.name for bank in BANKS}
    for name in (
        camera.bank_name(),
        camera.compressed_bank_name(),
        times.fid_name(),
        times.tsp_name(),
    ):
        assert name.replace("0", "<i>") in names
    for name in (
        times.TIME_BANK,
        digitizer.SAMPLES_BANK,
        digitizer.HEADER_BANK,
        slow.INPUT_BANK,
        slow.CAMERA_TEMPERATURE_BANK,
        slow.TRIGGER_RATE_BANK,
    ):
        assert name in names


def test_columns_are_those_of_cygno_in_their_order() -> None:
    names = [column.name for column in RUNLOG_COLUMNS]
    assert names[:4] == ["run_number", "run_description", "start_time", "exposure_sec"]
    assert names[-4:] == ["file_size", "file_checksum", "file_s3_tag", "online_reco_status"]
    assert len(names) == 38
