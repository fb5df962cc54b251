"""Pages read and write the ODB through the standalone web server as through mhttpd.

Expected answers are those of a live mhttpd (MIDAS develop, December 2022), unless said otherwise.
"""

from typing import Any

import pytest

from sim.web.odb_write import convert
from tests.sim.web_server import Web

INT, DWORD, WORD, STRING, DOUBLE, BOOL, KEY = 7, 6, 4, 12, 10, 8, 15


# reading the ODB ---------------------------------------------------------------------------------
def test_values_of_a_directory(web: Web) -> None:
    result = web.call("db_get_values", {"paths": ["/t"]})
    (data,) = result["data"]
    assert list(data) == [
        "number/name",
        "number/last_written",
        "number",
        "words/name",
        "words/last_written",
        "words",
        "text/name",
        "text/last_written",
        "text",
        "below/name",
        "below",
    ]
    assert data["text/name"] == "Text"
    assert data["words"] == ["0x0001", "0x0002", "0x0003"]
    assert data["below"]["flag"] is True
    assert data["number/last_written"] > 1_600_000_000
    assert (result["status"], result["tid"], result["last_written"]) == ([1], [KEY], [0])


def test_values_of_keys_and_elements(web: Web) -> None:
    paths = ["/T/number", "/T/words[1]", "/T/words[2,0-1]", "/T/words[9]", "/nope", "/T/words[x]"]
    result = web.call("db_get_values", {"paths": paths})
    assert result["data"] == [5, "0x0002", ["0x0003", "0x0001", "0x0002"], None, None, None]
    assert result["status"] == [1, 1, [1, 1, 1], 321, 312, 321]
    assert result["tid"] == [INT, WORD, WORD, WORD, None, WORD]
    assert result["last_written"][4] is None


def test_values_without_what_is_not_wanted(web: Web) -> None:
    params: dict[str, Any] = {"paths": ["/T"], "omit_tid": True, "preserve_case": True}
    result = web.call("db_get_values", {**params, "omit_last_written": True})
    assert set(result) == {"data", "status"}
    assert list(result["data"][0]) == ["number", "words", "Text", "Below"]
    future = {**params, "omit_old_timestamp": 4e9}
    assert web.call("db_get_values", future)["data"] == [{"Below": {}}]


def test_links_are_followed_by_values_and_told_by_listings(web: Web) -> None:
    targets = ["/T/number", "/T/Below", "/nope", "/T/words[1]"]
    links = ["/T/l", "/T/dir", "/T/dangling", "/T/one"]
    assert web.call("db_link", {"new_links": links, "target_paths": targets})["status"] == [
        1,
        1,
        312,
        1,
    ]
    assert web.values("/T/l", "/T/dir", "/T/dangling", "/T/one") == [
        5,
        {"flag": True},
        None,
        "0x0002",
    ]
    (told,) = web.values("/T")
    assert (told["l"], told["dir"], told["one"]) == (5, {"flag": True}, "0x0002")
    (saved,) = web.call("db_copy", {"paths": ["/T"]})["data"]
    assert saved["l"] == "/T/number"
    assert saved["l/key"]["type"] == 16
    (listed,) = web.call("db_ls", {"paths": ["/T"]})["data"]
    assert (listed["l"], listed["l/key"]["link"]) == (5, "/T/number")


def test_circle_of_links_ends(web: Web) -> None:
    web.client.odb_link("/T/Below/up", "/T")
    (told,) = web.values("/T")
    assert told["below"]["up"]["below"]["up"]["number"] == 5


def test_listings(web: Web) -> None:
    result = web.call("db_ls", {"paths": ["/T", "/T/number", "/nope"]})
    assert result["status"] == [1, 1, 312]
    directory, single, missing = result["data"]
    assert directory["Below"] == {}
    assert {k: v for k, v in directory["words/key"].items() if k != "last_written"} == {
        "type": WORD,
        "num_values": 3,
        "access_mode": 7,
    }
    assert list(single) == ["number/key", "number"]
    assert missing is None
    (saved,) = web.call("db_copy", {"paths": ["/T"]})["data"]
    assert saved["Below"]["flag"] is True


def test_keys(web: Web) -> None:
    result = web.call("db_key", {"paths": ["/T", "/T/words[1]", "/T/Text", "/nope"]})
    assert result["status"] == [1, 1, 1, 312]
    for key in result["keys"][:3]:
        key.pop("last_written")
    common = {"access_mode": 7, "notify_count": 0}
    directory = {"type": KEY, "num_values": 1, "name": "T", "total_size": 12, "item_size": 12}
    words = {"type": WORD, "num_values": 3, "name": "words", "total_size": 6, "item_size": 2}
    assert result["keys"][0] == {**directory, **common}
    assert result["keys"][1] == {**words, **common}
    assert result["keys"][2]["type"] == STRING
    assert result["keys"][3] is None


# writing the ODB ---------------------------------------------------------------------------------
def test_paste(web: Web) -> None:
    rows: list[tuple[str, Any, Any]] = [
        ("/T/number", 7, 1),
        ("/T/words[1]", "0x10", 1),
        ("/T/words[0,2]", [8, 9], [1, 1]),
        ("/T/Text", "x" * 50, 1),
        ("/T/Below/flag", "n", 1),
        ("/nope", 1, 312),
        ("/T/number", "abc", 317),
        ("/T/number", 5e9, 317),
        ("/T/number", None, 317),
        ("/T/number", True, 315),
        ("/T/words[1]", [1, 2], 315),
        ("/T/words[0,1]", [1, 2, 3], 315),
        ("/T/words", [1, 2, 3, 4, 70000], 317),
        ("/T/Below", {"new": 1.5, "hex": "0xff", "deep": {"er": ["a", "b"]}, "x/key": {}}, 1),
        ("/T/Below", {"flag": 3}, 311),
        ("/T/Below", 3, 315),
    ]
    params = {"paths": [row[0] for row in rows], "values": [row[1] for row in rows]}
    assert web.call("db_paste", params)["status"] == [row[2] for row in rows]
    number, words, text, below = web.values("/T/number", "/T/words", "/T/Text", "/T/Below")
    assert (number, words, text) == (7, ["0x0008", "0x0010", "0x0009"], "x" * 50)
    assert below == {"flag": False, "new": 1.5, "hex": "0x000000ff", "deep": {"er": ["a", "b"]}}
    messages = "\n".join(web.client.get_recent_messages(20))
    assert "/T/number is of type INT, 'abc' is no such" in messages


def test_paste_makes_arrays_longer_and_never_shorter(web: Web) -> None:
    paths = ["/T/words[5]", "/T/words", "/T/words[*]"]
    assert web.call("db_paste", {"paths": paths[:2], "values": [9, [7, 8]]})["status"] == [1, 1]
    assert web.values("/T/words") == [["0x0007", "0x0008", "0x0003", "0x0000", "0x0000", "0x0009"]]
    assert web.call("db_paste", {"paths": paths[2:], "values": [2]})["status"] == [1]
    assert web.values("/T/words") == [["0x0002"] * 6]


@pytest.mark.parametrize(
    ("value", "tid", "expected"),
    [
        ("0x10", WORD, 16),
        ("101b", WORD, 5),
        (" 12 ", INT, 12),
        (3.7, INT, 3),
        ("2.5", DOUBLE, 2.5),
        ("-Infinity", DOUBLE, float("-inf")),
        ("yes", BOOL, True),
        (0, BOOL, False),
        (12, STRING, "12"),
        ("A", 3, 65),
    ],
)
def test_json_becomes_what_the_key_is(value: Any, tid: int, expected: Any) -> None:
    assert convert("/x", value, tid) == expected


def test_create_resize_rename_reorder_delete(web: Web) -> None:
    wishes = [
        {"path": "/T/i", "type": INT},
        {"path": "/T/a", "type": DWORD, "array_length": 3},
        {"path": "/T/s", "type": STRING, "string_length": 5, "array_length": 2},
        {"path": "/T/i", "type": INT},
        {"path": "/T/x", "type": 99},
        {"path": "/T/q", "type": 17},
    ]
    assert web.call("db_create", wishes)["status"] == [1, 1, 1, 311, 309, 309]
    assert web.values("/T/a", "/T/s") == [["0x00000000"] * 3, ["", ""]]
    resize = {"paths": ["/T/a", "/T/a", "/nope"], "new_lengths": [2, 0, 2]}
    assert web.call("db_resize", resize)["status"] == [1, 309, 312]
    texts = {"paths": ["/T/s"], "new_lengths": [3], "new_string_lengths": [10]}
    assert web.call("db_resize_string", texts)["status"] == [1]
    (key,) = web.call("db_key", {"paths": ["/T/s"]})["keys"]
    assert (key["num_values"], key["item_size"], key["total_size"]) == (3, 10, 30)
    rename = {"paths": ["/T/i", "/nope", "/T/a"], "new_names": ["ii", "x", ""]}
    assert web.call("db_rename", rename)["status"] == [1, 312, 309]
    assert web.call("db_reorder", {"paths": ["/T/ii"], "indices": [0]})["status"] == [1]
    assert next(iter(web.values("/T")[0])) == "ii"
    assert web.call("db_delete", {"paths": ["/T/ii", "/nope"]})["status"] == [1, 312]
    assert web.values("/T/ii") == [None]


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("db_paste", {"paths": ["/T"], "values": []}),
        ("db_resize", {"paths": ["/T"], "new_lengths": []}),
        ("db_create", {"path": "/T/x"}),
    ],
)
def test_unequal_arrays_are_refused(web: Web, method: str, params: Any) -> None:
    assert web.reply(method, params)["error"]["code"] == -32602
