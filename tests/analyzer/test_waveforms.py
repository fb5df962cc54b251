"""Waveforms have their baseline, noise, amplitude and charge; DRS4 patterns go."""

import numpy as np
import pytest

from analyzer.drs4 import make_tables, own_tables, read_tables
from analyzer.dtypes import WaveformFlag
from analyzer.errors import AnalyzerError
from analyzer.kernels.waveform import SCALE
from analyzer.settings import AnalyzerSettings
from analyzer.waveforms import WaveformAnalysis
from rawdata.layouts.digitizer import BoardHeader, DigitizerHeader, dc_offset_words

SETTINGS = AnalyzerSettings()


def board(model, samples, channels, triggers, offset=-0.3, cell=100):
    return BoardHeader(
        model,
        samples,
        channels,
        4096,
        1333 if model == 1742 else 250,
        dc_offset_words([offset] * channels),
        np.arange(triggers, dtype=np.uint32) * 1000,
        start_cells=np.full(triggers, cell, np.uint32) if model == 1742 else None,
    )


def analyze(header, waveforms, tables=None, *, exposure_s=0.3, time=None, **settings):
    """Return rows of waveforms, pulses and triggers."""
    chosen = SETTINGS.model_copy(update=settings)
    analysis = WaveformAnalysis(chosen, exposure_s, tables)
    return analysis.analyze(header, waveforms, *([time] if time else []))


def pulse(samples, begin, height, width):
    wave = np.zeros(samples)
    wave[begin : begin + width] = height
    return wave


def test_each_waveform_of_each_board_and_trigger_has_its_row():
    random = np.random.default_rng(1)
    header = DigitizerHeader("A", (board(1742, 1024, 3, 2), board(1720, 4000, 2, 1)))
    fast = np.rint(random.normal(3850, 2, (2, 3, 1024))).astype(np.uint16)
    slow = np.rint(random.normal(2100, 1.5, (1, 2, 4000))).astype(np.uint16)
    fast[1, 2] -= pulse(1024, 300, 100, 50).astype(np.uint16)
    slow[0, 1] -= pulse(4000, 1600, 40, 25).astype(np.uint16)
    rows, _, _ = analyze(header, [fast, slow])
    assert [tuple(r) for r in rows[["board", "model", "trigger", "channel"]].tolist()] == [
        *((0, 1742, trigger, channel) for trigger in range(2) for channel in range(3)),
        *((1, 1720, 0, channel) for channel in range(2)),
    ]
    assert rows["time_tag"].tolist() == [0, 0, 0, 1000, 1000, 1000, 0, 0]
    np.testing.assert_allclose(rows["baseline"][:6], 3850, atol=1)
    np.testing.assert_allclose(rows["noise"][:6], 2, rtol=0.3)
    np.testing.assert_allclose(rows["baseline"][6:], 2100, atol=0.5)
    assert rows["amplitude"][5] == pytest.approx(104, abs=5)
    assert 300 <= rows["peak_sample"][5] < 350
    # 100 counts of 1000/4096 mV for 50 samples of 1.333 ns at 50 ohm; noise of the baseline
    assert rows["charge"][5] == pytest.approx(100 * 1000 / 4096 * 50 * 1.333 / 50, abs=4)
    assert rows["charge"][7] == pytest.approx(40 * 2000 / 4096 * 25 * 4 / 50, abs=25)
    assert rows["sampling_ns"].tolist() == pytest.approx([1.333] * 6 + [4.0] * 2)
    assert not rows["flags"].any()


def test_samples_at_the_end_of_the_range_are_flagged():
    header = DigitizerHeader("A", (board(1720, 100, 3, 1),))
    waves = np.full((1, 3, 100), 2000, np.uint16)
    waves[0, 0, 60] = 4095
    waves[0, 1, 60] = 0
    rows, _, _ = analyze(header, [waves])
    assert rows["flags"].tolist() == [WaveformFlag.SATURATED, WaveformFlag.SATURATED, 0]


@pytest.mark.parametrize("triggers", [0, 1])
def test_boards_without_triggers_and_short_waveforms_are_no_trouble(triggers):
    header = DigitizerHeader("A", (board(1742, 3, 2, triggers),))
    rows, _, _ = analyze(header, [np.full((triggers, 2, 3), 9, np.uint16)])
    assert rows["baseline"].tolist() == [9.0, 9.0] * triggers


def test_drs4_pattern_is_taken_out_of_the_channels_it_is_known_for():
    random = np.random.default_rng(2)
    cells = np.rint(random.normal(0, 31, (8, 1024))).astype(np.float32)
    samples = random.normal(0, 1.4, (8, 1024)).astype(np.float32)
    start_cell = 700
    pattern = cells[:, (np.arange(1024) + start_cell) % 1024] + samples
    waves = np.rint(random.normal(3850, 2, (1, 10, 1024)))
    waves[0, :8] += np.rint(pattern)
    waves[0, :8, 500] -= 60
    header = DigitizerHeader("A", (board(1742, 1024, 10, 1, cell=start_cell),))
    header.boards[0].dc_offsets[7] = dc_offset_words([0.0])[0]
    waves = waves.astype(np.uint16)
    rows, _, _ = analyze(header, [waves], make_tables(cells, samples))
    plain, _, _ = analyze(header, [waves])
    corrected = (rows["flags"] & WaveformFlag.DRS4_CORRECTED) > 0
    assert corrected.tolist() == [True] * 7 + [False] * 3
    np.testing.assert_allclose(rows["noise"][:7], 2, rtol=0.3)
    assert (rows["amplitude"][:7] < 15).all()
    assert (plain["noise"][:8] > 20).all()
    assert (rows[7:] == plain[7:]).all()


def test_tables_of_another_board_change_nothing():
    random = np.random.default_rng(3)
    cells = np.rint(random.normal(0, 31, (8, 1024)))
    waves = np.rint(random.normal(3850, 2, (1, 8, 1024))).astype(np.uint16)
    header = DigitizerHeader("A", (board(1742, 1024, 8, 1),))
    rows, _, _ = analyze(header, [waves], make_tables(cells, np.zeros((8, 1024))))
    plain, _, _ = analyze(header, [waves])
    assert not rows["flags"].any()
    assert (rows == plain).all()


def test_the_tables_of_lngs_come_along():
    assert own_tables("LNF") is None
    tables = own_tables("LNGS")
    assert 20 < tables.cell.std() / SCALE < 40


def test_tables_are_read_or_refused_in_words(tmp_path):
    with pytest.raises(AnalyzerError, match="table_cell_LNGS"):
        read_tables(tmp_path, "LNGS")
    np.save(tmp_path / "table_cell_LNGS.npy", np.zeros((8, 1024), np.int64))
    np.save(tmp_path / "table_nsample_LNGS.npy", np.zeros((8, 1000)))
    with pytest.raises(AnalyzerError, match="wanted"):
        read_tables(tmp_path, "LNGS")
    np.save(tmp_path / "table_nsample_LNGS.npy", np.ones((8, 1024)))
    tables = read_tables(tmp_path, "LNGS")
    assert tables.channels == 8
    assert tables.sample[3, 4] == SCALE


def test_real_tables_take_the_real_pattern_out_of_recorded_waveforms(recorded):
    from rawdata.layouts import digitizer
    from rawdata.runfile import RunFile

    tables = read_tables(recorded.parent / "real", "LNGS")
    with RunFile(recorded / "run01102.mid.lz4") as run:
        event = next(e for e in run if e.event_id == 1)
    header, waves = digitizer.decode(event)
    plain, _, _ = analyze(header, waves)
    rows, _, _ = analyze(header, waves, tables)
    chosen = (rows["flags"] & WaveformFlag.DRS4_CORRECTED) > 0
    assert np.count_nonzero(chosen) == 7
    shown = WaveformAnalysis(SETTINGS, tables=tables).correct(header.boards[0], waves[0])
    seen = shown[:, :, :100].std(axis=2)  # the samples that `noise` is measured in
    own = rows[rows["board"] == 0]
    np.testing.assert_allclose(seen[own["trigger"], own["channel"]], own["noise"], atol=0.2)
    assert (plain["noise"][chosen] > 15).all()
    assert (rows["noise"][chosen] < 4).all()


def test_pulses_of_an_event_have_times_and_charges():
    samples = np.full((1, 2, 600), 3000, np.uint16)
    samples[0, 1, 450:480] -= 400
    board = BoardHeader(1720, 600, 2, 4096, 250, np.zeros(2, np.uint32), np.zeros(1, np.uint32))
    rows, pulses, _ = analyze(DigitizerHeader("A", (board,)), [samples])
    assert rows["n_pulses"].tolist() == [0, 1]
    (pulse,) = pulses
    period_ns = board.sample_period_ns
    assert (pulse["board"], pulse["trigger"], pulse["channel"]) == (0, 0, 1)
    assert pulse["time"] == pytest.approx(464.5 * period_ns, abs=period_ns)
    assert pulse["half_width"] == pytest.approx(30 * period_ns, rel=0.05)
    assert pulse["height"] == pytest.approx(400)
    charge = 30 * 400 * 2000 / 4096 * period_ns / 50
    assert pulse["charge"] == pytest.approx(charge, rel=0.01)
    assert rows["tot"][1] == pytest.approx(30 * period_ns)
    assert rows["tot_charge"][1] == pytest.approx(charge)
