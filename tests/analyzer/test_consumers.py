"""Whoever wants every event's results gets them in order, once, and can break nothing."""

from typing import ClassVar

import pytest

from analyzer import consumers
from analyzer.consumer import Consumer
from analyzer.lookup import PedestalLookup
from analyzer.results import open_results
from analyzer.runs import analyze_run
from tests.analyzer.run_making import make_event, write_run
from tests.analyzer.scenes import make_scene


class Listener(Consumer):
    """Keeps what it is told."""

    made: ClassVar[list["Listener"]] = []

    def __init__(self, analysis):
        super().__init__(analysis)
        self.calls = []
        self.made.append(self)

    def take(self, result):
        self.calls.append(result.index)

    def variables(self):
        return {"Events heard": len(self.calls), "Unknown": float("nan")}

    def finish(self):
        self.calls.append("finish")
        return {}

    def conclude(self, output):
        with open_results(output) as results:  # it is whole by now
            self.calls.append(len(results["events"]))


class Broken(Consumer):
    """Fails at its third event."""

    def take(self, result):
        if result.index == 2:
            raise ValueError("third event")


@pytest.fixture
def listener(monkeypatch):
    monkeypatch.setattr(consumers, "CONSUMERS", [Broken, Listener])
    monkeypatch.setattr(Listener, "made", [])
    return Listener


def analyzed(folder, told, **options):
    scene = make_scene((64, 64))
    source = write_run(folder, 7, [make_event(n, {0: scene.frame()}) for n in range(6)])
    return analyze_run(
        source,
        folder / "results.h5",
        PedestalLookup([folder]),
        workers=3,
        tell=lambda text, is_error: told.append(text),
        **options,
    )


def test_events_come_in_order_then_the_end_then_the_file(listener, tmp_path):
    summary = analyzed(tmp_path, [])
    (heard,) = listener.made
    assert heard.calls == [0, 1, 2, 3, 4, 5, "finish", 6]
    assert summary.variables == {"Events heard": 6}


def test_one_that_fails_is_told_of_and_left_out(listener, tmp_path):
    told = []
    summary = analyzed(tmp_path, told)
    assert summary.counts.analyzed == 6
    (line,) = [text for text in told if "Broken" in text]
    assert line == "run 7: Broken is left out for the rest of it: ValueError: third event"


def test_results_that_are_not_wanted_leave_nothing(listener, tmp_path):
    summary = analyzed(tmp_path, [], accept=lambda counts: counts.analyzed > 6)
    assert not summary.is_written
    assert not list(tmp_path.glob("results*"))
    (heard,) = listener.made
    assert heard.calls == [0, 1, 2, 3, 4, 5]
