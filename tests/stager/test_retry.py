"""``cygno-stager retry``: what failed is tried at once, a person settles conflicts."""

from pathlib import Path

import pytest

from stager.errors import ConfigurationError, StagerError
from stager.models import State, now
from stager.once import complaints
from tests.conftest import free_port
from tests.stager.old_runs import BY_AGE
from tests.stager.staging import NAME, Folder, run_command


def test_what_failed_is_tried_at_once(folder: Folder, data: Path) -> None:
    folder.add(data / NAME)
    folder.stage(CYGNO_S3_ENDPOINT=f"http://127.0.0.1:{free_port()}")
    assert folder.replica(NAME).next_try_at > now()
    answer = run_command(folder, "retry", "1104", "--json")
    assert (answer["changed"], answer["files"][0]["place"]) == (1, "cloud")
    assert folder.replica(NAME).next_try_at is None
    assert "nothing has failed" in run_command(folder, "retry", "7")


def test_a_conflict_is_settled_by_another_name(folder: Folder, data: Path) -> None:
    folder.put(NAME, b"of another run 1104")
    path = folder.add(data / NAME)
    (line,) = complaints(folder.stage())
    assert "settle it with cygno-stager retry" in line
    assert folder.replica(NAME).conflict
    run_command(folder, "retry", "1104", "--upload-as", "run01104-second.mid")
    assert complaints(folder.stage()) == []
    assert folder.content(NAME) == b"of another run 1104"
    assert folder.content("run01104-second.mid") == path.read_bytes()
    assert "is at cloud as run01104-second.mid" in str(folder.run(1104).note)


def test_a_name_that_is_taken_too_is_another_conflict(folder: Folder, data: Path) -> None:
    folder.put(NAME, b"of another run 1104")
    folder.put("second.mid", b"of yet another")
    folder.add(data / NAME)
    folder.stage()
    run_command(folder, "retry", "1104", "--upload-as", "second.mid")
    assert "has another content" in complaints(folder.stage())[0]
    assert folder.content("second.mid") == b"of yet another"


def test_a_conflict_is_settled_for_what_is_there(folder: Folder, data: Path) -> None:
    folder.put(NAME, b"the right one")
    path = folder.add(data / NAME)
    (folder.data / "run01104.reco.h5").write_bytes(b"results")
    folder.stage()
    run_command(folder, "retry", "1104", "--keep-remote")
    assert folder.stage().outcomes == []
    assert folder.content(NAME) == b"the right one"
    assert folder.replica(NAME).state == State.KEPT
    # It is no copy of ours, which therefore never goes.
    answer = run_command(folder, "prune", "--apply", "--keep-days", "0", "--json", **BY_AGE)
    assert answer["runs"][0]["goes"] is False
    assert path.exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--keep-remote", "--upload-as", "x"], "one of them"),
        (["--keep-remote"], "name the run"),
        (["1104", "--upload-as", "../x"], "letters, digits"),
        (["1104", "--place", "moon"], "there is no place 'moon'; known: cloud"),
    ],
)
def test_misuse_of_retry(folder: Folder, data: Path, arguments: list[str], says: str) -> None:
    folder.add(data / NAME)
    folder.stage()
    with pytest.raises(ConfigurationError, match=says):
        run_command(folder, "retry", *arguments)


def test_where_there_is_no_conflict_none_is_settled(folder: Folder, data: Path) -> None:
    folder.add(data / NAME)
    folder.stage()
    with pytest.raises(StagerError, match="there is no such conflict"):
        run_command(folder, "retry", "1104", "--keep-remote")
