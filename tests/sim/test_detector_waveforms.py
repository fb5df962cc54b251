"""Waveforms: what the offline correction takes away was added, pulses follow the light."""

import numpy as np
import pytest

from sim.detector.event import Run, Trigger, View, make_event
from sim.detector.sensor import sensor_model
from sim.detector.tracks import Kind, Rates
from sim.detector.waveforms import (
    BOARDS,
    PMT_PLACES,
    Recording,
    drs4_pattern,
    expected_photoelectrons,
    record,
    start_cell,
)

OFFSETS = {"V1742": (-0.5, *(-0.3,) * 7, *(0.0,) * 24), "V1720E": (-0.45, *(0.0,) * 7)}


def a_run(kind: Kind, mean: float = 1.0) -> Run:
    rates = {"iron": 0, "alpha": 0, "muon": 0, "recoil": 0, "dark": 0, kind: mean}
    return Run(1, 1, (View(0, sensor_model("512x512"), Rates(**rates)),), 10_000_000, 10_000_000)


def a_recording(model: str, **changes: object) -> Recording:
    board = BOARDS[model]
    samples, period = (1024, 1.333) if board.has_drs4 else (4000, 4.0)
    defaults: dict[str, object] = {
        "board": board, "specimen": 0, "samples": samples, "period_ns": period,
        "post_trigger_percent": 60, "offsets": OFFSETS[model], "has_pattern": board.has_drs4,
    }  # fmt: skip
    return Recording(**{**defaults, **changes})  # type: ignore[arg-type]


def recorded(recording: Recording, run: Run, frame: int, trigger: Trigger) -> np.ndarray:
    waveforms = np.empty((recording.board.channels, recording.samples), np.uint16)
    record(waveforms, recording, run, frame, trigger)
    return waveforms


def triggers(run: Run, frames: int = 20) -> list[tuple[int, Trigger]]:
    return [(n, trigger) for n in range(frames) for trigger in make_event(run, n).triggers]


def correct(waveforms: np.ndarray, cell: int) -> np.ndarray:
    """Correct as CYGNO's ``correct_waveforms`` does: cells from the start cell on, then samples."""
    cells, samples = drs4_pattern()
    order = (np.arange(1024) + cell) % 1024
    return waveforms[:8] - cells[:, order] - samples


def test_correction_leaves_flat_baselines_and_only_with_the_right_start_cell() -> None:
    run, recording = a_run("iron"), a_recording("V1742")
    for frame, trigger in triggers(run)[:10]:
        raw = recorded(recording, run, frame, trigger)
        cell = start_cell(recording, run, frame, trigger)
        flat = correct(raw, cell)[1:8, :190]
        assert flat.std(axis=1).max() < 3.0
        assert np.all((flat.mean(axis=1) > 3815) & (flat.mean(axis=1) < 3885))
        assert raw[1:8, :190].std(axis=1).min() > 10
        assert correct(raw, cell + 1)[1:8, :190].std(axis=1).min() > 10


def test_no_pattern_if_the_vendor_library_corrects() -> None:
    run = a_run("iron")
    frame, trigger = triggers(run)[0]
    raw = recorded(a_recording("V1742", has_pattern=False), run, frame, trigger)
    assert raw[1:, :190].std(axis=1).max() < 3.0


def test_start_cells_cover_the_ring_and_are_zero_on_other_boards() -> None:
    run = a_run("iron", 5)
    cells = [start_cell(a_recording("V1742"), run, n, t) for n, t in triggers(run, 100)]
    assert min(cells) < 30
    assert max(cells) > 993
    assert np.mean(cells) == pytest.approx(511.5, abs=5 * 296 / np.sqrt(len(cells)))
    assert {start_cell(a_recording("V1720E"), run, n, t) for n, t in triggers(run, 5)} == {0}


def test_channel_zero_has_the_trigger() -> None:
    run = a_run("iron")
    frame, trigger = triggers(run)[0]
    fast = recorded(a_recording("V1742"), run, frame, trigger)[0]
    assert np.median(fast[:250]) == 4095
    assert fast[300:380].mean() == pytest.approx(2150, abs=60)
    assert np.median(fast[420:]) == 4095
    slow = recorded(a_recording("V1720E"), run, frame, trigger)[0]
    assert 1555 < int(np.argmin(slow)) < 1600


@pytest.mark.parametrize(("model", "begin"), [("V1742", 210), ("V1720E", 1534)])
def test_pulses_begin_before_the_trigger_and_go_down(model: str, begin: int) -> None:
    run, recording = a_run("alpha", 2), a_recording(model)
    for frame, trigger in triggers(run)[:6]:
        raw = recorded(recording, run, frame, trigger)
        flat = correct(raw, start_cell(recording, run, frame, trigger)) if model == "V1742" else raw
        signal = flat[1:5] - flat[1:5, : begin - 20].mean(axis=1, keepdims=True)
        assert np.abs(signal[:, : begin - 20]).max() < 20
        assert signal.min() < -60
        assert begin < int(signal.sum(axis=0).argmin()) < begin + 650


def test_charge_follows_photoelectrons() -> None:
    run, recording = a_run("iron", 2), a_recording("V1742", has_pattern=False)
    charges, means = [], []
    for frame, trigger in triggers(run, 60):
        flat = recorded(recording, run, frame, trigger)[1:5].astype(float)
        flat -= flat[:, :190].mean(axis=1, keepdims=True)
        charges.append(-flat[:, 200:600].sum(axis=1))
        means.append(expected_photoelectrons(trigger, run.views[0].model))
    charge, mean = np.concatenate(charges), np.concatenate(means)
    assert np.corrcoef(charge, mean)[0, 1] > 0.95
    # 5.1 mV ns of 1000 mV / 4096 and 1.333 ns
    assert (charge @ mean) / (mean @ mean) == pytest.approx(5.1 * 4.096 / 1.333, rel=0.05)


def test_the_nearest_pmt_sees_most() -> None:
    run = a_run("iron")
    gains = np.array([1.0, 0.92, 1.07, 0.97])
    for _, trigger in triggers(run, 40):
        assert trigger.track is not None
        row, column = trigger.track.rows[0] / 512, trigger.track.columns[0] / 512
        distance = [np.hypot(row - r, column - c) for r, c in PMT_PLACES]
        seen = expected_photoelectrons(trigger, run.views[0].model) / gains
        assert np.argmax(seen) == np.argmin(distance)


def test_both_boards_see_the_same_photoelectrons() -> None:
    run = a_run("alpha", 2)
    fast = a_recording("V1742", has_pattern=False)
    for frame, trigger in triggers(run)[:6]:
        a = recorded(fast, run, frame, trigger)[1:5].astype(float)
        b = recorded(a_recording("V1720E"), run, frame, trigger)[1:5].astype(float)
        a -= a[:, :190].mean(axis=1, keepdims=True)
        b -= b[:, :1400].mean(axis=1, keepdims=True)
        # the V1742 sees the first 814 samples, 1.085 us, which are 271 of the V1720E
        charge_a, charge_b = a[:, 210:].sum(axis=1) * 1.333, b[:, 1533:1804].sum(axis=1) * 4
        assert charge_b.sum() / charge_a.sum() == pytest.approx(0.2, rel=0.05)


def test_samples_stay_in_twelve_bits() -> None:
    run = a_run("alpha", 3)
    for model in BOARDS:
        for frame, trigger in triggers(run)[:10]:
            assert recorded(a_recording(model), run, frame, trigger).max() <= 4095


def test_a_dark_trigger_is_small() -> None:
    run = a_run("iron", 0)
    dark = Trigger(0, 5_000_000, 0, None, 1500.0)
    raw = recorded(a_recording("V1742", has_pattern=False), run, 0, dark)
    assert raw[1:5].min() > 3700
