"""The command line: help with examples, one line for a failure, exit codes."""

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = [sys.executable, "-m", "frontend.main"]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*PROGRAM, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("command", ["trigger", "slow"])
def test_help_has_examples(command: str) -> None:
    done = run(command, "--help")
    assert done.returncode == 0
    assert f"cygno-frontend {command} --experiment ./demo" in done.stdout


def test_misuse_is_exit_code_2() -> None:
    done = run("triger")
    assert done.returncode == 2
    assert "triger" in done.stderr


@pytest.mark.parametrize("command", ["trigger", "slow"])
def test_no_experiment_is_one_clear_line(command: str, tmp_path: Path) -> None:
    done = run(command, "--experiment", "no-such-experiment")
    assert done.returncode == 1
    assert done.stderr.startswith("cygno-frontend: ")
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 3
