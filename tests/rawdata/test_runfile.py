import bz2
import gzip
import itertools
import struct
from collections.abc import Callable
from pathlib import Path

import lz4.frame
import numpy as np
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from rawdata.event import Event
from rawdata.runfile import NotRandomAccessError, RunFile, RunFileError
from tests.rawdata.bytes_of import dump_bytes, event_bytes, run_bytes

COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "none": bytes,
    "gzip": lambda data: gzip.compress(data, 1),
    "lz4": lambda data: lz4.frame.compress(data, content_checksum=True),
    "bzip2": bz2.compress,
    "zstd": lambda data: zstandard.ZstdCompressor(write_checksum=True).compress(data),
}
COMPRESSED = tuple(name for name in COMPRESS if name != "none")


def _events_and_damage(path: Path) -> tuple[list[Event], RunFileError | None]:
    """Read as far as it goes."""
    events = []
    try:
        for event in RunFile(path):
            events.append(event)
    except RunFileError as damage:
        return events, damage
    return events, None


def _file(folder: Path, content: bytes, name: str = "run00042.mid") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("compression", COMPRESS)
def test_the_content_tells_the_compression_not_the_name(tmp_path: Path, compression: str) -> None:
    path = _file(tmp_path, COMPRESS[compression](run_bytes(3)), "anything.dat")
    with RunFile(path) as run:
        assert run.compression == compression
        assert b"".join(event.raw for event in run) == run_bytes(3)
        assert run.run_number == 42
        assert run.complete


@pytest.mark.parametrize("compression", COMPRESS)
def test_each_iteration_begins_at_the_start(tmp_path: Path, compression: str) -> None:
    run = RunFile(_file(tmp_path, COMPRESS[compression](run_bytes(3))))
    first, second = iter(run), iter(run)
    assert [next(first).event_id, next(first).event_id] == [0x8000, 1]
    assert next(second).event_id == 0x8000
    assert [event.event_id for event in run] == [0x8000, 1, 1, 1, 0x8001]


@pytest.mark.parametrize("compression", COMPRESSED)
def test_members_that_follow_one_another_are_one_file(tmp_path: Path, compression: str) -> None:
    whole = run_bytes(6)
    cuts = [0, 10, 100, 101, len(whole)]  # also in the middle of events
    members = [COMPRESS[compression](whole[a:b]) for a, b in itertools.pairwise(cuts)]
    run = RunFile(_file(tmp_path, b"".join(members)))
    assert b"".join(event.raw for event in run) == whole


def test_members_may_be_of_different_compressions_with_padding_between(tmp_path: Path) -> None:
    whole = run_bytes(6)
    skippable = struct.pack("<II", 0x184D2A50, 70_000) + bytes(70_000)
    parts = [
        COMPRESS["gzip"](whole[:50]),
        bytes(512),  # as tapes have it
        COMPRESS["zstd"](whole[50:90]),
        skippable,
        COMPRESS["bzip2"](whole[90:150]),
        COMPRESS["lz4"](whole[150:]),
        skippable,
        bytes(3),
    ]
    run = RunFile(_file(tmp_path, b"".join(parts)))
    assert b"".join(event.raw for event in run) == whole


@pytest.mark.parametrize("compression", COMPRESSED)
def test_what_follows_a_member_and_is_none_is_an_error(tmp_path: Path, compression: str) -> None:
    path = _file(tmp_path, COMPRESS[compression](run_bytes(2)) + b"garbage!")
    events, damage = _events_and_damage(path)
    assert len(events) == 4
    assert damage is not None and "stands something else (67 61 72" in damage.reason
    assert not RunFile(path).complete


def test_a_cut_skippable_frame_is_an_error(tmp_path: Path) -> None:
    path = _file(tmp_path, COMPRESS["lz4"](run_bytes(2)) + struct.pack("<II", 0x184D2A50, 9) + b"x")
    assert "8 bytes are missing" in str(_events_and_damage(path)[1])


def test_two_runs_in_one_file(tmp_path: Path) -> None:
    run = RunFile(_file(tmp_path, run_bytes(1, run=1) + run_bytes(2, run=2)))
    assert [event.event_id for event in run] == [0x8000, 1, 0x8001, 0x8000, 1, 1, 0x8001]
    assert run.complete and run.run_number == 1
    cut_first = run_bytes(1)[: -len(dump_bytes(begin=False))]
    assert not RunFile(_file(tmp_path, cut_first + run_bytes(2), "b.mid")).complete


# random access -----------------------------------------------------------------------------------


def test_events_of_an_uncompressed_file_by_index(tmp_path: Path) -> None:
    run = RunFile(_file(tmp_path, run_bytes(5)))
    events = list(run)
    assert len(run) == 7
    assert run[0].is_odb_dump and run[-1].event_id == 0x8001
    assert [run[i] for i in range(7)] == events
    assert run[3].serial_number == 2
    assert run[2:4] == events[2:4] and run[::-3] == events[::-3]
    for index in (7, -8):
        with pytest.raises(IndexError, match=f"has events 0 to 6, not {-1 if index < 0 else 7}"):
            run[index]


def test_events_of_an_uncompressed_file_are_views_on_the_mapped_file(tmp_path: Path) -> None:
    run = RunFile(_file(tmp_path, run_bytes(2)))
    begin = np.frombuffer(run[0].raw, np.uint8).ctypes.data
    for event in run:
        assert np.frombuffer(event.raw, np.uint8).ctypes.data == begin
        begin += len(event.raw)


def test_events_outlive_the_file(tmp_path: Path) -> None:
    with RunFile(_file(tmp_path, run_bytes(2))) as run:
        event = run[1]
    assert event["CAM0"].tobytes() == bytes(range(8))
    with pytest.raises(RunFileError, match="was closed"):
        next(iter(run))
    with pytest.raises(RunFileError, match="was closed"):
        run[1]
    with pytest.raises(RunFileError, match="was closed"):
        _ = run.complete


@pytest.mark.parametrize("compression", COMPRESSED)
def test_compressed_files_have_no_random_access(tmp_path: Path, compression: str) -> None:
    run = RunFile(_file(tmp_path, COMPRESS[compression](run_bytes(2))))
    with pytest.raises(NotRandomAccessError, match=f"is {compression}-compressed"):
        run[0]
    with pytest.raises(TypeError):
        len(run)
    assert len(list(run)) == 4


# dumps -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compression", COMPRESS)
def test_the_odb_at_begin_and_end(tmp_path: Path, compression: str) -> None:
    text = b'{ "Runinfo" : { "State/key" : { "type" : 7 }, "State" : %d } }'
    content = dump_bytes(text=text % 3) + event_bytes() + dump_bytes(begin=False, text=text % 1)
    run = RunFile(_file(tmp_path, COMPRESS[compression](content)))
    assert run.odb_begin == {"Runinfo": {"State": 3}}
    assert run.odb_end == {"Runinfo": {"State": 1}}


def test_files_without_dumps(tmp_path: Path) -> None:
    run = RunFile(_file(tmp_path, event_bytes()))
    assert (run.odb_begin, run.odb_end, run.run_number, run.complete) == (None, None, None, False)


def test_a_damaged_dump_is_named(tmp_path: Path) -> None:
    run = RunFile(_file(tmp_path, dump_bytes(text=b"{ nonsense }") + event_bytes()))
    with pytest.raises(RunFileError, match=r"run00042\.mid: the ODB dump is damaged"):
        _ = run.odb_begin
    xml = RunFile(_file(tmp_path, dump_bytes(text=b"<odb/>")))
    with pytest.raises(RunFileError, match="ODB dump format to json"):
        _ = xml.odb_begin


# damage ------------------------------------------------------------------------------------------


def test_a_file_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(RunFileError, match="cannot be opened: No such file") as caught:
        RunFile(tmp_path / "run00001.mid")
    assert caught.value.byte is None
    with pytest.raises(RunFileError, match="cannot be opened: Is a directory"):
        RunFile(tmp_path)


def test_an_empty_file_has_no_events_and_is_not_complete(tmp_path: Path) -> None:
    run = RunFile(_file(tmp_path, b""))
    assert list(run) == [] and len(run) == 0
    assert not run.complete


@given(cut=st.integers(1, len(run_bytes(5)) - 1))
def test_a_cut_file_gives_all_whole_events_then_the_place(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    whole = run_bytes(5)
    path = _file(tmp_path_factory.mktemp("cut"), whole[:cut])
    events, damage = _events_and_damage(path)
    read = b"".join(event.raw for event in events)
    assert whole.startswith(read)
    if len(read) == cut:  # between two events
        assert damage is None
        assert not RunFile(path).complete
    else:
        assert damage is not None
        assert (damage.byte, damage.event_index) == (len(read), len(events))
        assert damage.path == path and "are left" in damage.reason
    run = RunFile(path)
    assert len(run) == len(events)
    assert [run[i] for i in range(len(run))] == events
    with pytest.raises(IndexError if damage is None else RunFileError):
        run[len(events)]


def test_the_error_says_all_to_an_operator(tmp_path: Path) -> None:
    path = _file(tmp_path, run_bytes(2)[:-1])
    assert str(_events_and_damage(path)[1]) == (
        f"{path}: damaged at byte 127 of the uncompressed data, event 3: "
        "the event claims 39 bytes, 38 are left; 3 whole events were read before"
    )


def test_big_endian_files_are_refused_by_name(tmp_path: Path) -> None:
    begin = struct.pack(">HHIII", 0x8000, 0x494D, 42, 0, 5) + b"<odb>"
    for compression in COMPRESS:
        path = _file(tmp_path, COMPRESS[compression](begin), f"{compression}.mid")
        events, damage = _events_and_damage(path)
        assert not events and damage is not None
        assert "big-endian" in damage.reason and damage.byte == 0


@pytest.mark.parametrize("compression", COMPRESSED)
def test_a_claimed_size_is_not_taken_from_memory_before_it_is_there(
    tmp_path: Path, compression: str
) -> None:
    huge = struct.pack("<HHIII", 1, 0, 0, 0, 0xFFFFFFF0) + bytes(100)
    events, damage = _events_and_damage(_file(tmp_path, COMPRESS[compression](huge)))
    assert not events and damage is not None
    assert "claims 4294967296 bytes, 116 are left" in damage.reason


@pytest.mark.parametrize("compression", COMPRESSED)
def test_large_events_of_compressed_files(tmp_path: Path, compression: str) -> None:
    """Larger than the memory that is taken at once, and than a chunk."""
    pixels = np.zeros(36_000_000, np.uint16)
    pixels[:: 1 << 20] = np.arange(35)
    content = dump_bytes() + event_bytes((b"CAM0", 4, pixels.tobytes())) + dump_bytes(begin=False)
    run = RunFile(_file(tmp_path, COMPRESS[compression](content)))
    events = list(run)
    assert run.complete
    assert np.array_equal(events[1]["CAM0"], pixels)


def _noisy_run() -> bytes:
    noise = np.random.default_rng(3).normal(100, 3, (40, 3000)).astype(np.uint16)
    middle = [event_bytes((b"CAM0", 4, row.tobytes()), serial=i) for i, row in enumerate(noise)]
    return dump_bytes() + b"".join(middle) + dump_bytes(begin=False)


NOISY = _noisy_run()


@given(compression=st.sampled_from(COMPRESSED), part=st.floats(0.001, 0.999))
def test_a_cut_compressed_file_gives_whole_events_then_an_error(
    tmp_path_factory: pytest.TempPathFactory, compression: str, part: float
) -> None:
    content = COMPRESS[compression](NOISY)
    cut = max(16, int(len(content) * part))
    events, damage = _events_and_damage(_file(tmp_path_factory.mktemp("cut"), content[:cut]))
    assert damage is not None and "too early" in damage.reason
    assert damage.event_index == len(events)
    read = b"".join(event.raw for event in events)
    assert NOISY.startswith(read)
    assert damage.byte == len(read)


def test_a_cut_gzip_file_gives_every_event_that_zlib_can_give(tmp_path: Path) -> None:
    content = COMPRESS["gzip"](NOISY)
    for cut in range(1000, len(content), 9973):
        events, _ = _events_and_damage(_file(tmp_path, content[:cut]))
        possible = len(gzip.zlib.decompressobj(31).decompress(content[:cut]))
        read = sum(len(event.raw) for event in events)
        assert possible - 6036 < read <= possible


@given(
    compression=st.sampled_from(tuple(COMPRESS)),
    part=st.floats(0, 1, exclude_max=True),
    bits=st.integers(1, 255),
)
def test_a_damaged_byte_gives_only_our_error(
    tmp_path_factory: pytest.TempPathFactory, compression: str, part: float, bits: int
) -> None:
    content = bytearray(COMPRESS[compression](NOISY))
    content[int(len(content) * part)] ^= bits
    events, damage = _events_and_damage(_file(tmp_path_factory.mktemp("damage"), bytes(content)))
    if damage is not None and damage.byte is not None:
        assert damage.event_index == len(events)
        assert damage.byte == sum(len(event.raw) for event in events)


def test_events_before_a_damage_in_one_compressed_piece_are_not_lost(tmp_path: Path) -> None:
    """The whole file is one call of the decompressor, and the call fails at its end."""
    for compression in ("gzip", "lz4", "zstd"):
        content = bytearray(COMPRESS[compression](NOISY))
        content[-1] ^= 0xFF  # in the checksum, or in the length behind it
        path = _file(tmp_path, bytes(content), f"{compression}.mid")
        events, damage = _events_and_damage(path)
        assert b"".join(event.raw for event in events) == NOISY
        assert damage is not None and "damaged" in damage.reason
        assert not RunFile(path).complete


def test_a_bad_block_of_bzip2_costs_only_itself(tmp_path: Path) -> None:
    whole = run_bytes(5)
    content = bytearray(COMPRESS["bzip2"](whole[:200]) + COMPRESS["bzip2"](whole[200:]))
    content[-20] ^= 0xFF
    events, damage = _events_and_damage(_file(tmp_path, bytes(content)))
    assert damage is not None and damage.byte is not None
    assert b"".join(event.raw for event in events) == whole[: damage.byte]
    assert damage.byte <= 200 < damage.byte + 60
