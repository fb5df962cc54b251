"""Small parts: order of results, memory that comes back, writing in the background, warm-up."""

import subprocess
import sys
import threading

import numpy as np
import pytest

from analyzer.background_writer import BackgroundWriter
from analyzer.errors import ResultsError
from analyzer.pipeline import Pipeline
from analyzer.replace import replaced_file
from analyzer.results import open_results
from analyzer.slots import Slots
from tests.analyzer.test_results import rows_of
from tests.conftest import wait_until


def test_results_come_in_the_order_of_their_tasks():
    late = threading.Event()
    with Pipeline[int](workers=2, depth=3) as pipeline:
        pipeline.submit(lambda: late.wait(10) and 0)
        pipeline.submit(lambda: 1)
        pipeline.submit(lambda: 2)
        assert not pipeline.has_room
        with pytest.raises(RuntimeError, match="3 tasks are under way"):
            pipeline.submit(lambda: 3)
        assert list(pipeline.ready()) == []
        assert not pipeline.wait(0.01)
        late.set()
        results = list(pipeline.make_room())
        assert pipeline.has_room
        assert results + list(pipeline.rest()) == [0, 1, 2]


def test_a_task_that_fails_is_raised_where_its_result_is_taken():
    with Pipeline[float](workers=1) as pipeline:
        pipeline.submit(lambda: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            list(pipeline.rest())


def test_slots_come_back_and_grow():
    slots = Slots(2, 100)
    first, second = slots.take(), slots.take()
    assert slots.take() is None
    slots.give(first)
    assert slots.take() is first
    slots.enlarge(200)
    slots.give(first)
    slots.give(second)
    taken = [slots.take(), slots.take(), slots.take()]
    assert [slot if slot is None else slot.nbytes for slot in taken] == [200, 200, None]


def test_the_background_writer_writes_what_the_plain_one_does(tmp_path):
    writer = BackgroundWriter(tmp_path / "x.h5", {"run": 3})
    for first in range(0, 50, 5):
        writer.append(rows_of(5, first))
    assert writer.finish({"events_analyzed": 50}) == tmp_path / "x.h5"
    with open_results(tmp_path / "x.h5") as results:
        assert results["events"]["event"].tolist() == list(range(50))
        assert results.attributes["run"] == 3


def test_a_place_that_cannot_be_written_is_told_at_the_end_and_holds_up_nobody(tmp_path):
    (tmp_path / "file").write_text("")
    writer = BackgroundWriter(tmp_path / "file" / "x.h5", {})
    wait_until(lambda: writer.failure, 10, "the failure")
    for _ in range(5000):
        writer.append(rows_of(1))
    assert "cannot be written" in writer.failure
    with pytest.raises(ResultsError, match="cannot be written"):
        writer.finish({})


def test_an_abandoned_background_writer_leaves_what_is_wanted(tmp_path):
    for keep in (True, False):
        writer = BackgroundWriter(tmp_path / f"{keep}.h5", {})
        writer.append(rows_of(5))
        writer.abandon(keep=keep)
    assert [entry.name for entry in tmp_path.iterdir()] == ["True.h5.partial"]


def test_a_file_that_fails_half_way_does_not_replace_the_old_one(tmp_path):
    target = tmp_path / "x"
    target.write_text("old")
    with pytest.raises(ValueError, match="half"), replaced_file(target) as temporary:
        temporary.write_text("ne")
        raise ValueError("half")
    assert [(entry.name, entry.read_text()) for entry in tmp_path.iterdir()] == [("x", "old")]


WARM = """
import numba, numpy as np
from analyzer import warmup
from analyzer.kernels import board, clusters, dbscan, frame, label, pedestal
from analyzer.kernels import search, tiles, triggers
# Those that Python calls: what they call themselves is compiled with them.
kernels = [pedestal.center_and_spread, pedestal.accumulate, pedestal.conclude]
kernels += [search.search_frame, dbscan.clear_labels, label.label_clusters]
kernels += [clusters.measure_frame, tiles.average_tiles, frame.rebin_frame]
kernels += [board.analyze_board, triggers.conclude_triggers]
def count():
    return {k.py_func.__qualname__: len(k.signatures) for k in kernels}
warmup.compile_kernels(); warmup.compile_pedestal_kernels()
warm = count()
from pathlib import Path
from tests.analyzer.test_runs import analyze, physics_run
from tests.analyzer.run_making import run_odb, write_run, make_event
from tests.analyzer.scenes import make_scene
import sys, tempfile
folder = Path(tempfile.mkdtemp(dir=sys.argv[1]))
scene = make_scene((96, 96))
dark = [make_event(n, {0: scene.frame()}) for n in range(20)]
analyze(write_run(folder, 8, dark, run_odb(8, Pedestal=True)), folder)
analyze(physics_run(folder)[1], folder)
assert all(warm.values()), warm
assert warm == count(), (warm, count())
"""


def test_after_the_warm_up_nothing_is_compiled_any_more(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", WARM, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_frames_at_odd_addresses_are_analyzed_as_others():
    from analyzer.frames import as_frame

    raw = np.zeros(33, np.uint8)
    odd = raw[1:].view(np.uint16).reshape(4, 4)
    assert not odd.flags.aligned
    assert as_frame(odd).flags.aligned
