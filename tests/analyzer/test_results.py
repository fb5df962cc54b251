"""Results come back as they were written, appear when they are whole, and name their units."""

import h5py
import numpy as np
import pytest

from analyzer import results as results_module
from analyzer.dtypes import CLUSTER, DATASETS, EVENT, OF_THE_RUN, titles
from analyzer.errors import ResultsError
from analyzer.results import ResultsWriter, open_results, results_name


def rows_of(count, first=0):
    events = np.zeros(count, EVENT)
    events["event"] = np.arange(first, first + count)
    events["noise"] = 2.5
    clusters = np.zeros(2 * count, CLUSTER)
    clusters["event"] = np.repeat(events["event"], 2)
    return {"events": events, "clusters": clusters}


def test_rows_and_attributes_come_back(tmp_path):
    path = tmp_path / results_name(42)
    writer = ResultsWriter(path, {"run": 42})
    for first in range(0, 30_000, 10_000):
        writer.append(rows_of(10_000, first))
    assert not path.exists()
    assert writer.partial.exists()
    assert writer.close({"events_analyzed": 30_000}) == path
    assert [entry.name for entry in tmp_path.iterdir()] == ["run00042.reco.h5"]
    with open_results(path) as results:
        assert sorted(results) == sorted(DATASETS)
        assert results["events"]["event"].tolist() == list(range(30_000))
        assert results["clusters"].dtype == CLUSTER
        assert len(results["waveforms"]) == 0
        assert results.attributes["run"] == 42
        assert results.attributes["events_analyzed"] == 30_000
        with pytest.raises(KeyError, match="no dataset photons"):
            results["photons"]


def test_a_partial_file_can_be_read_as_far_as_it_is_flushed(tmp_path):
    writer = ResultsWriter(tmp_path / "x.reco.h5", {"run": 1})
    writer.append(rows_of(5))
    writer.abandon(keep=True)
    with open_results(writer.partial) as results:
        assert len(results["events"]) == 5


def test_abandoned_results_leave_nothing(tmp_path):
    writer = ResultsWriter(tmp_path / "x.reco.h5", {})
    writer.append(rows_of(5))
    writer.abandon()
    assert list(tmp_path.iterdir()) == []


def test_an_older_dataset_with_other_columns_is_still_read(tmp_path):
    path = ResultsWriter(tmp_path / "x.reco.h5", {}).close({})
    with h5py.File(path, "r+") as file:
        del file["events"]
        file["events"] = np.zeros(3, [("event", "u4"), ("old", "f4")])
    assert open_results(path)["events"].dtype.names == ("event", "old")


def test_other_files_are_refused_in_words(tmp_path):
    (tmp_path / "text").write_text("no HDF5")
    with pytest.raises(ResultsError, match="not a results file"):
        open_results(tmp_path / "text")
    with pytest.raises(ResultsError, match="no such file"):
        open_results(tmp_path / "missing")
    with h5py.File(tmp_path / "other.h5", "w"):
        pass
    with pytest.raises(ResultsError, match="of this software"):
        open_results(tmp_path / "other.h5")


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultsError, match="cannot be written"):
        ResultsWriter(tmp_path / "file" / "x.reco.h5", {})


@pytest.mark.parametrize("name", DATASETS)
def test_each_column_has_a_title_and_each_row_its_event(name):
    dtype = DATASETS[name]
    assert (dtype.names[0] == "event") == (name not in OF_THE_RUN)
    for column, title in titles(dtype).items():
        assert title and title != column


def test_whole_chunks_are_written_as_they_fill_and_the_rest_at_the_end(tmp_path, monkeypatch):
    monkeypatch.setattr(results_module, "CHUNK_BYTES", 10 * EVENT.itemsize)
    writer = ResultsWriter(tmp_path / "r.h5", {})
    rows = np.zeros(37, EVENT)
    rows["event"] = np.arange(37)
    for part in np.split(rows, [3, 12, 25]):
        writer.append({"events": part})
    assert len(writer._file["events"]) == 30
    writer.flush()
    assert len(writer._file["events"]) == 37
    writer.append({"events": rows[:14]})
    assert len(writer._file["events"]) == 50  # up to the end of a chunk
    writer.close({})
    with open_results(tmp_path / "r.h5") as results:
        assert results["events"].tobytes() == np.concatenate([rows, rows[:14]]).tobytes()
