"""Verify, retry and prune: places are asked again, conflicts settled, only what is safe goes."""

import json
import os
import time
from contextlib import redirect_stdout
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from stager.catalog import Catalog
from stager.crash import PRUNE_STEPS
from stager.discovery import find_files
from stager.errors import ConfigurationError, StagerError
from stager.ledger import Ledger
from stager.main import app
from stager.models import File, Replica, Run, State, now
from stager.once import complaints
from stager.registry import Registry
from tests.conftest import free_port
from tests.stager.runs import write_run
from tests.stager.staging import FAST, Folder
from tests.stager.tape import Tape, configure_places

NAME = "run01104.mid"


def run(folder: Folder, *arguments: str, code: int = 0, **environment: str) -> Any:
    """Run a command in this process; return what it prints as JSON, if it is asked for that."""
    result = CliRunner().invoke(
        app,
        [*arguments, "--experiment", str(folder.path)],
        env={**FAST, "CYGNO_S3_TAG": folder.tag, **environment},
    )
    if isinstance(result.exception, StagerError):
        raise result.exception
    assert result.exit_code == code, result.output
    return json.loads(result.stdout.splitlines()[-1]) if "--json" in arguments else result.output


def put(folder: Folder, name: str, body: bytes) -> None:
    """Put an object into the bucket behind the stager's back."""
    folder.client().put_object(Bucket=folder.bucket, Key=folder.key(name), Body=body)


def remove(folder: Folder, name: str) -> None:
    """Remove an object behind the stager's back."""
    folder.client().delete_object(Bucket=folder.bucket, Key=folder.key(name))


# verify ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("read_back", [False, True])
def test_places_are_asked_again(folder: Folder, tape: Tape, data: Path, read_back: bool) -> None:
    configure_places(folder, tape=tape.settings())
    folder.add(data / NAME)
    folder.stage()
    before = folder.replica(NAME).checked_at
    more = ["--read-back"] if read_back else []
    answer = run(folder, "verify", "1104", *more, "--json")
    assert (answer["verified"], answer["failed"]) == (2, 0)
    by = {copy["place"]: copy["verified_by"] for copy in answer["copies"]}
    own = {"cloud": "server checksum", "tape": "check command"}
    assert by == (dict.fromkeys(own, "read back") if read_back else own)
    assert folder.replica(NAME).checked_at > before
    assert tape.calls("get") == int(read_back)


def test_a_run_without_a_copy_to_ask_for_is_told(folder: Folder, data: Path) -> None:
    folder.add(data / NAME)
    folder.stage()
    answer = run(folder, "verify", "1104", "42", "--json", code=1)
    assert (answer["verified"], answer["runs_without_copy"]) == (1, [42])
    assert "run 42 has no verified copy; cygno-stager status --run 42 says why" in run(
        folder, "verify", "42", code=1
    )
    assert "there are no local files of run 42" in run(folder, "prune", "1104", "42")


def test_a_copy_that_is_gone_is_told_and_brought_again(folder: Folder, data: Path) -> None:
    folder.add(data / NAME)
    folder.stage()
    remove(folder, NAME)
    answer = run(folder, "verify", "--json", code=1)
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
    output = run(folder, "verify", code=1)
    assert "differs" in output and f"run 1104, {NAME} at tape" in " ".join(output.split())
    replica = next(r for r in folder.rows(Replica) if r.place == "tape")
    assert (replica.state, replica.conflict) == (State.FAILED, True)


def test_a_place_that_does_not_answer_has_lost_nothing(folder: Folder, data: Path) -> None:
    folder.add(data / NAME)
    folder.stage()
    away = {"CYGNO_S3_ENDPOINT": f"http://127.0.0.1:{free_port()}"}
    answer = run(folder, "verify", "--json", code=1, **away)
    assert answer["copies"][0]["state"] == "not asked"
    assert folder.replica(NAME).state == State.CATALOGUED


# retry -------------------------------------------------------------------------------------------
def test_what_failed_is_tried_at_once(folder: Folder, data: Path) -> None:
    folder.add(data / NAME)
    folder.stage(CYGNO_S3_ENDPOINT=f"http://127.0.0.1:{free_port()}")
    assert folder.replica(NAME).next_try_at > now()
    answer = run(folder, "retry", "1104", "--json")
    assert (answer["changed"], answer["files"][0]["place"]) == (1, "cloud")
    assert folder.replica(NAME).next_try_at is None
    assert "nothing has failed" in run(folder, "retry", "7")


def test_a_conflict_is_settled_by_another_name(folder: Folder, data: Path) -> None:
    put(folder, NAME, b"of another run 1104")
    path = folder.add(data / NAME)
    (line,) = complaints(folder.stage())
    assert "settle it with cygno-stager retry" in line
    assert folder.replica(NAME).conflict
    run(folder, "retry", "1104", "--upload-as", "run01104-second.mid")
    assert complaints(folder.stage()) == []
    assert folder.content(NAME) == b"of another run 1104"
    assert folder.content("run01104-second.mid") == path.read_bytes()
    assert "is at cloud as run01104-second.mid" in str(folder.run(1104).note)


def test_a_name_that_is_taken_too_is_another_conflict(folder: Folder, data: Path) -> None:
    put(folder, NAME, b"of another run 1104")
    put(folder, "second.mid", b"of yet another")
    folder.add(data / NAME)
    folder.stage()
    run(folder, "retry", "1104", "--upload-as", "second.mid")
    assert "has another content" in complaints(folder.stage())[0]
    assert folder.content("second.mid") == b"of yet another"


def test_a_conflict_is_settled_for_what_is_there(folder: Folder, data: Path) -> None:
    put(folder, NAME, b"the right one")
    path = folder.add(data / NAME)
    (folder.data / "run01104.reco.h5").write_bytes(b"results")
    folder.stage()
    run(folder, "retry", "1104", "--keep-remote")
    assert folder.stage().outcomes == []
    assert folder.content(NAME) == b"the right one"
    assert folder.replica(NAME).state == State.KEPT
    # It is no copy of ours, which therefore never goes.
    answer = run(folder, "prune", "--apply", "--keep-days", "0", "--json", **ALL)
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
        run(folder, "retry", *arguments)


def test_where_there_is_no_conflict_none_is_settled(folder: Folder, data: Path) -> None:
    folder.add(data / NAME)
    folder.stage()
    with pytest.raises(StagerError, match="there is no such conflict"):
        run(folder, "retry", "1104", "--keep-remote")


# prune -------------------------------------------------------------------------------------------
ALL = {"CYGNO_STAGER_KEEP_NEWEST_RUNS": "1", "CYGNO_STAGER_DELETE_WITHOUT_RECO": "1"}
"""Settings under which age alone decides, but for the newest run."""


def two_runs(folder: Folder, *, days: float = 40.0) -> list[Path]:
    """Stage an old run and the newest one, which always stays; return the files of the old one."""
    for number in (1, 2):
        write_run(folder.data, number, events=1, size_bytes=1000)
    old = sorted(folder.data.glob("run00001*"))
    age(old, days)
    folder.stage()
    forget_times(folder)
    return old


def forget_times(folder: Folder) -> None:
    """Let files alone tell how old runs are."""
    catalog = Catalog(f"sqlite:///{folder.catalog_file}")
    with catalog.write() as session:
        for row in session.query(Run):
            row.start_time = row.stop_time = None
    catalog.close()


def age(paths: list[Path], days: float) -> None:
    """Let files be older."""
    moment = time.time() - timedelta(days=days).total_seconds()
    for path in paths:
        os.utime(path, (moment, moment))


def test_old_runs_go_and_it_is_said_why(folder: Folder, tape: Tape) -> None:
    configure_places(folder, tape=tape.settings())
    old = two_runs(folder)
    answer = run(folder, "prune", "--json", **ALL)
    assert [(r["run"], r["goes"]) for r in answer["runs"]] == [(1, True), (2, False)]
    assert all(path.exists() for path in old), "it was only asked what would go"
    answer = run(folder, "prune", "--apply", "--json", **ALL)
    assert sorted(answer["runs"][0]["deleted"]) == [str(path) for path in old]
    assert not any(path.exists() for path in old)
    file = folder.file("run00001.mid")
    assert (file.state, file.deleted_at is not None) == (State.DELETED, True)
    assert "40.0 days old (kept 30)" in str(file.reason)
    assert f"cloud (CRC32C {file.crc32c}, server checksum)" in str(file.reason)
    assert f"tape (ADLER32 {file.adler32}, check command)" in str(file.reason)
    assert (folder.runlog(1).storage_local_status, folder.runlog(2).storage_local_status) == (0, 1)
    assert folder.stage().outcomes == []
    assert folder.runlog(1).storage_local_status == 0
    assert (folder.data / "run00002.mid").exists()


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"CYGNO_STAGER_KEEP_NEWEST_RUNS": "2"}, "one of the newest 2"),
        ({"CYGNO_STAGER_KEEP_DAYS": "50"}, "40.0 days old (kept 50), and the disk is"),
        ({"CYGNO_STAGER_DELETE_WITHOUT_RECO": "0"}, "it has no reco file"),
    ],
)
def test_what_stays_and_why(folder: Folder, settings: dict[str, str], says: str) -> None:
    old = two_runs(folder)
    full = {"CYGNO_STAGER_FULLER_THAN_PERCENT": "100"}
    answer = run(folder, "prune", "--apply", "--json", **{**ALL, **full, **settings})
    assert says in answer["runs"][0]["reason"]
    assert all(path.exists() for path in old)


def test_a_full_disk_lets_young_runs_go_the_oldest_first(folder: Folder) -> None:
    old = two_runs(folder, days=1.0)
    full = {"CYGNO_STAGER_FULLER_THAN_PERCENT": "0.000001"}
    answer = run(folder, "prune", "--apply", "--json", **ALL, **full)
    assert "1.0 days old, but the disk is" in answer["runs"][0]["reason"]
    assert not any(path.exists() for path in old)


def test_a_copy_that_was_deleted_behind_our_back_keeps_the_local_file(
    folder: Folder, tape: Tape
) -> None:
    configure_places(folder, tape=tape.settings())
    old = two_runs(folder)
    (tape.root / folder.key("run00001.mid")).unlink()
    answer = run(folder, "prune", "--apply", "--json", code=1, **ALL)
    assert "nothing is there" in answer["runs"][0]["reason"]
    assert all(path.exists() for path in old)
    assert folder.file("run00001.mid").state == State.HASHED
    assert complaints(folder.stage()) == [], "it is brought there again"
    assert "run00001.mid" in tape.objects()


def test_a_place_that_cannot_be_asked_keeps_the_local_file(folder: Folder) -> None:
    old = two_runs(folder)
    away = {"CYGNO_S3_ENDPOINT": f"http://127.0.0.1:{free_port()}"}
    output = run(folder, "prune", "--apply", code=1, **ALL, **away)
    assert "could not be verified now" in " ".join(output.split())
    assert all(path.exists() for path in old)
    assert folder.file("run00001.mid").state == State.CATALOGUED


def test_a_place_that_tells_no_checksum_is_no_reason_to_delete(folder: Folder, tape: Tape) -> None:
    configure_places(folder, tape=tape.settings(pattern=r"size: (?P<size>\d+)"))
    old = two_runs(folder)
    answer = run(folder, "prune", "--apply", "--json", **ALL)
    assert "tape tells no checksum of it (size only)" in answer["runs"][0]["reason"]
    assert all(path.exists() for path in old)


def test_a_run_with_a_failed_file_stays_whole(folder: Folder, tape: Tape) -> None:
    configure_places(folder, tape=tape.settings(kinds=["sidecar"]))
    tape.break_(fail=["put"])
    old = two_runs(folder)
    answer = run(folder, "prune", "--apply", "--json", **ALL)
    assert "run00001.mid.crc32c: it is not at its places yet" in answer["runs"][0]["reason"]
    assert all(path.exists() for path in old)
    more = {"CYGNO_STAGER_DELETE_WITH_FAILED": "1"}
    answer = run(folder, "prune", "--apply", "--json", **ALL, **more)
    assert answer["runs"][0]["deleted"] == [str(old[0])]
    assert old[1].exists()


def test_a_file_that_was_changed_after_staging_stays(folder: Folder) -> None:
    old = two_runs(folder)
    status = old[0].stat()
    with old[0].open("ab") as file:
        file.write(b"x")
    os.utime(old[0], ns=(status.st_atime_ns, status.st_mtime_ns))
    answer = run(folder, "prune", "--apply", "--json", code=1, **ALL)
    assert "it is not as it was when it was staged" in answer["runs"][0]["reason"]
    assert old[0].exists()


def test_a_file_that_comes_back_is_known(folder: Folder) -> None:
    old = two_runs(folder)
    content, times = old[0].read_bytes(), old[0].stat().st_mtime_ns
    run(folder, "prune", "--apply", **ALL)
    old[0].write_bytes(content)
    os.utime(old[0], ns=(times, times))
    hashed_at = folder.file(old[0].name).hashed_at
    folder.stage()
    file = folder.file(old[0].name)
    assert (file.state, file.deleted_at, file.hashed_at) == ("catalogued", None, hashed_at)


def test_who_searched_before_a_file_was_deleted_does_not_bring_it_back(folder: Folder) -> None:
    two_runs(folder)
    searched = find_files(folder.data)
    run(folder, "prune", "--apply", **ALL)
    configuration = folder.configuration()
    catalog = Catalog(configuration.catalog_url)
    Registry(Ledger(catalog, configuration)).register(searched, [folder.data])
    catalog.close()
    assert folder.file("run00001.mid").state == State.DELETED
    assert "verified just before" in str(folder.file("run00001.mid").reason)


def test_a_file_that_a_person_removed_is_on_record(folder: Folder) -> None:
    old = two_runs(folder)
    for path in old:
        path.unlink()
    assert folder.stage().outcomes == []
    assert "not deleted by the stager" in str(folder.file("run00001.mid").reason)
    assert folder.runlog(1).storage_local_status == 0


@pytest.mark.parametrize("step", PRUNE_STEPS)
def test_killed_while_deleting(folder: Folder, step: str) -> None:
    old = two_runs(folder)
    done = run_elsewhere(folder, "prune", "--apply", CYGNO_STAGER_CRASH_AT=step, **ALL)
    assert done == -9
    folder.stage()
    states = {row.path: row.state for row in folder.rows(File) if row.run_number == 1}
    for path in old:
        assert states[str(path)] == (State.CATALOGUED if path.exists() else State.DELETED)
    run(folder, "prune", "--apply", **ALL)
    assert not any(path.exists() for path in old)
    assert {r.state for r in folder.rows(File) if r.run_number == 1} == {State.DELETED}
    assert {"run00001.mid", "run00001.mid.crc32c"} <= set(folder.objects())


def test_two_that_delete_at_once_delete_each_file_once(folder: Folder) -> None:
    for number in range(1, 8):
        write_run(folder.data, number, events=1, size_bytes=1000)
    old = sorted(path for path in folder.data.iterdir() if "run00007" not in path.name)
    age(old, 40.0)
    folder.stage()
    forget_times(folder)
    processes = [start_elsewhere(folder, "prune", "--apply", "--json", **ALL) for _ in range(3)]
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    deleted = [
        path
        for answer in folder.path.glob("output-*")
        for entry in json.loads(answer.read_text().splitlines()[-1])["runs"]
        for path in entry["deleted"]
    ]
    assert sorted(deleted) == [str(path) for path in old]
    assert sorted(folder.data.glob("run*")) == sorted(folder.data.glob("run00007*"))
    states = {row.path: (row.state, row.owner) for row in folder.rows(File)}
    assert {states[path] for path in deleted} == {(State.DELETED, None)}
    assert all(folder.objects()[path.name] for path in old)


def start_elsewhere(folder: Folder, *arguments: str, **environment: str) -> Any:
    """Run a command in a process of its own, its output in a file; return the process."""
    from tests.stager.staging import PROCESSES

    process = PROCESSES.Process(
        target=_command,
        args=([*arguments, "--experiment", str(folder.path)], folder.path),
        kwargs={"environment": {**folder.environment, **environment}},
    )
    process.start()
    return process


def run_elsewhere(folder: Folder, *arguments: str, **environment: str) -> int:
    """Run a command in a process of its own; return its exit code."""
    process = start_elsewhere(folder, *arguments, **environment)
    process.join(60)
    return int(process.exitcode or 0)


def _command(arguments: list[str], folder: Path, environment: dict[str, str]) -> None:
    os.environ.update(environment)
    with (folder / f"output-{os.getpid()}").open("w") as output, redirect_stdout(output):
        app(arguments)


@pytest.mark.parametrize("command", ["verify", "retry", "prune"])
def test_help_has_examples(command: str) -> None:
    result = CliRunner().invoke(app, [command, "--help"])
    assert result.exit_code == 0
    assert f"cygno-stager {command} --" in result.stdout
