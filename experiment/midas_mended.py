"""MIDAS's own Python client with what is broken in it mended.

Stock is that of MIDAS develop, December 2022; what each method here mends was seen on a live MIDAS.
Most errors are still the stock ones; `experiment.midas_client` translates them.
"""

import contextlib
import ctypes
import datetime
import inspect
import time
from collections.abc import Iterator
from typing import Any

import midas
import midas.callbacks
import midas.client

from experiment import midas_callbacks
from experiment.answers import cut_text
from experiment.client import DeferredCallback, JrpcCallback, TransitionCallback
from experiment.client import WatchCallback as Watch
from experiment.constants import (
    STATE_PAUSED,
    STATE_RUNNING,
    STATE_STOPPED,
    STATUS,
    TR_PAUSE,
    TR_RESUME,
    TR_START,
)
from experiment.errors import MidasError

MESSAGE_BYTES = 900  # c_cm_msg formats into 1000, and so does who reads a line of the log
DEFERRED_STEP_MS = 10  # how often a transition that we hold back is looked at
NEEDED_STATE = {
    TR_START: (STATE_STOPPED, "a run goes on already"),
    TR_PAUSE: (STATE_RUNNING, "no run goes on"),
    TR_RESUME: (STATE_PAUSED, "no run is paused"),
}


class MendedClient(midas.client.MidasClient):  # type: ignore[misc]
    """``midas.client.MidasClient``; a process can have one."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        self._defers = False
        self._transitions: set[int] = set()
        super().__init__(*arguments, **named)

    # ODB: stock counts characters where MIDAS counts bytes ("22 °C" becomes "22 °"), forgets the
    # NUL of long texts, wraps integers around, and gives the NaN of a directory as text ---------
    def _get_max_str_len(self, contents: Any) -> int:
        return int(super()._get_max_str_len(_in_bytes(contents, midas.MAX_STRING_LENGTH)))

    def _midas_type_to_ctype(
        self,
        midas_type: int,
        array_len: int | None = None,
        str_len: int | None = None,
        initial_value: Any = None,
    ) -> Any:
        if midas_type == midas.TID_STRING and str_len:
            initial_value = _in_bytes(initial_value, str_len)
        value = super()._midas_type_to_ctype(midas_type, array_len, str_len, initial_value)
        for given, taken in () if initial_value is None else _pairs(initial_value, value):
            if type(given) is int and type(taken) is int and given != taken:
                raise ValueError(f"{given} does not fit into MIDAS type {midas_type}")
        return value

    def _convert_dwords_from_odb(self, curr_place: Any) -> Any:
        content = super()._convert_dwords_from_odb(curr_place)
        for name in content:
            kind = content.get(f"{name}/key", {}).get("type")
            if kind in (midas.TID_FLOAT, midas.TID_DOUBLE):
                numbers = content[name]
                content[name] = (
                    [float(number) for number in numbers]
                    if isinstance(numbers, list)
                    else float(numbers)
                )
        return content

    def odb_delete(self, path: str, follow_links: bool = False) -> None:
        """Delete; MIDAS deletes a directory also where a key in it is watched, and leaves that."""
        bare = self._odb_strip_final_slash(path)
        is_directory = self._odb_get_key(bare, follow_links).type == midas.TID_KEY
        if self._is_watched(bare, self.odb_get(bare) if is_directory else None):
            code = midas.status_codes["DB_OPEN_RECORD"]
            raise midas.MidasError(code, "DB_OPEN_RECORD: a program watches it, or what is in it")
        super().odb_delete(path, follow_links)

    def _is_watched(self, path: str, content: Any) -> bool:
        inside = content.items() if isinstance(content, dict) else ()
        return bool(self._odb_get_key(path, False).notify_count) or any(
            self._is_watched(f"{path}/{name}", below) for name, below in inside
        )

    def odb_watch(self, path: str, callback: Watch, pass_changed_value_only: bool = False) -> None:
        """Watch; a second watch of a path replaces the first (in stock it ends the process)."""
        self.odb_stop_watching(path)
        super().odb_watch(path, callback, pass_changed_value_only)

    # runs --------------------------------------------------------------------------------------
    def _run_transition(self, trans: int, run_num: int, async_flag: bool) -> None:
        """Refuse what ``mtransition`` refuses, and say who refused; stock does neither."""
        state, last = self.odb_get("/Runinfo/State"), self.odb_get("/Runinfo/Run number")
        needed, why = NEEDED_STATE.get(trans, (state, ""))
        number = run_num or (last + 1 if trans == TR_START else last)
        if number < 1:  # MIDAS would abort the process
            needed, why = 0, f"{number} is no run number"
        if state != needed:
            code = STATUS["CM_INVALID_TRANSITION"]
            raise midas.TransitionFailedError(code, f"The transition is not possible: {why}")
        try:
            super()._run_transition(trans, run_num, async_flag)
        except midas.TransitionFailedError as error:
            if error.code == midas.status_codes["AL_TRIGGERED"]:  # MIDAS forgets that it ended
                self.odb_set("/Runinfo/Transition in progress", 0)
            asked = "/System/Transition/Clients"
            for client in self.odb_get(asked).values() if self.odb_exists(asked) else ():
                if client["error"] and client["error"] == error.message:
                    error.message = f"{client['client_name']}: {error.message}"
                    break
            raise

    def register_transition_callback(
        self, transition: int, sequence: int, callback: TransitionCallback
    ) -> None:
        """Register with a callback function of ours, see `experiment.midas_callbacks`."""
        function = midas_callbacks.transition_function(callback, self)
        self.lib.c_cm_register_transition(transition, function, sequence)
        self._transitions.add(transition)

    def register_deferred_transition_callback(
        self, transition: int, callback: DeferredCallback
    ) -> None:
        """Register; stock gives the transition's number for that of the run."""
        self._defers = True
        super().register_deferred_transition_callback(
            transition, lambda client, _: callback(client, client.odb_get("/Runinfo/Run number"))
        )

    # other programs ----------------------------------------------------------------------------
    def register_jrpc_callback(
        self, callback: JrpcCallback, return_success_even_on_failure: bool = False
    ) -> None:
        """Register with a callback function of ours, see `experiment.midas_callbacks`."""
        function = midas_callbacks.jrpc_function(callback, self, return_success_even_on_failure)
        self.lib.c_cm_register_function(midas.RPC_JRPC, function)

    def jrpc_client_call(self, connection: Any, cmd: str, args: str, max_len: int = 1024) -> str:
        """Call; stock drops the text of a call that failed."""
        reply = ctypes.create_string_buffer(max_len)
        try:
            self.lib.c_jrpc_client_call(connection, cmd.encode(), args.encode(), reply, max_len)
        except midas.MidasError as error:
            why = reply.value.decode(errors="replace") or error.message
            raise MidasError(error.code, why) from error
        return reply.value.decode(errors="replace")

    def get_recent_messages(
        self, min_messages: int = 1, before: Any = None, facility: str = "midas"
    ) -> list[str]:
        """Return recent messages; stock raises where there is no log, and where one is no UTF-8."""
        text, count = ctypes.c_char_p(), ctypes.c_int()
        newest = before.timestamp() if isinstance(before, datetime.datetime) else before or 0
        self.lib.c_cm_msg_retrieve2(
            facility.encode(),
            ctypes.c_uint64(int(newest)),
            min_messages,
            ctypes.byref(text),
            ctypes.byref(count),
        )
        lines = (text.value or b"").decode(errors="replace").split("\n")
        self.lib.c_free(text)
        return [line for line in lines if line]

    def msg(self, message: str, is_error: bool = False, facility: str = "midas") -> None:
        """Write one line to the message log; stock gives "3% done" to C as a format."""
        text = cut_text(message, MESSAGE_BYTES).replace("%", "%%")
        kind = midas.MT_ERROR if is_error else midas.MT_INFO
        frame = inspect.currentframe()
        caller = inspect.getframeinfo(frame.f_back, context=0) if frame and frame.f_back else None
        file, line, routine = caller[:3] if caller else ("", 0, "")
        place = file.encode(), line, facility.encode(), routine.encode()
        self.lib.c_cm_msg(kind, *place, text.encode())

    # life --------------------------------------------------------------------------------------
    def communicate(self, time_ms: int) -> None:
        """Serve MIDAS for `time_ms`, at least once; stock does nothing in 0 ms and never defers."""
        end = time.monotonic() + time_ms * 1e-3
        while True:
            left_ms = max(0, round((end - time.monotonic()) * 1e3))
            try:
                self.lib.c_cm_yield(min(left_ms, DEFERRED_STEP_MS) if self._defers else left_ms)
            except midas.MidasError as error:
                if error.code != midas.status_codes["RPC_SHUTDOWN"]:
                    raise
                raise SystemExit(0) from None  # stock disconnects: no last status could be written
            if self._defers:
                with contextlib.suppress(midas.MidasError):  # MIDAS told it to the message log
                    self.lib.c_cm_check_deferred_transition()
            if time.monotonic() >= end:
                return

    def disconnect(self) -> None:
        """Leave; stock keeps watches and callbacks for the process's next connection."""
        for transition in self._transitions:
            with contextlib.suppress(midas.MidasError):
                self.lib.c_cm_deregister_transition(transition)
        self._transitions.clear()
        super().disconnect()
        midas.callbacks.hotlink_callbacks.clear()
        midas.callbacks.watch_callbacks.clear()


def _in_bytes(contents: Any, room_bytes: int) -> Any:
    """Return texts as bytes that leave room for their NUL, anything else as it is."""
    if isinstance(contents, str):
        return cut_text(contents, room_bytes).encode()
    if isinstance(contents, list | tuple):
        return [_in_bytes(element, room_bytes) for element in contents]
    return contents


def _pairs(given: Any, taken: Any) -> Iterator[tuple[Any, Any]]:
    """Yield what was given beside what MIDAS's C type made of it."""
    values = given if isinstance(given, list | tuple) else [given]
    return zip(values, taken if isinstance(taken, ctypes.Array) else [taken.value], strict=False)
