"""What the analyzer's tests share."""

import sys
from dataclasses import dataclass

import pytest

from analyzer.main import main


@dataclass
class Done:
    """What a command left behind."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def command(monkeypatch, capsys):
    """Run the program's `main` with arguments, as the console script does."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["cygno-analyzer", *map(str, arguments)])
        capsys.readouterr()
        try:
            main()
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        return Done(code, *capsys.readouterr())

    return run
