"""Answers to remote calls (JRPC) of pages and scripts: ``status``, ``verify`` and ``retry``.

Arguments and answers are JSON; every answer has `ok` and `message`. ``verify`` and ``retry`` take
``{"run": 42}``, or nothing for all runs; what comes of them is seen in the messages and alarms.
"""

import json
from collections.abc import Callable
from typing import Any, Final

VERBS: Final = ("status", "verify", "retry")


def answer(
    verb: str,
    arguments: str,
    room_bytes: int,
    status: Callable[[], dict[str, Any]],
    ask: Callable[[str, int | None, bool], None],
) -> str:
    """Answer a call with at most `room_bytes` of text; never raises.

    :param status: gives what ``status`` tells.
    :param ask: hands a verb on, with its run and whether to read back; done soon.

    >>> answer("retry", '{"run": 42}', 1024, dict, print)
    retry 42 False
    '{"ok": true, "message": "run 42: it is done at the next look"}'
    >>> answer("status", "", 1024, lambda: {"message": "", "staged": 3}, print)
    '{"ok": true, "message": "", "staged": 3}'
    """
    if verb not in VERBS:
        return _fit(False, f"{verb!r} is unknown; known: {', '.join(VERBS)}", {}, room_bytes)
    if verb == "status":
        content = status()
        return _fit(True, str(content.pop("message", "")), content, room_bytes)
    try:
        wanted = json.loads(arguments or "{}")
        run = wanted.get("run")
        read_back = wanted.get("read_back", False)
        if not isinstance(read_back, bool) or not (run is None or (type(run) is int and run >= 0)):
            raise ValueError
    except (ValueError, AttributeError):
        allowed = '{"run": 42}, for verify also "read_back": true, or nothing'
        said = f"{verb}: the arguments are {arguments[:80]!r}; allowed: {allowed}"
        return _fit(False, said, {}, room_bytes)
    ask(verb, run, read_back)
    which = "all runs" if run is None else f"run {run}"
    return _fit(True, f"{which}: it is done at the next look", {}, room_bytes)


def _fit(ok: bool, message: str, content: dict[str, Any], room_bytes: int) -> str:
    text = json.dumps({"ok": ok, "message": message, **content})
    while len(text) >= room_bytes and message:
        message = message[:-8]
        text = json.dumps({"ok": ok, "message": message, **content})
    return text
