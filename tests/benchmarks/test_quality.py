"""The benchmark of quality runs on small frames and says what it promises."""

import math

import pytest

from benchmarks.quality import measure


def test_quality_is_measured_beside_the_whole_analysis_and_scipy() -> None:
    pytest.importorskip("matplotlib")
    figures = measure(3, "128x128", report_events=5)
    assert all(math.isfinite(value) and value > 0 for value in figures.values()), figures
    parts = figures["rows_us"] + figures["sums_us"] + figures["mean_image_us"]
    assert figures["quality_us"] == pytest.approx(parts)
    assert figures["part_of_event"] == pytest.approx(parts / figures["event_us"])
    assert figures["report_s"] == pytest.approx(
        figures["report_start_s"] + figures["report_drawing_s"]
    )
