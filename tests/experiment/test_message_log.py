"""The file of messages: MIDAS's format, and the newest first."""

import datetime
from pathlib import Path

import pytest

from experiment.standalone.message_log import append_line, facilities, log_file, read_recent

NOON = datetime.datetime(2026, 11, 22, 12, 0, 0, 42_000)


def write(path: Path, *seconds: int) -> None:
    for number, second in enumerate(seconds):
        append_line(path, f"[me,INFO] {number}", NOON + datetime.timedelta(seconds=second))


def shown(messages: list[str]) -> list[str]:
    return [message[-1] for message in messages]


def test_the_form_of_a_line(tmp_path: Path) -> None:
    path = log_file(tmp_path, "midas")
    append_line(path, "[me,INFO] two\nlines", NOON)
    assert path.read_text() == "12:00:00.042 2026/11/22 [me,INFO] two lines\n"
    assert read_recent(path, 1)[0] == f"{int(NOON.timestamp())} {path.read_text()[:-1]}"


def test_messages_of_one_second_belong_together(tmp_path: Path) -> None:
    path = tmp_path / "midas.log"
    write(path, 0, 5, 5, 5, 9)
    assert shown(read_recent(path, 1)) == ["4"]
    assert shown(read_recent(path, 2)) == ["4", "3", "2", "1"]
    assert shown(read_recent(path, 10)) == ["4", "3", "2", "1", "0"]


def test_up_to_a_time(tmp_path: Path) -> None:
    path = tmp_path / "midas.log"
    write(path, 0, 5, 9)
    assert shown(read_recent(path, 5, NOON.timestamp() + 6)) == ["1", "0"]
    assert shown(read_recent(path, 5, NOON.timestamp() - 6)) == []


def test_all_since_a_time(tmp_path: Path) -> None:
    path = tmp_path / "midas.log"
    write(path, 0, 5, 9)
    assert shown(read_recent(path, 0, int(NOON.timestamp()) + 5)) == ["2", "1"]


def test_lines_without_a_time(tmp_path: Path) -> None:
    path = tmp_path / "midas.log"
    write(path, 0)
    with path.open("a") as log:
        log.write("something else\n")
    assert read_recent(path, 2)[0] == "-1 something else"


def test_a_log_that_is_not_there(tmp_path: Path) -> None:
    assert read_recent(tmp_path / "midas.log", 3) == []
    assert facilities(tmp_path) == []


@pytest.mark.parametrize("facility", ["", "../midas", "a/b", "."])
def test_names_that_would_leave_the_folder(tmp_path: Path, facility: str) -> None:
    with pytest.raises(ValueError, match="facility"):
        log_file(tmp_path, facility)
