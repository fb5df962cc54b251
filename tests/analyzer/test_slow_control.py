"""Readings of slow control: converted by settings, counted between the trigger events."""

import numpy as np
import pytest

from analyzer.settings import AnalyzerSettings
from analyzer.slow_control import SlowControl
from rawdata.build import EventBuilder
from rawdata.event import BankFormat, parse_event
from rawdata.layouts import high_voltage, slow
from rawdata.tid import Tid

NAMES = ["P0IIn0", "P0IIn3", "P0IIn5", "P1UIn1", "P1UIn5", "P3IIn6"]
LNGS = [9.70, 12.98, 13.04, 2.68, 1.50, 6.24]
"""Live values of LNGS run 42901, where 0.9049 bar, 21.3 C, 21.4 C and 1.40 g/l were shown."""


def odb(**other):
    return {
        "Equipment": {
            "Environment": {"Settings": {"Names Input": NAMES}, **other},
            "HV": {"Settings": {"Names": ["VGEM1", "Drift", "Ch00.007"]}},
        }
    }


def event(event_id, encode, time=100):
    builder = EventBuilder(memoryview(bytearray(2000)), event_id, BankFormat.BANK)
    encode(builder)
    return parse_event(builder.finish(0, time))


def environment(values, time=100):
    return event(slow.ENVIRONMENT_ID, lambda b: slow.encode_inputs(b, values), time)


def by_quantity(rows):
    return {row["quantity"].decode(): pytest.approx(float(row["value"]), rel=1e-3) for row in rows}


def test_inputs_become_the_quantities_of_lngs():
    control = SlowControl(AnalyzerSettings(), odb())
    assert control.note(environment(LNGS)) == ""
    assert {
        "gas_temperature_c": 21.25,
        "room_temperature_c": 21.464,
        "atmospheric_pressure_mbar": 904.84,
        "gas_pressure_mbar": 908.93,
        "humidity_percent": 18.55,
        "gas_density_g_per_l": 1.40,
    } == by_quantity(control.rows_before(0))


def test_voltages_are_named_by_the_odb():
    volts = np.array([440, 960, 1], np.float32)
    reading = high_voltage.HighVoltage(volts, volts, volts, volts.astype(np.uint32), volts)
    crate = event(3, lambda b: high_voltage.encode_high_voltage(b, reading))
    cathode = event(4, lambda b: high_voltage.encode_high_voltage(b, reading))
    control = SlowControl(AnalyzerSettings(), odb())
    control.note(crate)
    control.note(cathode)
    assert by_quantity(control.rows_before(0)) == {
        "hv_gem1_v": 440,
        "hv_drift_v": 960,
        "hv_cathode_v": 440,
    }


def test_only_the_last_reading_before_the_first_event_counts_and_none_after_the_last():
    control = SlowControl(AnalyzerSettings(), odb())
    for time in (1, 2):
        control.note(environment(LNGS, time))
    first = control.rows_before(0)
    assert set(first["time"]) == {2}
    assert not len(control.rows_before(1))
    for time in (3, 4):
        control.note(environment(LNGS, time))
    later = control.rows_before(2)
    assert sorted(set(later["time"])) == [3, 4]
    assert set(later["event"]) == {2}
    control.note(environment(LNGS, 5))  # nothing comes after it


def test_what_the_odb_said_is_known_before_the_first_reading():
    control = SlowControl(AnalyzerSettings(), odb(Variables={"Input": LNGS}))
    assert control.at_begin["gas_temperature_c"] == pytest.approx(21.25)
    assert "hv_gem1_v" not in control.at_begin


def test_a_bank_that_cannot_be_read_is_told():
    wrong = event(slow.ENVIRONMENT_ID, lambda b: b.add("INPT", Tid.DWORD, np.zeros(3, np.uint32)))
    control = SlowControl(AnalyzerSettings(), odb())
    assert "INPT is TID_DWORD, wanted TID_FLOAT" in control.note(wrong)
    assert not len(control.rows_before(0))


def test_an_odb_without_names_gives_nothing():
    control = SlowControl(AnalyzerSettings(), {})
    control.note(environment(LNGS))
    assert not len(control.rows_before(0))
