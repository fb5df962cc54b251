"""The benchmarks of frontend and chain run on small frames and say what they promise."""

import math
from pathlib import Path

from benchmarks.chain import Wanted
from benchmarks.chain import measure as measure_chain
from benchmarks.experiments import open_experiment
from benchmarks.frontend import measure as measure_frontend
from benchmarks.stager import measure as measure_stager


def test_the_frontend_is_measured_beside_memcpy_and_stock(tmp_path: Path) -> None:
    with open_experiment("standalone", tmp_path) as experiment:
        figures = measure_frontend(experiment.client, (64, 96), 2, 20, stock_frames=1)
    assert figures["event_bytes"] > 2 * 64 * 96
    for key in ("frames_per_s", "of_memcpy", "memcpy_ms"):
        assert math.isfinite(figures[key]) and figures[key] > 0, key
    stock = figures["stock_frames_per_s"]
    assert figures["over_stock"] == (figures["frames_per_s"] / stock if stock else None)


def test_the_chain_is_measured_at_a_rate(tmp_path: Path) -> None:
    wanted = Wanted("standalone", 1.0, "256x256", "free", "fast")
    figures = measure_chain(wanted, 20.0, tmp_path)
    assert figures["frames"] == figures["events_sent"] == figures["events_written"] == 20
    assert figures["frames_lost"] == 0
    assert figures["analyzed_fraction"] == 1.0
    assert 1.0 < figures["compression_ratio"] < 6.0
    programs = {"server", "Logger", "cygno-analyzer", "cygno-frontend-trigger"}
    assert set(figures["cpu_ms_per_frame"]) == programs
    assert figures["cpu_ms_per_frame_all"] > 0
    assert figures["bottleneck"]
    assert figures["frames_per_s"] == (20.0 if figures["held"] else 0.0)
    assert list(tmp_path.iterdir()) == []


def test_staging_is_measured_beside_boto3(tmp_path: Path) -> None:
    figures = measure_stager(tmp_path, size_mb=24, repeats=1, runs=20)
    assert 20e6 < figures["size_bytes"] < 28e6
    assert figures["over_boto3"] == figures["boto3_s"][0] / figures["stager_s"][0]
    for key in ("stager_mbps", "peak_mib", "status_1000_s", "scan_1000_s", "find_1000_s"):
        assert math.isfinite(figures[key]) and figures[key] > 0, key
