"""ROOT files have CYGNO's trees: its names, its types, its way to count x and y."""

import builtins
import json

import numpy as np
import pytest
import uproot
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer import root_file
from analyzer.conditions import RunConditions
from analyzer.cygno_tree import cluster_columns, frame_clusters
from analyzer.dtypes import CLUSTER, REDPIX, TRIGGER, WAVEFORM, ClusterFlag
from analyzer.errors import ResultsError
from analyzer.kernels.residual import DEFECT
from analyzer.kernels.suppress import sum_suppressed
from analyzer.lookup import PedestalLookup
from analyzer.pedestal_files import pedestal_name, write_pedestals
from analyzer.record import begin_attributes
from analyzer.reference import suppress as twin
from analyzer.results import open_results
from analyzer.root_file import RootWriter
from analyzer.runs import Format, analyze_run
from analyzer.settings import AnalyzerSettings
from rawdata.layouts.digitizer import BoardHeader, DigitizerHeader, dc_offset_words
from tests.analyzer.run_making import make_event, one_board, write_run
from tests.analyzer.scenes import add_spot, make_scene

PLAIN = {
    "run": "I",
    "event": "I",
    "pedestal_run": "I",
    "cmos_integral": "F",
    "cmos_mean": "F",
    "cmos_rms": "F",
    "t_DBSCAN": "F",
    "t_variables": "F",
    "lp_len": "F",
    "t_pedsub": "F",
    "t_saturation": "F",
    "t_zerosup": "F",
    "t_xycut": "F",
    "t_rebin": "F",
    "t_medianfilter": "F",
    "t_noisered": "F",
    "Lime_pressure": "F",
    "Atm_pressure": "F",
    "Lime_temperature": "F",
    "Atm_temperature": "F",
    "Humidity": "F",
    "Mixture_Density": "F",
}
SC = (
    "size nhits integral corrintegral rms energy pathlength redpixIdx theta length width longrms "
    "latrms lfullrms tfullrms lp0amplitude lp0prominence lp0fwhm lp0mean tp0fwhm xmean ymean xmax "
    "xmin ymax ymin pearson tgaussamp tgaussmean tgausssigma tchi2 tstatus lgaussamp lgaussmean "
    "lgausssigma lchi2 lstatus"
).split()
WAVES = {
    "pmt_wf_ID": "I",
    "pmt_wf_run": "I",
    "pmt_wf_event": "I",
    "pmt_wf_trigger": "I",
    "pmt_wf_channel": "I",
    "pmt_wf_insideGE": "I",
    "pmt_wf_sampling": "I",
    "pmt_wf_TTT": "F",
    "pmt_wf_baseline": "F",
    "pmt_wf_RMS": "F",
    "pmt_wf_tot_integral": "F",
    "pmt_wf_tot_charge": "F",
    "pmt_wf_max_ampl": "F",
    "pmt_wf_nPeaks": "I",
    "pmt_TOT_time": "F",
    "pmt_TOT_area": "F",
    "t_waveforms": "F",
}
"""What CYGNO's reconstruction (winter23, treeVars.py) declares."""

ROWS, COLUMNS = 96, 192


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """One run as HDF5 and as ROOT: event 2 has no camera, a spot moves along the columns."""
    folder = tmp_path_factory.mktemp("root")
    scene = make_scene((ROWS, COLUMNS))
    write_pedestals(folder / pedestal_name(7), {0: scene.pedestal})
    events = []
    for serial in range(5):
        light = scene.light()
        add_spot(light, 30 + 30 * serial, 40, 8000)
        frames = None if serial == 2 else {0: scene.frame(light)}
        events.append(make_event(serial, frames, one_board(serial % 3)))
    source = write_run(folder, 9, events)
    options = {"settings": AnalyzerSettings(frame_columns=COLUMNS, keep_pixels=True)}
    analyze_run(source, folder / "reco.h5", PedestalLookup([folder]), **options)
    options["settings"] = AnalyzerSettings(frame_columns=COLUMNS)
    analyze_run(
        source, folder / "reco.root", PedestalLookup([folder]), **options, format=Format.ROOT
    )
    assert not list(folder.glob("*.partial"))
    with open_results(folder / "reco.h5") as results, uproot.open(folder / "reco.root") as file:
        yield results, file


def leaf(tree, name):
    return tree[name].member("fLeaves")[0].member("fTitle")


def test_branches_are_declared_as_cygno_declares_them(both):
    tree = both[1]["Events"]
    assert {name: tree[name].title for name in PLAIN} == {n: f"{n}/{t}" for n, t in PLAIN.items()}
    for name in SC:
        assert tree[f"sc_{name}"].title == f"sc_{name}[nSc]/F"
        assert tree[f"sc_{name}"].count_branch.name == "nSc"
    for name, kind in {"ix": "I", "iy": "I", "iz": "F"}.items():
        assert tree[f"redpix_{name}"].title == f"redpix_{name}[nRedpix]/{kind}"
    waves = both[1]["PMT_Events"]
    assert {name: waves[name].title for name in WAVES} == {n: f"{n}/{t}" for n, t in WAVES.items()}
    for name, kind in {"Number": "I", "Position": "F", "Height": "F", "HalfWidth": "F"}.items():
        assert leaf(waves, f"pmt_peak_{name}") == f"pmt_peak_{name}[pmt_wf_nPeaks]"
        assert waves[f"pmt_peak_{name}"].title.endswith(kind)


def test_clusters_are_those_of_the_hdf5_file_turned_as_cygno_turns_them(both):
    results, file = both
    clusters = results["clusters"]
    tree = file["Events"].arrays()
    assert tree["event"].tolist() == [0, 1, 3, 4]  # event 2 has no frame
    assert set(tree["pedestal_run"].tolist()) == {7}
    assert tree["nSc"].tolist() == [len(clusters[clusters["event"] == n]) for n in (0, 1, 3, 4)]
    flat = {name: np.concatenate(tree[f"sc_{name}"].tolist()) for name in SC}
    for name in ("integral", "size", "nhits", "rms", "length", "width", "energy", "tgausssigma"):
        np.testing.assert_allclose(flat[name], clusters[f"sc_{name}"].astype(np.float32))
    np.testing.assert_allclose(flat["xmean"], clusters["sc_ymean"])
    np.testing.assert_allclose(flat["ymean"], COLUMNS - 1 - clusters["sc_xmean"], rtol=1e-6)
    np.testing.assert_array_equal(flat["ymin"], COLUMNS - 1 - clusters["sc_xmax"])
    assert flat["xmean"][0] == pytest.approx(40, abs=0.5)
    assert flat["ymean"][0] == pytest.approx(COLUMNS - 1 - 30, abs=0.5)


def test_pixels_belong_to_their_clusters_and_lie_where_the_light_is(both):
    results, file = both
    tree = file["Events"].arrays(
        ["sc_integral", "sc_redpixIdx", "redpix_ix", "redpix_iy", "redpix_iz"]
    )
    pixels = results["redpix"]
    assert len(np.concatenate(tree["redpix_iz"].tolist())) == len(pixels)
    first = tree[0]
    assert first["sc_redpixIdx"].tolist() == [0.0]
    light = np.array(first["redpix_iz"].tolist())
    assert light.sum() == pytest.approx(first["sc_integral"][0], rel=0.01)
    brightest = int(light.argmax())
    assert first["redpix_ix"][brightest] == pytest.approx(40, abs=4)
    assert first["redpix_iy"][brightest] == pytest.approx(COLUMNS - 1 - 30, abs=4)
    np.testing.assert_allclose(light, pixels["redpix_iz"][: len(light)], atol=0.051)


def test_waveforms_have_entries_of_their_own_with_their_pulses(both):
    results, file = both
    waves = results["waveforms"]
    waves = waves[waves["channel"] == 1]  # channels 1 to 4 are PMTs
    tree = file["PMT_Events"].arrays()
    assert tree["pmt_wf_event"].tolist() == waves["event"].tolist()
    np.testing.assert_allclose(tree["pmt_wf_baseline"].to_numpy(), waves["baseline"])
    np.testing.assert_allclose(tree["pmt_wf_max_ampl"].to_numpy(), waves["amplitude"])
    assert set(tree["pmt_wf_sampling"].tolist()) == {4000}
    assert tree["pmt_wf_ID"].tolist()[-1] == int("401")
    # the one dip of 100 counts, in one sample
    integral = tree["pmt_wf_tot_integral"].to_numpy()
    np.testing.assert_allclose(integral, 100, rtol=0.05)
    np.testing.assert_allclose(tree["pmt_wf_tot_charge"].to_numpy(), integral * 4 / 3 / 50)
    pulses = results["pulses"]
    pulses = pulses[pulses["channel"] == 1]
    assert tree["pmt_wf_nPeaks"].tolist() == waves["n_pulses"].tolist()
    heights = [height for entry in tree["pmt_peak_Height"].tolist() for height in entry]
    np.testing.assert_allclose(heights, pulses["height"])


def two_boards(random, triggers):
    """A V1742 whose channels 1 to 4 and 5 to 7 show pulses of many heights, and a V1720."""
    boards, waves = [], []
    for model, samples, sampling in ((1742, 256, 1333), (1720, 512, 250)):
        words = np.arange(triggers, dtype=np.uint32) * 30_000_000  # 255 ms
        cells = words % 1024 if model == 1742 else None
        offsets = dc_offset_words([0.0] * 9)
        boards.append(
            BoardHeader(model, samples, 9, 4096, sampling, offsets, words, start_cells=cells)
        )
        made = random.normal(3000, 3, (triggers, 9, samples))
        for channel in range(9):
            made[:, channel, 120:160] -= 40 * channel
        waves.append(made.astype(np.uint16))
    return DigitizerHeader("A", tuple(boards)), waves


@pytest.fixture(scope="module")
def with_waves(tmp_path_factory):
    """A run with many waveforms, as HDF5, and as ROOT by one thread and by three."""
    folder = tmp_path_factory.mktemp("waves")
    scene = make_scene((ROWS, COLUMNS))
    write_pedestals(folder / pedestal_name(7), {0: scene.pedestal})
    random = np.random.default_rng(3)
    events, boards = [], []
    for serial in range(12):
        light = scene.light()
        add_spot(light, 30 + 10 * serial, 40, 900 * serial)
        boards.append(two_boards(random, serial % 3))
        events.append(make_event(serial, {0: scene.frame(light)}, boards[-1]))
    source = write_run(folder, 9, events)
    options = {"settings": AnalyzerSettings(frame_columns=COLUMNS)}
    lookup = PedestalLookup([folder])
    analyze_run(source, folder / "reco.h5", lookup, **options)
    for workers in (1, 3):
        target = folder / f"reco{workers}.root"
        analyze_run(source, target, lookup, workers=workers, format=Format.ROOT, **options)
    with (
        open_results(folder / "reco.h5") as results,
        uproot.open(folder / "reco1.root") as one,
        uproot.open(folder / "reco3.root") as three,
    ):
        yield boards, results, one, three


def test_any_number_of_workers_gives_the_same_file(with_waves):
    _, _, one, three = with_waves
    assert one.keys(cycle=False) == three.keys(cycle=False)
    for name in ("Events", "PMT_Events", "PMT_Avg_Events", "GEM_Events"):
        assert one[name].keys() == three[name].keys()
        assert one[name].num_entries > 0
        for branch in one[name].keys():
            mine, other = (file[name][branch].array().tolist() for file in (one, three))
            if branch.startswith("t_"):
                assert len(mine) == len(other)
            else:
                assert mine == other, (name, branch)
    assert str(one["Reco_attributes"]) == str(three["Reco_attributes"])


def test_times_are_those_of_the_analysis(with_waves):
    tree = with_waves[2]["Events"].arrays()
    for step in ("pedsub", "DBSCAN", "variables"):
        assert tree[f"t_{step}"].to_numpy().min() > 0
    for name in ("PMT_Events", "PMT_Avg_Events"):
        assert with_waves[2][name]["t_waveforms"].array().to_numpy().min() > 0


def test_tags_that_begin_with_the_run_become_times_in_the_frame():
    triggers = np.zeros(3, TRIGGER)
    triggers["boards"] = 1, 2, 3
    triggers["time_tag_0"] = 900_000_000, 0, (1 << 30) + 7
    triggers["time_tag_1"] = 0, 900_000_001, 1000
    triggers["frame_time"] = 200, 210, np.nan
    waves = np.zeros(4, WAVEFORM)
    waves["board"] = 0, 1, 0, 1
    waves["time_tag"] = 900_000_000, (1 << 31) + 900_000_001, 7, 1000
    times = root_file.tree.frame_times(waves, triggers)
    assert times.tolist() == pytest.approx([200, 210, 7 * 8.5e-6, 1000 * 8.5e-6])
    waves["channel"], waves["sampling_ns"] = 1, 4
    columns = root_file.tree.wave_columns(9, waves, times, np.zeros(4), 0.3, 180.0)
    assert columns["pmt_wf_insideGE"].tolist() == [1, 1, 0, 0]


def test_gems_have_a_tree_of_their_own(with_waves):
    _, results, one, _ = with_waves
    waves = results["waveforms"]
    gems = waves[(waves["model"] == 1742) & np.isin(waves["channel"], [5, 6, 7])]
    tree = one["GEM_Events"].arrays()
    assert set(one["GEM_Events"].keys()) == set(one["PMT_Events"].keys()) - {"t_waveforms"}
    assert tree["pmt_wf_channel"].tolist() == gems["channel"].tolist()
    assert set(tree["pmt_wf_sampling"].tolist()) == {1024}
    np.testing.assert_allclose(tree["pmt_wf_max_ampl"].to_numpy(), gems["amplitude"])
    assert tree["pmt_wf_nPeaks"].tolist() == gems["n_pulses"].tolist()


def test_the_average_waveform_is_weighted_with_signal_over_noise(with_waves):
    boards, results, one, _ = with_waves
    tree = one["PMT_Avg_Events"].arrays()
    triggers = sum(header.boards[0].triggers for header, _ in boards)
    assert len(tree) == 2 * triggers
    assert set(tree["pmt_wf_channel"].tolist()) == set(tree["pmt_wf_insideGE"].tolist()) == {9}
    assert sorted(set(tree["pmt_wf_sampling"].tolist())) == [1024, 4000]
    waves = results["waveforms"]
    first = waves[(waves["event"] == 1) & (waves["board"] == 0)]
    first = first[np.isin(first["channel"], [1, 2, 3, 4])]
    weights = first["amplitude"] / first["noise"]
    average = np.average(boards[1][1][0][0, 1:5].astype(float), axis=0, weights=weights)
    (height,) = tree["pmt_peak_Height"].tolist()[0]
    assert height == pytest.approx(average[:100].mean() - average[120:160].mean(), abs=3)
    # 40 samples below the baseline, but for the smoothing at their ends
    assert tree["pmt_TOT_time"].to_numpy()[0] == pytest.approx(40, abs=6)


def test_readout_time_says_from_when_on_all_rows_are_exposed(with_waves):
    tree = with_waves[2]["PMT_Events"].arrays()
    inside = {(round(e["pmt_wf_TTT"]), e["pmt_wf_insideGE"]) for e in tree.tolist()}
    assert inside == {(0, 0), (255, 1)}


def test_the_file_says_how_it_was_made(both):
    attributes = json.loads(str(both[1]["Reco_attributes"]))
    assert attributes["run"] == 9
    assert attributes["events_analyzed"] == 5
    assert json.loads(attributes["settings"])["nsigma"] == 0.6


def test_without_slow_control_the_environment_is_missing(both):
    assert set(both[1]["Events"]["Humidity"].array().tolist()) == {-99.0}


def cmos_rows(event):
    return np.array([(event, 0, COLUMNS, 8, 1.0, 2.0, 3.0, (0, 0, 0))], root_file.tree.CMOS)


def event_rows(event):
    events = np.zeros(1, [("event", np.uint32), ("camera", np.uint8), ("flags", np.uint16)])
    events["event"] = event
    return {"events": events, "clusters": np.zeros(0, CLUSTER), "cmos": cmos_rows(event)}


@pytest.fixture
def writer(tmp_path):
    attributes = begin_attributes(RunConditions(9), AnalyzerSettings(), "test")
    made = RootWriter(tmp_path / "r.root", attributes)
    yield made
    made.partial.unlink(missing_ok=True)


def test_slow_control_holds_until_the_next_reading(writer):
    kind = [("event", np.uint32), ("time", np.uint32), ("quantity", "S32"), ("value", np.float64)]
    readings = {
        1: [("humidity_percent", 33.0), ("gas_pressure_mbar", 905.0)],
        3: [("humidity_percent", 34.0)],
    }
    for event in range(4):
        rows = event_rows(event)
        values = [(event, 0, name.encode(), value) for name, value in readings.get(event, [])]
        rows["slow"] = np.array(values, kind)
        writer.append(rows)
    tree = uproot.open(writer.close({}))["Events"].arrays()
    assert tree["Humidity"].tolist() == [-99, 33, 33, 34]
    np.testing.assert_allclose(tree["Lime_pressure"].to_numpy()[1:], 0.905)


def test_entries_leave_memory_batch_by_batch(writer, monkeypatch):
    monkeypatch.setattr(root_file, "_BATCH_FRAMES", 4)
    waiting = []
    for event in range(10):
        writer.append(event_rows(event))
        waiting.append(len(writer._frames))
    assert max(waiting) < 4
    assert uproot.open(writer.close({}))["Events"]["event"].array().tolist() == list(range(10))


def test_a_file_that_is_given_up_leaves_nothing(writer):
    writer.append(event_rows(0))
    writer.abandon()
    assert not writer.partial.exists()


def test_without_uproot_it_says_what_to_install(monkeypatch, tmp_path):
    usual = builtins.__import__

    def without(name, *rest, **further):
        if name == "uproot":
            raise ImportError(name)
        return usual(name, *rest, **further)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ResultsError, match=r"pip install 'cygno-daq\[root\]'"):
        RootWriter(tmp_path / "r.root", {"run": 1, "exposure_s": 0.3})


@pytest.mark.parametrize(
    ("ours", "cygnos"), [(0.0, 90.0), (np.pi / 4, -45.0), (np.pi / 2, 0.0), (-np.pi / 4, 45.0)]
)
def test_angles_follow_the_turn_of_the_frame(ours, cygnos):
    clusters = np.zeros(1, CLUSTER)
    clusters["sc_theta"] = ours
    turned = cluster_columns(clusters, COLUMNS, np.array([-1]))
    assert turned["sc_theta"][0] == pytest.approx(cygnos, abs=1e-4)


def test_clusters_outside_of_the_acceptance_and_their_pixels_are_left_out():
    clusters = np.zeros(4, CLUSTER)
    clusters["flags"][1] = ClusterFlag.OUTSIDE
    pixels = np.zeros(6, REDPIX)
    pixels["cluster"] = [0, 0, 1, 1, 3, 3]
    kept, chosen, first = frame_clusters(clusters, pixels)
    assert len(kept) == 3
    assert chosen["cluster"].tolist() == [0, 0, 3, 3]
    assert first.tolist() == [0, -1, 2]


@given(st.integers(0, 2**32 - 1), st.integers(1, 20), st.integers(1, 40))
@settings(max_examples=20, deadline=None)
def test_zero_suppressed_sums_are_those_of_numpy(seed, rows, columns):
    random = np.random.default_rng(seed)
    frame = random.integers(0, 200, (rows, columns)).astype(np.uint16)
    frame[random.random(frame.shape) < 0.05] = 6000
    level = random.integers(80 * 32, 120 * 32, frame.shape).astype(np.uint16)
    level[random.random(frame.shape) < 0.05] = DEFECT
    noise = random.uniform(1, 5, frame.shape).astype(np.float32)
    sums = np.zeros(2, np.int64)
    sum_suppressed(frame, level, noise, 5000, 0.6, sums)
    assert tuple(sums) == twin.sum_suppressed(frame, level, noise, 5000, 0.6)


def test_a_recorded_run_has_its_environment(data, tmp_path):
    source = data / "run01104.mid"
    made = tmp_path / "r.root"
    analyze_run(source, made, PedestalLookup([tmp_path]), format=Format.ROOT)
    tree = uproot.open(made)["Events"].arrays()
    assert tree["event"].tolist() == [0, 1, 2, 3]
    # The first reading came after the first event; the made values give such a humidity.
    np.testing.assert_allclose(tree["Humidity"].to_numpy(), [-99, *[-4.84] * 3], atol=0.1)
    assert (tree["Atm_pressure"].to_numpy()[1:] > 0.85).all()
    assert (tree["nRedpix"].to_numpy()[tree["nSc"].to_numpy() > 0] > 0).any()
