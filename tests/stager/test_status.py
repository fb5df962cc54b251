"""What people and programs are told of the catalog."""

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from stager.catalog import Catalog
from stager.main import app
from stager.models import Run
from stager.status import latest_runs, show
from tests.conftest import free_port
from tests.stager.staging import Folder


def status(folder: Folder, *arguments: str) -> str:
    """Run ``cygno-stager status``."""
    result = CliRunner().invoke(app, ["status", "--experiment", str(folder.path), *arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_an_empty_folder_has_nothing_and_gets_nothing(folder: Folder) -> None:
    assert "there is nothing in the catalog" in status(folder)
    assert json.loads(status(folder, "--json"))["runs"] == []
    assert not folder.catalog_file.exists()


def test_the_table_names_run_file_and_object(folder: Folder, data: Path) -> None:
    folder.add(data / "run01104.mid")
    folder.stage()
    text = status(folder)
    for word in ("1104", "run01104.mid", "2.9 MB", "catalogued", folder.key("run01104.mid")):
        assert word in text


def test_the_table_says_why_and_when_next(folder: Folder, data: Path) -> None:
    folder.add(data / "run01104.mid")
    folder.stage(CYGNO_S3_ENDPOINT=f"http://127.0.0.1:{free_port()}")
    text = " ".join(status(folder).split())
    assert "failed" in text and "try 1 failed; next at" in text


def test_json_has_all_of_it(folder: Folder, data: Path) -> None:
    for name in ("run01104.mid", "run01105.mid.bz2"):
        folder.add(data / name)
    folder.stage()
    answer = json.loads(status(folder, "--json"))
    assert [run["run"] for run in answer["runs"]] == [1104, 1105]
    (file,) = answer["runs"][0]["files"]
    (replica,) = file["replicas"]
    assert (answer["runs"][0]["events"], file["state"]) == (4, "catalogued")
    assert replica["object_key"] == folder.key("run01104.mid")
    assert replica["checksum_server"] == file["crc32c"]
    answer = json.loads(status(folder, "--json", "--run", "1105"))
    assert [run["run"] for run in answer["runs"]] == [1105]
    answer = json.loads(status(folder, "--json", "--limit", "1"))
    assert [run["run"] for run in answer["runs"]] == [1105]


def test_a_terminal_gets_a_table_and_long_lists_come_plain(folder: Folder, data: Path) -> None:
    folder.add(data / "run01104.mid")
    folder.stage()
    catalog = Catalog(folder.configuration().catalog_url)
    with catalog.write() as session:
        session.get_one(Run, 1104).note = "cut [here]"
    runs = latest_runs(catalog, 1)
    catalog.close()
    out = io.StringIO()
    show(runs, "here", Console(file=out, force_terminal=True, width=200))
    assert "┃" in out.getvalue() and "cut [here]" in out.getvalue()
    out = io.StringIO()
    show(runs * 400, "here", Console(file=out, force_terminal=True, width=200))
    lines = out.getvalue().splitlines()
    assert len(lines) == 402 and "┃" not in out.getvalue()
    assert lines[-1].split()[:4] == ["1104", "4", "run01104.mid", "2.9"]


def test_looking_loads_no_s3_and_no_numpy() -> None:
    """Half a second each, which ``status`` need not take."""
    check = "import sys, stager.main, stager.commands.look; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", check], capture_output=True, text=True, check=True
    )
    assert not {"boto3", "botocore", "numpy", "alembic", "awscrt"} & set(loaded.stdout.split())


@pytest.mark.parametrize("command", ["once", "daemon", "status", "verify", "retry", "prune"])
def test_help_has_examples(command: str) -> None:
    result = CliRunner().invoke(app, [command, "--help"])
    assert result.exit_code == 0
    assert f"cygno-stager {command} --" in result.stdout


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    from stager.errors import ConfigurationError

    result = CliRunner().invoke(app, ["status", "--experiment", f"{tmp_path}/nowhere"])
    assert isinstance(result.exception, ConfigurationError)
    assert f"there is no experiment folder {tmp_path}/nowhere" in str(result.exception)
