"""Event buffers, the same in a real MIDAS and in the standalone experiment."""

from dataclasses import dataclass

import pytest

from experiment.constants import GET_ALL, GET_NONBLOCKING, STATUS
from experiment.errors import MidasError
from rawdata.build import EventBuilder
from rawdata.event import BankFormat
from rawdata.tid import Tid
from tests.experiment.peer import Peer
from tests.experiment.worlds import World

MEGABYTE = 1024 * 1024


@pytest.fixture
def sender(world: World) -> Peer:
    return world.fresh("sender")


@pytest.fixture
def reader(world: World) -> Peer:
    return world.fresh("reader")


@dataclass(frozen=True)
class PackedEvent:
    """What `send_event` needs of an event."""

    data: bytes

    def pack(self) -> bytes:
        return self.data


def small_event(serial: int) -> PackedEvent:
    space = bytearray(1024)
    builder = EventBuilder(memoryview(space), 5, BankFormat.BANK)
    builder.add("TEMP", Tid.FLOAT, [20.5, 21.0, 21.5])
    builder.add("STAT", Tid.DWORD, [7])
    return PackedEvent(bytes(builder.finish(serial, 1_700_000_000)))


def test_events_come_in_order(sender: Peer, reader: Peer) -> None:
    received = reader.open_event_buffer("SYSTEM")
    reader.register_event_request(received, -1, -1, GET_ALL)
    sent = sender.open_event_buffer("SYSTEM")
    assert all(sender.send(sent, serial, 1000 + serial) for serial in range(50))
    assert reader.receive_all(received) == list(range(50))
    assert reader.receive(received) is None


def test_only_events_that_were_asked_for(sender: Peer, reader: Peer) -> None:
    received = reader.open_event_buffer("SYSTEM")
    reader.register_event_request(received, 5, -1, GET_ALL)
    sent = sender.open_event_buffer("SYSTEM")
    sender.send(sent, 1, 100)  # event id 1
    sender.send_event(sent, small_event(2))
    assert reader.receive_event(received)[:2] == (5, 2)
    assert reader.receive_event(received) is None


@pytest.mark.parametrize("use_numpy", [False, True])
def test_small_events_as_objects(sender: Peer, reader: Peer, use_numpy: bool) -> None:
    received = reader.open_event_buffer("SYSTEM")
    reader.register_event_request(received)
    sent = sender.open_event_buffer("SYSTEM")
    sender.send_event(sent, small_event(42))
    event_id, serial, banks = reader.receive_event(received, use_numpy)
    assert (event_id, serial) == (5, 42)
    assert banks == {"TEMP": (Tid.FLOAT, [20.5, 21.0, 21.5]), "STAT": (Tid.DWORD, [7])}


def test_who_gets_all_holds_the_sender_back(world: World, sender: Peer, reader: Peer) -> None:
    received = reader.open_event_buffer("SYSTEM")
    reader.register_event_request(received, -1, -1, GET_ALL)
    reader.go_deaf(60)
    sent = sender.open_event_buffer("SYSTEM")
    accepted = sender.fill(sent, MEGABYTE)
    assert 3 <= accepted < 300  # as many as fit; then the time ran out, and nothing hung
    assert not sender.send(sent, accepted, MEGABYTE)
    told = {"standalone": ("reader",)}.get(world.name, ())  # MIDAS tells no client
    assert sender.buffer_held_by(sent) == told
    assert reader.receive(received) == 0
    assert reader.receive(received) == 1
    assert sender.send(sent, accepted, MEGABYTE)
    assert reader.receive_all(received) == list(range(2, accepted + 1))


def test_who_takes_what_comes_never_holds_the_sender_back(sender: Peer, reader: Peer) -> None:
    received = reader.open_event_buffer("SYSTEM")
    reader.register_event_request(received, -1, -1, GET_NONBLOCKING)
    reader.go_deaf(60)
    sent = sender.open_event_buffer("SYSTEM")
    assert all(sender.send(sent, serial, MEGABYTE) for serial in range(400))
    serials = reader.receive_all(received)
    assert serials == sorted(serials)
    assert serials[-1] == 399


def test_a_killed_reader_holds_nobody_back(sender: Peer, reader: Peer) -> None:
    received = reader.open_event_buffer("SYSTEM")
    reader.register_event_request(received, -1, -1, GET_ALL)
    sent = sender.open_event_buffer("SYSTEM")
    sender.fill(sent, MEGABYTE)
    reader.kill()
    serial = 0
    for _ in range(300):
        serial += sender.send(sent, serial, MEGABYTE, 100)
        if serial == 20:
            break
    assert serial == 20


def test_a_cancelled_request_gets_nothing(sender: Peer, reader: Peer) -> None:
    received = reader.open_event_buffer("SYSTEM")
    request = reader.register_event_request(received, -1, -1, GET_ALL)
    reader.deregister_event_request(received, request)
    sent = sender.open_event_buffer("SYSTEM")
    sender.send(sent, 1, 1000)
    assert reader.receive(received) is None


def test_two_readers_get_every_event(sender: Peer, reader: Peer, world: World) -> None:
    second = world.fresh("second")
    handles = {peer: peer.open_event_buffer("SYSTEM") for peer in (reader, second)}
    for peer, handle in handles.items():
        peer.register_event_request(handle, -1, -1, GET_ALL)
    sent = sender.open_event_buffer("SYSTEM")
    for serial in range(10):
        sender.send(sent, serial, 5000)
    assert all(peer.receive_all(handle) == list(range(10)) for peer, handle in handles.items())


def test_an_event_that_can_never_fit(sender: Peer, world: World) -> None:
    handle = sender.open_event_buffer("TINY", 100_000)
    with pytest.raises(MidasError) as caught:
        sender.send(handle, 0, 4 * MEGABYTE)
    assert caught.value.code == STATUS["BM_NO_MEMORY"]


def test_an_event_larger_than_the_space_for_it(sender: Peer, reader: Peer) -> None:
    received = reader.open_event_buffer("SYSTEM")
    reader.register_event_request(received)
    sent = sender.open_event_buffer("SYSTEM")
    sender.send(sent, 0, 10_000)
    with pytest.raises(MidasError) as caught:
        reader.receive_small(received, 1000)
    assert caught.value.code == STATUS["BM_TRUNCATED"]
    assert reader.receive(received) is None


def test_the_odb_says_how_large_a_buffer_is(sender: Peer) -> None:
    sender.open_event_buffer("PREVIEW", 1_000_000)
    assert sender.odb_get("/Experiment/Buffer sizes/PREVIEW") == 1_000_000
