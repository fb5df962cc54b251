"""The tables of faults name tests that are there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TABLES = sorted((ROOT / "docs" / "explanation").glob("*faults.md"))
CELL = re.compile(r"`(?:(test_\w+\.py)::)?(test_\w+)`")


@pytest.mark.parametrize("table", TABLES, ids=lambda path: path.stem)
def test_every_fault_has_a_test(table: Path) -> None:
    text = {path.name: path.read_text() for path in sorted((ROOT / "tests").rglob("test_*.py"))}
    rows = [line for line in table.read_text().splitlines() if line.startswith("| ")]
    rows = [row for row in rows if not row.startswith("| fault")]
    assert rows
    for row in rows:
        cell = row.rstrip("| ").rpartition("|")[2]
        named = CELL.findall(cell)
        assert named, f"{table.name} names no test: {row}"
        file = named[0][0]
        for other, test in named:
            file = other or file
            assert f"def {test}(" in text.get(file, ""), f"{file} has no {test}"
