"""What the page on the run catalog shows is run as it stands there."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from tests.stager.filled import fill

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "run-catalog.md").read_text()


@pytest.fixture
def url(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/catalog.sqlite"
    fill(url, 30, {"noise_adu": 2.5}, datetime(2026, 11, 27, 18, tzinfo=UTC)).close()
    return url


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_notebooks_can_do_as_the_page_does(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    exec("\n".join(blocks("python")), {})
    told = capsys.readouterr().out
    assert "42029 S000:DATA:BKG 42029 400.0" in told
    assert "run42000.mid.gz cloud catalogued LNGS/run42000.mid.gz" in told
    assert "440.0 440.0 440.0" in told and "GB" in told


def test_sql_finds_as_the_page_says(url: str) -> None:
    engine = create_engine(url)
    with engine.connect() as connection:
        rows = connection.execute(text(blocks("sql")[0])).all()
    engine.dispose()
    assert len(rows) == 30 and rows[0][2:] == (2.5, 440.0)
