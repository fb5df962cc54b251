"""Which files are found, which are closed, and what becomes of those that never will be."""

import mmap
import os
import time
from pathlib import Path

import pytest

from stager.discovery import classify, find_files, has_writer, why_wait
from stager.errors import FileError
from stager.models import State
from stager.once import complaints, stage_once
from stager.outcome import WAITING
from tests.stager.runs import write_run
from tests.stager.staging import Folder, Silent


@pytest.mark.parametrize(
    ("name", "is_what"),
    [
        ("run00042.mid", (42, 0, "raw")),
        ("run00042.mid.gz", (42, 0, "raw")),
        ("run00042.mid.lz4", (42, 0, "raw")),
        ("run00042_003.mid.zst", (42, 3, "raw")),
        ("run123456.mid.bz2", (123456, 0, "raw")),
        ("run00042.mid.crc32c", (42, 0, "sidecar")),
        ("run00042.mid.lz4.crc32c", (42, 0, "sidecar")),
        ("run00042.reco.h5", (42, 0, "reco")),
        ("run00042.truth.h5", (42, 0, "truth")),
        ("run00042.json", (42, 0, "odb")),
        ("run42.mid", None),
        ("run00042.mid.tmp", None),
        (".run00042.mid.crc32c.tmp", None),
        ("last.json", None),
        ("xrun00042.mid", None),
    ],
)
def test_names(name: str, is_what: tuple[int, int, str] | None) -> None:
    assert classify(name) == is_what


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="nowhere cannot be read: No such file"):
        find_files(tmp_path / "nowhere")


def test_raw_files_come_first_in_the_order_of_runs(tmp_path: Path) -> None:
    names = ["run00002.mid", "run00001.reco.h5", "run00001.mid", "run00001_001.mid"]
    for name in names:
        (tmp_path / name).touch()
    (tmp_path / "run00003.mid").mkdir()
    assert [file.path.name for file in find_files(tmp_path)] == [
        "run00001.mid",
        "run00001.reco.h5",
        "run00001_001.mid",
        "run00002.mid",
    ]


def test_the_kernel_knows_writers(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 10)
    assert has_writer(path) is False
    with path.open("rb"):
        assert has_writer(path) is False
    with path.open("ab"):
        assert has_writer(path) is True
    with path.open("r+b") as file:
        mapped = mmap.mmap(file.fileno(), 0)
    assert has_writer(path) is True  # its descriptor is closed, its memory can still be written
    mapped.close()
    assert has_writer(path) is False
    assert has_writer(tmp_path / "missing") is None


def test_looking_for_writers_disturbs_none(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    for _ in range(200):
        assert has_writer(path) is False
        with path.open("ab") as file:
            file.write(b"x")
    assert path.stat().st_size == 200


def test_the_current_run_waits(folder: Folder) -> None:
    write_run(folder.data, 5, events=1)
    configuration = folder.configuration()
    result = stage_once(configuration, lambda: 5, lambda: None, Silent())
    assert {o.state for o in result.outcomes} == {WAITING}
    assert result.outcomes[0].reason == "run 5 is being taken"
    assert complaints(result) == []
    assert folder.objects() == {}
    assert str(folder.file("run00005.mid").reason) == "run 5 is being taken"
    folder.stage()
    assert "run00005.mid" in folder.objects()


def test_a_file_with_a_writer_waits(folder: Folder) -> None:
    path = write_run(folder.data, 5, events=3, end=False)
    with path.open("ab"):
        outcome = folder.stage().outcomes[0]
        assert (outcome.state, outcome.reason) == (WAITING, "a program is writing to it")
    outcome = folder.stage().outcomes[0]
    assert (outcome.state, outcome.truncated, outcome.events) == (State.CATALOGUED, True, 3)


def test_a_file_without_end_is_staged_as_truncated_once_it_is_at_rest(folder: Folder) -> None:
    path = write_run(folder.data, 5, events=3, end=False)
    with path.open("ab") as file:
        file.write(path.read_bytes()[-2000:])  # half of an event more
    outcome = folder.stage().outcomes[0]
    assert (outcome.state, outcome.truncated, outcome.events) == (State.CATALOGUED, True, 3)
    assert folder.content(path.name) == path.read_bytes()
    run = folder.run(5)
    assert (run.is_complete, run.events) == (False, 3)
    assert "has no end-of-run event; 3 whole events" in str(run.note)
    assert "cannot be read beyond byte" in str(run.note)
    row = folder.runlog(5)
    assert (row.number_of_events, row.stop_time) == (3.0, None)


@pytest.mark.parametrize("compress", ["gzip", "lz4", "zstd"])
def test_a_compressed_file_that_ends_in_the_middle(folder: Folder, compress: str) -> None:
    whole = write_run(folder.data, 5, events=4, compress=compress, end=False)
    content = whole.read_bytes()
    whole.write_bytes(content[: len(content) - 300_000])
    outcome = folder.stage().outcomes[0]
    assert (outcome.state, outcome.truncated) == (State.CATALOGUED, True)
    assert outcome.events is not None and 0 < outcome.events < 4


def test_what_changed_just_now_must_rest_first(folder: Folder) -> None:
    path = write_run(folder.data, 5, events=1, end=False)
    recent = find_files(folder.data)[0]
    assert why_wait(recent, None, settle_s=0) is None
    configuration = folder.configuration(CYGNO_STAGER_SETTLE_S="3600")
    os.utime(path)
    ticks = []

    def give_up() -> None:
        ticks.append(time.monotonic())
        if len(ticks) > 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):  # it would wait for an hour
        stage_once(configuration, lambda: None, give_up, Silent())
    assert folder.objects() == {}
    assert "changed" in str(folder.file(path.name).reason)


def test_a_compressed_file_waits_for_its_compressor(folder: Folder) -> None:
    write_run(folder.data, 5, events=1)
    (folder.data / "run00005.mid.gz").write_bytes(b"\x1f\x8b half of it")
    states = {Path(o.path).name: (o.state, o.reason) for o in folder.stage().outcomes}
    assert states["run00005.mid"][0] == State.CATALOGUED
    assert states["run00005.mid.gz"][0] == WAITING
    assert "run00005.mid is still beside it" in states["run00005.mid.gz"][1]


def test_a_file_that_is_no_run_at_all_is_staged_and_flagged(folder: Folder) -> None:
    (folder.data / "run00005.mid").write_bytes(b"this is no MIDAS file" * 10)
    outcome = folder.stage().outcomes[0]
    assert (outcome.state, outcome.truncated, outcome.events) == (State.CATALOGUED, True, 0)
    assert "cannot be read beyond byte 0" in str(folder.run(5).note)
