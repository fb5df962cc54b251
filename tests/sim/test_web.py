"""What pages call of the standalone web server: as mhttpd answers, runs, messages, events.

Expected answers are those of a live mhttpd (MIDAS develop, December 2022), unless said otherwise.
"""

import re
import threading
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from experiment.constants import TR_START
from experiment.standalone.client import StandaloneClient
from tests.conftest import wait_until
from tests.sim.running import event
from tests.sim.web_server import Web


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
