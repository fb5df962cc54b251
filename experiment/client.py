"""The port: what a program may ask of an experiment.

Names, arguments, return values and semantics are those of MIDAS's own ``midas.client.MidasClient``
(develop, December 2022), so that a script moves between a real MIDAS and the standalone experiment.
Two calls are added, `Client.send_buffer` and `Client.receive_buffer`, because stock Python packs
events sample by sample: 1.3 frames/s of 2304x2304 pixels, against 260 by pointer (measured).

Only the thread that called `experiment.connect` may use a client.
"""

import datetime
from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

TransitionResult = int | tuple[int, str] | None
"""What a transition callback returns: None or 1 is success; else a code, or (code, reason)."""

TransitionCallback = Callable[[Any, int], TransitionResult]
DeferredCallback = Callable[[Any, int], bool]
WatchCallback = Callable[..., object]
JrpcCallback = Callable[[Any, str, str, int], int | tuple[int, str]]
MessageCallback = Callable[[Any, str, datetime.datetime, int], object]


@runtime_checkable
class Client(Protocol):
    """One program's connection to an experiment."""

    name: str

    # ODB ---------------------------------------------------------------------------------------
    def odb_exists(self, path: str) -> bool:
        """Tell whether `path` is in the ODB."""
        ...

    def odb_get(
        self, path: str, recurse_dir: bool = True, include_key_metadata: bool = False
    ) -> Any:
        """Return a value, a list, or a dict for a directory; ``path[i]`` is one array element.

        :raises KeyError: if the path does not exist.
        """
        ...

    def odb_set(
        self,
        path: str,
        contents: Any,
        create_if_needed: bool = True,
        remove_unspecified_keys: bool = True,
        resize_arrays: bool = True,
        lengthen_strings: bool = True,
        explicit_new_midas_type: int | None = None,
        update_structure_only: bool = False,
    ) -> None:
        """Set a value, a list, one array element ``path[i]``, or a whole directory from a dict.

        New keys take their MIDAS type from the Python or ctypes value: bool BOOL, int INT32,
        float DOUBLE, str STRING, ``ctypes.c_uint32`` UINT32 and so on.

        :param remove_unspecified_keys: delete keys of the directory that `contents` lacks.
        :param update_structure_only: add and remove keys, never change a value that exists.
        """
        ...

    def odb_delete(self, path: str, follow_links: bool = False) -> None:
        """Delete a key, or a directory with all below it."""
        ...

    def odb_link(self, link_path: str, destination_path: str) -> None:
        """Make `link_path` a symbolic link to `destination_path`."""
        ...

    def odb_get_link_destination(self, link_path: str) -> str:
        """Return where a link points."""
        ...

    def odb_rename(self, current_path: str, new_name: str) -> None:
        """Rename the last part of a path."""
        ...

    def odb_last_update_time(self, path: str) -> datetime.datetime:
        """Return when a key was last written."""
        ...

    def odb_watch(
        self, path: str, callback: WatchCallback, pass_changed_value_only: bool = False
    ) -> None:
        """Call ``callback(client, path, value)`` after changes, from within `communicate`.

        With `pass_changed_value_only` the call is ``callback(client, path, index, value)``.
        """
        ...

    def odb_stop_watching(self, path: str) -> None:
        """End what `odb_watch` began."""
        ...

    # event buffers -----------------------------------------------------------------------------
    def open_event_buffer(
        self, buffer_name: str, buf_size: int | None = None, max_event_size: int | None = None
    ) -> int:
        """Open a named buffer and return its handle.

        Its size is the ODB's ``/Experiment/Buffer sizes/<name>`` where that key exists.
        """
        ...

    def register_event_request(
        self,
        buffer_handle: int,
        event_id: int = -1,
        trigger_mask: int = -1,
        sampling_type: int = 1,
    ) -> int:
        """Ask for events (GET_ALL, GET_NONBLOCKING or GET_RECENT); return the request's id."""
        ...

    def deregister_event_request(self, buffer_handle: int, request_id: int) -> None:
        """Cancel a request."""
        ...

    def send_event(self, buffer_handle: int, event: Any) -> None:
        """Send an event object that has ``pack()``, waiting for room. For small events."""
        ...

    def receive_event(
        self, buffer_handle: int, async_flag: bool = True, use_numpy: bool = False
    ) -> Any:
        """Receive one event object, or None where there is none and `async_flag` is set."""
        ...

    def send_buffer(self, buffer_handle: int, event: memoryview, timeout_ms: int) -> bool:
        """Send a complete event (header included) with one copy into the buffer.

        :param event: the event's bytes, contiguous, starting with the 16-byte header.
        :param timeout_ms: how long to wait for room, at least 2.
        :returns: False if there was no room in time (try the same event again later).
        :raises MidasError: BM_NO_MEMORY if the event can never fit, others as they come.
        """
        ...

    def buffer_held_by(self, buffer_handle: int) -> tuple[str, ...]:
        """Return who held the buffer full when `send_buffer` last looked for room.

        :returns: names of clients; empty if there was room, and in a real MIDAS, which does not
            tell.
        """
        ...

    def receive_buffer(self, buffer_handle: int, into: memoryview) -> memoryview | None:
        """Copy the next requested event into `into` and return that part of it; never waits.

        :returns: None if no event is there.
        :raises MidasError: BM_TRUNCATED if `into` is too small; the event is then consumed.
        """
        ...

    # run control -------------------------------------------------------------------------------
    def start_run(self, run_num: int = 0, async_flag: bool = False) -> None:
        """Start a run (0: the next number).

        :raises TransitionFailedError: with the refusing client and its reason.
        """
        ...

    def stop_run(self, async_flag: bool = False) -> None:
        """Stop the run."""
        ...

    def pause_run(self, async_flag: bool = False) -> None:
        """Pause the run."""
        ...

    def resume_run(self, async_flag: bool = False) -> None:
        """Resume a paused run."""
        ...

    def register_transition_callback(
        self, transition: int, sequence: int, callback: TransitionCallback
    ) -> None:
        """Call ``callback(client, run_number)`` in transitions, in the order of `sequence`."""
        ...

    def set_transition_sequence(self, transition: int, sequence: int) -> None:
        """Change the order of a registered transition callback."""
        ...

    def deregister_transition_callback(self, transition: int) -> None:
        """Forget a transition callback."""
        ...

    def register_deferred_transition_callback(
        self, transition: int, callback: DeferredCallback
    ) -> None:
        """Hold a transition back until ``callback(client, run_number)`` returns True."""
        ...

    # messages and alarms -----------------------------------------------------------------------
    def msg(self, message: str, is_error: bool = False, facility: str = "midas") -> None:
        """Write one line to the message log."""
        ...

    def get_recent_messages(
        self,
        min_messages: int = 1,
        before: datetime.datetime | float | None = None,
        facility: str = "midas",
    ) -> list[str]:
        """Return recent lines of the message log, newest first."""
        ...

    def register_message_callback(
        self, callback: MessageCallback, only_message_types: Sequence[int] | None = (2, 1)
    ) -> None:
        """Call ``callback(client, text, time, type)`` for each message of these types."""
        ...

    def trigger_internal_alarm(
        self, alarm_name: str, message: str, default_alarm_class: str = "Alarm"
    ) -> None:
        """Raise an alarm (name up to 31 characters without "/", message up to 79)."""
        ...

    def create_evaluated_alarm(
        self,
        alarm_name: str,
        odb_condition: str,
        message: str | None = None,
        alarm_class: str = "Alarm",
        activate_immediately: bool = True,
    ) -> None:
        """Define an alarm that triggers when a condition such as ``/Path/To/Value > 3`` holds."""
        ...

    def create_alarm_class(
        self,
        class_name: str,
        execute_command: str = "",
        execute_interval_secs: int = 0,
        stop_run: bool = False,
    ) -> None:
        """Define what happens when an alarm of this class triggers."""
        ...

    def get_triggered_alarms(self) -> dict[str, str]:
        """Return triggered alarms: name -> message."""
        ...

    def reset_alarm(self, alarm_name: str) -> None:
        """Reset a triggered alarm."""
        ...

    # other programs ----------------------------------------------------------------------------
    def register_jrpc_callback(
        self, callback: JrpcCallback, return_success_even_on_failure: bool = False
    ) -> None:
        """Answer remote calls: ``callback(client, cmd, args, max_len) -> (status, text)``."""
        ...

    def connect_to_other_client(self, other_client_name: str) -> Any:
        """Return a connection to another program, for `jrpc_client_call`."""
        ...

    def disconnect_from_other_client(
        self, connection: Any, shutdown_other_client: bool = False
    ) -> None:
        """Close a connection; with `shutdown_other_client` ask the other program to exit."""
        ...

    def jrpc_client_call(self, connection: Any, cmd: str, args: str, max_len: int = 1024) -> str:
        """Call another program's remote function and return its text."""
        ...

    # life --------------------------------------------------------------------------------------
    def communicate(self, time_ms: int) -> None:
        """Serve callbacks, the watchdog and transitions for `time_ms`; call it often.

        :raises SystemExit: with code 0 when an operator asked this program to shut down; it is
            still connected then.
        """
        ...

    def disconnect(self) -> None:
        """Leave the experiment; safe to call twice."""
        ...
