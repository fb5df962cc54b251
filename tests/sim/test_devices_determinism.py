"""Seed S gives the same bytes: over processes, threads, order of reading and lost frames."""

import hashlib
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tests.sim.driving import Taken, take_run

BOARDS = ("V1742", "V1720E")


def digest(taken: Taken) -> str:
    """Digest all that goes into banks of a run."""
    total = hashlib.sha256()
    for info, frame in zip(taken.infos, taken.frames, strict=True):
        total.update(np.array(info[:3], np.int64).tobytes() + frame.tobytes())
    for model in sorted(taken.triggers):
        total.update(taken.triggers[model].tobytes() + taken.waveforms[model].tobytes())
    return total.hexdigest()


def test_the_same_seed_gives_the_same_run_and_another_does_not() -> None:
    first = digest(take_run(12, seed=5, boards=BOARDS, clock="a"))
    assert digest(take_run(12, seed=5, boards=BOARDS, clock="b")) == first
    assert digest(take_run(12, seed=6, boards=BOARDS, clock="c")) != first
    assert digest(take_run(12, seed=5, run=2, boards=BOARDS, clock="d")) != first


def test_another_process_gives_the_same_run() -> None:
    here = digest(take_run(6, seed=5, boards=BOARDS, clock="here"))
    program = (
        "from tests.sim.driving import take_run\n"
        "from tests.sim.test_devices_determinism import BOARDS, digest\n"
        "print(digest(take_run(6, seed=5, boards=BOARDS, clock='there')))"
    )
    command = [sys.executable, "-c", program]
    there = subprocess.run(command, capture_output=True, text=True, timeout=100, check=True)
    assert there.stdout.strip() == here


def test_runs_side_by_side_do_not_disturb_one_another() -> None:
    def take(clock: str) -> str:
        return digest(take_run(8, seed=5, boards=BOARDS, clock=clock))

    alone = take("alone")
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(take, ["w", "x", "y", "z"])) == {alone}


@pytest.mark.parametrize("batch", [1, 3, 128])
def test_how_triggers_are_read_makes_no_difference(batch: int) -> None:
    expected = digest(take_run(8, seed=5, boards=BOARDS, clock=f"base{batch}"))
    assert digest(take_run(8, seed=5, boards=BOARDS, batch=batch, clock=f"n{batch}")) == expected


def test_a_lost_frame_does_not_change_the_others() -> None:
    whole = take_run(10, seed=5, boards=BOARDS, clock="whole")
    some = take_run(10, seed=5, boards=BOARDS, faults={"lose_frames": [2, 3, 7]}, clock="some")
    assert [info.counter for info in some.infos] == [0, 1, 4, 5, 6, 8, 9]
    for info, frame in zip(some.infos, some.frames, strict=True):
        assert np.array_equal(frame, whole.frames[info.counter])
    for model in BOARDS:
        assert np.array_equal(some.waveforms[model], whole.waveforms[model])


def test_pace_does_not_change_what_the_frames_show() -> None:
    free = take_run(4, seed=5, clock="free")
    paced = take_run(4, seed=5, rate_hz=100, clock="paced")
    assert [np.array_equal(*pair) for pair in zip(free.frames, paced.frames, strict=True)] == [
        True
    ] * 4
    assert [info[:3] for info in free.infos] == [info[:3] for info in paced.infos]


def test_without_a_seed_runs_of_one_process_are_reproducible_by_their_number() -> None:
    assert digest(take_run(2, clock="u")) == digest(take_run(2, clock="v"))
