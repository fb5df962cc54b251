"""Run log columns from ODB dumps such as those of the LNGS detector."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from stager.runlog import events_sent, frames_lost, utc_time, values_at_begin, values_at_end
from tests.stager.runs import write_run
from tests.stager.staging import Folder

NAMES = ["Offset", "VGEM3", "Transf2", "VGEM2", "Transf1", "VGEM1", "Drift", "PMT1", "PMT2"]

LNGS: dict[str, Any] = {
    "Runinfo": {
        "Run number": 42901,
        "Start time": "Thu Dec 14 23:33:17 2023",
        "Start time binary": 1702593197,
    },
    "Experiment": {"Run Parameters": {"Run description": "S000:DATA:BKG"}},
    "Configurations": {
        "Exposure": 0.3,
        "Pedestal": False,
        "pmt_acquisition": True,
        "run_type": 0,
        "DRS4Correction": False,
        "TriggerState": {
            "discrimination_threshold": 2,
            "trigger_veto_time": 10,
            "trigger_logic": 0,
        },
        "SourceState": {"source_position": 17.5, "source_type": 1},
        "shielding_configuration": 3,
    },
    "Sequencer": {"Command": {"Load filename": "DataTaking.msl"}, "State": {"Running": True}},
    "Equipment": {
        "HV": {
            "Settings": {"Names": NAMES},
            "Variables": {
                "Demand": [10, 400, 500, 401, 501, 402, 960, 772, 773],
                "ChState": [1] * 9,
            },
        }
    },
    "Logger": {"Runlog": {"SQL": {"Links BOR": {"total_gas_flow": 5, "PMT3_V": 800.0}}}},
}


def test_values_of_the_lngs_detector() -> None:
    assert values_at_begin(LNGS) == {
        "run_description": "S000:DATA:BKG",
        "start_time": datetime(2023, 12, 14, 23, 33, 17),
        "exposure_sec": 0.3,
        "sequencer_running": True,
        "sequence_filename": "DataTaking.msl",
        "pmt_acquisition": True,
        "pedestal_run": False,
        "source_type": 1,
        "source_position": 17.5,
        "discrimination_threshold": 2,
        "trigger_veto_time": 10,
        "trigger_logic": 0,
        "run_type": 0,
        "drs4_correction_active": False,
        "shielding_configuration": 3,
        "GEM3_V": 400.0,
        "GEM2_V": 401.0,
        "GEM1_V": 402.0,
        "T2_V": 500.0,
        "T1_V": 501.0,
        "DRIFT_V": 960.0,
        "OFFSET_V": 10.0,
        "PMT1_V": 772.0,
        "PMT2_V": 773.0,
        "PMT3_V": 800.0,  # not a channel of this crate: where the site's link points to
        "HV_STATE": 1,
        "total_gas_flow": 5,
    }
    assert utc_time(LNGS, "Start time") == datetime(2023, 12, 14, 22, 33, 17, tzinfo=UTC)


def test_what_the_odb_lacks_is_absent_not_invented() -> None:
    assert values_at_begin({}) == {}
    assert values_at_end({}) == {}
    assert utc_time({}, "Start time") is None
    assert utc_time({"Runinfo": {"Stop time binary": 0}}, "Stop time") is None


@pytest.mark.parametrize("value", [None, "no number", {}, [1, 2]])
def test_values_of_another_kind_are_absent(value: Any) -> None:
    assert "exposure_sec" not in values_at_begin({"Configurations": {"Exposure": value}})


def test_flags_may_be_letters() -> None:
    assert values_at_begin({"Configurations": {"Pedestal": "y"}})["pedestal_run"] is True
    assert values_at_begin({"Configurations": {"Pedestal": "n"}})["pedestal_run"] is False


def test_the_frontends_own_count_is_of_its_run() -> None:
    trigger = {"Run": {"Run number": 7, "Events sent": 50}, "Statistics": {"Events sent": 3.0}}
    assert events_sent({"Equipment": {"Trigger": trigger}}, 7) == 50
    assert events_sent({"Equipment": {"Trigger": trigger}}, 8) == 3
    assert events_sent({}, 7) is None


def test_counts_of_several_frontends_add_up() -> None:
    equipment = {
        f"Trigger{index}": {"Run": {"Run number": run, "Events sent": 10, "Frames lost": 1}}
        for index, run in (("02", 7), ("03", 7), ("04", 6))
    }
    assert events_sent({"Equipment": equipment}, 7) == 20
    assert frames_lost({"Equipment": equipment}, 7) == 2


def test_counts_that_differ_are_noted(folder: Folder) -> None:
    odb: dict[str, object] = {
        "Equipment": {"Trigger": {"Run": {"Run number": 7, "Events sent": 5, "Frames lost": 2}}}
    }
    write_run(folder.data, 7, events=4, odb=odb)
    folder.stage()
    run = folder.run(7)
    assert (run.events_sent, run.trigger_events, run.frames_lost) == (5, 4, 2)
    assert run.note == "5 events were sent, 4 are in the file"


def test_replayed_runs_say_where_they_come_from(folder: Folder) -> None:
    record = {"Source file": "/data/run01104.mid", "Source run": 1104}
    clients = {"77": {"Name": "cygno-replay"}, "78": {"Name": "Logger"}}
    write_run(folder.data, 7, 1, odb={"Replay": record, "System": {"Clients": clients}})
    # The record stays in the ODB, the replayer does not: this run was taken.
    write_run(folder.data, 8, 1, odb={"Replay": record, "System": {"Clients": {}}})
    folder.stage()
    assert folder.run(7).source == "Source file: /data/run01104.mid; Source run: 1104"
    assert folder.run(8).source is None


def test_a_file_under_another_runs_name_is_noted(folder: Folder, data: Path) -> None:
    folder.add(data / "run01104.mid", "run00009.mid")
    folder.stage()
    assert folder.run(9).note == "the ODB dump in run00009.mid is of run 1104"
