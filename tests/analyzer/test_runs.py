"""Runs are analyzed from their files: recorded ones against their truth, made ones with faults."""

import json

import numpy as np
import pytest

from analyzer.dtypes import EventFlag
from analyzer.errors import AnalyzerError, PedestalError, RunDataError
from analyzer.lookup import PedestalLookup
from analyzer.pedestal_files import pedestal_name, read_pedestals, write_pedestals
from analyzer.results import open_results
from analyzer.runs import analyze_run
from analyzer.settings import AnalyzerSettings
from experiment.settings import to_odb
from tests.analyzer.run_making import make_event, one_board, run_odb, write_run
from tests.analyzer.scenes import add_spot, make_scene


def analyze(source, folder, **options):
    """Analyze a run; return its summary, what was said, and its results."""
    said = []
    places = options.pop("places", [folder])
    summary = analyze_run(
        source,
        folder / (source.name.partition(".")[0] + ".reco.h5"),
        PedestalLookup(places, options.pop("given", None)),
        tell=lambda text, is_error: said.append((text, is_error)),
        **options,
    )
    with open_results(summary.output) as results:
        return summary, said, {name: results[name] for name in results}, results.attributes


# recorded runs ---------------------------------------------------------------------------------


def placed(truth_file, real=None):
    """Return for each event where light was placed: (x, y, integral), light-weighted if known."""
    events = []
    for event in json.loads(truth_file.read_text()):
        clusters = []
        for number, row, column, integral in event:
            dy = dx = 0.0
            if real is not None:
                pixels = np.load(real / f"cluster_{number}.npy")
                centre = np.average(pixels[:, :2], axis=0, weights=pixels[:, 2])
                dy, dx = centre - pixels[:, :2].mean(axis=0)
            clusters.append((column + dx, row + dy, integral))
        events.append(clusters)
    return events


def require_truth(results, truth, distance_px, light):
    """Every cluster that was placed is found, nothing else is, and the light adds up.

    The middle of a long track is as uncertain as 3 % of its length: noise at its far ends pulls.
    Clusters that were placed onto one another are one; then only their sum can be compared. Where
    they are told apart as tracks, what they share is shared roughly.
    """
    for index, wanted in enumerate(truth):
        found = results["clusters"][results["clusters"]["event"] == index]
        total = sum(integral for _, _, integral in wanted)
        assert found["sc_integral"].sum() == pytest.approx(total, rel=light)
        if len(found) == len(wanted):
            for x, y, integral in wanted:
                distance = np.hypot(found["sc_xmean"] - x, found["sc_ymean"] - y)
                nearest = found[distance.argmin()]
                assert distance.min() < distance_px + 0.03 * nearest["sc_length"]
                there = (found["sc_xmin"] < x) & (x < found["sc_xmax"])
                there &= (found["sc_ymin"] < y) & (y < found["sc_ymax"])
                share = 0.2 if there.sum() > 1 else 0
                assert nearest["sc_integral"] == pytest.approx(integral, rel=light + share)
        else:
            assert 0 < len(found) < len(wanted)
            for x, y, _ in wanted:
                inside = (found["sc_xmin"] - 8 <= x) & (x <= found["sc_xmax"] + 8)
                inside &= (found["sc_ymin"] - 8 <= y) & (y <= found["sc_ymax"] + 8)
                assert inside.any()


@pytest.mark.parametrize("name", ["run01104.mid", "run01105.mid.bz2"])
def test_recorded_runs_without_a_pedestal_run_give_what_was_placed(data, tmp_path, name):
    summary, said, results, attributes = analyze(data / name, tmp_path)
    assert summary.counts.analyzed == 4
    assert summary.has_end
    assert not summary.damage
    (text, is_error), *_ = said
    assert "estimated from event 0" in text
    assert not is_error
    assert (results["events"]["flags"] & EventFlag.FALLBACK_PEDESTAL).all()
    assert results["events"]["event"].tolist() == [0, 1, 2, 3]
    assert "estimated from event 0 of run 110" in attributes["pedestals"]
    truth = placed(data / f"truth_{name[3:8]}.json")
    require_truth(results, truth, distance_px=8, light=0.12)


@pytest.mark.parametrize("run", [1102, 1104, 1105])
def test_recorded_runs_with_their_pedestal_run_give_what_was_placed(recorded, tmp_path, run):
    pedestal_run = analyze(recorded / "run01101.mid.gz", tmp_path)
    assert pedestal_run[0].counts.clusters == 0
    assert pedestal_run[0].pedestal_file == tmp_path / pedestal_name(1101)
    source = next(p for p in sorted(recorded.glob(f"run{run:05d}.mid*")) if p.suffix != ".crc32c")
    _, _, results, attributes = analyze(source, tmp_path, workers=2)
    assert json.loads(attributes["pedestals"])["0"]["run"] == 1101
    assert not (results["events"]["flags"] & EventFlag.FALLBACK_PEDESTAL).any()
    truth = placed(recorded / f"truth_{run:05d}.json", recorded.parent / "real")
    require_truth(results, truth, distance_px=3, light=0.1)


def test_a_whole_frame_is_analyzed(recorded, tmp_path):
    _, _, results, _ = analyze(recorded / "run01103.mid.gz", tmp_path)
    truth = placed(recorded / "truth_01103.json", recorded.parent / "real")
    require_truth(results, truth, distance_px=4, light=0.08)


# what a run's results do not depend on ---------------------------------------------------------


def physics_run(folder, run=9, events=12, compress="none", odb=None):
    scene = make_scene((96, 96), seed=run)
    made = []
    for serial in range(events):
        light = scene.light()
        add_spot(light, 20 + 5 * serial, 48, 6000)
        waveforms = one_board(serial % 3) if serial % 2 else None
        made.append(make_event(serial, {0: scene.frame(light)}, waveforms))
    return scene, write_run(folder, run, made, odb, compress)


@pytest.mark.parametrize("workers", [2, 5])
def test_any_number_of_workers_gives_the_same_numbers(tmp_path, workers):
    _, source = physics_run(tmp_path)
    _, _, alone, _ = analyze(source, tmp_path / "one")
    _, _, many, _ = analyze(source, tmp_path / "many", workers=workers)
    for name, rows in alone.items():
        assert rows.tobytes() == many[name].tobytes()
    assert alone["events"]["frame_id"].tolist() == list(range(100, 112))
    assert alone["events"]["serial"].tolist() == list(range(12))
    assert alone["events"]["triggers"].tolist() == [0, 1, 0, 0, 0, 2, 0, 1, 0, 0, 0, 2]
    assert len(alone["waveforms"]) == 2 * 6


def test_compressed_files_give_the_same_numbers(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    _, plain = physics_run(tmp_path / "a")
    _, packed = physics_run(tmp_path / "b", compress="lz4")
    one, other = analyze(plain, tmp_path / "a")[2], analyze(packed, tmp_path / "b")[2]
    for name in one:
        assert one[name].tobytes() == other[name].tobytes()


def test_settings_are_those_of_the_run_unless_others_are_given(tmp_path):
    mine = AnalyzerSettings(min_neighbors_average=500.0)
    odb = run_odb(9) | {"Equipment": {"Analyzer": {"Settings": to_odb(mine)}}}
    _, source = physics_run(tmp_path, odb=odb)
    summary, _, _, attributes = analyze(source, tmp_path)
    assert summary.counts.clusters == 0
    assert json.loads(attributes["settings"])["min_neighbors_average"] == 500.0
    summary, _, _, _ = analyze(source, tmp_path, settings=AnalyzerSettings())
    assert summary.counts.clusters == 12


def test_settings_of_the_run_that_are_out_of_bounds_are_refused(tmp_path):
    odb = run_odb(9) | {"Equipment": {"Analyzer": {"Settings": {"nsigma": -1.0}}}}
    _, source = physics_run(tmp_path, odb=odb)
    with pytest.raises(AnalyzerError, match=r"nsigma is -1\.0"):
        analyze(source, tmp_path)


# pedestals -------------------------------------------------------------------------------------


def test_a_pedestal_run_makes_the_pedestal_of_later_runs(tmp_path):
    scene = make_scene((96, 96))
    dark = [make_event(serial, {0: scene.frame(), 1: scene.frame()}) for serial in range(20)]
    source = write_run(tmp_path, 8, dark, run_odb(8, Pedestal=True))
    summary, _, _, _ = analyze(source, tmp_path)
    assert summary.pedestal_file == tmp_path / pedestal_name(8)
    pedestals = read_pedestals(summary.pedestal_file)
    assert {camera: p.frames for camera, p in pedestals.items()} == {0: 20, 1: 20}
    _, physics = physics_run(tmp_path)
    _, _, results, attributes = analyze(physics, tmp_path)
    assert json.loads(attributes["pedestals"])["0"]["run"] == 8
    assert not results["events"]["flags"].any()


def test_a_pedestal_of_another_exposure_is_better_than_none_and_said(tmp_path):
    scene = make_scene((64, 64))
    dark = [make_event(n, {0: scene.frame()}) for n in range(20)]
    analyze(write_run(tmp_path, 8, dark, run_odb(8, Pedestal=True, Exposure=0.5)), tmp_path)
    frames = [make_event(n, {0: scene.frame()}) for n in range(2)]
    _, said, results, attributes = analyze(write_run(tmp_path, 9, frames), tmp_path)
    ((text, is_error),) = said
    assert "0.3 s) has that exposure: that of run 8, 0.5 s, is used" in text
    assert not is_error
    assert (results["events"]["flags"] == EventFlag.OTHER_EXPOSURE).all()
    assert json.loads(attributes["pedestals"])["0"]["run"] == 8


def test_a_pedestal_run_that_is_too_short_says_so(tmp_path):
    scene = make_scene((64, 64))
    dark = [make_event(serial, {0: scene.frame()}) for serial in range(4)]
    source = write_run(tmp_path, 8, dark, run_odb(8, Pedestal=True))
    summary, said, _, _ = analyze(source, tmp_path)
    assert summary.counts.analyzed == 4
    assert summary.pedestal_file is None
    assert any("4 frames, a pedestal needs at least 10" in text for text, _ in said)


def test_a_given_pedestal_is_used_or_refused(tmp_path):
    scene, source = physics_run(tmp_path)
    given = write_pedestals(tmp_path / "any.h5", {0: scene.pedestal})
    _, _, results, _ = analyze(source, tmp_path, given=given)
    assert not results["events"]["flags"].any()
    other = write_pedestals(tmp_path / "other.h5", {0: make_scene((32, 32)).pedestal})
    with pytest.raises(PedestalError, match="32x32 pixels, the run's frames 96x96"):
        analyze(source, tmp_path, given=other)
    assert not (tmp_path / "run00009.reco.h5.partial").exists()
    second = write_pedestals(tmp_path / "second.h5", {1: scene.pedestal})
    with pytest.raises(PedestalError, match="no pedestal of camera 0; it has: 1"):
        analyze(source, tmp_path, given=second)


# faults ----------------------------------------------------------------------------------------


def test_bad_events_are_flagged_and_told_and_the_rest_is_analyzed(tmp_path):
    scene = make_scene((96, 96))
    header, waves = one_board()
    words = np.arange(5, dtype=np.uint32)
    made = [
        make_event(0, {0: scene.frame()}, (header, waves)),
        make_event(1, None, (header, waves)),
        make_event(2, {0: scene.frame()[:64, :64]}),
        make_event(3, {0: scene.frame()}, None, {"DGH0": words, "DIG0": np.zeros(7, np.uint16)}),
        make_event(4, {0: scene.frame()}, None, {"DGH0": words}),
        make_event(5, {0: scene.frame(), 1: scene.frame()}),
        make_event(6, None, None, {"TCAM": words}, event_id=7),
        make_event(6, {0: scene.frame()[:50, :61]}),
        make_event(7, {0: scene.frame()}),
    ]
    summary, said, results, attributes = analyze(write_run(tmp_path, 9, made), tmp_path)
    assert summary.counts.seen == summary.counts.analyzed == 8
    assert summary.counts.troubled == attributes["events_troubled"] == 5
    events = results["events"]
    assert events["event"].tolist() == [0, 1, 2, 3, 4, 5, 5, 6, 7]
    assert events["camera"].tolist() == [0, 255, 0, 0, 0, 0, 1, 0, 0]
    fallback = EventFlag.FALLBACK_PEDESTAL
    assert [EventFlag(int(flags)) for flags in events["flags"]] == [
        fallback,
        EventFlag.NO_CAMERA,
        EventFlag.BAD_FRAME,
        fallback | EventFlag.BAD_DIGITIZER,
        fallback | EventFlag.BAD_DIGITIZER,
        fallback,
        fallback,
        EventFlag.BAD_FRAME,
        fallback,
    ]
    assert sorted(set(results["waveforms"]["event"])) == [0, 1]
    text = "\n".join(text for text, _ in said)
    assert "event 1: no camera bank; it has: DIG0 DGH0" in text
    assert "event 2: bank CAM0 holds 4096 pixels, not 96x96" in text
    assert "event 4: event 4 (id 1) has no bank DIG0" in text


def test_a_first_frame_of_unknown_shape_does_not_decide_for_the_run(tmp_path):
    scene = make_scene((96, 96))
    made = [make_event(0, {0: scene.frame()[:50, :61]}), make_event(1, {0: scene.frame()})]
    _, _, results, _ = analyze(write_run(tmp_path, 9, made), tmp_path)
    flags = [EventFlag(int(flags)) for flags in results["events"]["flags"]]
    assert flags == [EventFlag.BAD_FRAME, EventFlag.FALLBACK_PEDESTAL]


def test_frames_of_any_shape_are_analyzed_once_their_columns_are_said(tmp_path):
    scene = make_scene((60, 100))
    light = scene.light()
    add_spot(light, 70, 30, 8000)
    source = write_run(tmp_path, 9, [make_event(n, {0: scene.frame(light)}) for n in range(2)])
    summary, said, _, _ = analyze(source, tmp_path)
    assert summary.counts.troubled == 2
    assert "Frame columns" in said[0][0]
    _, _, results, _ = analyze(source, tmp_path, settings=AnalyzerSettings(frame_columns=100))
    assert [round(float(x)) for x in results["clusters"]["sc_xmean"]] == [70, 70]


def test_an_empty_run_gives_empty_results_and_says_so(tmp_path):
    summary, said, results, attributes = analyze(write_run(tmp_path, 9, []), tmp_path)
    assert summary.counts.seen == 0
    assert len(results["events"]) == 0
    assert attributes["complete"]
    assert any("no trigger events" in text for text, _ in said)


@pytest.mark.parametrize("keep", [0.3, 0.6, 0.999])
def test_a_truncated_file_gives_its_whole_events(tmp_path, keep):
    _, source = physics_run(tmp_path)
    whole = analyze(source, tmp_path / "whole")[2]
    data = source.read_bytes()
    source.write_bytes(data[: int(len(data) * keep)])
    summary, _, results, attributes = analyze(source, tmp_path)
    count = summary.counts.analyzed
    assert 0 < count <= 12
    assert "damaged at byte" in summary.damage
    assert attributes["trouble"] == summary.damage
    assert not attributes["complete"]
    assert not summary.has_end
    assert results["events"].tobytes() == whole["events"][:count].tobytes()


def test_files_that_are_no_run_are_refused_in_words(tmp_path):
    (tmp_path / "run00001.mid").write_bytes(b"nothing like an event, but long enough to look so")
    with pytest.raises(RunDataError, match=r"run00001.mid"):
        analyze(tmp_path / "run00001.mid", tmp_path)
    with pytest.raises(RunDataError, match=r"cannot be opened"):
        analyze(tmp_path / "run00002.mid", tmp_path)


def test_a_run_without_dumps_takes_its_number_from_its_name(tmp_path):
    scene = make_scene((96, 96))
    raw = b"".join(bytes(make_event(serial, {0: scene.frame()}).raw) for serial in range(3))
    (tmp_path / "run00077.mid").write_bytes(raw)
    summary, _, _, attributes = analyze(tmp_path / "run00077.mid", tmp_path)
    assert summary.run == attributes["run"] == 77
    assert summary.counts.analyzed == 3
    assert not summary.has_end
