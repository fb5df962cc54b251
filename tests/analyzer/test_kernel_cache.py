"""Compiled kernels are made anew when a source changes that they were compiled from."""

import subprocess
import sys

from analyzer.kernels.cache import forget_stale

OUTER = """from numba import njit
from inner import step

@njit(cache=True)
def outer():
    return step()
"""
INNER = """from numba import njit

@njit(cache=True)
def step():
    return {number}
"""
RUN = """import sys; sys.path.insert(0, sys.argv[1])
from pathlib import Path
from analyzer.kernels.cache import forget_stale
forget_stale(Path(sys.argv[1]))
from outer import outer
print(outer())
"""


def run(folder):
    arguments = [sys.executable, "-c", RUN, str(folder)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    return int(done.stdout)


def test_a_kernel_follows_a_change_in_what_it_calls(tmp_path):
    (tmp_path / "outer.py").write_text(OUTER)
    for number in (1, 22, 333):
        (tmp_path / "inner.py").write_text(INNER.format(number=number))
        assert run(tmp_path) == number


def test_nothing_is_forgotten_while_sources_stay(tmp_path):
    (tmp_path / "inner.py").write_text(INNER.format(number=1))
    forget_stale(tmp_path)
    compiled = tmp_path / "__pycache__" / "inner.step-1.py311.nbi"
    compiled.write_bytes(b"")
    assert not forget_stale(tmp_path)
    assert compiled.exists()
    (tmp_path / "other.py").write_text("")
    assert forget_stale(tmp_path)
    assert not compiled.exists()
