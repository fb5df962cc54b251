"""Pages of the logger's file leave memory as it grows, once they are on the disk."""

import ctypes
import errno
import mmap
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from frontend.written_pages import GrowingFile
from tests.conftest import wait_until
from tests.frontend.world import TRIGGER, World

MEGABYTE = 1 << 20
CHANNEL = "/Logger/Channels/0/Settings"


def grow(path: Path, megabytes: int) -> None:
    with path.open("ab") as file:
        file.write(bytes(megabytes * MEGABYTE))


def test_each_part_is_looked_at_three_times(tmp_path: Path) -> None:
    looks: list[tuple[int, int]] = []
    file = GrowingFile(lambda _, begin, size: looks.append((begin, size)))
    path = tmp_path / "run00001.mid"
    for megabytes in (2, 3, 1, 4, 0, 1):
        grow(path, megabytes)
        file.look(path)
    assert [(begin // MEGABYTE, size // MEGABYTE) for begin, size in looks] == [
        (0, 2),
        (0, 5),
        (0, 6),
        (2, 8),
        (5, 5),
        (6, 5),
    ]


def test_the_next_file_begins_anew(tmp_path: Path) -> None:
    looks: list[tuple[int, int]] = []
    file = GrowingFile(lambda _, begin, size: looks.append((begin, size)))
    for name in ("run00001_0000.mid", "run00001_0001.mid"):
        for _ in range(4):
            grow(tmp_path / name, 1)
            file.look(tmp_path / name)
    (tmp_path / name).write_bytes(b"x")  # the number of a run that was taken back comes again
    file.look(tmp_path / name)
    sizes = [(0, 1), (0, 2), (0, 3), (1, 3)]
    assert looks == [(b * MEGABYTE, s * MEGABYTE) for b, s in sizes + sizes] + [(0, 1)]


def test_a_file_that_is_not_to_be_seen_is_left_alone(tmp_path: Path) -> None:
    def refuse(_: int, begin: int, size: int) -> None:
        raise OSError(errno.EINVAL, "not here")

    file = GrowingFile(refuse)
    file.look(tmp_path / "on another machine" / "run00001.mid")
    grow(tmp_path / "run00001.mid", 1)
    file.look(tmp_path / "run00001.mid")


def in_memory(path: Path) -> int:
    """Return how many of a file's pages are in memory (mincore(2))."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as content:
        view = np.frombuffer(content, np.uint8)
        pages = np.zeros(-(-view.size // mmap.PAGESIZE), np.uint8)
        address, found = ctypes.c_void_p(view.ctypes.data), ctypes.c_void_p(pages.ctypes.data)
        assert ctypes.CDLL(None).mincore(address, ctypes.c_size_t(view.size), found) == 0
        del view  # or the file stays mapped
    return int((pages & 1).sum())


def written_file(path: Path) -> int:
    """Write a file of some pages, bring it to the disk, and return its pages in memory.

    Skips the test where the file system is memory, or does not give pages back.
    """
    grow(path, 4)
    with path.open("rb") as file:
        os.fsync(file.fileno())
    pages = in_memory(path)
    GrowingFile().look(path)
    if in_memory(path) == pages:
        pytest.skip(f"the file system of {path.parent} gives no pages back")
    path.read_bytes()
    return in_memory(path)


def test_pages_leave_memory_and_the_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "run00001.mid"
    assert written_file(path) > 1000
    GrowingFile().look(path)
    assert in_memory(path) < 100
    assert path.read_bytes() == bytes(4 * MEGABYTE)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path / "experiment") as world:
        world.listen()
        world.small_camera()
        yield world


def test_the_frontend_follows_the_file_that_the_odb_names(world: World, tmp_path: Path) -> None:
    """A program in place of the logger, whose file is all that the frontend can know of it."""
    path = tmp_path / "run00001.mid"
    pages = written_file(path)
    world.client.odb_set("/Logger/Data dir", str(tmp_path))
    world.client.odb_set(f"{CHANNEL}/Current filename", path.name)
    world.start_frontend()
    world.client.odb_set(f"{TRIGGER}/Settings/Release written pages", True)
    world.client.start_run()
    wait_until(lambda: in_memory(path) < pages / 10, 30, "pages to leave")
    world.client.stop_run()
    assert world.record["Frames lost"] == 0
