"""The methods ``cm_*``, ``al_*`` and the like: runs, programs, messages, alarms."""

import re
import time
from collections.abc import Callable
from typing import Any

from experiment.constants import MT_ERROR, TR_PAUSE, TR_RESUME, TR_START, TR_STOP
from experiment.errors import MidasError
from experiment.standalone.client import StandaloneClient
from sim.web.envelope import RpcError, array_parameter, optional, parameter
from sim.web.status import SUCCESS, OdbErrors, status_of

Client = StandaloneClient
CM_NO_CLIENT = 103
AL_RESET = 1004
_AT_EVALUATED, _AT_PERIODIC = 3, 4
_TRANSITIONS = {
    "TR_START": TR_START,
    "TR_STOP": TR_STOP,
    "TR_PAUSE": TR_PAUSE,
    "TR_RESUME": TR_RESUME,
}
TR_SYNC = 1


def cm_transition(client: Client, params: Any, wait: bool = False) -> dict[str, Any]:
    """Begin a transition; ``/System/Transition`` then tells how it goes on, as with mhttpd.

    :param wait: return when it has ended, with the reason if it failed.
    """
    name = str(parameter(params, "transition"))
    if name not in _TRANSITIONS:
        raise RpcError(15, 'invalid value of "transition"', name)
    try:
        number = int(optional(params, "run_number", 0))
        client.transition(_TRANSITIONS[name], number, async_flag=not wait)
    except MidasError as error:
        return {"status": error.code, "error_string": error.message}
    return {"status": SUCCESS}


def cm_exist(client: Client, params: Any) -> dict[str, Any]:
    """Tell whether a program runs."""
    name = str(parameter(params, "name"))
    there = client.client_exists(name, bool(optional(params, "unique", False)))
    return {"status": SUCCESS if there else CM_NO_CLIENT}


def cm_shutdown(client: Client, params: Any) -> dict[str, Any]:
    """Ask a program to end."""
    name = str(parameter(params, "name"))
    unique = bool(optional(params, "unique", False))
    return _status(lambda: client.shutdown_client(name, unique))


def start_program(client: Client, params: Any) -> dict[str, Any]:
    """Execute a program's start command."""
    name = str(parameter(params, "name"))
    return _status(lambda: client.start_program(name))


def cm_msg1(client: Client, params: Any) -> dict[str, Any]:
    """Write a message to the log."""
    text = str(parameter(params, "message"))
    facility = str(optional(params, "facility", "")) or "midas"
    is_error = int(optional(params, "type", 0)) == MT_ERROR
    try:
        client.msg(text, is_error, facility)
    except OdbErrors as error:
        return {"status": status_of(error)}
    return {"status": SUCCESS}


def cm_msg_retrieve(client: Client, params: Any) -> dict[str, Any]:
    """Return recent messages, newest first."""
    facility = str(optional(params, "facility", "")) or "midas"
    count, before = int(optional(params, "min_messages", 0)), float(optional(params, "time", 0))
    try:
        lines = client.retrieve_messages(count, before, facility)
    except OdbErrors as error:
        return {"status": status_of(error), "num_messages": 0}
    result: dict[str, Any] = {"status": SUCCESS, "num_messages": len(lines)}
    if lines:
        result["messages"] = "".join(f"{line}\n" for line in lines)
    return result


def cm_msg_facilities(client: Client, params: Any) -> dict[str, Any]:
    """Return the names of the message logs."""
    return {"status": SUCCESS, "facilities": client.get_message_facilities()}


def al_trigger_alarm(client: Client, params: Any) -> dict[str, Any]:
    """Trigger an alarm."""
    name, message, alarm_class, condition = (
        str(parameter(params, key)) for key in ("name", "message", "class", "condition")
    )
    kind = int(parameter(params, "type"))
    return _status(lambda: client.trigger_alarm(name, message, alarm_class, condition, kind))


def al_reset_alarm(client: Client, params: Any) -> dict[str, Any]:
    """Reset alarms."""
    statuses = []
    for name in array_parameter(params, "alarms"):
        path = f"/Alarms/Alarms/{name}/Triggered"
        try:
            triggered = client.odb_exists(path) and client.odb_get(path)
            client.reset_alarm(str(name))
            statuses.append(AL_RESET if triggered else SUCCESS)
        except OdbErrors as error:
            statuses.append(status_of(error))
    return {"status": statuses}


def al_reset_all_alarms(client: Client, params: Any) -> dict[str, Any]:
    """Reset all alarms."""
    return _status(lambda: client.reset_alarm(None))


def get_alarms(client: Client, params: Any) -> dict[str, Any]:
    """Return the triggered alarms, or all, with their colours and texts."""
    every = bool(optional(params, "get_all", False))
    active = bool(client.odb_get("/Alarms/Alarm system active"))
    result: dict[str, Any] = {"status": SUCCESS, "alarm_system_active": active, "alarms": {}}
    if not active and not every:
        return result
    classes = client.odb_get("/Alarms/Classes")
    for name, alarm in client.odb_get("/Alarms/Alarms").items():
        if isinstance(alarm, dict) and (every or alarm.get("Triggered")):
            result["alarms"][name] = _describe_alarm(client, alarm, classes)
    return result


def _describe_alarm(
    client: Client, alarm: dict[str, Any], classes: dict[str, Any]
) -> dict[str, Any]:
    colours = classes.get(alarm.get("Alarm Class", ""), {})
    text, kind = str(alarm.get("Alarm Message", "")), int(alarm.get("Type", 0))
    told = {
        "triggered": bool(alarm.get("Triggered")),
        "active": bool(alarm.get("Active")),
        "class": alarm.get("Alarm Class", ""),
        "type": kind,
        "bgcolor": colours.get("Display BGColor", "red"),
        "fgcolor": colours.get("Display FGColor", "black"),
        "message": text,
        "condition": alarm.get("Condition", ""),
    }
    if kind == _AT_EVALUATED:
        told["evaluated_value"] = _value_in(client, str(told["condition"]))
        text = text.replace("%s", str(told["evaluated_value"]))
    told["show_to_user"] = text
    told["time_triggered_first"] = alarm.get("Time triggered first", "")
    if kind == _AT_PERIODIC:
        last = alarm.get("Checked last", 0) or time.time()
        told["periodic_next_time"] = time.ctime(last + alarm.get("Check interval", 0)) + "\n"
    return told


def _value_in(client: Client, condition: str) -> str:
    """Return the present value of the key that a condition is about."""
    path = re.split(r"[<>=!&\[]", condition)[0].strip()
    try:
        return str(client.odb_get(path)) if path.startswith("/") else ""
    except OdbErrors:
        return ""


def _status(work: Callable[[], object]) -> dict[str, Any]:
    try:
        work()
    except OdbErrors as error:
        return {"status": status_of(error)}
    return {"status": SUCCESS}


def jrpc(client: Client, params: Any) -> dict[str, Any]:
    """Call a function of another program; it may take its time."""
    name, cmd, args = (str(parameter(params, key)) for key in ("client_name", "cmd", "args"))
    room = max(1024, int(optional(params, "max_reply_length", 0)))
    try:
        connection = client.connect_to_other_client(name)
        reply = client.jrpc_client_call(connection, cmd, args, room)
    except MidasError as error:
        return {"status": error.code}
    return {"reply": reply, "status": SUCCESS}


METHODS: dict[str, Callable[[Client, Any], Any]] = {
    call.__name__: call
    for call in (
        al_reset_alarm,
        al_reset_all_alarms,
        al_trigger_alarm,
        cm_exist,
        cm_msg1,
        cm_msg_facilities,
        cm_msg_retrieve,
        cm_shutdown,
        get_alarms,
        start_program,
    )
} | {
    "cm_transition": cm_transition,
    "null": lambda client, params: None,
    "get_debug": lambda client, params: {"debug": 0},
    "get_sleep": lambda client, params: {"sleep": 0},
    "get_time": lambda client, params: {"time": 0},
    "get_timezone": lambda client, params: float(time.localtime().tm_gmtoff),
    "ss_millitime": lambda client, params: time.monotonic_ns() // 1_000_000 & 0xFFFFFFFF,
}
