import bz2
import gzip
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import lz4.frame
import numpy as np
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from rawdata import compressors
from rawdata.checksum import crc32c, read_sidecar
from rawdata.compressors import COMPRESSORS, SUFFIXES
from rawdata.runfile import RunFile, RunFileError
from rawdata.runwriter import RunWriteError, RunWriter
from tests.conftest import wait_until
from tests.rawdata.bytes_of import event_bytes

OTHERS: dict[str, Callable[[bytes], bytes]] = {
    "none": bytes,
    "gzip": gzip.decompress,
    "lz4": lz4.frame.decompress,
    "bzip2": bz2.decompress,
    "zstd": lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data),
}
"""What other people read the files with."""

ODB = {"Runinfo": {"Run number": 42, "State": 3}, "Configurations": {"Exposure": 0.3}}


def _event(serial: int) -> bytes:
    noise = np.random.default_rng(serial).normal(100, 3, 600).astype(np.uint16)
    return event_bytes((b"CAM0", 4, noise.tobytes()), serial=serial)


def _events(count: int) -> list[bytes]:
    return [_event(serial) for serial in range(count)]


@pytest.mark.parametrize("compress", COMPRESSORS)
def test_a_run_is_written_and_read_back(tmp_path: Path, compress: str) -> None:
    events = _events(20)
    with RunWriter(tmp_path / "run00042.mid", compress) as writer:
        writer.write_odb_dump(42, ODB)
        for event in events:
            assert writer.write(memoryview(event))
        writer.write_odb_dump(42, ODB, begin=False)
    written = writer.close()
    assert written.path == tmp_path / f"run00042.mid{SUFFIXES[compress]}" == writer.path
    run = RunFile(written.path)
    read = list(run)
    assert [event.raw.tobytes() for event in read[1:-1]] == events
    assert run.complete and run.run_number == 42
    assert run.odb_begin == ODB == run.odb_end
    stream = b"".join(event.raw for event in read)
    assert OTHERS[compress](written.path.read_bytes()) == stream
    assert written.events == 20
    assert written.bytes_uncompressed == len(stream)
    assert written.bytes_file == written.path.stat().st_size
    assert written.crc32c == crc32c(stream)
    assert written.file_crc32c == crc32c(written.path.read_bytes())
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


@given(
    compress=st.sampled_from(tuple(COMPRESSORS)),
    sizes=st.lists(st.integers(0, 3000), max_size=30),
    seed=st.integers(0, 1000),
)
def test_any_events_come_back(
    tmp_path_factory: pytest.TempPathFactory, compress: str, sizes: list[int], seed: int
) -> None:
    random = np.random.default_rng(seed)
    events = [event_bytes((b"DATA", 1, random.bytes(size)), serial=size) for size in sizes]
    with RunWriter(tmp_path_factory.mktemp("run") / "run.mid", compress) as writer:
        for event in events:
            writer.write(event)
    assert [event.raw.tobytes() for event in RunFile(writer.path)] == events


@pytest.mark.parametrize(
    ("compress", "names"),
    [
        ("none", ["run00042.mid.crc32c"]),
        ("gzip", ["run00042.mid.crc32c"]),
        ("bzip2", ["run00042.mid.crc32c"]),
        ("lz4", ["run00042.mid.crc32c", "run00042.mid.lz4.crc32c"]),
        ("zstd", ["run00042.mid.crc32c", "run00042.mid.zst.crc32c"]),
    ],
)
def test_sidecars_are_those_of_mlogger(tmp_path: Path, compress: str, names: list[str]) -> None:
    with RunWriter(tmp_path / "run00042.mid", compress) as writer:
        writer.write(event_bytes((b"CAM0", 4, bytes(1000))))
    written = writer.close()
    assert sorted(path.name for path in tmp_path.glob("*.crc32c")) == names
    assert [path.name for path in written.sidecars] == names
    line = (tmp_path / names[0]).read_text()
    assert line == (
        f"{written.crc32c:08x} {written.bytes_uncompressed} {tmp_path / 'run00042.mid'}\n"
    )
    sidecar = read_sidecar(tmp_path / names[-1])
    assert sidecar is not None and sidecar.path == str(tmp_path / names[-1][: -len(".crc32c")])


def test_sidecars_can_be_left_out(tmp_path: Path) -> None:
    with RunWriter(tmp_path / "run.mid", checksum=False) as writer:
        writer.write(event_bytes())
    assert list(tmp_path.iterdir()) == [tmp_path / "run.mid"]
    assert writer.close().sidecars == ()


def test_the_dump_is_an_event_as_mlogger_makes_it(tmp_path: Path) -> None:
    with RunWriter(tmp_path / "run.mid") as writer:
        writer.write_odb_dump(1101, ODB)
        writer.write_odb_dump(1101, ODB, begin=False)
    begin, end = RunFile(writer.path)
    assert (begin.event_id, end.event_id) == (0x8000, 0x8001)
    assert begin.trigger_mask == end.trigger_mask == 0x494D
    assert begin.serial_number == end.serial_number == 1101
    assert begin.raw[16:].tobytes().startswith(b'{\n  "Runinfo" : {\n    "Run number/key" : { "t')
    assert begin.raw[-1:].tobytes() == b"}"
    assert writer.close().events == 0


def test_the_lz4_frame_is_as_mlogger_writes_it(tmp_path: Path) -> None:
    with RunWriter(tmp_path / "run.mid", "lz4") as writer:
        for event in _events(3):
            writer.write(event)
    theirs = ["block_size", "block_linked", "content_checksum", "block_checksum", "content_size"]
    info = lz4.frame.get_frame_info(writer.path.read_bytes())
    assert [info[name] for name in theirs] == [4194304, True, True, False, 0]


@pytest.mark.parametrize("compress", COMPRESSORS)
def test_without_flush_the_events_alone_make_the_bytes(tmp_path: Path, compress: str) -> None:
    """However fast they come: else a flush between them would show."""
    events = _events(3)
    files = {}
    for name, flush_s in (("flushed", 0.0), ("not", None), ("not again", None)):
        with RunWriter(tmp_path / name, compress, flush_s=flush_s) as writer:
            for count, event in enumerate(events, start=1):
                writer.write(event)
                if flush_s is not None:  # it may then lie in the file at once
                    wait_until(lambda n=count: _whole(writer) >= n, 10, "the flush")  # type: ignore[misc]
        files[name] = writer.path.read_bytes()
    assert files["not"] == files["not again"]
    assert compress == "none" or files["not"] != files["flushed"]


def _whole(writer: RunWriter) -> int:
    """Return how many events can be read from a file that is being written."""
    count = 0
    with suppress(RunFileError):
        for _ in RunFile(writer.path):
            count += 1
    return count


def test_the_memory_of_an_event_may_be_used_again_at_once(tmp_path: Path) -> None:
    slot = bytearray(_events(1)[0])
    with RunWriter(tmp_path / "run.mid", "zstd") as writer:
        for number in range(100):
            slot[4] = number  # the serial number
            writer.write(slot)
    assert [event.serial_number for event in RunFile(writer.path)] == list(range(100))


class _Held(compressors.Uncompressed):
    """A disk that takes nothing before it is told."""

    go = threading.Event()

    def compress(self, data: memoryview) -> memoryview:
        assert self.go.wait(60)
        return data


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """The compression "held" exists; the event lets it write."""
    _Held.go = threading.Event()
    monkeypatch.setitem(COMPRESSORS, "held", _Held)
    monkeypatch.setitem(SUFFIXES, "held", "")
    return _Held.go


def test_the_queue_is_bounded_and_says_so(tmp_path: Path, held: threading.Event) -> None:
    events = _events(4)
    with RunWriter(tmp_path / "run.mid", "held", queue_bytes=3 * len(events[0])) as writer:
        taken = [writer.write(event, timeout_s=0) for event in events]
        assert taken == [True, True, True, False]
        assert writer.waiting_bytes == 3 * len(events[0])
        assert writer.events == 3
        waiter = threading.Thread(target=writer.write, args=(events[3],))
        waiter.start()
        held.set()
        waiter.join(60)
    assert [event.raw.tobytes() for event in RunFile(writer.path)] == events
    assert writer.waiting_bytes == 0


def test_an_event_larger_than_the_queue_is_taken_when_it_is_alone(
    tmp_path: Path, held: threading.Event
) -> None:
    events = _events(2)
    with RunWriter(tmp_path / "run.mid", "held", queue_bytes=1) as writer:
        assert writer.write(events[0], timeout_s=0)
        assert not writer.write(events[1], timeout_s=0)
        held.set()
        assert writer.write(events[1])
    assert len(RunFile(writer.path)) == 2


def test_memory_that_is_given_away_is_not_copied(tmp_path: Path, held: threading.Event) -> None:
    mine = bytearray(event_bytes(serial=1))
    with RunWriter(tmp_path / "run.mid", "held") as writer:
        writer.write(mine, copy=False)
        mine[4] = 2
        held.set()
    assert RunFile(writer.path)[0].serial_number == 2


# refusals and failures ----------------------------------------------------------------------------


def test_a_run_file_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "run.mid.gz").write_bytes(b"precious")
    with pytest.raises(RunWriteError, match=r"run\.mid\.gz: exists already; .* move it away"):
        RunWriter(tmp_path / "run.mid", "gzip")
    assert (tmp_path / "run.mid.gz").read_bytes() == b"precious"


def test_what_cannot_be_made_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunWriteError, match="cannot be made: No such file or directory"):
        RunWriter(tmp_path / "nowhere" / "run.mid")
    with pytest.raises(RunWriteError, match="'rar' is unknown, use one of none, gzip, lz4"):
        RunWriter(tmp_path / "run.mid", "rar")


@pytest.mark.parametrize("bad", [b"", b"short", event_bytes()[:-1], event_bytes() + b"\0"])
def test_what_is_no_event_is_refused_and_the_file_stays_good(tmp_path: Path, bad: bytes) -> None:
    with RunWriter(tmp_path / "run.mid") as writer:
        writer.write(event_bytes(serial=1))
        with pytest.raises(RunWriteError, match="refuses"):
            writer.write(bad)
        writer.write(event_bytes(serial=2))
    assert [event.serial_number for event in RunFile(writer.path)] == [1, 2]
    assert writer.close().events == 2


def test_a_closed_writer_takes_nothing_and_says_the_same_again(tmp_path: Path) -> None:
    writer = RunWriter(tmp_path / "run.mid")
    writer.write(event_bytes())
    assert writer.close() == writer.close()
    with pytest.raises(RunWriteError, match="is closed"):
        writer.write(event_bytes())


class _Broken(compressors.Uncompressed):
    """Fails at the third event."""

    def __init__(self) -> None:
        self.calls = 0

    def compress(self, data: memoryview) -> memoryview:
        self.calls += 1
        if self.calls == 3:
            raise OSError(5, "Input/output error")
        return data


def test_a_failure_of_the_thread_is_raised_by_write_and_by_close(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(COMPRESSORS, "broken", _Broken)
    monkeypatch.setitem(SUFFIXES, "broken", "")
    writer = RunWriter(tmp_path / "run.mid", "broken")
    for event in _events(3):
        writer.write(event)
    wait_until(lambda: not writer._thread.is_alive(), what="the thread to fail")
    with pytest.raises(RunWriteError, match=r"run\.mid: cannot be written: Input/output error"):
        writer.write(event_bytes())
    with pytest.raises(RunWriteError, match="Input/output error"):
        writer.close()
    assert len(RunFile(writer.path)) == 2
    assert not list(tmp_path.glob("*.crc32c"))


def test_a_failure_inside_a_with_block_does_not_hide_the_first_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(COMPRESSORS, "broken", _Broken)
    monkeypatch.setitem(SUFFIXES, "broken", "")
    with (
        pytest.raises(KeyError, match="mine") as caught,
        RunWriter(tmp_path / "run.mid", "broken") as writer,
    ):
        for event in _events(3):
            writer.write(event)
        raise KeyError("mine")
    assert "Input/output error" in caught.value.__notes__[0]


_FULL_DISK = """
import itertools, resource, sys
from rawdata.runwriter import RunWriter, RunWriteError
from tests.rawdata.test_runwriter import _event
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
writer = RunWriter(sys.argv[1], sys.argv[2])
try:
    for serial in itertools.count():
        writer.write(_event(serial))
except RunWriteError as error:
    print(error)
try:
    writer.close()
except RunWriteError as error:
    print(error)
"""


@pytest.mark.parametrize("compress", COMPRESSORS)
def test_a_full_disk_is_named_and_leaves_whole_events(tmp_path: Path, compress: str) -> None:
    """The limit of a file's size stands for the disk's end: also there a write is cut short."""
    path = tmp_path / "run.mid"
    done = subprocess.run(
        [sys.executable, "-c", _FULL_DISK, str(path), compress],
        capture_output=True,
        text=True,
        timeout=100,
    )
    written = path.with_name(path.name + SUFFIXES[compress])
    message = f"{written}: cannot be written: File too large\n"
    assert (done.stdout, done.stderr) == (message * 2, "")
    events = []
    damage = None
    try:
        for event in RunFile(written):
            events.append(event.raw.tobytes())
    except RunFileError as error:
        damage = error
    assert events == _events(len(events))
    if compress == "none":
        assert damage is None and len(events) == 100_000 // len(_event(0))
    else:
        assert damage is not None and damage.event_index == len(events)
        if compress in ("gzip", "zstd"):  # blocks of lz4 and bzip2 hold more than this
            assert len(events) > 50
    assert not list(tmp_path.glob("*.crc32c"))


_KILLED = """
import sys, time
from rawdata.runwriter import RunWriter
from tests.rawdata.test_runwriter import _events, ODB
writer = RunWriter(sys.argv[1], sys.argv[2])
writer.write_odb_dump(42, ODB)
for event in _events(50):
    writer.write(event)
print("handed over", flush=True)
time.sleep(100)
"""


def _readable(path: Path) -> int:
    count = 0
    try:
        for _ in RunFile(path):
            count += 1
    except RunFileError:
        pass
    return count


@pytest.mark.parametrize("compress", COMPRESSORS)
def test_a_killed_writer_leaves_every_event_that_it_was_given_a_moment_ago(
    tmp_path: Path, compress: str
) -> None:
    path = tmp_path / "run.mid"
    with subprocess.Popen(
        [sys.executable, "-c", _KILLED, str(path), compress], stdout=subprocess.PIPE
    ) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == b"handed over\n"
            written = path.with_name(path.name + SUFFIXES[compress])
            wait_until(lambda: _readable(written) == 51, what="all events to be in the file")
        finally:
            os.kill(child.pid, signal.SIGKILL)
    assert child.returncode == -signal.SIGKILL
    run = RunFile(written)
    events = []
    try:
        for event in run:
            events.append(event)
    except RunFileError as damage:
        assert "too early" in damage.reason
        assert damage.event_index == 51
    assert [event.raw.tobytes() for event in events[1:]] == _events(50)
    assert run.run_number == 42
    assert not run.complete
