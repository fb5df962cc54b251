"""A program's client of a standalone experiment: MIDAS's semantics without a MIDAS."""

import datetime
import sys
import time
import traceback
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self

from experiment.client import MessageCallback
from experiment.constants import MT_ALL, MT_ERROR, MT_INFO
from experiment.standalone import message_log
from experiment.standalone.buffer import EventBuffer
from experiment.standalone.buffer_calls import BufferCalls
from experiment.standalone.connection import DEFAULT_WAIT_S, Connection
from experiment.standalone.run_calls import RunCalls
from experiment.standalone.wire import Message

_MAX_NAME_BYTES: Final = 31
_SLICE_S: Final = 0.2
_DEFERRED_SLICE_S: Final = 0.01
_AT_INTERNAL: Final = 1


class StandaloneClient(BufferCalls, RunCalls):
    """Implements `experiment.client.Client` on the experiment of a folder.

    Callbacks run in `communicate` (a transition's also in `start_run` and its like, if this very
    program wished it). Survives a restart of the server: what was registered is registered again.
    Besides the protocol there is what a web server needs: `odb_create`, `odb_resize`,
    `odb_resize_string`, `odb_reorder`, `transition`, `client_exists`, `shutdown_client`,
    `start_program`, `trigger_alarm`, `retrieve_messages`, `get_message_facilities`.

    :param client_name: as operators see it, at most 31 bytes; a number is added if it is taken.
    :param folder: the experiment's folder.
    :param wait_s: how long to wait for a server that is not there (yet).
    :raises ExperimentError: if no server comes in time; the message says what to start.
    """

    def __init__(
        self, client_name: str, folder: Path | str, wait_s: float = DEFAULT_WAIT_S
    ) -> None:
        if not client_name or len(client_name.encode()) > _MAX_NAME_BYTES:
            raise ValueError(f"{client_name!r}: names of programs have 1 to 31 bytes")
        self.folder = Path(folder).absolute()
        self._watches = {}
        self._buffers = {}
        self._event_space = {}
        self._transitions = {}
        self._deferred = {}
        self._requested = 0
        self._jrpc = None
        self._message_callback: tuple[MessageCallback, int] | None = None
        again = weakref.WeakMethod(self._register_again)  # else client and line kept each other
        self._connection = Connection(
            client_name, self.folder, wait_s, lambda: (register := again()) and register()
        )
        self._leave = weakref.finalize(self, _leave, self._connection, self._buffers)
        self.name = self._connection.name

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.disconnect()

    def _register_again(self) -> None:
        self._register_transitions_again()
        self._watch_again()
        if self._message_callback is not None:
            self._connection.call("hear_messages", types=self._message_callback[1])

    # life --------------------------------------------------------------------------------------
    def communicate(self, time_ms: int) -> None:
        """Serve callbacks, the watchdog and transitions for `time_ms`; call it often.

        :raises SystemExit: with code 0 when an operator asked this program to shut down.
        :raises ExperimentError: if the server has been away for too long.
        """
        end_s = time.monotonic() + time_ms / 1000
        while self._connection.is_open:
            self._take_in()
            for _ in range(len(self._connection.inbox)):
                self._serve(self._connection.inbox.popleft())
            if self._requested:
                self._poll_deferred()
            self._connection.keep()
            left_s = end_s - time.monotonic()
            if left_s <= 0:
                return
            slice_s = _DEFERRED_SLICE_S if self._requested else _SLICE_S
            message = self._connection.receive(min(left_s, slice_s))
            if message is not None and "id" not in message:
                self._connection.inbox.append(message)
        time.sleep(max(0.0, end_s - time.monotonic()))

    def _take_in(self) -> None:
        """Put what has arrived into the inbox; a watched key that changed twice counts once."""
        while (message := self._connection.receive(0)) is not None:
            inbox = self._connection.inbox
            if "id" not in message and not (self._is_repeated(message) and message in inbox):
                inbox.append(message)

    def _is_repeated(self, message: Message) -> bool:
        if message.get("note") != "odb":
            return False
        watch = self._watches.get(str(message["watch"]))
        return watch is not None and not watch[1]

    def _serve(self, message: Message) -> None:
        note = message.get("note")
        if "ask" in message:
            self._answer(message)
        elif note == "odb":
            self._serve_change(message)
        elif note == "message":
            self._serve_message(message)
        elif note == "requested":
            self._requested = int(message["transition"])
        elif note == "shutdown":
            raise SystemExit(0)  # still connected: the program can write a last status

    def disconnect(self) -> None:
        """Leave the experiment; safe to call twice. The end of the program does so, too."""
        self._leave()

    # messages ----------------------------------------------------------------------------------
    def msg(self, message: str, is_error: bool = False, facility: str = "midas") -> None:
        """Write one line to the message log; errors with the place in the code they come from."""
        kind = MT_ERROR if is_error else MT_INFO
        caller = sys._getframe(1)  # noqa: SLF001 - the documented way to a caller
        where = f"{Path(caller.f_code.co_filename).name}:{caller.f_lineno}:{caller.f_code.co_name}"
        self._say(message, kind, where, facility)

    def _say(self, text: str, kind: int, where: str, facility: str = "midas") -> None:
        message_log.log_file(self.folder, facility)  # refuses a bad name
        kind_name = message_log.type_name(kind)
        source = f"[{where},{kind_name}] " if kind == MT_ERROR else ""
        line = f"[{self.name},{kind_name}] {source}{text}"
        self._connection.call("message", text=line, message_type=kind, facility=facility)

    def _complain(self, what: str, error: BaseException) -> None:
        """Tell of an error in a callback: the trace to stderr, one line to the message log."""
        traceback.print_exception(error)
        place = traceback.extract_tb(error.__traceback__)[-1:]
        where = f"{Path(place[0].filename).name}:{place[0].lineno}:{place[0].name}" if place else ""
        self._say(f"{what}: {error or type(error).__name__}", MT_ERROR, where)

    def get_recent_messages(
        self,
        min_messages: int = 1,
        before: datetime.datetime | float | None = None,
        facility: str = "midas",
    ) -> list[str]:
        """Return recent lines of the message log, newest first, each with its unix time."""
        before_s = before.timestamp() if isinstance(before, datetime.datetime) else before or 0
        return self.retrieve_messages(max(1, min_messages), before_s, facility)

    def retrieve_messages(
        self, min_messages: int, before_s: float = 0, facility: str = "midas"
    ) -> list[str]:
        """Return lines of the message log as JSON-RPC ``cm_msg_retrieve`` does.

        :param min_messages: 0 for all since `before_s`.
        """
        path = message_log.log_file(self.folder, facility)
        return message_log.read_recent(path, min_messages, before_s)

    def get_message_facilities(self) -> list[str]:
        """Return the facilities that have messages (``cm_msg_facilities``)."""
        return message_log.facilities(self.folder)

    def register_message_callback(
        self,
        callback: MessageCallback,
        only_message_types: Sequence[int] | int | None = (MT_INFO, MT_ERROR),
    ) -> None:
        """Call ``callback(client, text, time, type)`` for each message of these types."""
        if only_message_types is None:
            only_message_types = (MT_ALL,)
        elif isinstance(only_message_types, int):
            only_message_types = (only_message_types,)
        types = 0
        for message_type in only_message_types:
            types |= message_type
        self._connection.call("hear_messages", types=types)
        self._message_callback = (callback, types)

    def deregister_message_callback(self) -> None:
        """End what `register_message_callback` began."""
        self._connection.call("hear_messages", types=0)
        self._message_callback = None

    def _serve_message(self, news: Message) -> None:
        if self._message_callback is not None:
            when = datetime.datetime.fromtimestamp(int(news["time"]))
            try:
                self._message_callback[0](self, str(news["text"]), when, int(news["type"]))
            except Exception as error:
                self._complain("Exception raised during message handler callback", error)

    # alarms ------------------------------------------------------------------------------------
    def trigger_internal_alarm(
        self, alarm_name: str, message: str, default_alarm_class: str = "Alarm"
    ) -> None:
        """Raise an alarm (name up to 31 characters without "/", message up to 79)."""
        self.trigger_alarm(alarm_name, message, default_alarm_class, message, _AT_INTERNAL)

    def trigger_alarm(
        self,
        alarm_name: str,
        message: str,
        alarm_class: str,
        condition: str = "",
        alarm_type: int = _AT_INTERNAL,
    ) -> None:
        """Raise an alarm of any type (``al_trigger_alarm``)."""
        self._connection.call(
            "trigger_alarm",
            name=alarm_name,
            message=message,
            alarm_class=alarm_class,
            condition=condition,
            alarm_type=alarm_type,
        )

    def create_evaluated_alarm(
        self,
        alarm_name: str,
        odb_condition: str,
        message: str | None = None,
        alarm_class: str = "Alarm",
        activate_immediately: bool = True,
    ) -> None:
        """Define an alarm that triggers when a condition such as ``/Path/To/Value > 3`` holds."""
        self._connection.call(
            "define_alarm",
            name=alarm_name,
            condition=odb_condition,
            alarm_class=alarm_class,
            message=odb_condition if message is None else message,
        )
        self.odb_set(f"/Alarms/Alarms/{alarm_name}/Active", activate_immediately)

    def create_alarm_class(
        self,
        class_name: str,
        execute_command: str = "",
        execute_interval_secs: int = 0,
        stop_run: bool = False,
    ) -> None:
        """Define what happens when an alarm of this class triggers.

        The command runs only if `execute_interval_secs` is above 0, as in MIDAS.
        """
        self._connection.call(
            "define_alarm_class",
            name=class_name,
            command=execute_command,
            interval_s=execute_interval_secs,
            stop_run=stop_run,
        )

    def get_triggered_alarms(self) -> dict[str, str]:
        """Return triggered alarms: name -> message."""
        if not self.odb_get("/Alarms/Alarm system active"):
            return {}
        alarms = self.odb_get("/Alarms/Alarms")
        return {
            name: str(alarm["Alarm Message"])
            for name, alarm in alarms.items()
            if alarm.get("Active") and alarm.get("Triggered")
        }

    def reset_alarm(self, alarm_name: str | None) -> None:
        """Reset a triggered alarm; None resets all."""
        self._connection.call("reset_alarm", name=alarm_name)


def _leave(connection: Connection, buffers: dict[int, EventBuffer]) -> None:
    while buffers:
        buffers.popitem()[1].close()
    connection.close()
