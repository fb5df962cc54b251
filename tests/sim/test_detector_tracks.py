"""Particles: numbers as measured by CYGNO, and events that depend on nothing but their name."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.detector.event import EDGE_NS, TRIGGER_THRESHOLD_ADU, Run, View, make_event
from sim.detector.randomness import key_of, stream
from sim.detector.sensor import MODELS, sensor_model
from sim.detector.tracks import DRIFT_MM, KINDS, Kind, Rates, Track, make_track

DARK = {"iron": 0, "alpha": 0, "muon": 0, "recoil": 0, "dark": 0}


def make_many(kind: Kind, count: int = 400) -> list[Track]:
    random = stream("test", kind)
    return [make_track(kind, MODELS["fusion"], random, 5) for _ in range(count)]


def a_run(exposure_ns: int = 300_000_000, period_ns: int = 500_000_000, **rates: float) -> Run:
    view = View(0, sensor_model("512x512"), Rates(**{**DARK, **rates}))
    return Run(7, 1, (view,), exposure_ns, period_ns)


def test_iron_has_its_light_and_resolution() -> None:
    tracks = [track for track in make_many("iron", 3000) if 200 < track.z_mm[0] < 300]
    light = np.array([track.total_light_adu for track in tracks])
    assert light.mean() == pytest.approx(12_300, rel=0.03)
    assert 0.08 < light.std() / light.mean() < 0.16


def test_iron_spots_get_wider_with_drift() -> None:
    near, far = [], []
    for track in make_many("iron"):
        (near if track.z_mm[0] < 60 else far).append(track.spreads_pixels[0])
    assert 2.3 <= min(near) < 3.5
    assert 5.0 < max(far) < 6.5


def test_alphas_are_long_dense_and_bright() -> None:
    tracks = make_many("alpha")
    light = np.array([track.total_light_adu for track in tracks])
    assert 2.5e5 < np.percentile(light, 5) < np.percentile(light, 95) < 1.5e6
    assert all(25 < track.length_mm < 65 for track in tracks)
    widths = [track.spreads_pixels.mean() for track in tracks]
    assert 9 < min(widths) < max(widths) < 30


def test_muons_are_long_and_thin() -> None:
    densities = []
    for track in make_many("muon"):
        assert track.length_mm > 100
        assert track.spreads_pixels.max() < 7
        across = np.hypot(np.ptp(track.rows), np.ptp(track.columns))
        if across > 1000:  # CYGNO's cut on muons: long, and less than 9 ADU a pixel
            densities.append(track.total_light_adu / (across * 4 * track.spreads_pixels.mean()))
    assert len(densities) > 100
    assert np.percentile(densities, 90) < 9


def test_recoils_are_short_and_below_sixty_kev() -> None:
    for track in make_many("recoil"):
        assert track.length_mm < 2.5
        assert 5 <= track.energy_kev <= 60
        assert track.total_light_adu > 0


@pytest.mark.parametrize("kind", KINDS)
def test_no_track_leaves_the_gas_along_the_drift(kind: Kind) -> None:
    for track in make_many(kind):
        assert track.z_mm.min() >= 0
        assert track.z_mm.max() <= DRIFT_MM
        assert len(track.rows) == len(track.columns) == len(track.z_mm) == len(track.light_adu)


@given(frame=st.integers(0, 10_000), run=st.integers(0, 10**6), seed=st.integers(0, 2**40))
def test_an_event_depends_on_seed_run_and_frame_alone(frame: int, run: int, seed: int) -> None:
    model = sensor_model("64x64")
    plan = Run(seed, run, (View(0, model, Rates()),), 10_000_000, 10_000_000)
    first = make_event(plan, frame)
    make_event.cache_clear()
    make_event(plan, frame + 1)
    again = make_event(plan, frame)
    assert again is not first
    assert [t.time_ns for t in again.triggers] == [t.time_ns for t in first.triggers]
    for a, b in zip(again.tracks[0], first.tracks[0], strict=True):
        assert np.array_equal(a.light_adu, b.light_adu)
        assert np.array_equal(a.rows, b.rows)


@pytest.mark.parametrize("kind", KINDS)
def test_rates_are_means_for_one_exposure(kind: Kind) -> None:
    run = a_run(**{kind: 1.5})
    counts = [len(make_event(run, frame).tracks[0]) for frame in range(400)]
    assert np.mean(counts) == pytest.approx(1.5, abs=5 * np.sqrt(1.5 / 400))
    assert {t.kind for frame in range(50) for t in make_event(run, frame).tracks[0]} == {kind}


def test_light_is_in_the_exposure_and_triggers_are_in_the_period() -> None:
    run = a_run(iron=3, dark=1)
    after_exposure = 0
    for frame in range(100):
        event = make_event(run, frame)
        assert all(EDGE_NS <= t.time_ns < run.exposure_ns - EDGE_NS for t in event.tracks[0])
        times = [trigger.time_ns for trigger in event.triggers]
        assert times == sorted(times)
        assert all(EDGE_NS <= time < run.period_ns - EDGE_NS for time in times)
        assert all(b - a >= run.veto_ns for a, b in pairwise(times))
        after_exposure += sum(time >= run.exposure_ns for time in times)
    # 3 irons in 300 ms are 2 in the 200 ms between exposures; dark ones come beside.
    assert 140 < after_exposure < 340


def test_each_bright_track_triggers_once() -> None:
    run = a_run(iron=2, recoil=1)
    for frame in range(50):
        event = make_event(run, frame)
        bright = [t for t in event.tracks[0] if t.total_light_adu >= TRIGGER_THRESHOLD_ADU]
        triggering = [trigger.track for trigger in event.triggers]
        missing = [track for track in bright if triggering.count(track) != 1]
        # Only a veto can take one away.
        for track in missing:
            distances = [abs(track.time_ns - t.time_ns) for t in event.triggers]
            assert min(distances) < run.veto_ns


def test_a_second_camera_sees_other_particles_and_its_pmts_trigger_too() -> None:
    model = sensor_model("64x64")
    views = tuple(View(index, model, Rates(**{**DARK, "iron": 3})) for index in (0, 1))
    both = Run(1, 1, views, 10_000_000, 10_000_000)
    alone = Run(1, 1, views[:1], 10_000_000, 10_000_000)
    event = make_event(both, 0)
    first, second = ([track.time_ns for track in tracks] for tracks in event.tracks)
    assert first == [track.time_ns for track in make_event(alone, 0).tracks[0]]
    assert first != second
    seen = {trigger.view for frame in range(10) for trigger in make_event(both, frame).triggers}
    assert seen == {0, 1}


def test_keys_differ_with_every_part_of_their_path() -> None:
    base: tuple[int | str, ...] = (1, "a", 2)
    paths = [base, (1, "a", 3), (1, "b", 2), (2, "a", 2), (1, "a"), (*base, 0), (12, "a")]
    assert len({int(key_of(*path)) for path in paths}) == len(paths)
