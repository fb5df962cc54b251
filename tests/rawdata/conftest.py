"""What tests of raw data share: the command ``cygno-rawdata`` as a function."""

import sys
from typing import Any

import pytest

from rawdata import main as command


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Call the command; return exit status, stdout, stderr."""

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["cygno-rawdata", *map(str, arguments)])
        status: Any = 0
        try:
            command.main()
        except SystemExit as end:
            status = end.code or 0
        out, err = capsys.readouterr()
        return status, out, err

    return call
