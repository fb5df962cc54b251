"""Event buffers between processes, and what is left when one of them is killed."""

import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from experiment.constants import GET_ALL, GET_NONBLOCKING
from experiment.errors import MidasError
from experiment.standalone import segment
from experiment.standalone.buffer import EventBuffer
from experiment.standalone.buffers import remove_dead_clients
from tests.conftest import suspend, wait_until
from tests.experiment.buffer_programs import SIZE, make_event, receive_all, serial_of

INTO = memoryview(bytearray(SIZE))
Starter = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def buffer(directory: Path) -> Iterator[EventBuffer]:
    with EventBuffer.open(directory, "SYSTEM", SIZE, "test") as opened:
        yield opened


@pytest.fixture
def start(directory: Path) -> Iterator[Starter]:
    programs = []

    def start_it(name: str, *arguments: object, ready: bool = True) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "tests.experiment.buffer_programs", name, directory]
        program = subprocess.Popen(
            [*command, *map(str, arguments)], stdout=subprocess.PIPE, text=True
        )
        programs.append(program)
        assert program.stdout is not None
        if ready:
            assert program.stdout.readline() == "ready\n"
        return program

    yield start_it
    for program in programs:
        program.kill()
        program.communicate()


def output(program: "subprocess.Popen[str]") -> str:
    text, _ = program.communicate(timeout=60)
    assert program.returncode == 0
    return text


def test_every_event_of_two_writers_reaches_two_readers(
    buffer: EventBuffer, start: Starter
) -> None:
    count = 2000
    readers = [start("read", 2 * count) for _ in range(2)]
    writers = [start("write", first, count, 700) for first in (0, 1_000_000)]
    for program in readers:
        seen = [int(word) for word in output(program).split()]
        low = [serial for serial in seen if serial < 1_000_000]
        high = [serial for serial in seen if serial >= 1_000_000]
        assert low == list(range(count))
        assert high == list(range(1_000_000, 1_000_000 + count))
    for program in writers:
        output(program)
    assert buffer.figures().events_sent == 2 * count


def test_large_frames_pass_whole(buffer: EventBuffer, start: Starter) -> None:
    reader = start("read", 300)
    for serial in range(300):
        assert buffer.send(make_event(serial, 100_000 + 97 * serial), 10_000), buffer.blocked_by
    assert output(reader).split() == [str(n) for n in range(300)]


def test_killed_reader_that_nobody_waited_for_does_not_hold_the_writer(
    buffer: EventBuffer, start: Starter
) -> None:
    reader = start("read", -1)
    suspend(reader.pid)
    while buffer.send(make_event(0, 50_000), 0):
        pass
    assert buffer.blocked_by == ("reader",)
    reader.kill()  # a zombie until the fixture waits for it
    assert buffer.send(make_event(1, 50_000), 10_000)
    assert [client.name for client in buffer.figures().clients] == ["test"]


def test_dead_clients_are_removed_on_request(
    buffer: EventBuffer, directory: Path, start: Starter
) -> None:
    writer = start("write", 0, 0, 100, ready=True)
    reader = start("read", -1)
    assert len(buffer.figures().clients) >= 2
    reader.kill()
    reader.wait()
    writer.wait()
    remove_dead_clients(directory)
    assert [client.name for client in buffer.figures().clients] == ["test"]


def test_buffer_whose_clients_were_all_killed_is_made_anew(directory: Path, start: Starter) -> None:
    reader = start("read", -1)
    reader.kill()
    reader.wait()
    with EventBuffer.open(directory, "SYSTEM", 2 * SIZE, "test") as buffer:
        assert buffer.size_bytes == 2 * SIZE
    start("read", -1).kill()
    wait_until(lambda: _gone(directory), 10, "the buffer to go")


def _gone(directory: Path) -> bool:
    remove_dead_clients(directory)
    return segment.where(directory, "SYSTEM") is None


def test_writers_and_readers_killed_at_random_leave_a_sound_ring(
    buffer: EventBuffer, start: Starter
) -> None:
    """Kill in mid-copy most of the time: the copy is where a large event spends its time."""
    dice = random.Random(7)
    buffer.request(-1, -1, GET_NONBLOCKING)
    for attempt in range(4):
        programs = [start("write", 0, -1, 60_000), start("write", 0, -1, 120_000)]
        programs.append(start("read", -1))
        before = buffer.figures().events_sent
        wait_until(
            lambda before=before: buffer.figures().events_sent > before + dice.randrange(50),
            what="writers to be in full swing",
        )
        dice.shuffle(programs)
        for program in programs:
            program.kill()
        for program in programs:
            program.wait()
        marker = 1_000_000 + attempt
        assert buffer.send(make_event(marker, 100_000), 10_000), buffer.blocked_by
        assert receive_all(buffer, INTO)[-1] == marker


@pytest.mark.parametrize("who", ["writer_dies_everywhere", "reader_dies_everywhere"])
def test_death_between_any_two_steps_leaves_a_sound_ring(start: Starter, who: str) -> None:
    """Step by 23 bytecodes with a first one that changes from run to run, to see all in time."""
    first = random.randrange(23)
    program = start(who, first, 23, ready=False)
    assert int(output(program)) > 100, f"first step {first}"


def test_event_reserved_by_a_dead_writer_is_voided(
    buffer: EventBuffer, directory: Path, start: Starter
) -> None:
    buffer.request(-1, -1, GET_ALL)
    code = (
        "import os, sys, pathlib\n"
        "from experiment.standalone.buffer import EventBuffer\n"
        f"b = EventBuffer.open(pathlib.Path({str(directory)!r}), 'SYSTEM', {SIZE}, 'half')\n"
        "with b._ring.lock:\n"
        "    b._ring.reserve(1000, 1)\n"
        "print('reserved', flush=True)\n"
        "sys.stdin.read()\n"
        "os.kill(os.getpid(), 9)\n"
    )
    half = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert half.stdout is not None
    assert half.stdout.readline() == b"reserved\n"
    assert buffer.send(make_event(1, 100), 0)
    assert buffer.receive(INTO) is None  # order: the other one might still be completed
    half.communicate()
    assert serial_of(buffer.receive(INTO)) == 1
    assert buffer.receive(INTO) is None


def test_forked_child_is_refused_and_harms_nobody(buffer: EventBuffer, start: Starter) -> None:
    buffer.request(-1, -1, GET_ALL)
    pid = os.fork()
    if pid == 0:
        verdict = 1
        try:
            buffer.send(make_event(1, 8), 0)
        except MidasError:
            buffer.close()
            verdict = 0
        finally:
            os._exit(verdict)
    assert os.waitpid(pid, 0)[1] == 0
    buffer.send(make_event(2, 8), 0)
    assert receive_all(buffer, INTO) == [2]
