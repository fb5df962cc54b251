"""A buffer's life: how it is made, shared, removed, and refused where it is damaged."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from experiment.constants import GET_ALL, STATUS
from experiment.errors import MidasError
from experiment.standalone import ring_layout as layout
from experiment.standalone import segment as files
from experiment.standalone.buffer import EventBuffer
from experiment.standalone.buffers import destroy_buffers, remove_dead_clients
from tests.experiment.buffer_programs import make_event, receive_all
from tests.experiment.conftest import BUFFER_BYTES, Opener

SIZE = BUFFER_BYTES
INTO = memoryview(bytearray(SIZE))


def test_buffer_keeps_its_size_while_used_and_takes_a_new_one_after(opened: Opener) -> None:
    first = opened(size=SIZE)
    assert opened(size=2 * SIZE).size_bytes == SIZE
    first.close()
    first.close()
    second = opened(size=2 * SIZE)
    assert second.size_bytes == SIZE


def test_last_client_removes_the_buffer(opened: Opener, directory: Path) -> None:
    first, second = opened(size=SIZE), opened(size=SIZE)
    place = files.where(directory, "SYSTEM")
    assert place is not None
    first.close()
    assert place.exists()
    second.close()
    assert not place.exists()
    assert opened(size=2 * SIZE).size_bytes == 2 * SIZE


def test_buffer_goes_also_if_the_experiment_is_gone(opened: Opener, directory: Path) -> None:
    buffer = opened()
    place = files.where(directory, "SYSTEM")
    shutil.rmtree(directory)
    buffer.close()
    assert place is not None
    assert not place.exists()
    assert not directory.exists()


def test_closed_buffer_says_so(opened: Opener) -> None:
    buffer = opened()
    buffer.close()
    with pytest.raises(MidasError, match="was closed") as error:
        buffer.receive(INTO)
    assert error.value.code == STATUS["BM_INVALID_HANDLE"]


def test_buffers_of_other_names_and_folders_are_others(opened: Opener, tmp_path: Path) -> None:
    system, other = opened(name="SYSTEM"), opened(name="PREVIEW")
    other.request(-1, -1, GET_ALL)
    system.send(make_event(1, 8), 0)
    assert other.receive(INTO) is None
    copy = tmp_path / "copy" / "buffers"
    copy.mkdir(parents=True)
    for file in (tmp_path / "buffers").glob("*.json"):
        (copy / file.name).write_text(file.read_text())
    with EventBuffer.open(copy, "PREVIEW", SIZE) as copied:
        copied.send(make_event(2, 8), 0)
        assert other.receive(INTO) is None
    destroy_buffers(copy)


@pytest.mark.parametrize("name", ["", "a/b", "..", "x" * 32, "tab\t"])
def test_bad_names_are_refused(directory: Path, name: str) -> None:
    with pytest.raises(MidasError, match="1 to 31 characters"):
        EventBuffer.open(directory, name, SIZE)


def test_slots_run_out_with_a_clear_word(opened: Opener) -> None:
    for _ in range(layout.SLOT_COUNT):
        opened()
    with pytest.raises(MidasError, match="120 clients already"):
        opened()


def test_without_shared_memory_the_buffer_lives_in_the_folder(
    opened: Opener, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "SHARED_MEMORY", directory / "missing")
    buffer = opened()
    buffer.request(-1, -1, GET_ALL)
    buffer.send(make_event(5, 100), 0)
    assert receive_all(buffer, INTO) == [5]
    assert (directory / "SYSTEM.ring").is_file()
    destroy_buffers(directory)
    assert not list(directory.glob("SYSTEM*"))


def test_no_room_anywhere_is_said(directory: Path) -> None:
    with pytest.raises(MidasError, match=r"free room there or lower /Experiment/Buffer sizes/BIG"):
        EventBuffer.open(directory, "BIG", 1 << 50)
    assert not list(directory.glob("BIG*"))


def test_destroyed_buffer_leaves_no_file(opened: Opener, directory: Path) -> None:
    opened()
    place = files.where(directory, "SYSTEM")
    assert place is not None
    assert place.exists()
    destroy_buffers(directory)
    assert not place.exists()
    assert files.names(directory) == []
    destroy_buffers(directory / "missing")


def test_buffer_of_an_earlier_boot_is_made_anew(
    opened: Opener, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = opened()
    old.send(make_event(1, 8), 0)
    monkeypatch.setattr(layout, "boot_number", lambda: 12345)
    assert opened().figures().events_sent == 0


def poke(directory: Path, word: int, value: int) -> None:
    place = files.where(directory, "SYSTEM")
    assert place is not None
    memory = np.memmap(place, np.uint64, mode="r+")
    memory[word] = value
    memory.flush()


@pytest.mark.parametrize(
    ("word", "value", "said"),
    [
        (layout.W_MAGIC, 1, "magic word"),
        (layout.W_VERSION, 99, "version"),
        (layout.W_FILE_BYTES, 4096, "file size"),
        (layout.W_RING_BYTES, 64, "size of the ring"),
        (layout.W_HEAD, 63, "head 63"),
        (layout.W_TAIL, 1 << 40, "tail"),
    ],
)
def test_corrupted_header_is_refused(
    opened: Opener, directory: Path, word: int, value: int, said: str
) -> None:
    opened()
    poke(directory, word, value)
    with pytest.raises(MidasError, match=rf"corrupted .*{said}.*remove that file") as error:
        opened()
    assert error.value.code == STATUS["BM_CORRUPTED"]
    with pytest.raises(MidasError, match=said):
        remove_dead_clients(directory)


@pytest.mark.parametrize("word", [layout.R_STATE, layout.R_LENGTH, layout.R_POSITION])
def test_corrupted_record_is_refused_by_reader_and_writer(
    opened: Opener, directory: Path, word: int
) -> None:
    buffer = opened()
    buffer.request(-1, -1, GET_ALL)
    buffer.send(make_event(1, 8), 0)
    poke(directory, layout.HEADER_BYTES // 8 + word, 0xDEADBEEF00)
    with pytest.raises(MidasError, match="no record stands at position 0"):
        buffer.receive(INTO)
    with pytest.raises(MidasError, match="no record stands at position 0"):
        buffer.send(make_event(1, buffer.max_event_bytes - 16), 0)


def test_truncated_file_is_refused(opened: Opener, directory: Path) -> None:
    opened()
    place = files.where(directory, "SYSTEM")
    assert place is not None
    place.unlink()
    place.write_bytes(bytes(1000))
    with pytest.raises(MidasError, match="size is 1000 bytes"):
        opened()
