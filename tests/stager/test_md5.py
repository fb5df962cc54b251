"""MD5, which the run log wants and no bucket needs: computed while a file is hashed and sent.

A file is done only once its MD5 is on record, whatever happened meanwhile.
"""

import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from stager.catalog import Catalog
from stager.discovery import find_files
from stager.errors import FileError, Stopped
from stager.hashing import FileHashes, hash_file, read_md5
from stager.ledger import Ledger
from stager.models import File, Replica, State
from stager.once import complaints
from stager.outcome import WAITING, outcome_of
from stager.places.opened import Places
from stager.registry import Registry
from stager.runscan import scan_run
from stager.steps import Done, Steps
from tests.stager.runs import write_run
from tests.stager.staging import Folder, Silent, run_command
from tests.stager.tape import Tape, configure_places

PARTS = {"CYGNO_S3_PART_SIZE_MIB": "5", "CYGNO_STAGER_KINDS": "raw"}


def md5_of(path: Path) -> str:
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def lone_run(folder: Folder) -> Path:
    """Write a run of two parts without sidecar, so that it is the first to pass each step."""
    path = write_run(folder.data, 1, events=8)
    path.with_name(f"{path.name}.crc32c").unlink()
    return path


def ignore(*_: object) -> None:
    """Take any news."""


@pytest.fixture
def ledger(folder: Folder) -> Iterator[Ledger]:
    """A catalog of the folder's files."""
    configuration = folder.configuration()
    catalog = Catalog(configuration.catalog_url)
    yield Ledger(catalog, configuration)
    catalog.close()


def hashed(ledger: Ledger, folder: Folder, path: Path) -> File:
    """Let a run be on record as hashed, without its MD5."""
    found = [f for f in find_files(folder.data) if f.path == path]
    (file,) = Registry(ledger).register(found, [folder.data])
    return ledger.commit_hashed(file.id, hash_file(path, ignore), scan_run(path, lambda: None))


def test_a_file_is_done_when_its_md5_is_on_record(folder: Folder, ledger: Ledger) -> None:
    path = write_run(folder.data, 1, events=2)
    file = hashed(ledger, folder, path)
    assert (file.md5, folder.runlog(1).file_checksum) == (None, None)
    ledger.commit_catalogued(file.replicas[0].id)
    assert folder.file(path.name).state == State.HASHED, "the run log lacks its MD5"
    ledger.commit_md5(file, read_md5(path, ignore).md5)
    done = folder.file(path.name)
    assert (done.state, done.md5) == (State.CATALOGUED, md5_of(path))
    assert folder.runlog(1).file_checksum == md5_of(path)


@pytest.mark.parametrize("cores", [1, 2])
def test_the_md5_begins_where_there_is_a_core_for_it(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, cores: int
) -> None:
    begun: list[bool] = []
    computed = Steps.md5

    def md5(steps: Steps, file: File, hashing: "Future[Done] | None" = None) -> Done:
        begun.append(hashing is not None)
        return computed(steps, file, hashing)

    monkeypatch.setattr(Steps, "md5", md5)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)))
    path = lone_run(folder)
    assert complaints(folder.stage(**PARTS)) == []
    assert begun[0] == (cores > 1), "before the hashing is done, or after it"
    assert (folder.file(path.name).md5, folder.content(path.name)) == (
        md5_of(path),
        path.read_bytes(),
    )


def test_the_md5_of_what_a_file_was_is_not_that_of_what_it_is(
    folder: Folder, ledger: Ledger
) -> None:
    path = write_run(folder.data, 1, events=2)
    file = hashed(ledger, folder, path)
    before = read_md5(path, ignore).md5
    other = FileHashes(file.size_bytes, file.mtime_ns, "0" * 64, "01234567", "00000001")
    ledger.commit_hashed(file.id, other)  # it was changed, and another thread was faster
    ledger.commit_md5(file, before)
    assert folder.file(path.name).md5 is None


@pytest.mark.parametrize("change", ["a byte", "the end", "all of it"])
def test_a_file_that_is_not_what_was_hashed_has_no_md5(
    folder: Folder, ledger: Ledger, change: str
) -> None:
    path = write_run(folder.data, 1, events=2)
    file = hashed(ledger, folder, path)
    content = bytearray(path.read_bytes())
    if change == "a byte":
        content[1000] ^= 1
        path.write_bytes(content)
    elif change == "the end":
        path.write_bytes(content[:-1])
    else:
        path.unlink()
    if change == "all of it":
        with pytest.raises(FileError, match="cannot be read"):
            read_md5(path, ignore)
    else:
        assert "has changed since it was hashed" in read_md5(path, ignore).doubt(file)


def test_a_file_that_changes_before_its_md5_is_known_fails(folder: Folder) -> None:
    """The change leaves no trace in the folder; neither the object nor the MD5 comes to be."""
    path = lone_run(folder)
    assert folder.stage_in_process(**PARTS, CYGNO_STAGER_CRASH_AT="hash-committed") == -9
    content, status = path.read_bytes(), path.stat()
    path.write_bytes(content[:5000] + bytes([content[5000] ^ 1]) + content[5001:])
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    lines = complaints(folder.stage(**PARTS))
    assert lines and all(path.name in line for line in lines)
    assert path.name not in folder.objects()
    assert folder.file(path.name).md5 is None
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert complaints(folder.stage(**PARTS)) == []
    assert (folder.file(path.name).md5, folder.content(path.name)) == (md5_of(path), content)


@pytest.mark.parametrize("step", ["hash-committed", "md5-done"])
def test_a_settled_conflict_leaves_no_file_without_its_md5(folder: Folder, step: str) -> None:
    """Nothing is left to bring anywhere, and the run log is completed nevertheless."""
    path = lone_run(folder)
    folder.put(path.name, b"of another run 1")
    assert folder.stage_in_process(**PARTS, CYGNO_STAGER_CRASH_AT=step) == -9
    assert folder.file(path.name).md5 is None
    catalog = Catalog(f"sqlite:///{folder.catalog_file}")
    with catalog.write() as session:
        for replica in session.query(Replica):
            replica.conflict, replica.owner = replica.object_key == folder.key(path.name), None
    catalog.close()
    run_command(folder, "retry", "1", "--keep-remote", **PARTS)
    assert folder.file(path.name).state == State.HASHED
    assert complaints(folder.stage(**PARTS)) == []
    file = folder.file(path.name)
    assert (file.state, file.md5) == (State.CATALOGUED, md5_of(path))
    assert folder.runlog(1).file_checksum == md5_of(path)


def test_a_program_is_told_the_md5_before_it_is_on_record(folder: Folder, tape: Tape) -> None:
    settings = tape.settings()
    settings["put"] = f"{settings['put']} {{md5}}"
    configure_places(folder, tape=settings)
    path = write_run(folder.data, 1, events=8)
    complaints(folder.stage(**PARTS))
    assert folder.file(path.name).md5 == md5_of(path)
    assert md5_of(path) in (tape.root / "calls").read_text()


def found_run(folder: Folder, ledger: Ledger) -> File:
    """Let a run be known, and not yet hashed."""
    write_run(folder.data, 1, events=2)
    found = [f for f in find_files(folder.data) if f.path.suffix == ".mid"]
    return Registry(ledger).register(found, [folder.data])[0]


@pytest.fixture
def steps(folder: Folder, ledger: Ledger) -> Steps:
    """What the threads of a stager do."""
    configuration = folder.configuration()
    places = Places(configuration, {})
    return Steps(configuration, ledger, places, Silent(), threading.Event(), ignore, ignore)


def in_thread(do: Callable[[], Done]) -> "Future[Done]":
    """Let a thread do something."""
    pool = ThreadPoolExecutor(1)
    try:
        return pool.submit(do)
    finally:
        pool.shutdown(wait=False)


def test_the_md5_is_begun_before_the_file_is_hashed(
    folder: Folder, ledger: Ledger, steps: Steps
) -> None:
    file, hashing = found_run(folder, ledger), Future[Done]()
    computing = in_thread(lambda: steps.md5(file, hashing))
    path = Path(file.path)
    hashes, scan = hash_file(path, ignore), scan_run(path, lambda: None)
    hashing.set_result(ledger.commit_hashed(file.id, hashes, scan))
    assert computing.result(20) is None
    assert folder.file(path.name).md5 == folder.runlog(1).file_checksum == md5_of(path)


@pytest.mark.parametrize("end", ["it waits", "it failed", "it was given up"])
def test_a_file_that_comes_not_to_be_hashed_has_no_md5(
    folder: Folder, ledger: Ledger, steps: Steps, end: str
) -> None:
    file, hashing = found_run(folder, ledger), Future[Done]()
    computing = in_thread(lambda: steps.md5(file, hashing))
    if end == "it waits":
        hashing.set_result(outcome_of(file, WAITING, "something writes to it"))
    elif end == "it failed":
        hashing.set_exception(Stopped("asked to end"))
    else:
        hashing.cancel()
    assert computing.result(20) is None
    after = folder.file(file.name)
    assert (after.md5, after.state, after.tries) == (None, State.DISCOVERED, 0)


def test_an_md5_of_other_bytes_than_were_hashed_is_a_failure(
    folder: Folder, ledger: Ledger, steps: Steps
) -> None:
    file, hashing = found_run(folder, ledger), Future[Done]()
    path = Path(file.path)
    hashes, scan = hash_file(path, ignore), scan_run(path, lambda: None)
    path.write_bytes(path.read_bytes()[:-1])
    hashing.set_result(ledger.commit_hashed(file.id, hashes, scan))
    steps.md5(file, hashing)
    after = folder.file(path.name)
    assert (after.md5, after.state) == (None, State.FAILED)
    assert "has changed since it was hashed" in str(after.reason)


def test_an_md5_that_is_on_record_is_not_computed_again(
    folder: Folder, ledger: Ledger, steps: Steps
) -> None:
    path = write_run(folder.data, 1, events=2)
    file = hashed(ledger, folder, path)
    ledger.commit_md5(file, md5_of(path))
    path.unlink()  # it could not be read
    assert steps.md5(file) is None
    assert folder.file(path.name).state == State.HASHED
