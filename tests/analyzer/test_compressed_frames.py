"""Runs with losslessly compressed frames give the very same results."""

from pathlib import Path

import numpy as np
import pytest

from analyzer.analysis import RunAnalysis
from analyzer.conditions import RunConditions
from analyzer.dtypes import EventFlag
from analyzer.frames import decode_frame
from analyzer.lookup import PedestalLookup
from analyzer.pedestal_run import make_pedestal
from analyzer.results import open_results
from analyzer.runs import analyze_run
from analyzer.settings import AnalyzerSettings
from rawdata.errors import LayoutError
from rawdata.event import parse_event
from rawdata.recode import shrink_event
from rawdata.runfile import RunFile
from rawdata.transcode import transcode_file
from tests.analyzer.run_making import make_event


def analyze(source: Path, folder: Path):
    """Return the summary, what was said, and the results of a run."""
    said = []
    folder.mkdir()
    summary = analyze_run(
        source,
        folder / "out.reco.h5",
        PedestalLookup([folder]),
        workers=2,
        tell=lambda text, is_error: said.append(text),
    )
    with open_results(summary.output) as results:
        return summary, said, {name: results[name] for name in results}


@pytest.mark.parametrize("name", ["run01104.mid", "run01105.mid.bz2"])
def test_results_do_not_depend_on_compression(data, tmp_path, name):
    small = transcode_file(data / name, tmp_path / "small", shrink_event)
    assert small.frames == 4
    summary, _, plain = analyze(data / name, tmp_path / "a")
    summary_small, _, compressed = analyze(small.output, tmp_path / "b")
    assert summary_small.counts == summary.counts
    assert len(plain["events"]) == 4 and len(plain["clusters"])
    for dataset, rows in plain.items():
        assert rows.tobytes() == compressed[dataset].tobytes(), dataset


def test_pedestals_do_not_depend_on_compression(recorded, tmp_path):
    source = recorded / "run01101.mid.gz"
    small = transcode_file(source, tmp_path, shrink_event, "none").output
    settings = AnalyzerSettings()
    _, plain, _ = make_pedestal(source, tmp_path / "plain.h5", settings)
    _, compressed, problems = make_pedestal(small, tmp_path / "small.h5", settings)
    assert not problems
    assert np.array_equal(plain[0].mean, compressed[0].mean)
    assert np.array_equal(plain[0].sigma, compressed[0].sigma)


def test_frames_of_any_shape_need_no_setting():
    pixels = np.full((60, 96), 100, np.uint16)
    pixels[3, 5] = 777
    event = make_event(0, {0: pixels})
    small = parse_event(shrink_event(event, columns=96).event)
    assert "CZ0" in small
    for columns in (0, 96, 48):  # what the frame says of itself counts
        settings = AnalyzerSettings(frame_columns=columns)
        assert np.array_equal(decode_frame(small, 0, settings), pixels)
        assert RunAnalysis(RunConditions(1), settings).cameras_without_pedestal(small)
    with pytest.raises(LayoutError, match=r"is \(60, 96\) pixels, not \(96, 60\)$"):
        decode_frame(small, 0, AnalyzerSettings(), (96, 60))


def test_a_damaged_frame_is_flagged_and_named_and_the_others_are_analyzed(data, tmp_path):
    small = transcode_file(data / "run01104.mid", tmp_path / "small", shrink_event).output
    content = bytearray(small.read_bytes())
    with RunFile(small) as run:
        triggers = [i for i, event in enumerate(run) if "CZ0" in event]
        before = sum(len(event.raw) for event in run[: triggers[2]])
        content[before + run[triggers[2]].banks["CZ0"].offset + 5000] ^= 1
    small.write_bytes(content)
    summary, said, results = analyze(small, tmp_path / "a")
    assert summary.counts.seen == 4
    bad = (results["events"]["flags"] & EventFlag.BAD_FRAME) != 0
    assert bad.tolist() == [False, False, True, False]
    assert any("event 2 (id 1), bank CZ0: CRC32C" in text for text in said)
