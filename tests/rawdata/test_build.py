from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rawdata.build import EventBuilder, bank_bytes, event_bytes
from rawdata.errors import EventError
from rawdata.event import BankFormat, parse_event
from rawdata.tid import Tid
from tests.rawdata import bytes_of


@pytest.mark.parametrize("form", list(BankFormat))
def test_the_bytes_are_those_of_midas(form: BankFormat) -> None:
    builder = EventBuilder(bytearray(b"\xff" * 200), 5, form)
    builder.add("CAM0", Tid.WORD, np.array([1, 2, 3], np.uint16))
    builder.add("TEXT", Tid.STRING, b"abc")
    event = builder.finish(serial_number=9, timestamp=1_700_000_000, trigger_mask=2)
    assert bytes(event) == bytes_of.event_bytes(
        (b"CAM0", 4, b"\1\0\2\0\3\0"),
        (b"TEXT", 12, b"abc"),
        form=form.name,
        event_id=5,
        serial=9,
        mask=2,
    )
    assert len(event) == event_bytes([(Tid.WORD, 3), (Tid.STRING, 3)], form)


BANKS = st.lists(
    st.tuples(
        st.from_regex(r"[A-Z0-9_ ]{3}[A-Z0-9]", fullmatch=True),
        st.sampled_from(list(Tid)),
        st.integers(0, 40),
        st.integers(0, 2**32 - 1),
    ),
    max_size=6,
    unique_by=lambda bank: bank[0],
)


@given(st.sampled_from(list(BankFormat)), BANKS)
def test_what_is_built_is_parsed_back(
    form: BankFormat, banks: list[tuple[str, Tid, int, int]]
) -> None:
    size = event_bytes([(tid, count) for _, tid, count, _ in banks], form)
    builder = EventBuilder(np.empty(size, np.uint8), 1, form)
    arrays = {}
    for name, tid, count, seed in banks:
        noise = np.random.default_rng(seed).bytes(count * tid.size)
        arrays[name] = (tid, np.frombuffer(noise, tid.dtype))
        if seed % 2:
            builder.add(name, tid, arrays[name][1])
        else:
            builder.reserve(name, tid, count)[...] = arrays[name][1]
    event = parse_event(builder.finish(1, 2))
    assert event.bank_format is form
    assert list(event) == list(arrays)
    for name, (tid, array) in arrays.items():
        assert event.banks[name].tid is tid
        assert event[name].tobytes() == array.tobytes()


@given(hnp.arrays(np.uint16, hnp.array_shapes(min_dims=2, max_dims=3, max_side=7)), st.booleans())
def test_arrays_of_any_shape_and_stride_are_taken_row_major(array: Any, transpose: bool) -> None:
    values = array.T if transpose else array[::-1]
    builder = EventBuilder(np.empty(2000, np.uint8), 1)
    builder.add("CAM0", Tid.WORD, values)
    assert parse_event(builder.finish(0, 0))["CAM0"].tolist() == values.ravel().tolist()


def test_a_slot_is_reused_behind_a_mark() -> None:
    slot = np.zeros(400, np.uint8)
    builder = EventBuilder(slot, 1)
    pixels = builder.reserve("CAM0", Tid.WORD, 10)
    after_camera = builder.mark
    events = []
    for number in range(3):
        pixels[:] = number
        builder.rewind(after_camera)
        builder.add("FID0", Tid.DWORD, [number + 100])
        if number == 1:
            builder.add("DIG0", Tid.WORD, np.arange(7, dtype=np.uint16))
        events.append(bytes(builder.finish(number, 0)))
    parsed = [parse_event(event) for event in events]
    assert [event["CAM0"][9] for event in parsed] == [0, 1, 2]
    assert [event["FID0"][0] for event in parsed] == [100, 101, 102]
    assert [list(event) for event in parsed] == [
        ["CAM0", "FID0"],
        ["CAM0", "FID0", "DIG0"],
        ["CAM0", "FID0"],
    ]
    assert np.shares_memory(pixels, slot)


def test_rewinding_to_the_start_gives_an_empty_event() -> None:
    builder = EventBuilder(bytearray(100), 1)
    start = builder.mark
    builder.add("AAAA", Tid.BYTE, b"x")
    builder.rewind(start)
    builder.add("AAAA", Tid.BYTE, b"y")
    assert parse_event(builder.finish(0, 0))["AAAA"].tobytes() == b"y"
    with pytest.raises(EventError, match="no bank begins at byte 25"):
        builder.rewind(25)


def test_padding_is_zeroed_so_that_bytes_do_not_depend_on_what_was_there() -> None:
    built = []
    for filling in (0x00, 0xFF):
        builder = EventBuilder(bytearray([filling]) * 100, 1)
        builder.add("ODD0", Tid.BYTE, b"abc")
        built.append(bytes(builder.finish(0, 0)))
    assert built[0] == built[1]


def test_the_reserved_array_lies_in_the_buffer() -> None:
    buffer = np.zeros(100, np.uint8)
    EventBuilder(buffer, 1).reserve("CAM0", Tid.WORD, 4)[:] = 0x0101
    assert buffer[36:44].tolist() == [1] * 8


@pytest.mark.parametrize(
    ("name", "tid", "values", "reason"),
    [
        ("CA", Tid.WORD, [1], "3 or 4 printable ASCII"),
        ("CAM10", Tid.WORD, [1], "3 or 4 printable ASCII"),
        ("CAMé", Tid.WORD, [1], "3 or 4 printable ASCII"),
        ("CAM\n", Tid.WORD, [1], "3 or 4 printable ASCII"),
        ("AAAA", Tid.WORD, [1], "already"),
        ("CAM0", Tid.WORD, [70000], "wanted TID_WORD"),
        ("CAM0", Tid.WORD, [-1], "wanted TID_WORD"),
        ("CAM0", Tid.WORD, ["x"], "wanted TID_WORD"),
        ("CAM0", Tid.WORD, np.array([1.5]), "without loss"),
        ("CAM0", Tid.WORD, np.array([1], np.int32), "without loss"),
        ("CAM0", Tid.BYTE, bytes(100), "of event buffer, there are 100"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_added(
    name: str, tid: Tid, values: Any, reason: str
) -> None:
    builder = EventBuilder(bytearray(100), 1)
    builder.add("AAAA", Tid.BYTE, b"")
    with pytest.raises(EventError, match=reason):
        builder.add(name, tid, values)
    assert list(parse_event(builder.finish(0, 0))) == ["AAAA"]


def test_smaller_types_go_into_larger_ones() -> None:
    builder = EventBuilder(bytearray(100), 1)
    builder.add("FLOA", Tid.DOUBLE, np.array([1.5], np.float32))
    assert parse_event(builder.finish(0, 0))["FLOA"].tolist() == [1.5]


def test_16_bit_banks_hold_64_kb() -> None:
    builder = EventBuilder(bytearray(70_000), 1, BankFormat.BANK)
    with pytest.raises(EventError, match="BANK banks hold 0 to 65535"):
        builder.reserve("BIG0", Tid.BYTE, 65_536)
    assert builder.reserve("BIG0", Tid.BYTE, 65_535).size == 65_535


def test_buffers_that_cannot_serve_are_refused() -> None:
    with pytest.raises(EventError, match="writable"):
        EventBuilder(bytes(100), 1)
    with pytest.raises(EventError, match="cannot hold an event header"):
        EventBuilder(bytearray(23), 1)
    with pytest.raises(EventError, match="event id 32768"):
        EventBuilder(bytearray(24), 0x8000)


def test_32_bit_counters_wrap() -> None:
    event = parse_event(EventBuilder(bytearray(24), 1).finish(2**32 + 5, 2**32 + 6))
    assert (event.serial_number, event.timestamp) == (5, 6)


def test_bank_bytes_count_header_data_and_padding() -> None:
    assert [bank_bytes(Tid.BYTE, 1, form) for form in BankFormat] == [16, 20, 24]
