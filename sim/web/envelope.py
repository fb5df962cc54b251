"""The envelope of JSON-RPC 2.0, as mhttpd reads and writes it.

Source: MIDAS ``src/mjsonrpc.cxx``, ``mjsonrpc_decode_post_data`` (develop, December 2022), and the
answers of a live mhttpd.
"""

import json
import math
from collections.abc import Awaitable, Callable
from typing import Any, Final

PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
METHOD_NOT_FOUND: Final = -32601
INVALID_PARAMS: Final = -32602
INTERNAL_ERROR: Final = -32603

Result = Any
"""What a method returns: JSON, or bytes for an ``arraybuffer``."""
Handle = Callable[[str, Any], Awaitable[Result]]


class RpcError(Exception):
    """A request gets an error object.

    :param data: what was wrong, as mhttpd says it.
    """

    def __init__(self, code: int, message: str, data: str) -> None:
        super().__init__(data)
        self.code = code
        self.message = message
        self.data = data


def parameter(params: Any, name: str) -> Any:
    """Return a required parameter.

    :raises RpcError: if it is missing.
    """
    if not isinstance(params, dict) or name not in params:
        raise invalid(f"missing parameter: {name}")
    return params[name]


def array_parameter(params: Any, name: str) -> list[Any]:
    """Return a required parameter that is an array."""
    value = parameter(params, name)
    if not isinstance(value, list):
        raise invalid(f"parameter must be an array: {name}")
    return value


def optional(params: Any, name: str, default: Any) -> Any:
    """Return an optional parameter; null counts as missing."""
    value = params.get(name) if isinstance(params, dict) else None
    return default if value is None else value


def invalid(data: str) -> RpcError:
    """Return the error for parameters that cannot be."""
    return RpcError(INVALID_PARAMS, "Invalid params", data)


async def answer(body: bytes, handle: Handle) -> bytes | dict[str, Any] | list[Any]:
    """Answer the body of a POST: one request, or a batch of them.

    :returns: JSON, or the bytes of an ``arraybuffer``.
    """
    try:
        request = json.loads(body)
    except (ValueError, RecursionError) as error:
        return _error(None, RpcError(PARSE_ERROR, "Parse error", str(error)))
    if not isinstance(request, list):
        return await _answer_one(request, handle)
    if not request:
        text = "batch request array has less than 1 element"
        return _error(None, RpcError(INVALID_REQUEST, "Invalid request", text))
    replies: list[Any] = []
    for one in request:
        reply = await _answer_one(one, handle)
        if isinstance(reply, bytes):
            text = "MJSON_ARRAYBUFFER return is not permitted for batch requests"
            return _error(None, RpcError(INVALID_REQUEST, "Invalid request", text))
        replies.append(reply)
    return replies


async def _answer_one(request: Any, handle: Handle) -> bytes | dict[str, Any]:
    number = request.get("id") if isinstance(request, dict) else None
    bad = ", ".join(_faults(request if isinstance(request, dict) else {}))
    if bad:
        return _error(number, RpcError(INVALID_REQUEST, "Invalid request", bad))
    try:
        result = await handle(request["method"], request["params"])
    except RpcError as error:
        return _error(number, error)
    return result if isinstance(result, bytes) else {"result": result, **_tail(number)}


def _faults(request: dict[str, Any]) -> list[str]:
    names = {"jsonrpc": "jsonrpc version", "method": "method", "params": "params", "id": "id"}
    faults = [f"{text} is missing" for name, text in names.items() if name not in request]
    if request.get("jsonrpc", "2.0") != "2.0":
        faults.append("jsonrpc version is not 2.0")
    if not isinstance(request.get("method", ""), str):
        faults.append("method is not a string")
    return faults


def _error(number: Any, error: RpcError) -> dict[str, Any]:
    told = {"code": error.code, "message": error.message, "data": error.data}
    return {"error": told, **_tail(number)}


def _tail(number: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number}


def encode(reply: Any) -> bytes:
    """Return the bytes of a reply; JSON has no NaN, so mhttpd writes such numbers as text.

    >>> encode({"a": [1.5, math.inf]})
    b'{"a":[1.5,"Infinity"]}'
    """
    return json.dumps(_finite(reply), separators=(",", ":"), allow_nan=False).encode()


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {name: _finite(below) for name, below in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list) else value
