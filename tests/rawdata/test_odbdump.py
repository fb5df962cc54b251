import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawdata.errors import OdbDumpError
from rawdata.odbdump import MASK, format_dump, get, mask_secrets, parse_dump

TEXT = """{
  "Runinfo" : {
    "State/key" : { "type" : 7, "access_mode" : 7, "last_written" : 5 },
    "State" : 3,
    "Start time binary/key" : { "type" : 6, "access_mode" : 7, "last_written" : 5 },
    "Start time binary" : "0x6502c66b"
  },
  "Empty" : {
  },
  "Exposure/key" : { "type" : 10, "access_mode" : 7, "last_written" : 5 },
  "Exposure" : 2.9999999999999999e-01,
  "Names/key" : { "type" : 12, "num_values" : 2, "item_size" : 32, "access_mode" : 7, "last_written" : 5 },
  "Names" : [ "a \\"b\\"", "c\\\\d\\n" ],
  "Offset/key" : { "type" : 9, "num_values" : 3, "access_mode" : 7, "last_written" : 5 },
  "Offset" : [ "NaN", "-Infinity", 1.5000000e+00 ],
  "Link/key" : { "type" : 16, "link": "/Runinfo/State", "access_mode" : 7, "last_written" : 5 },
  "Link" : "/Runinfo/State",
  "Mask/key" : { "type" : 4, "access_mode" : 7, "last_written" : 5 },
  "Mask" : "0x00ff",
  "Flag/key" : { "type" : 8, "access_mode" : 7, "last_written" : 5 },
  "Flag" : true
}"""  # noqa: E501


def test_numbers_are_numbers() -> None:
    odb = parse_dump(TEXT)
    assert odb["Runinfo"] == {"State": 3, "Start time binary": 0x6502C66B}
    assert odb["Empty"] == {}
    assert odb["Exposure"] == 0.3
    assert odb["Names"] == ['a "b"', "c\\d\n"]
    assert math.isnan(odb["Offset"][0]) and odb["Offset"][1:] == [-math.inf, 1.5]
    assert (odb["Link"], odb["Mask"], odb["Flag"]) == ("/Runinfo/State", 255, True)


def test_the_text_comes_back_as_midas_writes_it() -> None:
    assert format_dump(parse_dump(TEXT, keep_keys=True)) == TEXT


def test_types_come_from_the_values_where_no_key_says_them() -> None:
    odb = {
        "b": True,
        "i": -1,
        "u": 3_000_000_000,
        "l": 2**40,
        "d": 0.1,
        "whole": 2.0,
        "s": "héllo",
        "ints": [1, 2, 3],
        "mixed": [1, 2.5],
        "np": np.float64(1.5),
        "npi": [np.int32(7)],
        "dir": {"x": 1},
        "none": {},
    }
    text = format_dump(odb, written_at=5)
    keys = parse_dump(text, keep_keys=True)
    types = {name[:-4]: key["type"] for name, key in keys.items() if name.endswith("/key")}
    assert types == {
        "b": 8,
        "i": 7,
        "u": 6,
        "l": 17,
        "d": 10,
        "whole": 10,
        "s": 12,
        "ints": 7,
        "mixed": 10,
        "np": 10,
        "npi": 7,
    }
    assert keys["s/key"] == {"type": 12, "item_size": 7, "access_mode": 7, "last_written": 5}
    assert keys["ints/key"]["num_values"] == 3
    assert '"u" : "0xb2d05e00"' in text
    assert parse_dump(text) == odb


NAMES = st.text(st.characters(exclude_characters="/", codec="utf-8"), min_size=1, max_size=8)
LEAVES = (
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=10)
    | st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1, max_size=4)
    | st.lists(st.text(max_size=5), min_size=1, max_size=4)
)


@given(
    st.dictionaries(
        NAMES,
        st.recursive(LEAVES, lambda x: st.dictionaries(NAMES, x, max_size=3), max_leaves=5),
        max_size=5,
    )
)
def test_any_plain_odb_comes_back(odb: dict[str, Any]) -> None:
    text = format_dump(odb)
    json.loads(text, strict=False)
    assert parse_dump(text) == odb


@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda b: b.decode("latin-1")))
def test_no_text_gives_anything_but_a_dict_or_our_error(text: str) -> None:
    for candidate in (text, TEXT[: len(text)] + text, "{" + text + "}"):
        try:
            assert isinstance(parse_dump(candidate), dict)
        except OdbDumpError:
            pass


@pytest.mark.parametrize(
    ("odb", "reason"),
    [
        ({"a": {"b": None}}, "/a/b: .*None.* has no MIDAS type"),
        ({"a": []}, "/a: .* has no MIDAS type"),
        ({"a": [1, "x"]}, "has no MIDAS type"),
        ({"a/key": {"type": 99}, "a": 1}, "no MIDAS type has number 99"),
        ({"a/key": {"type": 7}, "a": "x"}, "'x' is not a TID_INT"),
        ({"a/key": {"type": 9}, "a": "x"}, "'x' is not a TID_FLOAT"),
    ],
)
def test_what_midas_cannot_hold_is_refused(odb: dict[str, Any], reason: str) -> None:
    with pytest.raises(OdbDumpError, match=reason):
        format_dump(odb)


def test_dumps_of_other_formats_are_named() -> None:
    with pytest.raises(OdbDumpError, match=r"is XML; set .*ODB dump format to json"):
        parse_dump('<?xml version="1.0"?><odb/>')
    with pytest.raises(OdbDumpError, match="is ODB text"):
        parse_dump("[/Experiment]")
    with pytest.raises(OdbDumpError, match="damaged"):
        parse_dump("{" * 100_000)


def test_what_midas_itself_could_not_write_stays_text() -> None:
    text = '{ "x/key" : { "type" : 18 }, "x" : "(TID_UNKNOWN value)" }'
    assert parse_dump(text) == {"x": "(TID_UNKNOWN value)"}


def test_paths() -> None:
    odb = {"Runinfo": {"Run number": 42}, "List": [1, 2], "runinfo": "lower"}
    assert get(odb, "/Runinfo/Run number") == 42
    assert get(odb, "Runinfo/run NUMBER") == 42
    assert get(odb, "/runinfo") == "lower"
    assert get(odb, "/") == odb
    assert get(odb, "/List[1]") == 2
    assert get(odb, "/List[2]", "none") == "none"
    assert get(odb, "/Runinfo/Run number[0]") == 42
    assert get(odb, "/Runinfo/Run number[1]") is None
    assert get(odb, "/Runinfo/State", 7) == 7
    assert get(odb, "/List/x", 7) == 7
    assert get(odb, "/List[x]", 7) == 7


def test_secrets_are_masked_and_nothing_else() -> None:
    odb = {
        "SQL": {"Password": "hunter2", "Password/key": {"type": 12}, "Empty password": ""},
        "tokens": ["a", ""],
        "S3 secret key": "x",
        "discord_webhook": "https://x",
        "https port passwords": True,
        "Hostname": "db",
    }
    assert mask_secrets(odb) == {
        "SQL": {"Password": MASK, "Password/key": {"type": 12}, "Empty password": ""},
        "tokens": [MASK, ""],
        "S3 secret key": MASK,
        "discord_webhook": MASK,
        "https port passwords": True,
        "Hostname": "db",
    }
    assert odb["tokens"] == ["a", ""]
