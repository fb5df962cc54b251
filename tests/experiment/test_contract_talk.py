"""Messages, alarms and remote calls, the same in a real MIDAS and in the standalone experiment."""

import datetime
import json
import re

import pytest

from experiment.constants import (
    MT_ERROR,
    MT_INFO,
    STATE_RUNNING,
    STATE_STOPPED,
    STATUS,
)
from experiment.errors import MidasError
from tests.conftest import wait_until
from tests.experiment.peer import Peer
from tests.experiment.worlds import World


# messages --------------------------------------------------------------------------------------
def newest(client: Peer, text: str, facility: str = "midas") -> str:
    """Return the newest message with this text, after it is there."""

    def found() -> list[str]:
        return [m for m in client.get_recent_messages(50, facility=facility) if text in m]

    wait_until(found, what=f"{text!r} in the message log")
    return found()[0]


def test_the_form_of_a_message(client: Peer) -> None:
    client.msg("gas flow is 3% too low")
    line = newest(client, "gas flow")
    pattern = r"\d+ \d\d:\d\d:\d\d\.\d{3} \d{4}/\d\d/\d\d \[alpha,INFO\] gas flow is 3% too low"
    assert re.fullmatch(pattern, line)
    stamp, clock = line.split(" ", 1)
    when = datetime.datetime.strptime(clock[:23], "%H:%M:%S.%f %Y/%m/%d")
    assert int(when.timestamp()) == int(stamp)


def test_errors_tell_where_they_come_from(client: Peer) -> None:
    client.msg("the pump stopped", is_error=True)
    line = newest(client, "the pump")
    assert re.search(r" \[alpha,ERROR\] \[\w+\.py:\d+:\w+,ERROR\] the pump stopped$", line)


def test_newest_first_and_up_to_a_time(client: Peer) -> None:
    for number in range(3):
        client.msg(f"order {number}", facility="order")
    newest(client, "order 2", "order")
    messages = client.get_recent_messages(3, facility="order")
    assert [m[-1] for m in messages[:3]] == ["2", "1", "0"]
    assert client.get_recent_messages(1, facility="order")[0].endswith("order 2")
    long_ago = datetime.datetime.now() - datetime.timedelta(days=365)
    assert client.get_recent_messages(3, before=long_ago, facility="order") == []
    assert client.get_recent_messages(3, before=long_ago.timestamp(), facility="order") == []


def test_a_facility_is_a_log_of_its_own(client: Peer) -> None:
    client.msg("only for the chat", facility="chat")
    newest(client, "only for the chat", "chat")
    assert not any("only for the chat" in m for m in client.get_recent_messages(50))
    assert client.get_recent_messages(5, facility="nobody") == []


def test_messages_reach_who_wants_them(client: Peer, world: World) -> None:
    listener = world.fresh("listener")
    listener.on_message()
    client.msg("one for all")
    client.msg("and an error", is_error=True)
    wait_until(lambda: len(listener.heard("message")) >= 2)
    first, second = [m for m in listener.heard("message") if "alpha" in m[0]][:2]
    assert (first[0], first[2]) == ("[alpha,INFO] one for all", MT_INFO)
    assert (second[0].endswith("and an error"), second[2]) == (True, MT_ERROR)
    assert abs(first[1] - datetime.datetime.now()) < datetime.timedelta(minutes=1)


def test_only_some_types_of_messages(client: Peer, world: World) -> None:
    listener = world.fresh("listener")
    listener.on_message([MT_ERROR])
    client.msg("for nobody")
    client.msg("for the listener", is_error=True)
    wait_until(lambda: listener.heard("message"))
    assert [m[0].endswith("for the listener") for m in listener.heard("message")] == [True]


# alarms ----------------------------------------------------------------------------------------
def test_an_alarm_and_its_reset(client: Peer) -> None:
    client.create_alarm_class("Quiet")
    client.trigger_internal_alarm("Gas", "no gas", "Quiet")
    wait_until(lambda: client.get_triggered_alarms().get("Gas") == "no gas")
    alarm = client.odb_get("/Alarms/Alarms/Gas")
    assert (alarm["Type"], alarm["Alarm Class"], alarm["Triggered"]) == (1, "Quiet", 1)
    client.reset_alarm("Gas")
    assert "Gas" not in client.get_triggered_alarms()
    client.trigger_internal_alarm("Gas", "x" * 100, "Warning")
    assert client.get_triggered_alarms()["Gas"] == "x" * 79
    assert client.odb_get("/Alarms/Alarms/Gas/Alarm Class") == "Quiet"
    client.reset_alarm("Gas")


def test_alarms_can_be_switched_off(client: Peer) -> None:
    client.odb_set("/Alarms/Alarm system active", False)
    try:
        client.trigger_internal_alarm("Off", "nobody hears me")
        assert client.get_triggered_alarms() == {}
    finally:
        client.odb_set("/Alarms/Alarm system active", True)
    assert "Off" not in client.get_triggered_alarms()


def test_an_alarm_that_is_not_there(client: Peer) -> None:
    with pytest.raises(MidasError) as caught:
        client.reset_alarm("nothing of the kind")
    assert caught.value.code == 1002  # AL_INVALID_NAME


def test_an_alarm_on_a_condition(client: Peer) -> None:
    client.odb_set("/test/temperature", 20.0)
    client.create_evaluated_alarm("Hot", "/test/temperature > 30", "too hot: %s", "Alarm")
    client.odb_set("/Alarms/Alarms/Hot/Check interval", 1)
    try:
        client.odb_set("/test/temperature", 35.5)
        wait_until(lambda: "Hot" in client.get_triggered_alarms(), 40, "the alarm")
    finally:
        client.odb_delete("/Alarms/Alarms/Hot")


def test_alarms_of_a_class_stop_the_run(client: Peer) -> None:
    client.create_alarm_class("Stops", stop_run=True)
    client.start_run()
    assert client.odb_get("/Runinfo/State") == STATE_RUNNING
    client.trigger_internal_alarm("Fire", "it burns", "Stops")
    wait_until(lambda: client.odb_get("/Runinfo/State") == STATE_STOPPED, 30, "the stop")
    client.reset_alarm("Fire")


# other programs --------------------------------------------------------------------------------
def test_remote_calls(client: Peer, other: Peer) -> None:
    other.on_call()
    assert client.connection_call("beta", "HV", "set 3 µA") == "HV(set 3 µA)"
    assert other.heard("call") == [("HV", "set 3 µA", 1024)]


def test_replies_are_cut(client: Peer, other: Peer) -> None:
    other.on_call(reply="0123456789")
    assert client.connection_call("beta", "x", "", 6) == "01234"


def test_a_remote_call_that_fails(client: Peer, other: Peer) -> None:
    other.on_call(status=605, reply="no such channel")
    with pytest.raises(MidasError) as caught:
        client.connection_call("beta", "HV", "x")
    assert caught.value.code == 605


def test_a_remote_call_that_tells_of_its_failure(client: Peer, other: Peer) -> None:
    other.on_call(status=605, reply="no such channel", always_success=True)
    answer = json.loads(client.connection_call("beta", "HV", "x"))
    assert answer == {"code": 605, "msg": "no such channel"}


def test_a_program_that_is_not_there(client: Peer) -> None:
    with pytest.raises(MidasError) as caught:
        client.connection_call("nobody", "x", "")
    assert caught.value.code == STATUS["CM_NO_CLIENT"]


def test_a_program_can_be_asked_to_end(client: Peer, world: World) -> None:
    doomed = world.fresh("doomed")
    client.end_other("doomed")
    wait_until(lambda: not doomed.lives, what="the end of the program")
    assert doomed.process.returncode == 0
    names = [entry["Name"] for entry in client.odb_get("/System/Clients").values()]
    assert "doomed" not in names


def test_a_second_program_of_a_name(client: Peer, world: World) -> None:
    twin = world.fresh("alpha")
    assert twin.name == "alpha1"
    assert twin.odb_get(f"/System/Clients/{twin.pid}/Name") == "alpha1"
    assert client.odb_get("/Programs/alpha/Required") is not None


def test_a_program_that_leaves_is_forgotten(client: Peer, world: World) -> None:
    guest = world.fresh("guest")
    assert client.odb_exists(f"/System/Clients/{guest.pid}")
    guest.disconnect()
    assert not client.odb_exists(f"/System/Clients/{guest.pid}")
