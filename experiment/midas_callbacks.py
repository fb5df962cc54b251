"""C functions around our callbacks, for MIDAS to call: run transitions and remote calls (JRPC).

They replace ``make_transition_callback`` and ``make_rpc_callback`` of MIDAS's Python package
(develop, December 2022), which take a bare failure code for success, break on reasons that are
not ASCII (the starting program then dies of the garbage), answer a remote call whose reply has one
character or none with the reply before, and cut replies in the middle of a character.
"""

import ctypes
import logging
from typing import Any

import midas.callbacks

from experiment.answers import cut_text, json_answer
from experiment.client import JrpcCallback, TransitionCallback
from experiment.constants import STATUS
from experiment.errors import ExperimentError

REASON_BYTES = 256  # TRANSITION_ERROR_STRING_LENGTH of midas.h
_log = logging.getLogger(__name__)


def transition_function(callback: TransitionCallback, client: Any) -> Any:
    """Return the C function that runs a transition callback and hands its reason to MIDAS."""

    def answer(run_number: int, reason_address: Any) -> int:
        code, reason = _status_and_text(callback, client, run_number)
        if reason and reason_address:
            _write(reason_address, reason, REASON_BYTES)
        return code

    function = midas.callbacks.TRANSITION_FUNC_TYPE(answer)
    midas.callbacks.transition_callbacks.append(function)  # MIDAS keeps no reference
    return function


def jrpc_function(callback: JrpcCallback, client: Any, always_success: bool) -> Any:
    """Return the C function that answers remote calls.

    :param always_success: answer with status 1 and ``{"code": ..., "msg": ...}`` as JSON, because
        mhttpd drops the text of a call that failed.
    """

    def answer(_index: int, parameters: Any) -> int:
        command, arguments = (ctypes.string_at(parameters[i]).decode() for i in (0, 1))
        room = ctypes.cast(parameters[3], ctypes.POINTER(ctypes.c_int)).contents.value
        code, text = _status_and_text(callback, client, command, arguments, room)
        if always_success:
            code, text = STATUS["SUCCESS"], json_answer(code, text, room)
        if room > 0:
            _write(parameters[2], text, room)
        if code != STATUS["SUCCESS"] and text:
            client.msg(f"Remote call {command} {arguments} failed: {text}", is_error=True)
        return code

    function = midas.callbacks.RPC_CALLBACK_FUNC_TYPE(answer)
    midas.callbacks.rpc_callbacks.append(function)
    return function


def _status_and_text(callback: Any, *arguments: Any) -> tuple[int, str]:
    """Call back; return the MIDAS status and the text, also where the callback raises."""
    try:
        result = callback(*arguments)
        if result is None:
            return STATUS["SUCCESS"], ""
        if isinstance(result, int):
            return int(result), ""
        code, text = result
        return int(code), str(text)
    except ExperimentError as error:
        return STATUS["FE_ERR_DRIVER"], str(error)
    except Exception as error:
        _log.exception("a callback failed")
        return STATUS["FE_ERR_DRIVER"], str(error) or type(error).__name__


def _write(address: Any, text: str, room_bytes: int) -> None:
    data = cut_text(text, room_bytes).encode() + b"\0"
    ctypes.memmove(address, data, len(data))
