"""``cygno-stager verify``: places are asked again, and what they lost is brought there again."""

from pathlib import Path

import pytest

from stager.models import Replica, State
from stager.once import complaints
from tests.conftest import free_port
from tests.stager.staging import NAME, Folder, run_command
from tests.stager.tape import Tape, configure_places


@pytest.mark.parametrize("read_back", [False, True])
def test_places_are_asked_again(folder: Folder, tape: Tape, data: Path, read_back: bool) -> None:
    configure_places(folder, tape=tape.settings())
    folder.add(data / NAME)
    folder.stage()
    before = folder.replica(NAME).checked_at
    more = ["--read-back"] if read_back else []
    answer = run_command(folder, "verify", "1104", *more, "--json")
    assert (answer["verified"], answer["failed"]) == (2, 0)
    by = {copy["place"]: copy["verified_by"] for copy in answer["copies"]}
    own = {"cloud": "server checksum", "tape": "check command"}
    assert by == (dict.fromkeys(own, "read back") if read_back else own)
    assert folder.replica(NAME).checked_at > before
    assert tape.calls("get") == int(read_back)


def test_a_run_without_a_copy_to_ask_for_is_told(folder: Folder, data: Path) -> None:
    folder.add(data / NAME)
    folder.stage()
    answer = run_command(folder, "verify", "1104", "42", "--json", code=1)
    assert (answer["verified"], answer["runs_without_copy"]) == (1, [42])
    assert "run 42 has no verified copy; cygno-stager status --run 42 says why" in run_command(
        folder, "verify", "42", code=1
    )
    assert "there are no local files of run 42" in run_command(folder, "prune", "1104", "42")


def test_a_copy_that_is_gone_is_told_and_brought_again(folder: Folder, data: Path) -> None:
    folder.add(data / NAME)
    folder.stage()
    folder.remove(NAME)
    answer = run_command(folder, "verify", "--json", code=1)
    (copy,) = answer["copies"]
    assert (copy["state"], copy["place"], copy["run"]) == ("missing", "cloud", 1104)
    assert (folder.file(NAME).state, folder.replica(NAME).state) == ("hashed", "failed")
    assert folder.runlog(1104).storage_cloud_status == -1
    assert complaints(folder.stage()) == []
    assert (NAME in folder.objects(), folder.runlog(1104).storage_cloud_status) == (True, 1)


def test_a_copy_that_has_rotted_is_a_conflict(folder: Folder, tape: Tape, data: Path) -> None:
    configure_places(folder, tape=tape.settings())
    folder.add(data / NAME)
    folder.stage()
    there = tape.root / folder.key(NAME)
    content = bytearray(there.read_bytes())
    content[1000] ^= 1
    there.write_bytes(content)
    output = run_command(folder, "verify", code=1)
    assert "differs" in output and f"run 1104, {NAME} at tape" in " ".join(output.split())
    replica = next(r for r in folder.rows(Replica) if r.place == "tape")
    assert (replica.state, replica.conflict) == (State.FAILED, True)


def test_a_place_that_does_not_answer_has_lost_nothing(folder: Folder, data: Path) -> None:
    folder.add(data / NAME)
    folder.stage()
    away = {"CYGNO_S3_ENDPOINT": f"http://127.0.0.1:{free_port()}"}
    answer = run_command(folder, "verify", "--json", code=1, **away)
    assert answer["copies"][0]["state"] == "not asked"
    assert folder.replica(NAME).state == State.CATALOGUED
