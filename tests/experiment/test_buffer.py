"""Events through one buffer: whole, in order, to whom they are wanted; full buffers and figures."""

import os
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from experiment.constants import GET_ALL, GET_NONBLOCKING, GET_RECENT, STATUS
from experiment.errors import MidasError
from experiment.standalone import ring
from experiment.standalone.buffer import EventBuffer
from experiment.standalone.buffers import destroy_buffers
from tests.experiment.buffer_programs import make_event, receive_all, serial_of
from tests.experiment.conftest import BUFFER_BYTES, Opener

SIZE = BUFFER_BYTES
INTO = memoryview(bytearray(4 * SIZE))


def test_events_arrive_whole_and_in_order(opened: Opener) -> None:
    writer, reader = opened(), opened()
    reader.request(-1, -1, GET_ALL)
    for serial, size in enumerate([0, 1, 7, 8, 63, 64, 65, 1000]):
        assert writer.send(make_event(serial, size), 0)
    assert receive_all(reader, INTO) == list(range(8))
    assert reader.receive(INTO) is None


def test_received_event_is_byte_for_byte_what_was_sent(opened: Opener) -> None:
    buffer = opened()
    buffer.request(-1, -1, GET_ALL)
    event = make_event(3, 501)
    buffer.send(event, 0)
    received = buffer.receive(INTO)
    assert received is not None
    assert bytes(received) == bytes(event)
    assert received.obj is INTO.obj


def test_reader_gets_what_is_sent_after_its_request(opened: Opener) -> None:
    buffer = opened()
    buffer.send(make_event(1, 8), 0)
    buffer.request(1, -1, GET_ALL)
    buffer.send(make_event(2, 8), 0)
    buffer.send(make_event(3, 8, event_id=2), 0)
    buffer.request(2, -1, GET_ALL)
    buffer.send(make_event(4, 8, event_id=2), 0)
    assert receive_all(buffer, INTO) == [2, 4]


@pytest.mark.parametrize(
    ("wanted_id", "wanted_mask", "serials"),
    [
        (-1, -1, [0, 1, 2, 3, 4]),
        (1, -1, [0, 1]),
        (2, 2, [3]),
        (-1, 1, [1, 2]),
        (0x8000, -1, [4]),
        (9, -1, []),
    ],
)
def test_filters(opened: Opener, wanted_id: int, wanted_mask: int, serials: list[int]) -> None:
    buffer = opened()
    buffer.request(wanted_id, wanted_mask, GET_ALL)
    for serial, (event_id, mask) in enumerate([(1, 0), (1, 1), (2, 1), (2, 2), (0x8000, 0x494D)]):
        mask = 0 if event_id == 0x8000 else mask
        buffer.send(make_event(serial, 20, event_id, mask), 0)
    assert receive_all(buffer, INTO) == serials


def test_cancelled_request_brings_nothing_and_holds_nothing(opened: Opener) -> None:
    writer, reader = opened(), opened()
    request = reader.request(-1, -1, GET_ALL)
    assert writer.send(make_event(1, 5000), 0)
    reader.cancel(request)
    for serial in range(10):
        assert writer.send(make_event(serial, 5000), 0)
    assert reader.receive(INTO) is None
    reader.cancel(request)
    reader.cancel(99)


def test_full_buffer_holds_the_writer_back_for_get_all(opened: Opener) -> None:
    writer, reader, other = opened("writer"), opened("slow reader"), opened("other")
    reader.request(1, -1, GET_ALL)
    other.request(2, -1, GET_ALL)
    sent = 0
    while writer.send(make_event(sent, 3000), 5):
        sent += 1
    assert sent == 5
    assert writer.blocked_by == ("slow reader",)
    assert reader.level() > 0.7
    assert serial_of(reader.receive(INTO)) == 0
    assert writer.send(make_event(sent, 3000), 0)
    assert writer.blocked_by == ()
    assert receive_all(reader, INTO) == [1, 2, 3, 4, 5]
    assert other.receive(INTO) is None
    assert reader.level() == 0


def test_writer_that_waits_gets_on_when_a_reader_reads(opened: Opener, directory: Path) -> None:
    reader = opened("reader")
    reader.request(-1, -1, GET_ALL)
    serials: list[bool] = []

    def write() -> None:
        with EventBuffer.open(directory, "SYSTEM", SIZE, "thread") as writer:
            serials.extend(writer.send(make_event(n, 3000), 10_000) for n in range(100))

    thread = threading.Thread(target=write)
    thread.start()
    seen: list[int] = []
    while len(seen) < 100:
        seen += receive_all(reader, INTO)
    thread.join()
    assert seen == list(range(100))
    assert serials == [True] * 100


def test_nonblocking_reader_loses_the_oldest_and_counts(opened: Opener) -> None:
    writer, reader = opened("writer"), opened("monitor")
    reader.request(1, -1, GET_NONBLOCKING)
    for serial in range(50):
        assert writer.send(make_event(serial, 3000, event_id=1 + serial % 2), 0)
    seen = receive_all(reader, INTO)
    assert seen == [46, 48]
    (monitor,) = (c for c in writer.figures().clients if c.name == "monitor")
    assert (monitor.events_received, monitor.events_skipped) == (2, 23)


def test_recent_reader_gets_no_old_event(opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = opened()
    buffer.request(-1, -1, GET_RECENT)
    now = 10**18
    monkeypatch.setattr(ring.time, "monotonic_ns", lambda: now)
    buffer.send(make_event(1, 8), 0)
    now += 900_000_000
    buffer.send(make_event(2, 8), 0)
    now += 900_000_000
    assert receive_all(buffer, INTO) == [2]
    assert buffer.figures().clients[0].events_skipped == 1


def test_too_small_target_loses_that_event_with_a_clear_word(opened: Opener) -> None:
    buffer = opened()
    buffer.request(-1, -1, GET_ALL)
    buffer.send(make_event(1, 100), 0)
    buffer.send(make_event(2, 50), 0)
    with pytest.raises(MidasError, match="116 bytes was lost, there was room for 80") as error:
        buffer.receive(INTO[:80])
    assert error.value.code == STATUS["BM_TRUNCATED"]
    assert serial_of(buffer.receive(INTO[:80])) == 2


def test_largest_event_fits_and_a_larger_one_never_does(opened: Opener) -> None:
    buffer = opened()
    buffer.request(-1, -1, GET_ALL)
    for serial in range(3):
        assert buffer.send(make_event(serial, 100), 0)
        assert receive_all(buffer, INTO) == [serial]
        assert buffer.send(make_event(serial, buffer.max_event_bytes - 16), 0)
        assert not buffer.send(make_event(serial, 0), 0)
        assert receive_all(buffer, INTO) == [serial]
    with pytest.raises(MidasError, match="Buffer sizes/SYSTEM") as error:
        buffer.send(make_event(1, buffer.max_event_bytes - 15), 0)
    assert error.value.code == STATUS["BM_NO_MEMORY"]


@pytest.mark.parametrize("size", [3, 15, 17, 115, 117])
def test_event_whose_header_lies_about_its_size_is_refused(opened: Opener, size: int) -> None:
    buffer = opened()
    event = memoryview(bytes(make_event(1, 100)).ljust(200)[:size])
    with pytest.raises(MidasError, match="was not sent") as error:
        buffer.send(event, 0)
    assert error.value.code == STATUS["BM_INVALID_SIZE"]


def test_wrong_sampling_type_and_too_many_requests_are_refused(opened: Opener) -> None:
    buffer = opened()
    with pytest.raises(MidasError, match="sampling type 3"):
        buffer.request(-1, -1, 3)
    numbers = [buffer.request(n, -1, GET_ALL) for n in range(10)]
    assert len(set(numbers)) == 10
    with pytest.raises(MidasError, match="10 event requests"):
        buffer.request(1, -1, GET_ALL)
    buffer.cancel(numbers[4])
    assert buffer.request(1, -1, GET_ALL) == numbers[4]


def test_figures_count_both_ways(opened: Opener) -> None:
    writer, reader = opened("writer"), opened("reader")
    reader.request(-1, -1, GET_ALL)
    for serial in range(3):
        writer.send(make_event(serial, 84), 0)
    reader.receive(INTO)
    figures = reader.figures()
    assert (figures.events_sent, figures.bytes_sent, figures.size_bytes) == (3, 300, SIZE)
    first, second = figures.clients
    assert (first.name, first.pid) == ("writer", os.getpid())
    assert (first.events_sent, first.bytes_sent) == (3, 300)
    assert (second.events_received, second.bytes_received) == (1, 100)


OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.integers(0, 5000)),
        st.tuples(st.just("read"), st.integers(0, 2)),
    ),
    max_size=120,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(operations=OPERATIONS)
def test_ring_behaves_as_its_model(tmp_path: Path, operations: list[tuple[str, int]]) -> None:
    """Two GET_ALL readers see all that was accepted, a sampling one a counted part of it."""
    directory = tmp_path / "model"
    with (
        EventBuffer.open(directory, "SYSTEM", 8192, "writer") as writer,
        EventBuffer.open(directory, "SYSTEM", 8192, "a") as reader_a,
        EventBuffer.open(directory, "SYSTEM", 8192, "b") as reader_b,
        EventBuffer.open(directory, "SYSTEM", 8192, "sampler") as sampler,
    ):
        readers = [reader_a, reader_b, sampler]
        for reader, kind in zip(readers, [GET_ALL, GET_ALL, GET_NONBLOCKING], strict=True):
            reader.request(-1, -1, kind)
        seen: list[list[int]] = [[], [], []]
        sizes: list[int] = []
        for operation, number in operations:
            if operation == "send":
                if writer.send(make_event(len(sizes), number), 0):
                    sizes.append(number)
                else:  # refused only where unread events really fill the ring
                    unread = sizes[min(len(seen[0]), len(seen[1])) :]
                    assert unread
                    assert sum(unread) + number + (len(unread) + 2) * 144 + 5000 > 8192
            else:
                event = readers[number].receive(INTO)
                if event is not None:
                    assert len(event) == 16 + sizes[serial_of(event)]
                    seen[number].append(serial_of(event))
                elif number < 2:
                    assert len(seen[number]) == len(sizes)
        for number, reader in enumerate(readers):
            seen[number] += receive_all(reader, INTO)
        assert seen[0] == seen[1] == list(range(len(sizes)))
        assert seen[2] == sorted(set(seen[2]))
        skipped = writer.figures().clients[3].events_skipped
        assert len(seen[2]) + skipped == len(sizes)
        assert writer.send(make_event(0, writer.max_event_bytes - 16), 0)
    destroy_buffers(directory)
