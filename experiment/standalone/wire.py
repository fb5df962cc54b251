"""What client and server of a standalone experiment say to each other: one JSON object a message.

From the client: ``{"id", "call", "with"}`` asks for something; ``{"accept": n}`` and
``{"answer": n, "value"}`` belong to a question of the server.
From the server: ``{"id", "value"}`` or ``{"id", "error": [kind, code, text]}`` replies;
``{"ask": n, "do", ...}`` is a question (a transition, a remote call); ``{"note": ...}`` is news
(an ODB change, a message, a wish that the program ends).
"""

import json
from typing import Any, Final

from experiment.errors import (
    ExperimentError,
    MidasError,
    TransitionDeferredError,
    TransitionFailedError,
)

Message = dict[str, Any]

_PLAIN: Final[dict[str, type[Exception]]] = {
    error.__name__: error
    for error in (KeyError, TypeError, ValueError, NotImplementedError, ExperimentError)
}
_WITH_CODE: Final[dict[str, type[MidasError]]] = {
    error.__name__: error for error in (MidasError, TransitionFailedError, TransitionDeferredError)
}


def pack(message: Message) -> bytes:
    """Return a message's bytes; NaN and infinities travel too."""
    return json.dumps(message, separators=(",", ":")).encode("ascii")


def unpack(data: bytes) -> Message:
    """Return the message in these bytes."""
    message: Message = json.loads(data)
    return message


def pack_error(error: Exception) -> list[Any]:
    """Return what a reply says of an error: its kind, MIDAS status code and text."""
    name = type(error).__name__
    if isinstance(error, MidasError):
        return [name, error.code, error.message]
    text = str(error.args[0]) if error.args else str(error)
    return [name if name in _PLAIN else "ExperimentError", 0, text]


def unpack_error(content: list[Any]) -> Exception:
    """Return the error that a reply speaks of.

    >>> unpack_error(["KeyError", 0, "no such key"])
    KeyError('no such key')
    """
    name, code, text = content
    if name in _WITH_CODE:
        return _WITH_CODE[name](code, text)
    return _PLAIN[name](text)
