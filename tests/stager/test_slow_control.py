"""Slow control over a run, from the events in its file."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawdata.build import EventBuilder, event_bytes
from rawdata.event import BankFormat, Event, parse_event
from rawdata.tid import Tid
from stager.catalog import Catalog
from stager.discovery import find_files
from stager.records import SlowControl
from stager.rundescription import describe_run
from stager.runscan import scan_run
from stager.slowcontrol import SlowReadings
from tests.stager.rows import add_file, all_rows

NAMES = {"Equipment": {"Environment": {"Settings": {"Names Input": ["P0IIn0", "P1UIn0"]}}}}


def slow_event(event_id: int, bank: str, values: list[float], time_s: int = 1000) -> Event:
    """Return an event as the slow-control frontend sends it."""
    buffer = np.zeros(event_bytes([(Tid.FLOAT, len(values))], BankFormat.BANK), np.uint8)
    builder = EventBuilder(buffer, event_id, BankFormat.BANK)
    builder.add(bank, Tid.FLOAT, np.array(values, np.float32))
    return parse_event(bytes(builder.finish(0, time_s)))


def rows_of(*events: Event, odb: dict[str, Any] = NAMES) -> list[dict[str, Any]]:
    readings = SlowReadings()
    for event in events:
        readings.add(event)
    return readings.rows(odb)


def test_a_channel_is_told_by_name_unit_and_what_it_did() -> None:
    first, second = rows_of(
        slow_event(5, "INPT", [10.0, 2.0], 1000),
        slow_event(5, "INPT", [12.0, 2.0], 1060),
        slow_event(5, "INPT", [11.0, math.nan], 1120),
    )
    expected = {
        "equipment": "Environment",
        "bank": "INPT",
        "channel": 0,
        "name": "P0IIn0",
        "unit": "mA",
        "readings": 3,
        "first": 10.0,
        "last": 11.0,
        "lowest": 10.0,
        "highest": 12.0,
        "mean": 11.0,
        "sigma": 1.0,
    }
    assert {key: first[key] for key in expected} == expected
    assert (first["first_at"].timestamp(), first["last_at"].timestamp()) == (1000, 1120)
    assert (second["name"], second["unit"], second["readings"]) == ("P1UIn0", "V", 2)


@pytest.mark.parametrize(
    ("event_id", "bank", "expected"),
    [
        (3, "MSRD", ("HV", "MSRD0", "V")),
        (3, "CRNT", ("HV", "CRNT0", "uA")),
        (4, "DMND", ("CATHODE", "DMND0", "V")),
        (7, "TCAM", ("CameraStatus", "TCAM0", "C")),
        (203, "TCAM", ("CameraStatus03", "TCAM0", "C")),
        (9, "INPT", ("SourceMotor", "INPT0", None)),
        (6, "DMND", None),
        (1, "INPT", None),
    ],
)
def test_events_are_told_by_their_id(
    event_id: int, bank: str, expected: tuple[str, str, str | None] | None
) -> None:
    rows = rows_of(slow_event(event_id, bank, [1.0]), odb={})
    found = [(row["equipment"], row["name"], row["unit"]) for row in rows]
    assert found == ([expected] if expected else [])


@given(
    st.lists(
        st.lists(st.floats(-1e6, 1e6, width=32) | st.just(math.nan), min_size=1, max_size=4),
        min_size=1,
        max_size=8,
    )
)
def test_statistics_are_numpys(readings: list[list[float]]) -> None:
    """Also where channels come and go, and where readings are no numbers."""
    rows = rows_of(*(slow_event(5, "INPT", values) for values in readings), odb={})
    columns = [
        [values[channel] for values in readings if channel < len(values)] for channel in range(4)
    ]
    known = {channel: np.array(c)[np.isfinite(c)] for channel, c in enumerate(columns) if c}
    assert [row["channel"] for row in rows] == [c for c, values in known.items() if values.size]
    for row in rows:
        values = known[row["channel"]]
        assert row["readings"] == values.size
        assert (row["first"], row["last"]) == (values[0], values[-1])
        assert (row["lowest"], row["highest"]) == (values.min(), values.max())
        assert row["mean"] == pytest.approx(values.mean(), rel=1e-9, abs=1e-6)
        spread = values.std(ddof=1) if values.size > 1 else 0.0
        assert row["sigma"] == pytest.approx(spread, rel=1e-6, abs=1e-3)


def test_a_recorded_run_is_described_once(catalog_url: str, data: Path) -> None:
    catalog = Catalog(catalog_url)
    (found,) = [f for f in find_files(data) if f.run_number == 1104 and f.kind == "raw"]
    scan = scan_run(found.path, lambda: None)
    for _ in range(2):
        with catalog.write() as session:
            describe_run(session, add_file(session, found.path, 1104), scan)
    rows = all_rows(catalog, SlowControl)
    catalog.close()
    assert len(rows) == 24
    assert {row.equipment for row in rows} == {"Environment"}
    pressure = next(row for row in rows if row.name == "P0IIn3")
    assert pressure.mean == pytest.approx(12.98, abs=0.1)
    assert pressure.unit == "mA" and pressure.readings == 1
