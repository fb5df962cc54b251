"""Pages get from the standalone web server what they would get from mhttpd.

Expected answers are those of a live mhttpd (MIDAS develop, December 2022), unless said otherwise.
"""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

import sim.web.__main__ as program
from experiment.constants import TR_START
from experiment.standalone.client import StandaloneClient
from sim.web import labels
from sim.web.odb_write import convert
from sim.web.site import METHODS, MOST_BYTES
from tests.conftest import free_port, wait_until
from tests.sim.running import end, event, running_experiment

PAGES = Path(__file__).parents[2] / "web"
INT, DWORD, WORD, STRING, DOUBLE, BOOL, KEY = 7, 6, 4, 12, 10, 8, 15


@dataclass
class Web:
    """A web server and a client of the same experiment."""

    url: str
    client: StandaloneClient
    process: "subprocess.Popen[bytes]"

    def post(self, content: Any, **headers: str) -> httpx.Response:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        return httpx.post(f"{self.url}/?mjsonrpc", content=body, headers=headers, timeout=30)

    def reply(self, method: str, params: Any) -> dict[str, Any]:
        request = {"jsonrpc": "2.0", "id": 5, "method": method, "params": params}
        reply: dict[str, Any] = self.post(request).json()
        assert reply.pop("jsonrpc") == "2.0"
        assert reply.pop("id") == 5
        return reply

    def call(self, method: str, params: Any = None) -> Any:
        return self.reply(method, {} if params is None else params)["result"]

    def values(self, *paths: str) -> list[Any]:
        params = {"paths": paths, "omit_names": True, "omit_last_written": True}
        data: list[Any] = self.call("db_get_values", params)["data"]
        return data


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    port = free_port()
    with running_experiment(tmp_path_factory.mktemp("web")) as (programs, client):
        started = programs.start("web", "sim.web", "--port", str(port))
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: _answers(url), 20, "the web server")
        yield Web(url, client, started.process)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url).status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture
def web(running: Web) -> Iterator[Web]:
    if running.client.odb_exists("/T"):
        running.client.odb_delete("/T")
    running.client.odb_set("/T/number", 5)
    running.client.odb_set("/T/words", [1, 2, 3], explicit_new_midas_type=WORD)
    running.client.odb_set("/T/Text", "hello")
    running.client.odb_set("/T/Below/flag", True)
    yield running
    for alarm in running.client.get_triggered_alarms():
        running.client.reset_alarm(alarm)


# the envelope ------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("body", "code", "message", "data"),
    [
        (b"{bad", -32700, "Parse error", "Expecting property name"),
        (b"[]", -32600, "Invalid request", "batch request array has less than 1 element"),
        (b"3", -32600, "Invalid request", "jsonrpc version is missing, method is missing"),
        (
            b'{"method":"null"}',
            -32600,
            "Invalid request",
            "jsonrpc version is missing, params is missing, id is missing",
        ),
        (
            b'{"jsonrpc":"1.0","id":null,"method":3,"params":null}',
            -32600,
            "Invalid request",
            "jsonrpc version is not 2.0, method is not a string",
        ),
        (
            b'{"jsonrpc":"2.0","id":1,"method":"nope","params":{}}',
            -32601,
            "Method not found",
            "unknown method: nope",
        ),
        (
            b'{"jsonrpc":"2.0","id":1,"method":"db_get_values","params":{}}',
            -32602,
            "Invalid params",
            "missing parameter: paths",
        ),
        (
            b'{"jsonrpc":"2.0","id":1,"method":"db_get_values","params":{"paths":"x"}}',
            -32602,
            "Invalid params",
            "parameter must be an array: paths",
        ),
        (
            b'{"jsonrpc":"2.0","id":1,"method":"cm_transition","params":{"transition":"TR_X"}}',
            15,
            'invalid value of "transition"',
            "TR_X",
        ),
    ],
)
def test_refusals_are_error_objects(
    web: Web, body: bytes, code: int, message: str, data: str
) -> None:
    response = web.post(body)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    reply = response.json()
    assert reply["jsonrpc"] == "2.0"
    assert "result" not in reply
    assert (reply["error"]["code"], reply["error"]["message"]) == (code, message)
    assert data in reply["error"]["data"]


def test_batch_is_answered_in_order(web: Web) -> None:
    def request(number: Any, method: str) -> dict[str, Any]:
        return {"jsonrpc": "2.0", "id": number, "method": method, "params": {}}

    replies = web.post([request(1, "null"), request("a", "nope"), request(2, "get_debug")]).json()
    assert [reply["id"] for reply in replies] == [1, "a", 2]
    assert replies[0]["result"] is None
    assert replies[1]["error"]["code"] == -32601
    assert replies[2]["result"] == {"debug": 0}


def test_number_that_is_none_travels_as_text(web: Web) -> None:
    web.client.odb_set("/T/inf", [float("inf"), float("nan")])
    assert web.values("/T/inf") == [["Infinity", "NaN"]]


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


# runs and programs -------------------------------------------------------------------------------
def test_transitions(web: Web) -> None:
    state = partial(web.client.odb_get, "/Runinfo/State")
    assert web.call("cm_transition", {"transition": "TR_PAUSE"})["status"] == 113
    number = web.client.odb_get("/Runinfo/Run number")
    for transition, reached in [("TR_START", 3), ("TR_PAUSE", 2), ("TR_RESUME", 3), ("TR_STOP", 1)]:
        assert web.call("cm_transition", {"transition": transition}) == {"status": 1}
        wait_until(lambda reached=reached: state() == reached, 10, transition)
        wait_until(lambda: web.values("/System/Transition")[0]["status"] == 1, 10, "its end")
    start = {"transition": "TR_START", "run_number": number + 10, "async_flag": 1}
    assert web.call("cm_transition", start) == {"status": 1}
    assert web.client.odb_get("/Runinfo/Run number") == number + 10
    assert web.call("cm_transition", {"transition": "TR_STOP", "async_flag": 1}) == {"status": 1}


def test_refusal_of_a_start_reaches_the_page(web: Web) -> None:
    client = web.client
    client.register_transition_callback(TR_START, 500, lambda *_: (605, "the camera is off"))
    try:
        assert web.call("cm_transition", {"transition": "TR_START"}) == {"status": 1}
        _serve_until(client, lambda: web.values("/System/Transition")[0]["status"] not in (0, 1))
        (told,) = web.values("/System/Transition")
        assert (told["status"], told["error"][-17:]) == (605, "the camera is off")
        waiting = _in_thread(
            lambda: web.call("cm_transition", {"transition": "TR_START", "async_flag": 1})
        )
        _serve_until(client, lambda: "value" in waiting)
        assert waiting["value"]["status"] == 605
        assert "the camera is off" in waiting["value"]["error_string"]
    finally:
        client.deregister_transition_callback(TR_START)


def _serve_until(client: StandaloneClient, condition: Any) -> None:
    def served() -> bool:
        client.communicate(10)
        return bool(condition())

    wait_until(served, 15, "the answer")


def _in_thread(work: Any) -> dict[str, Any]:
    done: dict[str, Any] = {}
    threading.Thread(target=lambda: done.update(value=work()), daemon=True).start()
    return done


def test_remote_calls_and_pages_that_live_meanwhile(web: Web) -> None:
    client = web.client
    client.register_jrpc_callback(lambda c, cmd, args, most: (1, f"{cmd}({args}) <= {most}"))
    params = {"client_name": client.name, "cmd": "hv", "args": "on", "max_reply_length": 2000}
    waiting = _in_thread(lambda: web.call("jrpc", params))
    assert web.values("/T/number") == [5]  # although nobody has answered the call yet
    assert not waiting
    _serve_until(client, lambda: waiting)
    assert waiting["value"] == {"reply": "hv(on) <= 2000", "status": 1}
    assert web.call("jrpc", {**params, "client_name": "nobody"}) == {"status": 103}


def test_programs(web: Web) -> None:
    assert web.call("cm_exist", {"name": "cygno-web", "unique": True}) == {"status": 1}
    assert web.call("cm_exist", {"name": "cygno-w"}) == {"status": 1}
    assert web.call("cm_exist", {"name": "nobody"}) == {"status": 103}
    assert web.call("cm_shutdown", {"name": "nobody"}) == {"status": 103}
    assert web.call("start_program", {"name": "nobody"}) == {"status": 312}
    clients = web.call("db_scl")["scl"]["clients"]
    assert {"cygno-web", web.client.name} <= {client["name"] for client in clients}
    assert {"pid", "slot", "host", "last_activity_millisec"} < set(clients[0])


def test_program_is_started_by_its_command(web: Web, tmp_path: Path) -> None:
    web.client.odb_set("/Programs/toucher/Start command", f"touch {tmp_path / 'touched'}")
    assert web.call("start_program", {"name": "toucher"}) == {"status": 1}
    wait_until((tmp_path / "touched").exists, 10, "the command")


# messages and alarms -----------------------------------------------------------------------------
def test_messages(web: Web) -> None:
    assert web.call("cm_msg1", {"message": "first"}) == {"status": 1}
    wish = {"message": "second", "type": 1, "facility": "fff", "user": "me"}
    assert web.call("cm_msg1", wish) == {"status": 1}
    result = web.call("cm_msg_retrieve", {"min_messages": 1})
    assert result["status"] == 1
    assert result["num_messages"] == result["messages"].count("\n")
    assert re.match(
        r"\d{10} \d\d:\d\d:\d\d\.\d{3} \d{4}/\d\d/\d\d \[cygno-web,INFO\] first\n",
        result["messages"],
    )
    assert " [cygno-web,ERROR] [" in web.call("cm_msg_retrieve", {"facility": "fff"})["messages"]
    assert web.call("cm_msg_retrieve", {"facility": "none"}) == {"status": 1, "num_messages": 0}
    assert web.call("cm_msg_facilities") == {"status": 1, "facilities": ["fff", "midas"]}
    assert web.reply("cm_msg1", {})["error"]["data"] == "missing parameter: message"


def test_alarms(web: Web) -> None:
    wish = {"name": "A1", "message": "too hot", "class": "Alarm", "condition": "c", "type": 1}
    assert web.call("al_trigger_alarm", wish) == {"status": 1}
    web.client.create_evaluated_alarm("A2", "/T/number > 100", "number is %s")
    result = web.call("get_alarms")
    assert (result["status"], result["alarm_system_active"]) == (1, True)
    alarm = result["alarms"]["A1"]
    assert re.fullmatch(r"\w{3} \w{3} .\d .{8} \d{4}", alarm.pop("time_triggered_first"))
    assert alarm == {
        "triggered": True,
        "active": True,
        "class": "Alarm",
        "type": 1,
        "bgcolor": "red",
        "fgcolor": "black",
        "message": "too hot",
        "condition": "c",
        "show_to_user": "too hot",
    }
    every = web.call("get_alarms", {"get_all": True})["alarms"]
    assert (every["A2"]["evaluated_value"], every["A2"]["show_to_user"]) == ("5", "number is 5")
    assert web.call("al_reset_alarm", {"alarms": ["A1", "nope"]}) == {"status": [1004, 1002]}
    assert web.call("get_alarms")["alarms"] == {}
    web.call("al_trigger_alarm", wish)
    assert web.call("al_reset_all_alarms") == {"status": 1}
    assert web.call("get_alarms")["alarms"] == {}


def test_clock(web: Web) -> None:
    assert web.call("ss_millitime") > 0
    assert web.call("get_timezone") % 900 == 0
    assert web.call("null") is None


# events ------------------------------------------------------------------------------------------
def _receive(web: Web, **params: Any) -> Any:
    wish = {"jsonrpc": "2.0", "id": 1, "method": "bm_receive_event", "params": params}
    response = web.post(wish)
    if response.headers["content-type"] == "application/json":
        return response.json()["result"]["status"]
    assert response.headers["content-type"] == "application/octet-stream"
    return response.content


def test_page_receives_events_one_by_one_or_the_newest(web: Web) -> None:
    handle = web.client.open_event_buffer("SYSTEM")
    wish = {"buffer_name": "SYSTEM", "event_id": 7, "timeout_millisec": 20}
    assert _receive(web, **wish) == 209
    for serial in range(4):
        web.client.send_buffer(handle, event(serial, 100, 7), 1000)
        web.client.send_buffer(handle, event(serial, 100, 8), 1000)
    assert _receive(web, **wish) == bytes(event(0, 100, 7))
    assert _receive(web, **wish, get_recent=True) == bytes(event(3, 100, 7))
    header = [7, 0, 3, 1_700_000_000]
    assert _receive(web, **wish, get_recent=True, last_event_header=header) == 209
    assert _receive(web, **wish, get_recent=True) == bytes(event(3, 100, 7))
    header[2] = 2
    assert _receive(web, **wish, last_event_header=header) == bytes(event(3, 100, 7))


def test_page_waits_for_an_event(web: Web) -> None:
    handle = web.client.open_event_buffer("SYSTEM")
    wish = {"buffer_name": "SYSTEM", "event_id": 9}
    assert _receive(web, **wish) == 209
    waiting = _in_thread(lambda: _receive(web, **wish, timeout_millisec=20_000))
    web.client.send_buffer(handle, event(5, 10, 9), 1000)
    wait_until(lambda: waiting, 10, "the event")
    assert waiting["value"] == bytes(event(5, 10, 9))


def test_event_wishes_that_cannot_be(web: Web) -> None:
    assert _receive(web, buffer_name="NOPE") == 215
    bad = {"buffer_name": "SYSTEM", "last_event_header": [1]}
    assert "array with 4 elements" in web.reply("bm_receive_event", bad)["error"]["data"]
    handle = web.client.open_event_buffer("SYSTEM")
    wish = {"buffer_name": "SYSTEM", "event_id": 3, "get_recent": True}
    _receive(web, **wish)
    web.client.send_buffer(handle, event(1, 10, 3), 1000)
    request = {"jsonrpc": "2.0", "id": 1, "method": "bm_receive_event", "params": wish}
    reply = web.post([request]).json()
    assert "ARRAYBUFFER return is not permitted" in reply["error"]["data"]


# who may, and pages ------------------------------------------------------------------------------
def test_pages_of_other_sites_may_not_use_the_server(web: Web) -> None:
    request = {"jsonrpc": "2.0", "id": 1, "method": "null", "params": {}}
    assert web.post(request, origin="http://evil.example").status_code == 403
    assert web.post(request, origin="null").status_code == 403
    assert web.post(request, host="evil.example:80").status_code == 403
    assert web.post(request, origin=web.url).status_code == 200
    port = web.url.rpartition(":")[2]
    local = f"localhost:{port}"
    assert web.post(request, host=local, origin=f"http://{local}").status_code == 200


def test_only_pages_are_served(web: Web) -> None:
    for path in ("/__init__.py", "/../setup.cfg", "/%2e%2e/setup.cfg", "/nope.html", "/web"):
        assert httpx.get(web.url + path).status_code == 404
    assert httpx.post(f"{web.url}/", content=b"{}").status_code == 405
    huge = b" " * (MOST_BYTES + 1)
    assert web.post(huge).status_code == 413


def test_operator_page_and_all_it_needs(web: Web) -> None:
    page = httpx.get(f"{web.url}/")
    assert page.headers["content-type"].startswith("text/html")
    files = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    local = [file for file in files if not file.startswith("data:")]
    assert sorted(local) == ["cygno.css", "cygno.js", "latest.js", "settings.js"]
    for file in local:
        assert httpx.get(f"{web.url}/{file}").status_code == 200


def test_operator_page_calls_what_there_is() -> None:
    script = (PAGES / "cygno.js").read_text(encoding="utf-8")
    called = set(re.findall(r'(?:call\(|\[)"((?:db|cm|al|get|bm)_\w+)"', script))
    assert {"db_get_values", "db_ls", "cm_transition", "al_reset_alarm"} < called
    assert called <= set(METHODS)
    ids = set(re.findall(r'byId\("([\w-]+)"\)', script))
    assert ids <= set(re.findall(r'id="([\w-]+)"', (PAGES / "index.html").read_text("utf-8")))


def test_labels_of_the_page_are_those_of_the_settings() -> None:
    text = labels.page_file().read_text(encoding="utf-8")
    assert text == labels.page_labels(), "stale: run python -m sim.web.labels"


def test_further_folder_of_pages(tmp_path: Path) -> None:
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "gas.html").write_text("<p>gas</p>")
    port = free_port()
    with running_experiment(tmp_path / "x") as (programs, _):
        programs.start("web", "sim.web", "--port", str(port), "--pages", str(tmp_path / "pages"))
        wait_until(lambda: _answers(f"http://127.0.0.1:{port}"), 20, "the web server")
        assert httpx.get(f"http://127.0.0.1:{port}/gas.html").text == "<p>gas</p>"


# life --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("how", ["SIGTERM", "SIGINT", "shutdown"])
def test_server_ends_when_told(tmp_path: Path, how: str) -> None:
    port = free_port()
    with running_experiment(tmp_path) as (programs, client):
        process = programs.start("web", "sim.web", "--port", str(port)).process
        wait_until(lambda: _answers(f"http://127.0.0.1:{port}"), 20, "the web server")
        if how == "shutdown":
            client.shutdown_client("cygno-web")
            assert process.wait(20) == 0
        else:
            assert end(process, signal.Signals[how]) == 0


def test_port_that_is_taken_is_said(web: Web) -> None:
    port = web.url.rpartition(":")[2]
    done = subprocess.run(
        [sys.executable, "-m", "sim.web", "--port", port],
        env={**os.environ, "CYGNO_EXPERIMENT": str(web.client.folder)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert f"cannot serve http://127.0.0.1:{port}/: Address already in use" in line


def test_missing_experiment_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CYGNO_EXPERIMENT", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["sim.web", "--port", "0"])
    monkeypatch.setattr(program, "StandaloneClient", partial(StandaloneClient, wait_s=0.1))
    assert program.main() == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "cygno-sim serve" in line
