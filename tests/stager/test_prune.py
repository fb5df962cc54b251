"""``cygno-stager prune``: only what is safe goes, what went is on record, a crash loses nothing."""

import json
import os
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from stager.catalog import Catalog
from stager.crash import PRUNE_STEPS
from stager.discovery import find_files
from stager.ledger import Ledger
from stager.main import app
from stager.models import File, State
from stager.once import complaints
from stager.registry import Registry
from tests.conftest import free_port
from tests.stager.old_runs import BY_AGE, age, forget_times, two_runs
from tests.stager.runs import write_run
from tests.stager.staging import PROCESSES, Folder, run_command
from tests.stager.tape import Tape, configure_places


def test_old_runs_go_and_it_is_said_why(folder: Folder, tape: Tape) -> None:
    configure_places(folder, tape=tape.settings())
    old = two_runs(folder)
    answer = run_command(folder, "prune", "--json", **BY_AGE)
    assert [(r["run"], r["goes"]) for r in answer["runs"]] == [(1, True), (2, False)]
    assert all(path.exists() for path in old), "it was only asked what would go"
    answer = run_command(folder, "prune", "--apply", "--json", **BY_AGE)
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
    answer = run_command(folder, "prune", "--apply", "--json", **{**BY_AGE, **full, **settings})
    assert says in answer["runs"][0]["reason"]
    assert all(path.exists() for path in old)


def test_a_full_disk_lets_young_runs_go_the_oldest_first(folder: Folder) -> None:
    old = two_runs(folder, days=1.0)
    full = {"CYGNO_STAGER_FULLER_THAN_PERCENT": "0.000001"}
    answer = run_command(folder, "prune", "--apply", "--json", **BY_AGE, **full)
    assert "1.0 days old, but the disk is" in answer["runs"][0]["reason"]
    assert not any(path.exists() for path in old)


def test_a_copy_that_was_deleted_behind_our_back_keeps_the_local_file(
    folder: Folder, tape: Tape
) -> None:
    configure_places(folder, tape=tape.settings())
    old = two_runs(folder)
    (tape.root / folder.key("run00001.mid")).unlink()
    answer = run_command(folder, "prune", "--apply", "--json", code=1, **BY_AGE)
    assert "nothing is there" in answer["runs"][0]["reason"]
    assert all(path.exists() for path in old)
    assert folder.file("run00001.mid").state == State.HASHED
    assert complaints(folder.stage()) == [], "it is brought there again"
    assert "run00001.mid" in tape.objects()


def test_a_place_that_cannot_be_asked_keeps_the_local_file(folder: Folder) -> None:
    old = two_runs(folder)
    away = {"CYGNO_S3_ENDPOINT": f"http://127.0.0.1:{free_port()}"}
    output = run_command(folder, "prune", "--apply", code=1, **BY_AGE, **away)
    assert "could not be verified now" in " ".join(output.split())
    assert all(path.exists() for path in old)
    assert folder.file("run00001.mid").state == State.CATALOGUED


def test_a_place_that_tells_no_checksum_is_no_reason_to_delete(folder: Folder, tape: Tape) -> None:
    configure_places(folder, tape=tape.settings(pattern=r"size: (?P<size>\d+)"))
    old = two_runs(folder)
    answer = run_command(folder, "prune", "--apply", "--json", **BY_AGE)
    assert "tape tells no checksum of it (size only)" in answer["runs"][0]["reason"]
    assert all(path.exists() for path in old)


def test_a_run_with_a_failed_file_stays_whole(folder: Folder, tape: Tape) -> None:
    configure_places(folder, tape=tape.settings(kinds=["sidecar"]))
    tape.break_(fail=["put"])
    old = two_runs(folder)
    answer = run_command(folder, "prune", "--apply", "--json", **BY_AGE)
    assert "run00001.mid.crc32c: it is not at its places yet" in answer["runs"][0]["reason"]
    assert all(path.exists() for path in old)
    more = {"CYGNO_STAGER_DELETE_WITH_FAILED": "1"}
    answer = run_command(folder, "prune", "--apply", "--json", **BY_AGE, **more)
    assert answer["runs"][0]["deleted"] == [str(old[0])]
    assert old[1].exists()


def test_a_file_that_was_changed_after_staging_stays(folder: Folder) -> None:
    old = two_runs(folder)
    status = old[0].stat()
    with old[0].open("ab") as file:
        file.write(b"x")
    os.utime(old[0], ns=(status.st_atime_ns, status.st_mtime_ns))
    answer = run_command(folder, "prune", "--apply", "--json", code=1, **BY_AGE)
    assert "it is not as it was when it was staged" in answer["runs"][0]["reason"]
    assert old[0].exists()


def test_a_file_that_comes_back_is_known(folder: Folder) -> None:
    old = two_runs(folder)
    content, times = old[0].read_bytes(), old[0].stat().st_mtime_ns
    run_command(folder, "prune", "--apply", **BY_AGE)
    old[0].write_bytes(content)
    os.utime(old[0], ns=(times, times))
    hashed_at = folder.file(old[0].name).hashed_at
    folder.stage()
    file = folder.file(old[0].name)
    assert (file.state, file.deleted_at, file.hashed_at) == ("catalogued", None, hashed_at)


def test_who_searched_before_a_file_was_deleted_does_not_bring_it_back(folder: Folder) -> None:
    two_runs(folder)
    searched = find_files(folder.data)
    run_command(folder, "prune", "--apply", **BY_AGE)
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
    done = run_elsewhere(folder, "prune", "--apply", CYGNO_STAGER_CRASH_AT=step, **BY_AGE)
    assert done == -9
    folder.stage()
    states = {row.path: row.state for row in folder.rows(File) if row.run_number == 1}
    for path in old:
        assert states[str(path)] == (State.CATALOGUED if path.exists() else State.DELETED)
    run_command(folder, "prune", "--apply", **BY_AGE)
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
    processes = [start_elsewhere(folder, "prune", "--apply", "--json", **BY_AGE) for _ in range(3)]
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
