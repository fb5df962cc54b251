"""The server of a standalone experiment: one process, one thread, one folder."""

import asyncio
import contextlib
import datetime
import inspect
import logging
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import zmq
import zmq.asyncio

from experiment.constants import MT_ERROR, MT_INFO, MT_LOG, STATUS
from experiment.errors import ExperimentError, MidasError
from experiment.standalone.endpoint import FILE_NAME, Endpoint, read_endpoint
from experiment.standalone.message_log import append_line, log_file, type_name
from experiment.standalone.process import process_start
from experiment.standalone.run_calls import RPC_TIMEOUT_S
from experiment.standalone.wire import Message, pack, pack_error, unpack
from sim.experiment.alarms import Alarms
from sim.experiment.commands import Commands
from sim.experiment.defaults import declare_experiment
from sim.experiment.folder import (
    lock_folder,
    make_socket_path,
    remove_socket_folder,
    write_endpoint,
)
from sim.experiment.members import Member, MemberGoneError, Members
from sim.experiment.odb import Odb
from sim.experiment.run_control import REQUESTED, RunControl
from sim.experiment.store import Store
from sim.experiment.tree import Tree

NAME: Final = "Experiment"
_ALARM_PERIOD_S: Final = 1.0
_WATCHDOG_PERIOD_S: Final = 0.5
_LOG: Final = logging.getLogger(__name__)

Call = Callable[..., Any]


class ExperimentServer:
    """Serves the experiment of a folder to its `experiment.standalone.client.StandaloneClient`.

    All that programs, the logger and the web server need goes through such a client; none needs
    access to this object.

    :param folder: made if it is not there.
    :raises SimulationError: if another server serves it, or its ODB cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = lock_folder(self.folder)
        try:
            self._store = Store(self.folder / "odb.sqlite")
            self._tree = Tree(self._store)
        except BaseException:
            os.close(self._lock)
            raise
        self._odb = Odb(self._tree)
        self._members = Members(self._odb, self._send, self._say)
        self._commands = Commands(self.folder, self._say)
        system = self._commands.run
        self._runs = RunControl(self._odb, self._members, self._commit, self._say, system)
        self._alarms = Alarms(self._odb, self._members, self._say, system, self._stop_run)
        self._calls = self._table_of_calls()
        self._background: set[asyncio.Future[Any]] = set()
        self._outgoing: zmq.asyncio.Socket | None = None

    # life --------------------------------------------------------------------------------------
    def run(self) -> None:
        """Serve until SIGTERM or SIGINT."""
        try:
            asyncio.run(self._serve())
        finally:
            self._store.close()
            os.close(self._lock)

    async def _serve(self) -> None:
        remove_socket_folder(read_endpoint(self.folder))
        socket_path = make_socket_path()
        context = zmq.asyncio.Context()
        socket = context.socket(zmq.ROUTER)
        try:
            # Nothing that is told to a busy program may be dropped.
            socket.set_hwm(0)
            socket.linger = 0
            endpoint = self._open(socket, socket_path)
            self._outgoing = socket
            self._prepare_experiment()
            stop = asyncio.Event()
            for number in (signal.SIGTERM, signal.SIGINT):
                asyncio.get_running_loop().add_signal_handler(number, stop.set)
            tasks = [
                asyncio.create_task(self._listen(socket)),
                asyncio.create_task(self._repeat(_WATCHDOG_PERIOD_S, self._watch_members)),
                asyncio.create_task(self._repeat(_ALARM_PERIOD_S, self._alarms.check)),
                asyncio.create_task(self._recover()),
            ]
            write_endpoint(self.folder, endpoint)
            waiting = [asyncio.create_task(stop.wait()), *tasks[:3]]
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in [*tasks, *waiting, *self._background]:
                task.cancel()
            for task in tasks:
                with contextlib.suppress(asyncio.CancelledError):
                    await task
        finally:
            (self.folder / FILE_NAME).unlink(missing_ok=True)
            socket.close()
            context.term()
            shutil.rmtree(socket_path.parent, ignore_errors=True)

    def _open(self, socket: zmq.asyncio.Socket, path: Path) -> Endpoint:
        address = f"ipc://{path}"
        socket.bind(address)
        return Endpoint(address, os.getpid(), process_start(os.getpid()) or 0)

    def _prepare_experiment(self) -> None:
        declare_experiment(self._odb, self.folder)
        self._members.recall()
        self._commit()
        self._forget_dead_readers()

    async def _recover(self) -> None:
        try:
            await self._runs.recover()
        except Exception:
            _LOG.exception("an interrupted transition could not be ended")

    async def _repeat(self, period_s: float, work: Callable[[], None]) -> None:
        """Do some work again and again; what goes wrong, e.g. a full disk, may pass."""
        while True:
            try:
                self._change(work)
            except Exception:
                _LOG.exception("%s failed", work)
            await asyncio.sleep(period_s)

    # talk --------------------------------------------------------------------------------------
    def _send(self, identity: bytes, message: Message) -> None:
        if self._outgoing is not None:
            sent = self._outgoing.send_multipart([identity, pack(message)])
            self._keep(asyncio.ensure_future(sent))

    def _keep(self, task: "asyncio.Future[Any]") -> None:
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _listen(self, socket: zmq.asyncio.Socket) -> None:
        while True:
            frames = await socket.recv_multipart()
            try:
                self._receive(frames[0], unpack(frames[1]))
            except Exception:
                _LOG.exception("a message was dropped: %r", frames)

    def _receive(self, identity: bytes, message: Message) -> None:
        member = self._members.at(identity)
        if "call" in message:
            self._serve_call(identity, member, message)
        elif member is not None:
            question = member.questions.get(int(message.get("accept") or message.get("answer", 0)))
            if question is not None and "accept" in message:
                question.accepted.set()
            elif question is not None and not question.answer.done():
                question.answer.set_result(message.get("value"))

    def _serve_call(self, identity: bytes, member: Member | None, message: Message) -> None:
        name, number = str(message["call"]), message.get("id")
        if member is None and name != "hello":
            self._send(identity, {"id": number, "unregistered": True})
            return
        call = self._calls.get(name)
        if call is None:
            error = ExperimentError(f"the server knows no call {name!r}; is it of this version?")
            self._send(identity, {"id": number, "error": pack_error(error)})
            return
        caller = identity if name == "hello" else member
        try:
            value = self._change(lambda: call(caller, **message.get("with", {})))
        except Exception as error:
            self._reply_error(identity, number, error)
            return
        if inspect.isawaitable(value):
            self._keep(asyncio.ensure_future(self._reply_later(identity, number, value)))
        else:
            self._send(identity, {"id": number, "value": value})

    async def _reply_later(self, identity: bytes, number: Any, work: Any) -> None:
        try:
            value = await work
        except Exception as error:
            self._reply_error(identity, number, error)
        else:
            self._send(identity, {"id": number, "value": value})

    def _reply_error(self, identity: bytes, number: Any, error: Exception) -> None:
        expected = (KeyError, TypeError, ValueError, ExperimentError, NotImplementedError)
        if not isinstance(error, expected):
            _LOG.error("a call failed", exc_info=error)
            error = ExperimentError(f"the experiment's server failed: {error!r}; see its log")
        self._send(identity, {"id": number, "error": pack_error(error)})

    # the ODB -----------------------------------------------------------------------------------
    def _change(self, work: Callable[[], Any]) -> Any:
        """Do something to the ODB: stored as a whole, or not at all."""
        try:
            value = work()
        except BaseException:
            self._tree.rollback()
            raise
        self._commit()
        return value

    def _commit(self) -> None:
        trouble = self._tree.trouble
        changes = self._tree.commit()
        if self._tree.trouble != trouble:
            self._tell_of_trouble()
        for key, index in changes:
            self._members.tell_change(key, index)
            if key.path == REQUESTED:
                news = {"note": "requested", "transition": key.values[0]}
                for member in self._members:
                    if member.deferred:
                        self._members.tell(member, news)

    def _tell_of_trouble(self) -> None:
        """Say that the ODB can, or can no longer, be stored."""
        trouble = self._tree.trouble
        if trouble:
            self._say(NAME, MT_ERROR, f"{trouble}. It goes on in memory")
            self._alarms.trigger("ODB not stored", "the ODB is not stored: make room on the disk")
        else:
            self._say(NAME, MT_INFO, "the ODB is stored again")

    # members -----------------------------------------------------------------------------------
    def _hello(
        self, identity: bytes, name: str, pid: int, started: int, entry: str | None = None
    ) -> Message:
        self._remove_dead()  # a program started again at once shall have its name
        member = self._members.join(identity, name, pid, started, entry)
        return {"entry": member.entry, "name": member.name}

    def _bye(self, member: Member) -> None:
        self._members.leave(member)

    def _watch_members(self) -> None:
        self._remove_dead()
        self._commands.reap()

    def _remove_dead(self) -> None:
        if self._members.remove_dead():
            self._forget_dead_readers()

    def _forget_dead_readers(self) -> None:
        """Let no dead program hold back who sends to an event buffer."""
        from experiment.standalone.buffers import remove_dead_clients

        remove_dead_clients(self.folder / "buffers")

    def _shutdown(self, member: Member, name: str, unique: bool = True) -> None:
        other = self._members.named(name, unique)
        if other is None:
            raise _no_client(name)
        self._members.tell(other, {"note": "shutdown"})

    def _connect(self, member: Member, name: str) -> str:
        other = self._members.named(name)
        if other is None or other is member:
            raise _no_client(name)
        return other.name

    def _jrpc(self, member: Member, name: str, cmd: str, args: str, max_len: int) -> Any:
        other = self._members.named(name)
        if other is None or other is member:
            raise _no_client(name)
        if not other.answers_calls:
            raise MidasError(_RPC_INVALID_ID, f"{name} has no remote calls")
        what = {"do": "jrpc", "cmd": cmd, "args": args, "max_len": max_len}
        return self._ask_call(other, what, RPC_TIMEOUT_S)

    async def _ask_call(self, other: Member, what: Message, timeout_s: float) -> Any:
        try:
            status, text = await self._members.ask(other, what, timeout_s, timeout_s)
        except MemberGoneError:
            raise _no_client(other.name) from None
        if status != _SUCCESS:
            raise MidasError(int(status), f"{other.name}: {text or what['cmd'] + ' failed'}")
        return text

    # messages ----------------------------------------------------------------------------------
    def _say(self, name: str, message_type: int, text: str) -> None:
        where = f"[{name},{type_name(message_type)}] "
        self._message(where + text, message_type, "midas")

    def _message(self, text: str, message_type: int, facility: str) -> None:
        now = datetime.datetime.now()
        try:
            append_line(log_file(self.folder, facility), text, now)
        except OSError as error:
            _LOG.error("message %r is not in the log: %s", text, error)
        if message_type != MT_LOG:
            news = {
                "note": "message",
                "text": text,
                "time": int(now.timestamp()),
                "type": message_type,
            }
            for member in self._members:
                if member.message_types & message_type:
                    self._members.tell(member, news)

    def _hear_messages(self, member: Member, types: int) -> None:
        member.message_types = types

    # runs and programs -------------------------------------------------------------------------
    def _transition(
        self, member: Member, transition: int, run_number: int, deferred: bool, wait: bool
    ) -> Any:
        return self._runs.conduct(transition, run_number, member.name, deferred, wait)

    def _stop_run(self, why: str) -> None:
        self._say(NAME, MT_INFO, why)
        stop = self._runs.conduct(_TR_STOP, 0, NAME, wait=True)
        task = asyncio.ensure_future(stop)
        task.add_done_callback(self._report_stop)
        self._keep(task)

    def _report_stop(self, task: "asyncio.Future[None]") -> None:
        if not task.cancelled() and task.exception() is not None:
            self._say(NAME, MT_ERROR, f"the run could not be stopped: {task.exception()}")

    def _start_program(self, member: Member, name: str) -> None:
        path = f"/Programs/{name}/Start command"
        command = str(self._odb.get(path)) if self._odb.exists(path) else ""
        if not command:
            raise MidasError(STATUS["DB_NO_KEY"], f"{path} is empty; there is nothing to start")
        self._commands.run(command)

    # what may be called ------------------------------------------------------------------------
    def _table_of_calls(self) -> dict[str, Call]:
        odb, runs, members, alarms = self._odb, self._runs, self._members, self._alarms
        own: dict[str, Call] = {
            "hello": self._hello,
            "bye": self._bye,
            "odb_watch": members.watch,
            "odb_unwatch": members.unwatch,
            "register_transition": runs.register,
            "set_sequence": runs.set_sequence,
            "deregister_transition": runs.deregister,
            "register_deferred": runs.register_deferred,
            "transition": self._transition,
            "hear_messages": self._hear_messages,
            "answer_calls": _answer_calls,
            "connect": self._connect,
            "jrpc": self._jrpc,
            "shutdown": self._shutdown,
            "start_program": self._start_program,
        }
        anyones: dict[str, Call] = {
            "odb_exists": odb.exists,
            "odb_get": odb.get,
            "odb_set": odb.set,
            "odb_create": odb.create,
            "odb_resize": odb.resize,
            "odb_resize_string": odb.resize_string,
            "odb_delete": odb.delete,
            "odb_link": odb.link,
            "odb_link_destination": odb.link_destination,
            "odb_rename": odb.rename,
            "odb_reorder": odb.reorder,
            "odb_last_written": odb.last_written,
            "message": self._message,
            "exists": lambda name, unique: members.named(name, unique) is not None,
            "trigger_alarm": alarms.trigger,
            "define_alarm": alarms.define,
            "define_alarm_class": alarms.define_class,
            "reset_alarm": alarms.reset,
        }
        return own | {name: _without_member(call) for name, call in anyones.items()}


_RPC_INVALID_ID: Final = 508
_SUCCESS: Final = 1
_TR_STOP: Final = 2


def _without_member(call: Call) -> Call:
    return lambda _, **arguments: call(**arguments)


def _answer_calls(member: Member) -> None:
    member.answers_calls = True


def _no_client(name: str) -> MidasError:
    return MidasError(STATUS["CM_NO_CLIENT"], f"no program {name!r} in the experiment")
