"""What people and programs are told of the catalog."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stager.main import app
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


@pytest.mark.parametrize("command", ["once", "daemon", "status"])
def test_help_has_examples(command: str) -> None:
    result = CliRunner().invoke(app, [command, "--help"])
    assert result.exit_code == 0
    assert f"cygno-stager {command} --" in result.stdout


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    from stager.errors import ConfigurationError

    result = CliRunner().invoke(app, ["status", "--experiment", f"{tmp_path}/nowhere"])
    assert isinstance(result.exception, ConfigurationError)
    assert f"there is no experiment folder {tmp_path}/nowhere" in str(result.exception)
