"""Quality figures against rows made by hand: of an event, of a run, of its parts."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.dtypes import ClusterFlag, EventFlag
from analyzer.exact import Moments
from analyzer.figure_table import CAMERA_FIGURES, FIGURES
from analyzer.figures import camera_figures, figures_of
from analyzer.limits import limits_of
from analyzer.quality import RunQuality
from analyzer.settings import AnalyzerSettings
from analyzer.trigger_record import trigger_record
from tests.analyzer.quality_rows import bad_event, make_rows


def figures(events, odb=None, exposure_s=0.5, duration_s=100.0, pedestals=None):
    quality = RunQuality(AnalyzerSettings())
    for rows in events:
        quality.add(rows)
    record = trigger_record(odb or {}, 7)
    fit = quality.spectrum.fit()
    pedestals = pedestals or {}
    args = ({}, exposure_s, duration_s, pedestals, limits_of({}), {0: 2})
    return figures_of(quality, fit, record, *args)


# one event -------------------------------------------------------------------------------------


def test_an_events_quality_is_that_of_its_rows():
    rows = make_rows(
        3, light=7000, spots=(4000, 1000), image_mean=100.5, noise=2.5, residual_mean=0.25
    )
    (row,) = rows["quality"]
    assert row["event"] == 3
    assert row["image_mean"] == 100.5
    assert row["noise"] == 2.5
    assert row["pedestal_drift"] == 0.25
    assert row["light_outside"] == 2.0  # 7000 - 5000, on 1000 pixels
    assert row["n_clusters"] == 2
    assert not row["is_spark"]
    assert row["n_waveforms"] == 0
    assert math.isnan(row["pmt_noise"])


def test_only_pmt_channels_count_for_pmts():
    waveforms = [(0, 50.0, 9.0), (1, 2.0, 9.0), (4, 4.0, 101.0), (5, 50.0, 9.0)]
    (row,) = make_rows(0, waveforms=waveforms)["quality"]
    assert row["n_waveforms"] == 2
    assert row["pmt_noise"] == 3.0
    assert row["pmt_amplitude"] == 40.0
    assert row["pmt_charge"] == 55.0
    assert row["n_pulses"] == 4
    assert row["n_saturated"] == 1


@pytest.mark.parametrize(
    "rows",
    [
        make_rows(0, flags=int(EventFlag.SPARK)),
        make_rows(0, spots=(6e6, 5e6)),
    ],
    ids=["the frame is lit", "more than 1e7 ADU in clusters"],
)
def test_sparks_are_seen(rows):
    assert rows["quality"]["is_spark"].tolist() == [1]


def test_an_event_without_frame_has_no_image_quality():
    (row,) = bad_event(1)["quality"]
    for name in ("image_mean", "noise", "pedestal_drift", "light_outside"):
        assert math.isnan(row[name])


# a run -----------------------------------------------------------------------------------------


def test_a_runs_figures_are_those_of_its_events():
    events = [
        make_rows(0, noise=2.0, spots=(1000,), waveforms=[(1, 2.0, 1.0)], triggers=1),
        make_rows(1, noise=3.0),
        bad_event(2),
        make_rows(3, noise=4.0, spots=(1000, 12_000), flags=int(EventFlag.SATURATED)),
    ]
    odb = {
        "Equipment": {
            "Trigger": {
                "Run": {
                    "Run number": 7,
                    "Triggers read": 30,
                    "Triggers lost": 1,
                    "Frames acquired": 4,
                    "Frames lost": 0,
                    "Live time s": 3.0,
                    "Dead time s": 1.0,
                }
            }
        }
    }
    pedestal = {"defects": 12, "noise_adu": 2.4, "mean_adu": 99.0}
    found = figures(events, odb, pedestals={0: pedestal})
    assert (found["frames"], found["bad_frames"], found["empty_frames"]) == (3, 1, 1)
    assert found["noise_adu"] == 3.0
    assert found["noise_std_adu"] == 1.0
    assert found["clusters"] == 3
    assert found["clusters_per_frame"] == 1.0
    assert found["cluster_rate_hz"] == 2.0  # 3 in 3 x 0.5 s
    assert (found["defects"], found["hot_pixels"]) == (12, 2)
    assert found["pedestal_noise_adu"] == 2.4
    assert found["triggers"] == 1
    assert (found["pmt_waveforms"], found["pmt_noise_counts"]) == (1, 2.0)
    assert (found["triggers_read"], found["triggers_lost"]) == (30, 1)
    assert (found["live_percent"], found["trigger_rate_hz"]) == (75.0, pytest.approx(1 / 3))
    assert found["cygno_ltime_s"] == pytest.approx(58.0)
    assert found["fe55_fit_status"] == "too few"
    assert found["fe55_peak_adu"] is None


def test_several_cameras_have_figures_of_their_own():
    quality = RunQuality(AnalyzerSettings())
    for index, (camera, noise) in enumerate(((0, 2.0), (1, 20.0), (0, 3.0))):
        quality.add(make_rows(index, camera=camera, noise=noise, spots=(1000,) * camera))
    found = camera_figures(quality, {0: {"defects": 3}, 1: {"defects": 40}}, {0: 0, 1: 5})
    assert (found["cam0_hot_pixels"], found["cam1_hot_pixels"]) == (0, 5)
    assert (found["cam0_noise_adu"], found["cam1_noise_adu"]) == (2.5, 20.0)
    assert (found["cam0_frames"], found["cam1_frames"]) == (2, 1)
    assert (found["cam0_clusters_per_frame"], found["cam1_clusters_per_frame"]) == (0.0, 1.0)
    assert (found["cam0_defects"], found["cam1_defects"]) == (3, 40)
    assert set(found) == {f"cam{i}_{key}" for i in (0, 1) for key in CAMERA_FIGURES}
    alone = RunQuality(AnalyzerSettings())
    alone.add(make_rows(0))
    assert camera_figures(alone, {}, {}) == {}


def test_cygnos_selections_are_those_of_reco2sql():
    rows = make_rows(0, spots=(1e5, 1e5, 1e5, 1e5))
    rows["clusters"]["sc_rms"] = (7, 7, 5, 7)
    rows["clusters"]["sc_tgausssigma"] = (4, 4, 4, 2)
    rows["clusters"]["flags"] = (0, int(ClusterFlag.OUTSIDE), 0, 0)
    rows["clusters"]["sc_nhits"] = (2000, 20_000, 20_000, 20_000)
    rows["clusters"]["sc_size"] = 30_000
    rows["clusters"]["sc_length"] = (150, 2000, 2000, 500)
    rows["clusters"]["sc_width"] = (60, 20, 20, 20)
    rows["clusters"]["sc_nhits"][0] = 3500
    found = figures([rows])
    assert found["cygno_ly_clusters"] == 1
    assert found["cygno_ly_adu"] == pytest.approx(0.07513e5 - 1324.9)
    assert (found["cygno_alpha"], found["cygno_alpha_length_px"]) == (1, 150.0)
    assert (found["cygno_mu"], found["cygno_mu_yield_adu_per_px"]) == (2, 50.0)


def test_an_empty_run_has_figures_that_say_nothing():
    found = figures([])
    assert found["frames"] == found["clusters"] == 0
    assert found["noise_adu"] is None
    assert set(found) == {figure.key for figure in FIGURES}


def test_readings_of_slow_control_are_averaged_or_else_taken_from_the_odb():
    rows = make_rows(0)
    readings = [(0, 1, b"gas_pressure_mbar", 900.0), (0, 2, b"gas_pressure_mbar", 902.0)]
    rows["slow"] = np.array(
        readings, [("event", "u4"), ("time", "u4"), ("quantity", "S32"), ("value", "f4")]
    )
    quality = RunQuality(AnalyzerSettings())
    quality.add(rows)
    at_begin = {"gas_pressure_mbar": 1.0, "humidity_percent": 40.0}
    record = trigger_record({}, 7)
    found = figures_of(
        quality, quality.spectrum.fit(), record, at_begin, 0.3, None, {}, limits_of({}), {}
    )
    assert found["gas_pressure_mbar"] == 901.0
    assert found["gas_pressure_std_mbar"] == pytest.approx(math.sqrt(2))
    assert found["humidity_percent"] == 40.0
    assert found["hv_gem1_v"] is None


def test_several_frontends_are_added_up_and_other_runs_left_out():
    def record(run, read, live):
        return {"Run": {"Run number": run, "Triggers read": read, "Live time s": live,
                        "Dead time s": 1.0, "Events sent": 5}}  # fmt: skip

    equipment = {"Trigger00": record(7, 3, 9.0), "Trigger01": record(7, 4, 8.0)}
    equipment |= {"Trigger02": record(6, 100, 1.0), "TriggerModule": {"Run": 3}}
    found = trigger_record({"Equipment": equipment}, 7)
    assert found.counts == {"triggers_read": 7}
    assert (found.events_sent, found.live_time_s) == (10, 8.0)


# parts -----------------------------------------------------------------------------------------


def some_events(count):
    random = np.random.default_rng(5)
    for index in range(count):
        if index % 11 == 10:
            yield bad_event(index)
            continue
        spots = random.normal(12_300, 900, random.poisson(2)).astype(np.float32)
        yield make_rows(
            index,
            camera=index % 2,
            light=float(random.normal(3e4, 1e4)),
            noise=random.normal(2.4, 0.1),
            image_mean=random.normal(100, 1),
            spots=tuple(spots.tolist()),
            waveforms=[(c, random.normal(3, 0.2), random.exponential(30)) for c in range(6)],
        )


@pytest.mark.parametrize("cuts", [(0, 60), (17,), (1, 2, 30, 59)])
def test_parts_merge_to_what_the_whole_is(cuts):
    events = list(some_events(60))
    whole = RunQuality(AnalyzerSettings())
    for rows in events:
        whole.add(rows)
    merged = RunQuality(AnalyzerSettings())
    for begin, end in zip((0, *cuts), (*cuts, 60), strict=True):
        part = RunQuality(AnalyzerSettings())
        for rows in reversed(events[begin:end]):  # nor does the order count
            part.add(rows)
        merged.merge(part)
    args = (whole.spectrum.fit(), trigger_record({}, 7), {}, 0.3, 10.0, {}, limits_of({}), {})
    fit = merged.spectrum.fit()
    assert fit.mean == args[0].mean
    assert figures_of(merged, fit, *args[1:]) == figures_of(whole, *args)
    assert merged.spectrum.counts.tolist() == whole.spectrum.counts.tolist()


@given(st.lists(st.floats(-1e9, 1e9, width=32), max_size=30), st.randoms())
def test_moments_are_exact_in_any_order(values, random):
    one, other = Moments(), Moments()
    for value in values:
        one.add(value)
    random.shuffle(values)
    for value in values:
        other.add(value)
    assert one == other
    if len(values) > 1:
        assert one.mean == pytest.approx(np.mean(values), rel=1e-9, abs=1e-5)
        assert one.sigma == pytest.approx(
            np.std(values, ddof=1), rel=1e-4, abs=1e-4 * max(map(abs, values)) + 1e-5
        )
