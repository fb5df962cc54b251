"""The generated pages of the reference are what the code says today."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "name", ["settings.md", "datamodel.md", "results.md", "limits.md", "catalog.md"]
)
def test_the_page_is_not_stale(name: str, generate: ModuleType) -> None:
    page = (DOCS / "reference" / name).read_text()
    assert page == generate.PAGES[name](), "run: make docs"


def test_the_page_tells_of_every_room(generate: ModuleType) -> None:
    page = generate.settings_page()
    for path in ("/Configurations", "/Equipment/Trigger/Settings", "/Equipment/HV/Settings"):
        assert f"## {path}\n" in page
    for room in generate.ROOMS:
        assert generate.trees_of(room), f"{room} has no settings"


def test_a_row_says_all_of_a_setting(generate: ModuleType) -> None:
    assert (
        "| `Exposure` | number | 0.3 | s | ≤ 60, > 0 | next run | Exposure time of a frame. |"
        in generate.settings_page()
    )
    assert "| -0.5, -0.3 x7, 0.0 x24, -0.45, 0.0 x7 |" in generate.settings_page()


def test_every_column_and_state_of_the_catalog_has_a_meaning(generate: ModuleType) -> None:
    lines = generate.catalog_page().splitlines()
    rows = [line for line in lines if line.startswith("| `")]
    assert len(rows) > 130
    assert [row for row in rows if row.endswith("|  |")] == []
