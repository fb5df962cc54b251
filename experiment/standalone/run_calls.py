"""Run control and remote calls of a standalone experiment, as a program sees them."""

from collections.abc import Callable
from typing import Any, Final

from experiment.answers import cut_text, json_answer
from experiment.client import DeferredCallback, JrpcCallback, TransitionCallback
from experiment.constants import STATUS, TR_PAUSE, TR_RESUME, TR_START, TR_STOP
from experiment.errors import MidasError
from experiment.standalone.connection import Connection
from experiment.standalone.wire import Message

RPC_TIMEOUT_S: Final = 10.0  # MIDAS's DEFAULT_RPC_TIMEOUT
_SUCCESS: Final = 1
_REASON_BYTES: Final = 256  # MIDAS's TRANSITION_ERROR_STRING_LENGTH


class RunCalls:
    """Transition part of `experiment.client.Client`."""

    name: str
    _connection: Connection
    _transitions: dict[tuple[int, int], TransitionCallback]
    _deferred: dict[int, DeferredCallback]
    _requested: int
    _jrpc: tuple[JrpcCallback, bool] | None
    _complain: Callable[[str, BaseException], None]

    def start_run(self, run_num: int = 0, async_flag: bool = False) -> None:
        """Start a run (0: the next number)."""
        self.transition(TR_START, run_num, async_flag)

    def stop_run(self, async_flag: bool = False) -> None:
        """Stop the run."""
        self.transition(TR_STOP, 0, async_flag)

    def pause_run(self, async_flag: bool = False) -> None:
        """Pause the run."""
        self.transition(TR_PAUSE, 0, async_flag)

    def resume_run(self, async_flag: bool = False) -> None:
        """Resume a paused run."""
        self.transition(TR_RESUME, 0, async_flag)

    def transition(
        self, transition: int, run_number: int = 0, async_flag: bool = False, deferred: bool = False
    ) -> None:
        """Do a transition (``cm_transition``); our own callbacks run in their place in the order.

        :param async_flag: return when the transition has begun; `communicate` then serves it.
        :param deferred: it was held back by us, and may happen now.
        :raises TransitionFailedError: with the program that refused and its reason.
        :raises TransitionDeferredError: if a program holds it back.
        """
        self._connection.call(
            "transition",
            serve=self._serve_question,
            timeout_s=None,
            transition=transition,
            run_number=run_number,
            deferred=deferred,
            wait=not async_flag,
        )

    def register_transition_callback(
        self, transition: int, sequence: int, callback: TransitionCallback
    ) -> None:
        """Call ``callback(client, run_number)`` in transitions, in the order of `sequence`."""
        self._connection.call("register_transition", transition=transition, sequence=sequence)
        self._transitions[transition, sequence] = callback

    def set_transition_sequence(self, transition: int, sequence: int) -> None:
        """Change the order of a registered transition callback."""
        self._connection.call("set_sequence", transition=transition, sequence=sequence)
        old = next(key for key in self._transitions if key[0] == transition)
        self._transitions[transition, sequence] = self._transitions.pop(old)

    def deregister_transition_callback(self, transition: int) -> None:
        """Forget a transition callback."""
        self._connection.call("deregister_transition", transition=transition)
        for key in [key for key in self._transitions if key[0] == transition]:
            del self._transitions[key]

    def register_deferred_transition_callback(
        self, transition: int, callback: DeferredCallback
    ) -> None:
        """Hold a transition back until ``callback(client, run_number)`` returns True."""
        self._deferred[transition] = callback
        self._requested = int(self._connection.call("register_deferred", transition=transition))

    def _register_transitions_again(self) -> None:
        """Register with a new server; mostly it has the numbers already, in our entry."""
        for transition, sequence in list(self._transitions):
            try:
                self._connection.call(
                    "register_transition", transition=transition, sequence=sequence
                )
            except MidasError as error:
                if error.code != STATUS["CM_INVALID_TRANSITION"]:
                    raise
        for transition in list(self._deferred):
            self._requested = int(self._connection.call("register_deferred", transition=transition))
        if self._jrpc is not None:
            self._connection.call("answer_calls")

    # serve -------------------------------------------------------------------------------------
    def _serve_question(self, message: Message) -> bool:
        """Answer a transition that reaches us while we wait for its end; leave all else."""
        if message.get("do") != "transition":
            return False
        self._answer(message)
        return True

    def _answer(self, question: Message) -> None:
        self._connection.tell({"accept": question["ask"]})
        if question["do"] == "transition":
            value = self._do_transition(question)
        else:
            value = self._do_call(question)
        self._connection.tell({"answer": question["ask"], "value": value})

    def _do_transition(self, question: Message) -> tuple[int, str]:
        key = (int(question["transition"]), int(question["sequence"]))
        callback = self._transitions.get(key)
        if callback is None:
            return _SUCCESS, ""  # deregistered since
        try:
            result = callback(self, int(question["run"]))
        except Exception as error:
            self._complain("Exception raised during transition", error)
            return STATUS["FE_ERR_DRIVER"], _reason(error)
        if isinstance(result, tuple | list):
            return int(result[0]), cut_text(str(result[1]), _REASON_BYTES) if result[1:] else ""
        return (_SUCCESS if result is None else int(result)), ""

    def _poll_deferred(self) -> None:
        """Ask our callback whether a transition that we hold back may happen now."""
        transition = self._requested
        callback = self._deferred.get(transition)
        if callback is None:
            return
        try:
            run_number = int(self._connection.call("odb_get", path="/Runinfo/Run number"))
            may_happen = callback(self, run_number)
        except Exception as error:
            self._complain("Exception raised during deferred transition callback", error)
            may_happen = True
        if may_happen:
            self._requested = 0
            try:
                self.transition(transition, deferred=True)
            except Exception as error:
                self._complain("Cannot perform deferred transition", error)

    # other programs ----------------------------------------------------------------------------
    def register_jrpc_callback(
        self, callback: JrpcCallback, return_success_even_on_failure: bool = False
    ) -> None:
        """Answer remote calls: ``callback(client, cmd, args, max_len) -> (status, text)``."""
        self._connection.call("answer_calls")
        self._jrpc = (callback, return_success_even_on_failure)

    def connect_to_other_client(self, other_client_name: str) -> str:
        """Return a connection to another program, for `jrpc_client_call`."""
        return str(self._connection.call("connect", name=other_client_name))

    def disconnect_from_other_client(
        self, connection: Any, shutdown_other_client: bool = False
    ) -> None:
        """Close a connection; with `shutdown_other_client` ask the other program to exit."""
        if shutdown_other_client:
            self._connection.call("shutdown", name=connection, unique=True)

    def jrpc_client_call(self, connection: Any, cmd: str, args: str, max_len: int = 1024) -> str:
        """Call another program's remote function and return its text.

        :raises MidasError: with the status that it returned if not success.
        """
        return str(
            self._connection.call(
                "jrpc",
                timeout_s=2 * RPC_TIMEOUT_S + 1,
                name=connection,
                cmd=cmd,
                args=args,
                max_len=max_len,
            )
        )

    def client_exists(self, name: str, unique: bool = True) -> bool:
        """Tell whether a program is connected (``cm_exist``).

        :param unique: False if names that only begin so count, too.
        """
        return bool(self._connection.call("exists", name=name, unique=unique))

    def shutdown_client(self, name: str, unique: bool = True) -> None:
        """Ask a program to exit (``cm_shutdown``). :raises MidasError: CM_NO_CLIENT (103)."""
        self._connection.call("shutdown", name=name, unique=unique)

    def start_program(self, name: str) -> None:
        """Execute ``/Programs/<name>/Start command`` (JSON-RPC ``start_program``)."""
        self._connection.call("start_program", name=name)

    def _do_call(self, question: Message) -> tuple[int, str]:
        if self._jrpc is None:
            return STATUS["FE_ERR_DRIVER"], "no remote calls are registered"
        callback, always_success = self._jrpc
        max_len = int(question["max_len"])
        try:
            result = callback(self, str(question["cmd"]), str(question["args"]), max_len)
            status, text = (result, "") if isinstance(result, int) else result
        except Exception as error:
            self._complain("Exception raised during remote call", error)
            status, text = STATUS["FE_ERR_DRIVER"], _reason(error)
        if always_success:
            status, text = _SUCCESS, json_answer(int(status), str(text), max_len)
        return int(status), cut_text(str(text), max_len)


def _reason(error: Exception) -> str:
    return cut_text(str(error) or type(error).__name__, _REASON_BYTES)
