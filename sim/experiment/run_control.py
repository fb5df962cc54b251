"""Start, stop, pause and resume runs over all programs, in the order of their sequence numbers.

Source: MIDAS ``src/midas.cxx``, ``cm_transition1``, ``cm_transition2`` (develop, December 2022).
Unlike there the server conducts the transition, so that it goes on if the program that wished it
dies; a run cannot be started while one goes on, nor paused or resumed without one (``mtransition``
and ``odbedit`` refuse these, the library does not).
"""

import asyncio
import time
from collections.abc import Callable
from typing import Final

from experiment.constants import (
    MT_ERROR,
    MT_INFO,
    STATE_PAUSED,
    STATE_RUNNING,
    STATE_STOPPED,
    STATUS,
    TR_PAUSE,
    TR_RESUME,
    TR_START,
    TR_STARTABORT,
    TR_STOP,
)
from experiment.errors import MidasError, TransitionDeferredError, TransitionFailedError
from rawdata.tid import Tid
from sim.experiment import defaults
from sim.experiment.key import MODE_ALL, MODE_READ
from sim.experiment.members import Member, MemberGoneError, Members
from sim.experiment.odb import Odb
from sim.experiment.transition_record import (
    IN_PROGRESS,
    SUCCESS,
    Step,
    Transition,
    TransitionRecord,
    now_ms,
)

NAMES: Final = {
    TR_START: "START",
    TR_STOP: "STOP",
    TR_PAUSE: "PAUSE",
    TR_RESUME: "RESUME",
    TR_STARTABORT: "STARTABORT",
}
REQUESTED: Final = "/Runinfo/Requested transition"
_DONE: Final = {
    TR_START: (STATE_RUNNING, "started"),
    TR_STOP: (STATE_STOPPED, "stopped"),
    TR_PAUSE: (STATE_PAUSED, "paused"),
    TR_RESUME: (STATE_RUNNING, "resumed"),
    TR_STARTABORT: (STATE_STOPPED, "start aborted"),
}
_NEEDS: Final = {
    TR_START: (STATE_STOPPED, "a run goes on already"),
    TR_PAUSE: (STATE_RUNNING, "no run goes on"),
    TR_RESUME: (STATE_PAUSED, "no run is paused"),
}
_RPC_NET_ERROR: Final = 503
_CANCELED: Final = 116
_AL_TRIGGERED: Final = 1005


class RunControl:
    """Conducts transitions, one at a time.

    :param commit: stores the changes of the ODB and sends the news of them.
    :param say: ``say(name, type, text)`` writes to the message log.
    :param system: runs a shell command, as MIDAS's ``ss_system`` does.
    """

    def __init__(
        self,
        odb: Odb,
        members: Members,
        commit: Callable[[], None],
        say: Callable[[str, int, str], None],
        system: Callable[[str], None],
    ) -> None:
        self._odb = odb
        self._members = members
        self._commit = commit
        self._say = say
        self._system = system
        self._record = TransitionRecord(odb)
        self._busy = 0
        self._conducted: asyncio.Future[None] | None = None

    @property
    def state(self) -> int:
        """STATE_STOPPED, STATE_PAUSED or STATE_RUNNING."""
        return int(self._odb.get_or("/Runinfo/State", STATE_STOPPED))

    # register ----------------------------------------------------------------------------------
    def register(self, member: Member, transition: int, sequence: int) -> None:
        """Note that a program takes part in a transition.

        :raises MidasError: CM_INVALID_TRANSITION if it does so already with this number.
        """
        key = f"Transition {_name(transition)}"
        numbers = self._members.sequences(member, key)
        if sequence in numbers:
            raise _invalid(f"transition {key[11:]} with number {sequence} is registered already")
        self._members.write_sequences(member, key, [*numbers, sequence])

    def set_sequence(self, member: Member, transition: int, sequence: int) -> None:
        """Change the sequence number of a program's only callback for a transition."""
        key = f"Transition {_name(transition)}"
        count = len(self._members.sequences(member, key))
        if transition == TR_STARTABORT or count != 1:
            raise _invalid(f"{key} of {member.name} is registered {count} times, not once")
        self._members.write_sequences(member, key, [sequence])

    def deregister(self, member: Member, transition: int) -> None:
        """Forget a program's callbacks for a transition."""
        self._members.write_sequences(member, f"Transition {_name(transition)}", [])

    def register_deferred(self, member: Member, transition: int) -> int:
        """Note that a program may defer a transition; return the transition that waits, or 0."""
        self._members.write_sequences(member, f"Transition {_name(transition)} DEFERRED", [0])
        member.deferred.add(transition)
        return int(self._odb.get_or(REQUESTED, 0))

    # conduct -----------------------------------------------------------------------------------
    async def conduct(
        self,
        transition: int,
        run_number: int = 0,
        initiator: str = "Experiment",
        deferred: bool = False,
        wait: bool = True,
    ) -> None:
        """Do a transition.

        :param run_number: 0 for the next number.
        :param deferred: the program that held it back says that it may happen now.
        :param wait: return when it is done, not when it has begun.
        :raises TransitionFailedError: if it is refused; who refused it, and why.
        :raises TransitionDeferredError: if a program holds it back.
        """
        self._require_possible(transition, run_number, deferred)
        self._busy = transition
        try:
            self._record.begin(transition, run_number)
            if deferred:
                self._odb.write(REQUESTED, Tid.INT, 0)
            else:
                self._require_start_allowed(transition, initiator)
                self._defer(transition)
        except BaseException as error:
            self._finish(error)
            raise
        self._commit()
        self._conducted = asyncio.ensure_future(self._conduct(transition, run_number, initiator))
        if wait:
            await asyncio.shield(self._conducted)
        else:
            self._conducted.add_done_callback(lambda task: self._report(task, initiator))

    def _report(self, task: "asyncio.Future[None]", initiator: str) -> None:
        if not task.cancelled() and task.exception() is not None:
            self._say(initiator, MT_ERROR, f"transition failed: {task.exception()}")

    def _require_possible(self, transition: int, run_number: int, deferred: bool) -> None:
        name = _name(transition)
        if run_number < 0:
            raise TransitionFailedError(
                STATUS["CM_INVALID_TRANSITION"], f"{run_number} is no run number; use 1 or more"
            )
        if self._busy:
            raise TransitionFailedError(
                STATUS["CM_TRANSITION_IN_PROGRESS"],
                f"{NAMES[self._busy]} is in progress, {name} is not possible; try again later",
            )
        if transition in _NEEDS and self.state != _NEEDS[transition][0]:
            raise TransitionFailedError(
                STATUS["CM_INVALID_TRANSITION"], f"{name} is not possible: {_NEEDS[transition][1]}"
            )
        requested = self._odb.get_or(REQUESTED, 0)
        if requested and not any(requested in member.deferred for member in self._members):
            self._odb.write(REQUESTED, Tid.INT, 0)  # who held it back is gone
        elif requested and not deferred:
            raise TransitionFailedError(
                STATUS["CM_TRANSITION_IN_PROGRESS"],
                f'Deferred transition already in progress, to cancel, set "{REQUESTED}" to zero',
            )

    def _require_start_allowed(self, transition: int, initiator: str) -> None:
        if transition != TR_START:
            return
        if self._odb.get_or("/Experiment/Prevent start on alarms", False):
            alarms = self._odb.get_or("/Alarms/Alarms", {})
            active = self._odb.get_or("/Alarms/Alarm system active", True)
            triggered = [n for n, a in alarms.items() if active and a.get("Triggered")]
            if triggered:
                raise TransitionFailedError(
                    _AL_TRIGGERED, f"Cannot start run due to alarms: {', '.join(triggered)}"
                )
        if self._odb.get_or("/Experiment/Prevent start on required progs", False):
            for name, program in self._odb.get_or("/Programs", {}).items():
                required = isinstance(program, dict) and program.get("Required")
                if required and not self._members.named(name, unique=False) and name != initiator:
                    raise TransitionFailedError(
                        _AL_TRIGGERED, f'Run start abort due to program "{name}" not running'
                    )

    def _defer(self, transition: int) -> None:
        for member in self._members:
            if transition in member.deferred:
                self._odb.write(REQUESTED, Tid.INT, transition)
                self._record.deferred_by(member)
                raise TransitionDeferredError(
                    STATUS["CM_DEFERRED_TRANSITION"],
                    f'Transition {NAMES[transition]} deferred by client "{member.name}"',
                )

    async def _conduct(self, kind: int, run_number: int, initiator: str) -> None:
        try:
            transition = self._prepare(kind, run_number)
            await self._ask_all(transition)
            failed = transition.failed
            if failed is not None and kind != TR_STOP:
                self._odb.write("/Runinfo/Start abort", Tid.INT, 1)
                raise TransitionFailedError(failed.status, f"{failed.member.name}: {failed.error}")
            self._enter_state(transition, initiator)
        except BaseException as error:
            if kind == TR_START and isinstance(error, Exception):
                await self._abort_start(error, initiator)
            self._finish(error)
            raise
        self._finish(None)

    def _prepare(self, kind: int, run_number: int) -> Transition:
        last = int(self._odb.get_or("/Runinfo/Run number", 0))
        run = run_number or (last + 1 if kind == TR_START else last)
        self._record.run(run)
        if kind == TR_START:
            self._odb.write("/Runinfo/Run number", Tid.INT, run)
            self._start_programs()
            self._odb.write("/Runinfo/Start time", Tid.STRING, _asctime())
            self._odb.write("/Runinfo/Stop time binary", Tid.DWORD, 0)
            self._odb.write("/Runinfo/Start time binary", Tid.DWORD, int(time.time()))
        if kind == TR_STOP and self.state != STATE_STOPPED:
            self._odb.write("/Runinfo/Stop time binary", Tid.DWORD, int(time.time()))
            self._odb.write("/Runinfo/Stop time", Tid.STRING, _asctime())
        self._members.remove_dead()
        return self._collect(kind, run)

    def _collect(self, kind: int, run: int) -> Transition:
        key = f"Transition {NAMES[kind]}"
        steps = [Step(n, m) for m in self._members for n in self._members.sequences(m, key)]
        transition = Transition(kind, run, sorted(steps, key=lambda step: step.sequence))
        for step in transition.steps:
            self._record.step(transition, step)
        self._commit()
        return transition

    async def _ask_all(self, transition: Transition) -> None:
        """Go through all callbacks; a failure ends it, except while stopping or aborting."""
        for step in transition.steps:
            await self._ask(transition, step)
            self._record.step(transition, step)
            self._commit()
            if step.status == SUCCESS:
                continue
            name = NAMES[transition.kind]
            self._say(step.member.name, MT_ERROR, f"transition {name}: {step.error}")
            if transition.kind not in (TR_STOP, TR_STARTABORT):
                return
        if transition.kind != TR_STARTABORT and not self._odb.get_or(IN_PROGRESS, 0):
            raise TransitionFailedError(_CANCELED, f'Canceled: "{IN_PROGRESS}" was cleared')

    async def _ask(self, transition: Transition, step: Step) -> None:
        what = {
            "do": "transition",
            "transition": transition.kind,
            "sequence": step.sequence,
            "run": transition.run,
        }
        step.began_ms = now_ms()
        try:
            status, error = await self._members.ask(
                step.member,
                what,
                self._timeout_s("Transition connect timeout", defaults.CONNECT_TIMEOUT_MS),
                self._timeout_s("Transition timeout", defaults.TRANSITION_TIMEOUT_MS),
            )
            step.status = int(status) or STATUS["FE_ERR_HW"]
            step.error = str(error or f"refused with status {step.status}")
        except MemberGoneError:
            step.status, step.error = _RPC_NET_ERROR, "it ended during the transition"
        except MidasError as error:
            step.status, step.error = error.code, error.message
            # Who does not answer in time is defective; MIDAS removes it likewise.
            self._members.tell(step.member, {"note": "shutdown"})
            self._members.leave(step.member, "it did not respond to the transition")
        step.error = "" if step.status == SUCCESS else step.error
        step.ended_ms = now_ms()

    def _timeout_s(self, name: str, usual_ms: int) -> float:
        return float(max(1000, self._odb.get_or(f"/Experiment/{name}", usual_ms))) / 1000

    async def _abort_start(self, error: Exception, initiator: str) -> None:
        """Tell all programs that the run does not start (cm_transition1)."""
        self._say(initiator, MT_ERROR, f"Could not start a run: {error}")
        run = int(self._odb.get_or("/Runinfo/Run number", 0))
        abort = self._collect(TR_STARTABORT, run)
        await self._ask_all(abort)
        self._enter_state(abort, initiator)

    def _enter_state(self, transition: Transition, initiator: str) -> None:
        state, done = _DONE[transition.kind]
        self._odb.write("/Runinfo/State", Tid.INT, state)
        self._say(initiator, MT_INFO, f"Run #{transition.run} {done}")
        self._lock_keys(MODE_ALL if state == STATE_STOPPED else MODE_READ)
        if transition.kind == TR_STOP:
            self._run_command("Execute on stop run")
            for name, program in self._odb.get_or("/Programs", {}).items():
                member = self._members.named(name)
                if isinstance(program, dict) and program.get("Auto stop") and member is not None:
                    self._say(initiator, MT_INFO, f'Auto Stopping program "{name}"')
                    self._members.tell(member, {"note": "shutdown"})
        if transition.kind == TR_STARTABORT:
            self._run_command("Execute on start abort")

    def _lock_keys(self, mode: int) -> None:
        """Protect what operators may not change while a run goes on; set it free afterwards."""
        lock = "/Experiment/Lock when running"
        for name in self._odb.names(lock):
            try:
                key, _ = self._odb.tree.find(f"{lock}/{name}")
            except MidasError as error:  # a link to what is no more
                self._say("Experiment", MT_ERROR, error.message)
            else:
                self._odb.tree.protect(key, mode)

    def _start_programs(self) -> None:
        self._run_command("Execute on start run")
        for name, program in self._odb.get_or("/Programs", {}).items():
            command = isinstance(program, dict) and program.get("Start command")
            if command and program.get("Auto start") and not self._members.named(name):
                self._say(name, MT_INFO, f'Auto Starting program "{name}", command "{command}"')
                self._system(str(command))

    def _run_command(self, key: str) -> None:
        command = str(self._odb.get_or(f"/Programs/{key}", ""))
        if command:
            self._system(command)

    def _finish(self, error: BaseException | None) -> None:
        self._record.finish(error)
        self._busy = 0
        self._commit()

    # after a server that was killed ------------------------------------------------------------
    async def recover(self) -> None:
        """Bring to an end what an earlier server left: a transition, a run without programs.

        Programs that had armed for a run that did not start disarm.
        """
        interrupted = int(self._odb.get_or(IN_PROGRESS, 0))
        if self.state != STATE_STOPPED and not list(self._members):
            self._end_abandoned_run()
        if not interrupted:
            return
        text = f"transition {NAMES.get(interrupted, interrupted)} was cut short: the server ended"
        self._say("Experiment", MT_ERROR, text)
        self._busy = interrupted
        if interrupted == TR_START:
            error = TransitionFailedError(_CANCELED, "the server of the experiment ended")
            await self._abort_start(error, "Experiment")
        self._finish(TransitionFailedError(_CANCELED, text))

    def _end_abandoned_run(self) -> None:
        """Stop a run of which no program is left; it would prevent the next one."""
        number = int(self._odb.get_or("/Runinfo/Run number", 0))
        self._say("Experiment", MT_ERROR, f"Run #{number} was abandoned: no program of it is left")
        self._odb.write("/Runinfo/Stop time binary", Tid.DWORD, int(time.time()))
        self._odb.write("/Runinfo/Stop time", Tid.STRING, _asctime())
        self._enter_state(Transition(TR_STOP, number), "Experiment")
        self._commit()


def _name(transition: int) -> str:
    if transition not in NAMES:
        raise _invalid(f"{transition} is no transition")
    return NAMES[transition]


def _invalid(text: str) -> MidasError:
    return MidasError(STATUS["CM_INVALID_TRANSITION"], text)


def _asctime() -> str:
    return time.strftime("%a %b %d %H:%M:%S %Y")
