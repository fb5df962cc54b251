"""Triggers of all boards stand on one clock, with what the PMTs saw together."""

import numpy as np
import pytest

from analyzer.analysis import RunAnalysis
from analyzer.conditions import RunConditions
from analyzer.dtypes import EventFlag, TriggerFlag
from analyzer.levels import prepare_levels
from analyzer.settings import AnalyzerSettings
from analyzer.waveforms import FrameTime, WaveformAnalysis
from rawdata.build import EventBuilder
from rawdata.event import BankFormat, parse_event
from rawdata.layouts import camera, digitizer, times
from rawdata.layouts.digitizer import BoardHeader, DigitizerHeader, dc_offset_words
from rawdata.tid import Tid
from tests.analyzer.run_making import make_event
from tests.analyzer.scenes import make_scene

TICK_NS = 8.5
SAMPLES = 400


def board(tags, model=1720, high=None, channels=6):
    count = len(tags)
    return BoardHeader(
        model,
        SAMPLES,
        channels,
        4096,
        1000 if model == 1742 else 250,
        dc_offset_words([0.0] * channels),
        np.array(tags, np.uint32),
        None if high is None else np.array(high, np.uint32),
        np.zeros(count, np.uint32) if model == 1742 else None,
    )


def flat(header):
    return np.full((header.triggers, header.channels, header.samples), 3000, np.uint16)


def triggers_of(*boards, waveforms=None, time=None, exposure_s=0.3, **changes):
    settings = AnalyzerSettings().model_copy(update=changes)
    analysis = WaveformAnalysis(settings, exposure_s)
    waves = waveforms or [flat(header) for header in boards]
    rows, pulses, triggers = analysis.analyze(
        DigitizerHeader("A", boards), waves, time or FrameTime()
    )
    return triggers, rows, pulses


def ticks(time_ms):
    return round(time_ms * 1e6 / TICK_NS)


def test_tags_that_begin_with_the_frame_are_times_in_it():
    inside, partly = TriggerFlag.INSIDE_EXPOSURE, TriggerFlag.PARTLY_EXPOSED
    times_ms = [0.1, 179.9, 180.1, 299.9, 300.1, 479.9, 480.1]
    triggers, _, _ = triggers_of(board([ticks(t) for t in times_ms]))
    np.testing.assert_allclose(triggers["frame_time"], times_ms, atol=1e-5)
    assert np.isnan(triggers["time"]).all()
    assert triggers["flags"].tolist() == [partly, partly, inside, inside, partly, partly, 0]
    assert triggers["trigger"].tolist() == list(range(7))
    global_shutter, _, _ = triggers_of(board([ticks(0.1), ticks(300.1)]), readout_ms=0.0)
    assert global_shutter["flags"].tolist() == [inside, 0]


@pytest.mark.parametrize(("model", "bits"), [(1742, 30), (1720, 31)])
@pytest.mark.parametrize("begin_s", [0.5, 8.9, 9.2, 17.9, 18.3, 100.0, 3600.0])
def test_a_tag_that_rolled_over_gets_its_place_in_the_run(model, bits, begin_s):
    since_ms = 200.0
    tag = ticks(begin_s * 1e3 + since_ms)
    overflow = 1 << 31 if model == 1720 and tag >> bits else 0
    header = board([tag % (1 << bits) | overflow], model)
    time = FrameTime(begin_s * 1e9, begin_s * 1e9, has_times=True)
    (trigger,), _, _ = triggers_of(header, time=time)
    assert trigger["time"] == pytest.approx(begin_s + since_ms / 1e3, abs=1e-8)
    assert trigger["frame_time"] == pytest.approx(since_ms, abs=1e-4)
    assert trigger["flags"] & TriggerFlag.INSIDE_EXPOSURE
    about = FrameTime(expected_ns=(begin_s + 0.9) * 1e9)
    (trigger,), _, _ = triggers_of(header, time=about, trigger_clock="run")
    assert trigger["time"] == pytest.approx(begin_s + since_ms / 1e3, abs=1e-8)
    assert np.isnan(trigger["frame_time"])


def test_extended_tags_need_nobody_to_tell():
    tag = ticks(7_200_000.0)
    fast = board([tag & 0x3FFFFFFF], 1742, [tag >> 30])
    slow = board([tag & 0xFFFFFFFF], 1720, [tag >> 32])
    (trigger,), _, _ = triggers_of(fast, slow, trigger_clock="run")
    assert trigger["time"] == pytest.approx(7200, abs=1e-7)
    assert (trigger["time_tag_0"], trigger["time_tag_1"]) == (tag, tag)
    assert trigger["boards"] == 0b11


def test_boards_with_different_triggers_are_matched_by_time():
    fast = board([1000, 50_000, 90_000], 1742)
    slow = board([50_005, 200_000], 1720)
    triggers, rows, _ = triggers_of(fast, slow)
    assert triggers["time_tag_0"].tolist() == [1000, 50_000, 90_000, 0]
    assert triggers["time_tag_1"].tolist() == [0, 50_005, 0, 200_000]
    assert triggers["boards"].tolist() == [1, 3, 1, 2]
    assert triggers["board"].tolist() == [0, 0, 0, 1]
    alone = (triggers["flags"] & TriggerFlag.NOT_ON_ALL_BOARDS) > 0
    assert alone.tolist() == [True, False, True, True]
    slow_rows = rows[rows["board"] == 1]
    assert sorted(set(slow_rows["trigger"].tolist())) == [1, 3]


def test_pmts_are_summed_and_counted_in_coincidence():
    header = board([ticks(200)], 1742)
    waves = flat(header)
    for channel, place in ((0, 200), (1, 240), (2, 250), (3, 255), (4, 350)):
        waves[0, channel, place : place + 20] -= 100 * (channel + 1)
    triggers, rows, pulses = triggers_of(header, waveforms=[waves], coincidence_ns=30.0)
    (trigger,) = triggers
    assert trigger["pmts"] == 3
    assert trigger["pulse_time"] == pytest.approx(250, abs=2)
    assert trigger["amplitude"] == pytest.approx(500 * 1000 / 4096)
    pmts = (rows["channel"] >= 1) & (rows["channel"] <= 4)
    assert trigger["charge"] == pytest.approx(rows["charge"][pmts].sum())
    assert trigger["charge"] == pytest.approx(1400 * 20 * 1000 / 4096 / 50, rel=1e-5)
    of_pmts = (pulses["channel"] >= 1) & (pulses["channel"] <= 4)
    assert trigger["pulse_charge"] == pytest.approx(pulses["charge"][of_pmts].sum())
    assert trigger["tot"] == 20
    (wide,), _, _ = triggers_of(header, waveforms=[waves], coincidence_ns=200.0)
    assert wide["pmts"] == 4
    (other,), _, _ = triggers_of(header, waveforms=[waves], pmt_channels=(3, 4, 5, 63, 64))
    assert other["pmts"] == 2


def test_light_too_faint_for_each_pmt_shows_in_their_sum():
    random = np.random.default_rng(4)
    header = board([ticks(200)], 1742)
    waves = flat(header).astype(np.float64)
    waves += random.normal(0, 3, waves.shape)
    waves[0, 1:5, 250:270] -= 11
    waves = np.rint(waves).astype(np.uint16)
    triggers, rows, _ = triggers_of(header, waveforms=[waves], pulse_prominence=0.5)
    (trigger,) = triggers
    millivolts = 1000 / 4096
    assert (rows["n_pulses"] == 0).all()
    assert trigger["sum_pulses"] == 1
    assert trigger["sum_tot"] >= 10
    assert trigger["sum_noise"] == pytest.approx(2 * 3 * millivolts, rel=0.25)
    assert trigger["sum_amplitude"] == pytest.approx(44 * millivolts, rel=0.4)
    assert len(rows) == 6
    (none,), _, _ = triggers_of(header, waveforms=[waves], pmt_channels=())
    assert (none["sum_pulses"], none["sum_amplitude"]) == (0, 0)


def test_a_pmt_at_the_end_of_the_range_flags_its_trigger():
    header = board([ticks(200)])
    waves = flat(header)
    waves[0, 0, 100] = 4095
    assert not triggers_of(header, waveforms=[waves])[0]["flags"][0] & TriggerFlag.SATURATED
    waves[0, 1, 100] = 0
    assert triggers_of(header, waveforms=[waves])[0]["flags"][0] & TriggerFlag.SATURATED


def event_with_banks(samples, header, frame, tsp_ns=None, timestamp=1_700_000_007):
    builder = EventBuilder(memoryview(bytearray(200_000)), 1, BankFormat.BANK32)
    camera.encode_frame(builder, frame, 0)
    if tsp_ns is not None:
        times.encode_tsp(builder, tsp_ns, 0)
    if samples is not None:
        builder.add(digitizer.SAMPLES_BANK, Tid.WORD, samples)
    if header is not None:
        builder.add(digitizer.HEADER_BANK, Tid.DWORD, digitizer.encode_header(header))
    return parse_event(builder.finish(0, timestamp))


@pytest.fixture
def analysis():
    scene = make_scene((64, 64))
    settings = AnalyzerSettings()
    made = RunAnalysis(RunConditions(5, exposure_s=0.3, begin_time=1_700_000_000), settings)
    made.set_pedestal(0, prepare_levels(scene.pedestal, settings))
    return made, scene.frame()


def test_the_cameras_time_tells_where_in_the_run_a_frame_was(analysis):
    run, frame = analysis
    tag = ticks(25_200.0)
    header = DigitizerHeader("A", (board([tag % (1 << 30)], 1742),))
    samples = flat(header.boards[0]).ravel()
    event = event_with_banks(samples, header, frame, 25_000_000_000)
    rows = run.analyze(event, 3).rows
    assert rows["triggers"]["time"][0] == pytest.approx(25.2, abs=1e-7)
    assert rows["triggers"]["frame_time"][0] == pytest.approx(200, abs=1e-3)
    assert rows["triggers"]["event"].tolist() == [3]
    assert rows["events"]["triggers"][0] == rows["events"]["triggers_inside"][0] == 1
    elsewhere = run.analyze(event_with_banks(samples, header, frame), 3).rows
    assert np.isnan(elsewhere["triggers"]["time"][0])


def test_boards_whose_samples_are_there_are_analyzed_in_spite_of_the_others(analysis):
    run, frame = analysis
    header = DigitizerHeader("A", (board([1000], 1742), board([1005], 1720)))
    samples = np.concatenate([flat(b).ravel() for b in header.boards])
    whole = run.analyze(event_with_banks(samples, header, frame), 0)
    assert not whole.problems
    cut = run.analyze(event_with_banks(samples[:-100], header, frame), 0)
    assert sorted(set(cut.rows["waveforms"]["board"].tolist())) == [0]
    assert cut.rows["events"]["flags"][0] == EventFlag.BAD_DIGITIZER
    (problem,) = cut.problems
    assert "DIG0 holds 4700 samples, DGH0 speaks of 4800" in problem
    assert "boards left out: 1 (model 1720)" in problem
    more = run.analyze(event_with_banks(np.append(samples, samples[:3]), header, frame), 0)
    assert len(more.rows["waveforms"]) == 12
    assert "the rest is left out" in more.problems[0]


@pytest.mark.parametrize(
    ("has_samples", "has_header", "text"),
    [(True, False, "DGH0"), (False, True, "DIG0")],
)
def test_a_missing_bank_is_named_and_the_frame_analyzed(analysis, has_samples, has_header, text):
    run, frame = analysis
    header = DigitizerHeader("A", (board([1000]),))
    samples = flat(header.boards[0]).ravel()
    event = event_with_banks(
        samples if has_samples else None, header if has_header else None, frame
    )
    result = run.analyze(event, 0)
    (problem,) = result.problems
    assert text in problem
    assert result.rows["events"]["flags"][0] == EventFlag.BAD_DIGITIZER
    assert result.rows["events"]["noise"][0] > 2
    assert not len(result.rows["triggers"])


def test_events_without_digitizer_have_no_triggers(analysis):
    run, frame = analysis
    result = run.analyze(make_event(0, {0: frame}), 0)
    assert not result.problems
    assert not len(result.rows["triggers"])
