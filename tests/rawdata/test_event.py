import struct

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rawdata.errors import BankMissingError, EventError
from rawdata.event import Event, parse_event
from rawdata.tid import Tid
from tests.rawdata.bytes_of import dump_bytes, event_bytes

FORMS = ("BANK", "BANK32", "BANK32A")


@pytest.mark.parametrize("form", FORMS)
def test_banks_are_found_in_order_with_type_and_values(form: str) -> None:
    raw = event_bytes(
        (b"CAM0", 4, struct.pack("<3H", 1, 2, 65535)),
        (b"INPT", 9, struct.pack("<f", 0.5)),
        (b"TEXT", 12, b"hello"),
        (b"NONE", 6, b""),
        (b"BIG0", 18, struct.pack("<Q", 2**64 - 1)),
        form=form,
        serial=7,
        mask=3,
    )
    event = parse_event(raw)
    assert list(event) == ["CAM0", "INPT", "TEXT", "NONE", "BIG0"] == list(event.banks)
    assert event["CAM0"].tolist() == [1, 2, 65535]
    assert event["CAM0"].dtype == np.dtype("<u2")
    assert event["INPT"].tolist() == [0.5]
    assert event["TEXT"].tobytes() == b"hello"
    assert event["NONE"].size == 0
    assert event["BIG0"].tolist() == [2**64 - 1]
    assert (event.event_id, event.serial_number, event.trigger_mask) == (1, 7, 3)
    assert event.timestamp == 1_700_000_000
    assert event.data_size == len(raw) - 16
    assert event.raw == raw
    assert event.banks["CAM0"].tid is Tid.WORD
    assert event.banks["CAM0"].size_bytes == 6
    assert "CAM0" in event and "CAM1" not in event


def test_views_copy_nothing() -> None:
    raw = bytearray(event_bytes((b"CAM0", 4, bytes(4))))
    event = parse_event(raw)
    offset = event.banks["CAM0"].offset
    raw[offset] = 9
    assert event["CAM0"].tolist() == [9, 0]
    assert np.shares_memory(event["CAM0"], np.frombuffer(raw, np.uint8))


def test_views_on_constant_bytes_are_read_only() -> None:
    event = parse_event(event_bytes((b"CAM0", 4, bytes(4))))
    with pytest.raises(ValueError, match="read-only"):
        event["CAM0"][0] = 1


def test_an_event_is_found_at_its_offset_and_ends_with_its_size() -> None:
    first, second = event_bytes((b"AAAA", 1, b"x")), event_bytes((b"BBBB", 1, b"yz"))
    event = parse_event(first + second, len(first))
    assert event.raw == second
    assert list(event) == ["BBBB"]


def test_a_missing_bank_says_what_is_there() -> None:
    event = parse_event(event_bytes((b"CAM0", 4, b""), (b"FID0", 6, b"")))
    with pytest.raises(BankMissingError, match="no bank DIG0; it has: CAM0 FID0"):
        event["DIG0"]
    assert event.get("DIG0") is None
    with pytest.raises(KeyError):
        event["DIG0"]


def test_odb_dumps_are_text_without_banks() -> None:
    event = parse_event(dump_bytes(run=1101))
    assert event.is_odb_dump and event.is_internal
    assert event.serial_number == 1101
    assert event.text == '{\n  "Runinfo" : {\n  }\n}'
    assert not event.banks
    assert parse_event(dump_bytes(text=b"{ }\0")).text == "{ }"


def test_messages_are_text_and_fragments_are_left_alone() -> None:
    message = struct.pack("<HHIII", 0x8002, 2, 0, 0, 6) + b"hello\0"
    assert parse_event(message).text == "hello"
    fragment = struct.pack("<HHIII", 0xC001, 0, 0, 0, 3) + b"abc"
    assert not parse_event(fragment).banks
    with pytest.raises(EventError, match="holds banks"):
        _ = parse_event(event_bytes()).text


def test_an_event_without_banks_is_an_event() -> None:
    event = parse_event(event_bytes())
    assert len(event) == 0 and bool(event)


def test_padding_between_the_last_bank_and_the_end_of_the_event_is_accepted() -> None:
    raw = event_bytes((b"ODD0", 1, b"abc")) + bytes(4)
    padded = raw[:12] + struct.pack("<I", len(raw) - 16) + raw[16:]
    assert parse_event(padded)["ODD0"].tobytes() == b"abc"


def test_big_endian_is_refused_by_name() -> None:
    begin = struct.pack(">HHIII", 0x8000, 0x494D, 42, 0, 0)
    with pytest.raises(EventError, match="big-endian"):
        parse_event(begin)
    event = bytearray(event_bytes((b"CAM0", 4, bytes(8))))
    event[20:24] = event[20:24][::-1]
    with pytest.raises(EventError, match="big-endian"):
        parse_event(event)


def _with(raw: bytes, offset: int, form: str, value: int) -> bytes:
    damaged = bytearray(raw)
    struct.pack_into(form, damaged, offset, value)
    return bytes(damaged)


GOOD = event_bytes((b"CAM0", 4, bytes(8)), (b"FID0", 6, bytes(4)))


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (GOOD[:15], "header has 16 bytes, 15 are left"),
        (GOOD[:-1], "claims 64 bytes, 63 are left"),
        (_with(GOOD, 12, "<I", 0xFFFFFFFF), "are left"),
        (_with(GOOD, 12, "<I", 4), "4 bytes cannot hold a bank header"),
        (_with(GOOD, 16, "<I", 1000), "banks of 1000 bytes in an event of 48"),
        (_with(GOOD, 16, "<I", 20), "banks of 20 bytes in an event of 48"),
        (_with(GOOD, 20, "<I", 0x12), "flags 0x12"),
        (_with(GOOD, 32, "<I", 9), "not a multiple of the 2 of TID_WORD"),
        (_with(GOOD, 32, "<I", 0xFFFFFFFE), "CAM0 claims 4294967294 bytes .*, 28 are left"),
        (_with(GOOD, 32, "<I", 38), "CAM0 claims 38 bytes .40 padded., 28 are left"),
        (_with(GOOD, 32, "<I", 24), "a bank header is cut"),
        (_with(GOOD, 32, "<I", 28), "CAM0 claims 28 bytes .32 padded., 28 are left"),
        (_with(GOOD, 28, "<I", 0), "no bank begins at byte 24"),
        (_with(GOOD, 28, "<I", 19), "no bank begins at byte 24"),
        (_with(GOOD, 24, "<I", 0), "no bank begins at byte 24"),
        (_with(GOOD, 24, "<B", 0xE9), "no bank begins at byte 24"),
        (event_bytes((b"CAM0", 1, b"a"), (b"CAM0", 1, b"b")), "CAM0 is there twice"),
        (_with(dump_bytes(), 2, "<H", 0), "trigger mask 0x0 is not 'MI'"),
        (_with(dump_bytes(), 12, "<I", 20), "does not end with }"),
    ],
)
def test_damage_is_named(raw: bytes, reason: str) -> None:
    with pytest.raises(EventError, match=reason):
        parse_event(raw)


def _touch(event: Event) -> None:
    """Look at all that an event gives; every view lies inside the event."""
    memory = np.frombuffer(event.raw, np.uint8)
    end = 24
    for bank in event.banks.values():
        assert bank.data.nbytes == bank.size_bytes
        assert end <= bank.offset and bank.offset + bank.size_bytes <= len(event.raw)
        assert not bank.size_bytes or np.shares_memory(bank.data, memory)
        end = bank.offset + bank.size_bytes


DAMAGEABLE = [
    event_bytes(
        (b"CAM0", 4, bytes(range(20))), (b"FID0", 6, bytes(4)), (b"INPT", 9, bytes(12)), form=form
    )
    for form in FORMS
] + [dump_bytes()]


@given(st.sampled_from(DAMAGEABLE), st.data())
def test_no_damaged_byte_gives_anything_but_whole_views_or_our_error(
    raw: bytes, data: st.DataObject
) -> None:
    damaged = bytearray(raw)
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        event = parse_event(damaged)
    except EventError:
        return
    _touch(event)


@given(st.binary(max_size=200))
@example(bytes(16))
@example(bytes(200))
def test_noise_is_refused_or_whole(noise: bytes) -> None:
    try:
        event = parse_event(noise)
    except EventError:
        return
    _touch(event)


@given(st.sampled_from(DAMAGEABLE), st.data())
def test_a_cut_event_is_refused(raw: bytes, data: st.DataObject) -> None:
    with pytest.raises(EventError):
        parse_event(raw[: data.draw(st.integers(0, len(raw) - 1))])


def test_events_compare_by_their_bytes() -> None:
    assert parse_event(GOOD) == parse_event(bytearray(GOOD))
    assert parse_event(GOOD) != parse_event(_with(GOOD, 4, "<I", 1))
    assert parse_event(GOOD) != GOOD
