"""Folders as places: full, gone, unwritable, or giving back other bytes than they got."""

import shutil
from pathlib import Path

import pytest

from stager.models import State
from stager.once import complaints
from tests.stager.staging import NAME, Folder, replicas
from tests.stager.tape import configure_places
from tests.stager.test_failures import small_disk  # noqa: F401 - a fixture


def test_a_folder_with_another_content_is_a_conflict(
    folder: Folder, second: Path, data: Path
) -> None:
    configure_places(folder, nas={"kind": "folder", "folder": str(second)})
    target = second / folder.key(NAME)
    target.parent.mkdir()
    target.write_bytes(b"of another run 1104")
    folder.add(data / NAME)
    (line,) = complaints(folder.stage())
    assert "exists and has another content" in line
    assert target.read_bytes() == b"of another run 1104"
    assert replicas(folder)["nas"].conflict


def test_a_folder_that_cannot_be_written_to(folder: Folder, data: Path) -> None:
    configure_places(folder, nas={"kind": "folder", "folder": "/proc/self"})
    folder.add(data / NAME)
    (line,) = complaints(folder.stage())
    assert "place nas" in line and "/proc/self" in line
    assert replicas(folder)["nas"].state == State.FAILED


def test_what_a_disk_gives_back_otherwise_is_no_copy(
    folder: Folder, second: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import stager.places.folder as module

    configure_places(folder, nas={"kind": "folder", "folder": str(second)})
    folder.add(data / NAME)
    real = module._write

    def rotten(subject: object, temporary: Path, watch: object) -> None:
        real(subject, temporary, watch)  # type: ignore[arg-type]
        with temporary.open("r+b") as file:
            file.seek(1000)
            file.write(b"rotten")

    monkeypatch.setattr(module, "_write", rotten)
    (line,) = complaints(folder.stage())
    assert "reads back with CRC32C" in line and "the copy was removed" in line
    assert list((second / folder.tag).iterdir()) == []


def test_a_folder_that_is_full_is_said_and_filled_later(
    folder: Folder,
    small_disk: Path,  # noqa: F811
    data: Path,
) -> None:
    configure_places(folder, nas={"kind": "folder", "folder": str(small_disk)})
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(22 << 20))
    path = folder.add(data / NAME)
    (line,) = complaints(folder.stage())
    assert f"place nas: {small_disk} is full" in line and "make room there" in line
    assert not (small_disk / folder.tag).exists()
    ballast.unlink()
    assert complaints(folder.stage()) == []
    assert (small_disk / folder.key(NAME)).read_bytes() == path.read_bytes()


def test_a_folder_that_vanishes_while_it_is_written_to(
    folder: Folder, second: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import stager.places.folder as module

    configure_places(folder, nas={"kind": "folder", "folder": str(second)})
    path = folder.add(data / NAME)
    real = module._write

    def unplug(subject: object, temporary: Path, watch: object) -> None:
        real(subject, temporary, watch)  # type: ignore[arg-type]
        shutil.rmtree(second)

    monkeypatch.setattr(module, "_write", unplug)
    (line,) = complaints(folder.stage())
    assert "place nas" in line and "cannot be written or read: No such file" in line
    monkeypatch.undo()
    second.mkdir()
    assert complaints(folder.stage()) == []
    assert (second / folder.key(NAME)).read_bytes() == path.read_bytes()
