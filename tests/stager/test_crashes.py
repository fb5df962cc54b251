"""The stager may be killed anywhere: nothing is lost, nothing is there twice, and it goes on."""

import hashlib
import json
import os
import random
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from stager import claims, crash
from stager.catalog import Catalog
from stager.crash import STEPS
from stager.models import File, Replica, State, now
from tests.stager.mariadb import MariaDb
from tests.stager.runs import write_run
from tests.stager.staging import PROCESSES, Folder, crc_of

PARTS = {"CYGNO_S3_PART_SIZE_MIB": "5"}


def require_all_done(folder: Folder, path: Path) -> None:
    """Check that one run is whole in the folder, on the server and in the catalog, once."""
    assert folder.content(path.name) == path.read_bytes()
    assert set(folder.objects()) == {p.name for p in folder.data.iterdir()}
    assert folder.unfinished_uploads() == []
    replica = folder.replica(path.name)
    assert (replica.state, replica.checksum) == (State.CATALOGUED, crc_of(path))
    rows = [*folder.rows(File), *folder.rows(Replica)]
    assert {row.state for row in rows} == {State.CATALOGUED}
    assert {row.owner for row in rows} == {None}
    row = folder.runlog(1)
    assert (row.storage_cloud_status, row.storage_local_status) == (1, 1)
    assert (row.number_of_events, row.file_s3_tag) == (8.0, folder.tag)
    md5 = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    assert row.file_checksum == folder.file(path.name).md5 == md5


def test_all_points_of_the_code_are_known() -> None:
    """So that tests, which take them from these tuples, kill at each of them."""
    code = "".join(path.read_text() for path in Path(crash.__file__).parent.rglob("*.py"))
    known = [*STEPS, *crash.TRANSCODE_STEPS, *crash.COPY_STEPS, *crash.COMMAND_STEPS]
    assert set(re.findall(r'reached\("([^"]+)"\)', code)) == {*known, *crash.PRUNE_STEPS}


@pytest.mark.parametrize("step", STEPS)
def test_killed_at(folder: Folder, step: str) -> None:
    path = write_run(folder.data, 1, events=8)
    before = path.read_bytes()
    assert folder.stage_in_process(**PARTS, CYGNO_STAGER_CRASH_AT=step) == -9
    assert path.read_bytes() == before
    folder.stage(**PARTS)
    require_all_done(folder, path)


@pytest.mark.parametrize("seed", [7, 11])
def test_killed_again_and_again(folder: Folder, seed: int) -> None:
    path = write_run(folder.data, 1, events=8)
    steps = random.Random(seed).sample(STEPS, 3)
    for step in steps:
        assert folder.stage_in_process(**PARTS, CYGNO_STAGER_CRASH_AT=step) in (-9, 0)
    folder.stage(**PARTS)
    require_all_done(folder, path)


def test_killed_while_a_small_file_is_staged(folder: Folder, data: Path) -> None:
    path = folder.add(data / "run01104.mid")
    assert folder.stage_in_process(CYGNO_STAGER_CRASH_AT="object-done") == -9
    # The object is there, the catalog does not know it yet.
    assert list(folder.objects()) == [path.name]
    assert folder.replica(path.name).state == State.UPLOADING
    assert folder.stage().outcomes[0].state == State.CATALOGUED


def test_two_stagers_at_once_do_each_file_once(folder: Folder) -> None:
    paths = [write_run(folder.data, number, events=2) for number in range(1, 9)]
    processes = [folder.start() for _ in range(2)]
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    answers = [path.read_text() for path in folder.path.glob("answer-*.json")]
    assert len(answers) == 2
    staged = [
        entry["path"]
        for answer in answers
        for entry in json.loads(answer)["files"]
        if entry["state"] == State.CATALOGUED
    ]
    assert len(staged) == len(set(staged)), "a file was staged twice"
    # What one found in the hands of the other, the other has done.
    assert {row.state for row in folder.rows(Replica)} == {State.CATALOGUED}
    assert set(folder.objects()) == {p.name for p in folder.data.iterdir()}
    assert all(folder.content(path.name) == path.read_bytes() for path in paths)


def open_catalog(url: str, together: Any) -> None:
    """Open a catalog at the same moment as others; the body of a process."""
    together.wait()
    Catalog(url).close()


@pytest.mark.parametrize("kind", ["sqlite", "mariadb"])
def test_a_new_catalog_may_be_opened_by_several_at_once(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str
) -> None:
    for number in range(4):
        together = PROCESSES.Barrier(3)
        url = f"sqlite:///{tmp_path}/{number}.sqlite"
        if kind == "mariadb":
            server: MariaDb = request.getfixturevalue("mariadb")
            url = server.url(server.new_database())
        opening = [PROCESSES.Process(target=open_catalog, args=(url, together)) for _ in range(3)]
        for process in opening:
            process.start()
        for process in opening:
            process.join(60)
        assert [process.exitcode for process in opening] == [0, 0, 0]


def test_a_claim_is_respected_while_its_process_lives(folder: Folder, data: Path) -> None:
    path = folder.add(data / "run01104.mid")
    assert folder.stage_in_process(CYGNO_STAGER_CRASH_AT="discovered") == -9
    host, here, _, _ = claims.own_identity().rsplit(" ", 3)
    parent = os.getppid()
    hold(folder, f"{host} {here} {parent} {claims.started(parent)}")
    outcome = folder.stage().outcomes[0]
    assert outcome.state == "waiting"
    assert outcome.reason == f"process {parent} on {host} works on it"
    assert path.name not in folder.objects()


def test_a_claim_of_another_computer_ends_with_its_lease(folder: Folder, data: Path) -> None:
    folder.add(data / "run01104.mid")
    assert folder.stage_in_process(CYGNO_STAGER_CRASH_AT="discovered") == -9
    hold(folder, "elsewhere 01234567/1 42 99")
    assert folder.stage().outcomes[0].state == "waiting"
    hold(folder, "elsewhere 01234567/1 42 99", lease_s=-1)
    assert folder.stage().outcomes[0].state == State.CATALOGUED


def hold(folder: Folder, owner: str, lease_s: float = 60) -> None:
    """Let somebody hold every file."""
    catalog = Catalog(f"sqlite:///{folder.catalog_file}")
    with catalog.write() as session:
        for row in session.query(File):
            row.owner, row.lease_until = owner, now() + timedelta(seconds=lease_s)
    catalog.close()


def test_dead_and_living_processes_are_told_apart() -> None:
    host, here, pid, started = claims.own_identity().rsplit(" ", 3)
    assert not claims.is_dead(f"{host} {here} {pid} {started}")
    assert claims.is_dead(f"{host} {here} {pid} {int(started) - 1}")  # its number was used again
    assert claims.is_dead(f"{host} {here} 4194303 {started}")
    assert not claims.is_dead(f"elsewhere 01234567/1 {pid} {started}")
    assert not claims.is_dead("not an identity")
