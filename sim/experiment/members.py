"""The programs that take part in an experiment, as its server knows them.

Each has its entry ``/System/Clients/<pid>``, as in MIDAS. The entry outlives a server that is
killed: until its program registers again, or its process has ended, it is a member out of reach.
"""

import asyncio
import itertools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from experiment.constants import MT_INFO, MT_LOG
from experiment.errors import MidasError
from experiment.standalone.process import process_lives, process_start
from experiment.standalone.wire import Message
from rawdata.tid import Tid
from sim.experiment import defaults
from sim.experiment.key import MODE_READ, Key, require_name
from sim.experiment.odb import Odb

CLIENTS: Final = "/System/Clients"
_HARDWARE_TYPE: Final = 44  # what MIDAS writes on x86-64 Linux


class MemberGoneError(Exception):
    """The program ended before it answered."""


@dataclass
class Question:
    """Something asked of a program: it first accepts, then answers."""

    accepted: asyncio.Event = field(default_factory=asyncio.Event)
    answer: asyncio.Future[Any] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


@dataclass
class Member:
    """One program.

    :param entry: the name of its directory in ``/System/Clients``.
    :param started: when its process began, see `process_start`.
    :param identity: where messages to it go; None while it is out of reach.
    :param message_types: mask of the types of messages that it wants to hear.
    """

    entry: str
    name: str
    pid: int
    started: int
    identity: bytes | None = None
    message_types: int = 0
    answers_calls: bool = False
    watches: dict[str, int] = field(default_factory=dict)
    deferred: set[int] = field(default_factory=set)
    questions: dict[int, Question] = field(default_factory=dict)
    in_reach: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def path(self) -> str:
        """Its directory in the ODB."""
        return f"{CLIENTS}/{self.entry}"


class Members:
    """All programs of the experiment.

    :param send: sends a message to an identity.
    :param say: writes to the message log: ``say(member's name, type, text)``.
    """

    def __init__(
        self,
        odb: Odb,
        send: Callable[[bytes, Message], None],
        say: Callable[[str, int, str], None],
    ) -> None:
        self._odb = odb
        self._send = send
        self._say = say
        self._numbers = itertools.count(1)
        self._members: dict[str, Member] = {}
        self._by_identity: dict[bytes, Member] = {}

    def __iter__(self) -> Iterator[Member]:
        return iter(list(self._members.values()))

    def at(self, identity: bytes) -> Member | None:
        """Return who sent a message from there."""
        return self._by_identity.get(identity)

    def named(self, name: str, unique: bool = True) -> Member | None:
        """Return the member of a name (or, if not `unique`, one whose name begins so)."""
        wanted = name.lower()
        for member in self:
            own = member.name.lower()
            if own == wanted or (not unique and own.startswith(wanted)):
                return member
        return None

    # come and go -------------------------------------------------------------------------------
    def recall(self) -> None:
        """Take over the entries that an earlier server left, of programs that still live."""
        for entry in list(self._odb.names(CLIENTS)):
            pid = int(entry.partition("_")[0])
            started = process_start(pid)
            if started is None or pid == os.getpid():
                self._odb.tree.delete(self._odb.tree.find(f"{CLIENTS}/{entry}")[0], force=True)
            else:
                name = self._odb.get(f"{CLIENTS}/{entry}/Name")
                member = self._members[entry] = Member(entry, name, pid, started)
                # It may have had remote calls; if not, it will say so itself.
                member.answers_calls = True

    def join(self, identity: bytes, name: str, pid: int, started: int, entry: str | None) -> Member:
        """Register a program that connects, or that comes back to another server.

        :param entry: the entry that it had with the server before.
        :raises MidasError: DB_INVALID_NAME.
        """
        require_name(name)
        known = self._members.get(entry) if entry is not None else None
        returns = known is not None and known.pid == pid
        if known is not None and returns:
            self._by_identity.pop(known.identity or b"", None)
            self._forget_watches(known)
            member = known
        else:
            member = Member(self._free_entry(pid), self._free_name(name), pid, started)
            self._members[member.entry] = member
        member.identity, member.started = identity, started
        self._by_identity[identity] = member
        member.in_reach.set()
        if not returns:
            self._write_entry(member)
            defaults.declare(self._odb, f"/Programs/{name}", defaults.PROGRAM)
        if entry is None:
            self._say(member.name, MT_LOG, f"Program {member.name} on host localhost started")
        return member

    def _free_entry(self, pid: int) -> str:
        taken = {name.lower() for name in self._odb.names(CLIENTS)}
        names = itertools.chain([str(pid)], (f"{pid}_{n}" for n in itertools.count(1)))
        return next(name for name in names if name not in taken)

    def _free_name(self, name: str) -> str:
        names = itertools.chain([name], (f"{name}{n}" for n in itertools.count(1)))
        return next(free for free in names if self.named(free) is None)

    def _write_entry(self, member: Member) -> None:
        self._odb.write(f"{member.path}/Name", Tid.STRING, member.name, 32)
        self._odb.write(f"{member.path}/Host", Tid.STRING, "localhost", 256)
        self._odb.write(f"{member.path}/Hardware type", Tid.INT, _HARDWARE_TYPE)
        self._odb.write(f"{member.path}/Server Port", Tid.INT, 0)
        self._protect(member)
        self._odb.write("/System/Client Notify", Tid.INT, 0)

    def _protect(self, member: Member) -> None:
        self._odb.tree.protect(self._odb.tree.find(member.path)[0], MODE_READ)

    def leave(self, member: Member, why: str | None = None) -> None:
        """Forget a member: its entry, its watches, what was asked of it.

        :param why: for the message log; None for a program that said good-bye.
        """
        if self._members.pop(member.entry, None) is None:
            return
        self._by_identity.pop(member.identity or b"", None)
        self._forget_watches(member)
        for question in member.questions.values():
            question.accepted.set()
            if not question.answer.done():
                question.answer.set_exception(MemberGoneError(member.name))
                question.answer.exception()  # whoever waits no more must not be warned of it
        member.in_reach.set()
        if self._odb.exists(member.path):
            self._odb.tree.delete(self._odb.tree.find(member.path)[0], force=True)
        if why is None:
            self._say(member.name, MT_LOG, f"Program {member.name} on host localhost stopped")
        else:
            self._say("Experiment", MT_INFO, f"Client '{member.name}' removed because {why}")

    def remove_dead(self) -> list[Member]:
        """Remove the members whose processes have ended; return them."""
        dead = [m for m in self if not process_lives(m.pid, m.started)]
        for member in dead:
            self.leave(member, f"process pid {member.pid} does not exist")
        return dead

    # transitions that they registered ----------------------------------------------------------
    def sequences(self, member: Member, key: str) -> list[int]:
        """Return the sequence numbers in one of a member's keys, such as ``Transition START``."""
        path = f"{member.path}/{key}"
        if not self._odb.exists(path):
            return []
        value = self._odb.get(path)
        return value if isinstance(value, list) else [value]

    def write_sequences(self, member: Member, key: str, numbers: list[int]) -> None:
        """Set or, with none, delete one of a member's keys."""
        path = f"{member.path}/{key}"
        if numbers:
            self._odb.write(path, Tid.INT, numbers)
            self._protect(member)
        elif self._odb.exists(path):
            self._odb.tree.delete(self._odb.tree.find(path)[0], force=True)

    # watches -----------------------------------------------------------------------------------
    def watch(self, member: Member, path: str) -> None:
        """Tell a member of changes of a key and all below it."""
        key, _ = self._odb.tree.find(path)
        self.unwatch(member, path)
        member.watches[path] = key.row
        self._odb.tree.watched[key.row] += 1

    def unwatch(self, member: Member, path: str) -> None:
        """End what `watch` began."""
        row = member.watches.pop(path, None)
        if row is not None:
            self._odb.tree.watched[row] -= 1

    def _forget_watches(self, member: Member) -> None:
        for path in list(member.watches):
            self.unwatch(member, path)

    def tell_change(self, changed: Key, index: int) -> None:
        """Send the news of a written key to all that watch it, or a directory that holds it."""
        rows: set[int] = set()
        key: Key | None = changed
        while key is not None:
            if self._odb.tree.watched[key.row]:
                rows.add(key.row)
            key = key.parent
        if rows:
            news = {"note": "odb", "path": changed.path, "index": index}
            for member in self:
                for path, row in member.watches.items():
                    if row in rows:
                        self.tell(member, {**news, "watch": path})

    # talk --------------------------------------------------------------------------------------
    def tell(self, member: Member, message: Message) -> None:
        """Send a member some news, if it is in reach."""
        if member.identity is not None:
            self._send(member.identity, message)

    async def ask(self, member: Member, what: Message, accept_s: float, answer_s: float) -> Any:
        """Ask a member for something that its `communicate` does, and return its answer.

        :param accept_s: how long until it must be found communicating.
        :param answer_s: how long it may then work.
        :raises MemberGoneError: if its program ends first.
        :raises MidasError: RPC_TIMEOUT.
        """
        number, question = next(self._numbers), Question()
        member.questions[number] = question
        try:
            async with asyncio.timeout(accept_s):
                await member.in_reach.wait()
                if member.entry not in self._members:
                    raise MemberGoneError(member.name)
                self.tell(member, {"ask": number, **what})
                await question.accepted.wait()
            async with asyncio.timeout(answer_s):
                return await question.answer
        except TimeoutError:
            waited = answer_s if question.accepted.is_set() else accept_s
            does = "did not finish" if question.accepted.is_set() else "did not communicate"
            raise MidasError(
                RPC_TIMEOUT, f"{member.name} {does} within {waited:g} s (process {member.pid})"
            ) from None
        finally:
            member.questions.pop(number, None)


RPC_TIMEOUT: Final = 504
