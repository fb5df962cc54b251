"""Programs as places: they hang, are missing, lie, bring half a file, or outlive their stager."""

import os
import signal
from pathlib import Path

import pytest

from stager.models import State
from stager.once import complaints
from tests.conftest import wait_until
from tests.stager.staging import NAME, Folder, replicas
from tests.stager.tape import Tape, configure_places


def test_a_program_that_hangs_is_killed(folder: Folder, tape: Tape, data: Path) -> None:
    configure_places(folder, tape=tape.settings(timeout_s=0.5))
    tape.break_(hang=["put"])
    folder.add(data / NAME)
    (line,) = complaints(folder.stage())
    assert "did not end within 0.5 s and was killed" in line
    pid = int((tape.root / "pid-put").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert len(folder.objects()) == 1


def test_a_program_that_is_not_there(folder: Folder, tape: Tape, data: Path) -> None:
    configure_places(folder, tape=tape.settings(check="/no/such/program {key}"))
    folder.add(data / NAME)
    (line,) = complaints(folder.stage())
    assert "/no/such/program cannot be started" in line and "install it" in line


@pytest.mark.parametrize("delete", [True, False])
def test_a_tape_that_tells_another_checksum_has_no_copy(
    folder: Folder, tape: Tape, data: Path, delete: bool
) -> None:
    more = {"delete": f"{tape.program} delete {{key}}"} if delete else {}
    configure_places(folder, tape=tape.settings(**more))
    tape.break_(lie=True)
    folder.add(data / NAME)
    (line,) = complaints(folder.stage())
    assert "adler32 00000001 there" in line
    assert replicas(folder)["tape"].state == State.FAILED
    assert folder.runlog(1104).storage_tape_status == -1
    assert (NAME in tape.objects()) != delete


def test_half_a_file_on_tape_is_removed_and_sent_again(
    folder: Folder, tape: Tape, data: Path
) -> None:
    delete = f"{tape.program} delete {{key}}"
    configure_places(folder, tape=tape.settings(delete=delete))
    tape.break_(cut=True)
    path = folder.add(data / NAME)
    (line,) = complaints(folder.stage())
    assert "it was removed, and is tried again later" in line
    tape.break_()
    assert complaints(folder.stage()) == []
    assert tape.objects()[NAME] == path.read_bytes()


def test_what_others_put_on_tape_is_never_removed(folder: Folder, tape: Tape, data: Path) -> None:
    delete = f"{tape.program} delete {{key}}"
    configure_places(folder, tape=tape.settings(delete=delete))
    there = tape.root / folder.key(NAME)
    there.parent.mkdir()
    there.write_bytes(b"of another run 1104")
    folder.add(data / NAME)
    for _ in range(2):
        assert "exists and has another content" in complaints(folder.stage())[0]
    assert there.read_bytes() == b"of another run 1104"
    assert (tape.calls("delete"), tape.calls("put")) == (0, 0)


def test_a_program_ends_with_its_stager_or_with_the_next_one(
    folder: Folder, tape: Tape, data: Path
) -> None:
    """What a stager that was killed had started is ended before it is started again."""
    configure_places(folder, tape=tape.settings())
    tape.break_(hang=["put"])
    path = folder.add(data / NAME)
    process = folder.start()
    note = tape.root / "pid-put"
    wait_until(lambda: note.exists() and note.read_text(), 45, "the program to hang")
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    left_over = int(note.read_text())
    os.kill(left_over, 0)  # it lives on
    tape.break_()
    assert complaints(folder.stage()) == []
    wait_until(lambda: not _lives(left_over), 10, "the left over program's end")
    assert (tape.objects()[NAME], tape.calls("put")) == (path.read_bytes(), 2)


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
