"""Run files that are transcoded on their way: the same events, the checksums of both on record."""

import json
from pathlib import Path

import numpy as np
import pytest

from rawdata.checksum import crc32c
from rawdata.recode import shrink_event
from rawdata.runfile import RunFile
from rawdata.runwriter import RunWriter
from stager.crash import TRANSCODE_STEPS
from stager.models import Replica, State
from stager.once import complaints
from tests.stager.old_runs import BY_AGE, two_runs
from tests.stager.runs import write_run
from tests.stager.staging import Folder, crc_of, run_command
from tests.stager.tape import configure_places
from tests.stager.test_failures import grow, small_disk  # noqa: F401 - a fixture

GZIP = {"compression": "gzip"}


def stream_crc(path: Path) -> str:
    crc = 0
    with RunFile(path) as run:
        for event in run:
            crc = crc32c(event.raw, crc)
    return f"{crc:08x}"


def fetched(folder: Folder, name: str, tmp_path: Path) -> Path:
    path = tmp_path / name
    path.write_bytes(folder.content(name))
    return path


def test_another_compression_has_the_same_events(folder: Folder, tmp_path: Path) -> None:
    configure_places(folder, cloud=GZIP)
    path = write_run(folder.data, 1, events=2, compress="lz4")
    assert complaints(folder.stage()) == []
    # Of the sidecars that of the events is true there, that of the lz4 file is not.
    assert set(folder.objects()) == {"run00001.mid.gz", "run00001.mid.crc32c"}
    there = fetched(folder, "run00001.mid.gz", tmp_path)
    assert stream_crc(there) == stream_crc(path)
    file, replica = folder.file(path.name), folder.replica(there.name)
    assert (file.crc32c, file.stream_crc32c) == (crc_of(path), stream_crc(path))
    assert (replica.content_crc32c, replica.stream_crc32c) == (crc_of(there), stream_crc(path))
    assert (replica.content_bytes, replica.transcoded) == (there.stat().st_size, "gzip")
    assert replica.checksum == crc_of(there)
    assert list((folder.data / ".cygno-stager").iterdir()) == [], "the transcoded file is gone"


def shrunk_run(folder: Folder, data: Path) -> Path:
    """Write the recorded run with compressed frames."""
    writer = RunWriter(folder.data / "run01104.mid", "none", checksum=False)
    with RunFile(data / "run01104.mid") as run, writer:
        for event in run:
            writer.write(shrink_event(event, columns=0).event)
    return Path(writer.close().path)


def test_frames_are_expanded_bit_for_bit(folder: Folder, data: Path, tmp_path: Path) -> None:
    configure_places(folder, cloud={"expand": True, "compression": "gzip"})
    path = shrunk_run(folder, data)
    assert complaints(folder.stage()) == []
    there = fetched(folder, "run01104.mid.gz", tmp_path)
    assert stream_crc(there) == stream_crc(data / "run01104.mid") != stream_crc(path)
    replica = folder.replica(there.name)
    assert (replica.transcoded, replica.stream_crc32c) == ("expanded, gzip", stream_crc(there))
    with RunFile(there) as new, RunFile(data / "run01104.mid") as old:
        for a, b in zip(new, old, strict=True):
            assert np.array_equal(np.asarray(a.raw), np.asarray(b.raw))


def test_a_damaged_file_goes_as_it_is(folder: Folder) -> None:
    configure_places(folder, cloud=GZIP)
    path = write_run(folder.data, 1, events=4, end=False)
    path.write_bytes(path.read_bytes()[:-1000])
    assert complaints(folder.stage()) == []
    assert folder.content(path.name) == path.read_bytes()
    assert folder.replica(path.name).transcoded is None


def test_what_is_wanted_already_is_not_transcoded(folder: Folder) -> None:
    configure_places(folder, cloud=GZIP)
    path = write_run(folder.data, 1, events=1, compress="gzip")
    folder.stage()
    assert folder.content(path.name) == path.read_bytes()


def test_one_file_goes_in_two_forms(folder: Folder, tmp_path: Path) -> None:
    second = tmp_path / "second"
    second.mkdir()
    configure_places(folder, nas={"kind": "folder", "folder": str(second), "compression": "zstd"})
    path = write_run(folder.data, 1, events=1)
    assert complaints(folder.stage()) == []
    assert folder.content(path.name) == path.read_bytes()
    assert stream_crc(second / folder.key("run00001.mid.zst")) == stream_crc(path)


@pytest.mark.parametrize("step", [*TRANSCODE_STEPS, "part-done", "object-done", "verify-committed"])
def test_killed_at(folder: Folder, step: str, tmp_path: Path) -> None:
    configure_places(folder, cloud=GZIP)
    parts = {"CYGNO_S3_PART_SIZE_MIB": "5", "CYGNO_STAGER_KINDS": "raw"}
    path = write_run(folder.data, 1, events=8)
    before = path.read_bytes()
    assert folder.stage_in_process(**parts, CYGNO_STAGER_CRASH_AT=step) == -9
    assert complaints(folder.stage(**parts)) == []
    assert set(folder.objects()) == {"run00001.mid.gz"}
    assert folder.unfinished_uploads() == []
    there = fetched(folder, "run00001.mid.gz", tmp_path)
    assert stream_crc(there) == stream_crc(path)
    (replica,) = folder.rows(Replica)
    assert (replica.state, replica.checksum) == (State.CATALOGUED, crc_of(there))
    assert path.read_bytes() == before
    assert list((folder.data / ".cygno-stager").iterdir()) == []


def test_what_is_there_is_known_again_where_the_catalog_was_lost(folder: Folder) -> None:
    """The same run always gives the same bytes, so that a copy is known by them alone."""
    configure_places(folder, cloud=GZIP)
    path = write_run(folder.data, 1, events=2, compress="lz4")
    assert complaints(folder.stage()) == []
    before = folder.client().head_object(Bucket=folder.bucket, Key=folder.key("run00001.mid.gz"))
    for file in folder.path.glob("catalog.sqlite*"):
        file.unlink()
    assert complaints(folder.stage()) == []
    after = folder.client().head_object(Bucket=folder.bucket, Key=folder.key("run00001.mid.gz"))
    assert (after["ETag"], after["LastModified"]) == (before["ETag"], before["LastModified"])
    replica = folder.replica("run00001.mid.gz")
    assert (replica.state, replica.verified_by) == (State.CATALOGUED, "server checksum")
    assert replica.stream_crc32c == stream_crc(path)


def test_without_room_for_it_nothing_is_sent(
    folder: Folder,
    small_disk: Path,  # noqa: F811
) -> None:
    configure_places(folder, cloud=GZIP)
    scratch = {"CYGNO_STAGER_SCRATCH_DIR": str(small_disk / "s"), "CYGNO_STAGER_KINDS": "raw"}
    path = write_run(folder.data, 1, events=14)
    (line,) = complaints(folder.stage(**scratch))
    assert f"no room to transcode {path.name}" in line and "name another Scratch dir" in line
    assert folder.objects() == {}
    grow(small_disk, "64m")
    assert complaints(folder.stage(**scratch)) == []
    assert list(folder.objects()) == ["run00001.mid.gz"]


def test_verify_and_prune_know_what_was_transcoded(folder: Folder) -> None:
    configure_places(folder, cloud=GZIP)
    old = two_runs(folder)
    answer = run_command(folder, "verify", "--read-back", "--json")
    assert answer["failed"] == 0
    run_command(folder, "prune", "--apply", **BY_AGE)
    assert not any(path.exists() for path in old)
    assert json.loads(json.dumps(answer))["copies"][0]["verified_by"] == "read back"
