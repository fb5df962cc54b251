"""A program that waits for its experiment leaves the processor to others."""

import time
from pathlib import Path

import pytest

from sim.programs import Programs
from sim.run import start_experiment


@pytest.mark.parametrize("time_ms", [1, 10])
def test_waiting_is_no_work(tmp_path: Path, time_ms: int) -> None:
    with Programs(tmp_path) as programs, start_experiment(programs) as client:
        client.communicate(time_ms)
        used_s, count = time.thread_time(), 50
        for _ in range(count):
            client.communicate(time_ms)
        used_s = time.thread_time() - used_s  # processor time: no matter how busy the machine is
    assert used_s < 0.5e-3 * count, f"{1e3 * used_s / count:.2f} ms for a wait of {time_ms} ms"
