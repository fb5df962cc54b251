"""Answers to the operator page: JSON text that fits where it goes.

Every answer has `ok` and `message` (why not; empty if ok). What does not fit into the length that
the caller has room for (``max_reply_length`` of mhttpd's ``jrpc``) is made smaller: it has a
smaller image, fewer clusters or fewer points.
"""

import json
from typing import Final

from pydantic import ValidationError

from analyzer.questions import QUESTIONS, Question, Refusal, Shown

MAX_REPLY: Final = 4 << 20
"""Longest answer [bytes]; MIDAS's network buffer has 8 MiB (``NET_BUFFER_SIZE``)."""


def answer(shown: Shown, verb: str, arguments: str, room: int) -> str:
    """Answer a question with at most `room` bytes; never raises.

    >>> answer(Shown(), "image", "", 1024)
    '{"ok":false,"message":"no event was analyzed yet"}'
    """
    room = min(room, MAX_REPLY)
    kind = QUESTIONS.get(verb)
    if kind is None:
        return _refuse(f"{verb!r} is unknown; known: {', '.join(QUESTIONS)}", room)
    try:
        return _answer(shown, kind.model_validate_json(arguments or "{}"), room)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "arguments"
        return _refuse(f"{verb}: {key}: {first['msg']}", room)
    except Refusal as refusal:
        return _refuse(str(refusal), room)
    except Exception as error:
        return _refuse(f"{verb}: {type(error).__name__}: {error}", room)


def _answer(shown: Shown, question: Question, room: int) -> str:
    smaller: Question | None = question
    size = 0
    while smaller is not None:
        text = _dump({"ok": True, "message": "", **smaller.answer(shown)})
        size = len(text)
        if size <= room:
            return text
        smaller = smaller.smaller()
    raise Refusal(f"the answer has {size} bytes, max_reply_length has room for {room}")


def _refuse(why: str, room: int) -> str:
    text = _dump({"ok": False, "message": why})
    while len(text) > room and why:
        why = why[:-8]
        text = _dump({"ok": False, "message": why})
    return text


def _dump(content: object) -> str:
    return json.dumps(content, separators=(",", ":"))
