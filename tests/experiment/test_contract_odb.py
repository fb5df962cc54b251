"""The ODB, the same in a real MIDAS and in the standalone experiment."""

import ctypes
import datetime
import math
from collections import OrderedDict
from typing import Any

import pytest

from experiment.errors import MidasError
from rawdata.tid import Tid
from tests.experiment.in_c import InC
from tests.experiment.peer import Peer

VALUES = [
    (True, Tid.BOOL, True),
    (-1, Tid.INT, -1),
    (2.5, Tid.DOUBLE, 2.5),
    ("", Tid.STRING, ""),
    ("µ-metal 22 °C", Tid.STRING, "µ-metal 22 °C"),
    ([1, 2, 3], Tid.INT, [1, 2, 3]),
    ((1.5, 2.5), Tid.DOUBLE, [1.5, 2.5]),
    ([True, False], Tid.BOOL, [True, False]),
    ([45], Tid.INT, 45),
    (["Hello", "World!!!!"], Tid.STRING, ["Hello", "World!!!!"]),
    (ctypes.c_bool(False), Tid.BOOL, False),
    (ctypes.c_uint8(255), Tid.BYTE, 255),
    (ctypes.c_int8(-12), Tid.SBYTE, -12),
    (ctypes.c_uint16(65535), Tid.WORD, 65535),
    (ctypes.c_int16(-32768), Tid.SHORT, -32768),
    (ctypes.c_uint32(4_000_000_000), Tid.DWORD, 4_000_000_000),
    (ctypes.c_int32(-5), Tid.INT, -5),
    (ctypes.c_float(0.5), Tid.FLOAT, 0.5),
    (ctypes.c_double(1e300), Tid.DOUBLE, 1e300),
    ([ctypes.c_int16(7), ctypes.c_int16(-7)], Tid.SHORT, [7, -7]),
    (InC(ctypes.c_uint16, (1, 2, 3), 3), Tid.WORD, [1, 2, 3]),
    (InC(ctypes.c_char, b"From C", 32), Tid.STRING, "From C"),
]


def kind(client: Peer, path: str) -> dict[str, int]:
    name = path.rpartition("/")[2]
    key: dict[str, int] = client.odb_get(path, include_key_metadata=True)[f"{name}/key"]
    return key


@pytest.mark.parametrize(("value", "tid", "read"), VALUES)
def test_values_come_back_with_their_types(client: Peer, value: Any, tid: Tid, read: Any) -> None:
    client.odb_set("/test/value", value)
    assert client.odb_get("/test/value") == read
    assert kind(client, "/test/value")["type"] == tid
    assert client.odb_get("/test") == {"value": read}


def test_floats_that_are_no_numbers(client: Peer) -> None:
    client.odb_set("/test/value", [math.nan, math.inf, -math.inf])
    for read in (client.odb_get("/test/value"), client.odb_get("/test")["value"]):
        assert math.isnan(read[0])
        assert read[1:] == [math.inf, -math.inf]


def test_a_key_keeps_its_type(client: Peer) -> None:
    client.odb_set("/test/int", 1)
    client.odb_set("/test/int", 3.9)
    assert client.odb_get("/test/int") == 3
    client.odb_set("/test/int", "0x10")
    assert client.odb_get("/test/int") == 16
    client.odb_set("/test/double", 1.0)
    client.odb_set("/test/double", 7)
    assert kind(client, "/test/double")["type"] == Tid.DOUBLE


@pytest.mark.parametrize(
    ("first", "second", "error"),
    [
        ("text", 1.0, TypeError),
        ("text", [1.0], TypeError),
        ("text", {}, TypeError),
        (1, {}, TypeError),
        ({"a": 1}, 1, TypeError),
        (1, "x", ValueError),
        (1, ctypes.c_float(1), TypeError),
        (ctypes.c_uint16(1), 70_000, ValueError),
        (1, -(2**31) - 1, ValueError),
        (1, [], MidasError),
    ],
)
def test_what_does_not_fit_is_refused(
    client: Peer, first: Any, second: Any, error: type[Exception]
) -> None:
    client.odb_set("/test/value", first)
    with pytest.raises(error):
        client.odb_set("/test/value", second)
    assert client.odb_get("/test/value") == getattr(first, "value", first)


@pytest.mark.parametrize(
    ("value", "error"),
    [([], ValueError), (b"x", TypeError), (ctypes.c_int64(1), MidasError)],
)
def test_no_key_of_an_unknown_type(client: Peer, value: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        client.odb_set("/test/value", value)
    assert not client.odb_exists("/test/value")


def test_an_explicit_type(client: Peer) -> None:
    client.odb_set("/test/word", 5, explicit_new_midas_type=int(Tid.WORD))
    assert kind(client, "/test/word")["type"] == Tid.WORD


@pytest.mark.parametrize("name", ["[x", "n" * 32, " x", "x ", "/x"])
def test_bad_names(client: Peer, name: str) -> None:
    client.odb_set("/test", {})
    with pytest.raises(MidasError) as caught:
        client.odb_set(f"/test/{name}", 1)
    assert caught.value.code == 304  # DB_INVALID_NAME
    client.odb_set("/test/" + "n" * 31, 1)


def test_names_are_found_in_any_case(client: Peer) -> None:
    client.odb_set("/test/Mixed Case", 1)
    client.odb_set("/TEST/mixed case", 2)
    assert client.odb_get("/test") == {"Mixed Case": 2}
    assert client.odb_get("test/MIXED CASE/") == 2


@pytest.mark.parametrize("path", ["/test/no", "/test/value/no", "/test//value"])
def test_what_is_not_there(client: Peer, path: str) -> None:
    client.odb_set("/test/value", 1)
    assert not client.odb_exists(path)
    with pytest.raises(KeyError):
        client.odb_get(path)
    with pytest.raises(KeyError):
        client.odb_set(path, 1, create_if_needed=False)
    with pytest.raises(KeyError):
        client.odb_delete(path)


def test_a_value_is_no_directory(client: Peer) -> None:
    client.odb_set("/test/value", 1)
    with pytest.raises(TypeError):
        client.odb_set("/test/value/below", 1)


# arrays ----------------------------------------------------------------------------------------
def test_elements(client: Peer) -> None:
    client.odb_set("/test/array", [1, 2])
    client.odb_set("/test/array[1]", 3)
    assert client.odb_get("/test/array[1]") == 3
    client.odb_set("/test/array[4]", 5)
    assert client.odb_get("/test/array") == [1, 3, 0, 0, 5]
    with pytest.raises(MidasError):
        client.odb_get("/test/array[5]")
    assert client.odb_exists("/test/array[5]")
    with pytest.raises(KeyError):
        client.odb_get("/test/array[0:2]")
    with pytest.raises(TypeError):
        client.odb_set("/test/array[0]", [7, 8])


def test_elements_of_what_is_not_there(client: Peer) -> None:
    client.odb_set("/test/numbers[3]", 5)
    assert client.odb_get("/test/numbers") == [0, 0, 0, 5]
    client.odb_set("/test/texts[2]", "third")
    assert client.odb_get("/test/texts") == ["", "", "third"]


def test_text_elements(client: Peer) -> None:
    client.odb_set("/test/texts", ["Hello", "World"])
    client.odb_set("/test/texts[1]", "something longer")
    assert client.odb_get("/test/texts") == ["Hello", "something longer"]


def test_arrays_take_the_length_of_the_list(client: Peer) -> None:
    client.odb_set("/test/array", [1, 2, 3])
    client.odb_set("/test/array", [4, 5])
    assert client.odb_get("/test/array") == [4, 5]
    assert kind(client, "/test/array")["num_values"] == 2
    with pytest.raises(ValueError, match=r"2 values|length is 2"):
        client.odb_set("/test/array", [1, 2, 3], resize_arrays=False)
    client.odb_set("/test/array", 6)
    assert client.odb_get("/test/array") == 6


# texts -----------------------------------------------------------------------------------------
def test_texts_grow_and_never_shrink(client: Peer) -> None:
    client.odb_set("/test/text", "abc")
    assert kind(client, "/test/text")["item_size"] == 4
    client.odb_set("/test/text", "abcdef")
    assert kind(client, "/test/text")["item_size"] == 7
    client.odb_set("/test/text", "a")
    assert (client.odb_get("/test/text"), kind(client, "/test/text")["item_size"]) == ("a", 7)


def test_texts_that_may_not_grow_are_cut(client: Peer) -> None:
    client.odb_set("/test/text", "abc")
    client.odb_set("/test/text", "abcdef", lengthen_strings=False)
    assert client.odb_get("/test/text") == "abc"


def test_the_longest_text(client: Peer) -> None:
    client.odb_set("/test/text", "x" * 300)
    assert client.odb_get("/test/text") == "x" * 255
    assert kind(client, "/test/text")["item_size"] == 256


def test_room_for_a_text_to_come(client: Peer) -> None:
    client.odb_set("/test/text", InC(ctypes.c_char, b"short", 80))
    assert kind(client, "/test/text")["item_size"] == 80


# directories -----------------------------------------------------------------------------------
def test_a_directory_is_what_was_given(client: Peer) -> None:
    content = {"int": 1, "below": {"bool": True, "list": [1.5, 2.5]}, "empty": {}, "text": "t"}
    client.odb_set("/test", content)
    assert client.odb_get("/test") == content
    assert list(client.odb_get("/test")) == list(content)
    client.odb_set("/test", {"int": 2, "below": {"bool": False}})
    assert client.odb_get("/test") == {"int": 2, "below": {"bool": False}}


def test_a_directory_may_be_set_in_part(client: Peer) -> None:
    client.odb_set("/test", {"a": 1, "b": 2})
    client.odb_set("/test", {"b": 3, "c": 4}, remove_unspecified_keys=False)
    assert client.odb_get("/test") == {"a": 1, "b": 3, "c": 4}


def test_structure_only(client: Peer) -> None:
    client.odb_set("/test", {"int": 1, "gone": 2, "below": {"bool": True}})
    wanted = {"int": 3, "new": 4.5, "below": {"bool": False, "new": "hello"}}
    client.odb_set("/test", wanted, update_structure_only=True)
    assert client.odb_get("/test") == {
        "int": 1,
        "below": {"bool": True, "new": "hello"},
        "new": 4.5,
    }


def test_the_order_of_an_ordered_dict(client: Peer) -> None:
    client.odb_set("/test", OrderedDict([("a", 4), ("c", 5), ("b", 6)]))
    client.odb_set("/test", OrderedDict([("a", 4), ("d", 7), ("c", 5), ("b", 6)]))
    assert list(client.odb_get("/test")) == ["a", "d", "c", "b"]
    client.odb_set("/test", {"b": 1, "a": 2, "d": 3, "c": 4})
    assert list(client.odb_get("/test")) == ["a", "d", "c", "b"]


def test_listing_a_directory(client: Peer) -> None:
    client.odb_set("/test", {"value": 1, "below": {"deep": 2}})
    assert client.odb_get("/test", recurse_dir=False) == {"value": 1, "below": {}}
    assert {"Experiment", "System", "Runinfo"} <= set(client.odb_get("/", recurse_dir=False))


def test_metadata(client: Peer) -> None:
    client.odb_set("/test", {"array": [1, 2], "text": "ab", "below": {"bool": True}})
    got = client.odb_get("/test", include_key_metadata=True)
    written = got["test"]["array/key"]["last_written"]
    assert got == {
        "test": {
            "array/key": {
                "type": 7,
                "num_values": 2,
                "access_mode": 7,
                "last_written": written,
            },
            "array": [1, 2],
            "text/key": {
                "type": 12,
                "item_size": 3,
                "access_mode": 7,
                "last_written": written,
            },
            "text": "ab",
            "below": {
                "bool/key": {"type": 8, "access_mode": 7, "last_written": written},
                "bool": True,
            },
        },
        "test/key": {"type": 15, "access_mode": 7, "last_written": 0},
    }
    assert abs(written - datetime.datetime.now().timestamp()) < 60
    one = client.odb_get("/test/array[1]", include_key_metadata=True)
    assert (one["array"], one["array/key"]["num_values"]) == (2, 2)


def test_last_update_time(client: Peer) -> None:
    before = datetime.datetime.now().replace(microsecond=0)
    client.odb_set("/test/value", 1)
    assert before <= client.odb_last_update_time("/test/value") <= datetime.datetime.now()
    assert client.odb_last_update_time("/test").timestamp() == 0
    with pytest.raises(KeyError):
        client.odb_last_update_time("/test/no")


def test_rename(client: Peer) -> None:
    client.odb_set("/test", {"a": {"deep": 1}, "b": 2})
    client.odb_rename("/test/a", "Other Name")
    assert client.odb_get("/test") == {"Other Name": {"deep": 1}, "b": 2}
    client.odb_rename("/test/b", "B")
    assert list(client.odb_get("/test")) == ["Other Name", "B"]
    with pytest.raises(KeyError):
        client.odb_rename("/test/a", "c")
    with pytest.raises(MidasError):
        client.odb_rename("/test/B", "no/slash")


def test_delete(client: Peer) -> None:
    client.odb_set("/test", {"a": {"deep": 1}, "b": 2})
    client.odb_delete("/test/a")
    assert client.odb_get("/test") == {"b": 2}
    client.odb_delete("/test/b")
    assert client.odb_get("/test") == {}


def test_programs_cannot_change_the_list_of_clients(client: Peer) -> None:
    own = f"/System/Clients/{client.pid}"
    assert client.odb_get(f"{own}/Name") == "alpha"
    with pytest.raises(MidasError) as caught:
        client.odb_set(f"{own}/Name", "other")
    assert caught.value.code == 318  # DB_NO_ACCESS
    with pytest.raises(MidasError):
        client.odb_delete(own)
