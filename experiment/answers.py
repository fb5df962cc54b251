"""Texts that must fit into MIDAS's buffers: answers of remote calls, reasons of refusals."""

import json


def cut_text(text: str, size_bytes: int) -> str:
    """Return as much of a text as fits into a C buffer of that size with its final NUL.

    >>> cut_text("at most 3 µs", 12)
    'at most 3 '
    """
    return text.encode("utf-8", "replace")[: max(size_bytes - 1, 0)].decode(errors="ignore")


def json_answer(code: int, text: str, size_bytes: int) -> str:
    """Return status and text as mhttpd's pages get them, the text shortened until they fit.

    >>> json_answer(605, "no such voltage", 33)
    '{"code": 605, "msg": "no such "}'
    """
    answer = json.dumps({"code": code, "msg": text})
    while len(answer) >= size_bytes and text:
        text = text[:-1]
        answer = json.dumps({"code": code, "msg": text})
    return answer
