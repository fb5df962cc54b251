"""What the ODB shows of a transition: ``/System/Transition``, where MIDAS's page looks for it.

Source: MIDAS ``src/midas.cxx``, ``cm_transition2`` and ``write_tr_client_to_odb`` (develop,
December 2022).
"""

import time
from dataclasses import dataclass, field
from typing import Any, Final

from experiment.constants import TR_STARTABORT
from experiment.errors import MidasError
from rawdata.tid import Tid
from sim.experiment.key import NAME_BYTES, cut_string
from sim.experiment.members import Member
from sim.experiment.odb import Odb

IN_PROGRESS: Final = "/Runinfo/Transition in progress"
SUCCESS: Final = 1
_ROOT: Final = "/System/Transition"


@dataclass
class Step:
    """One callback of one program in a transition.

    :param status: 0 until it has answered.
    """

    sequence: int
    member: Member
    status: int = 0
    error: str = ""
    began_ms: int = 0
    ended_ms: int = 0


@dataclass
class Transition:
    """One transition on its way, its callbacks in the order in which they are called."""

    kind: int
    run: int
    steps: list[Step] = field(default_factory=list)

    @property
    def failed(self) -> Step | None:
        """The first program that refused or failed."""
        return next((step for step in self.steps if step.status not in (0, SUCCESS)), None)


def now_ms() -> int:
    """Return a time in milliseconds as MIDAS's ``ss_millitime``: 32 bits of an endless clock."""
    return time.monotonic_ns() // 1_000_000 & 0xFFFFFFFF


class TransitionRecord:
    """Writes the record of the transition that goes on."""

    def __init__(self, odb: Odb) -> None:
        self._odb = odb

    def begin(self, kind: int, run_number: int) -> None:
        """Begin a new record."""
        self._odb.write(IN_PROGRESS, Tid.INT, kind)
        self._odb.write("/Runinfo/Start abort", Tid.INT, 0)
        for name in ("TR_STARTABORT", "Clients"):
            if self._odb.exists(f"{_ROOT}/{name}"):
                self._odb.tree.delete(self._odb.tree.find(f"{_ROOT}/{name}")[0], force=True)
        for name, tid, value in (
            ("transition", Tid.INT, kind),
            ("run_number", Tid.INT, run_number),
            ("start_time", Tid.DWORD, now_ms()),
            ("end_time", Tid.DWORD, 0),
            ("status", Tid.INT, 0),
            ("error", Tid.STRING, ""),
            ("deferred", Tid.STRING, ""),
        ):
            self._odb.write(f"{_ROOT}/{name}", tid, value)

    def deferred_by(self, member: Member) -> None:
        """Say who holds the transition back."""
        self._odb.write(f"{_ROOT}/deferred", Tid.STRING, member.name)

    def run(self, number: int) -> None:
        """Say which run it is about."""
        self._odb.write(f"{_ROOT}/run_number", Tid.INT, number)

    def step(self, transition: Transition, step: Step) -> None:
        """Show how far one callback is."""
        folder = "TR_STARTABORT" if transition.kind == TR_STARTABORT else "Clients"
        number = f"_{step.sequence}"
        name = cut_string(step.member.name, NAME_BYTES - len(number)).rstrip() + number
        entries: tuple[tuple[str, Tid, Any], ...] = (
            ("sequence_number", Tid.INT, step.sequence),
            ("client_name", Tid.STRING, step.member.name),
            ("host_name", Tid.STRING, "localhost"),
            ("init_time", Tid.DWORD, step.began_ms),
            ("waiting_for_client", Tid.STRING, ""),
            ("rpc_start_time", Tid.DWORD, step.began_ms),
            ("rpc_end_time", Tid.DWORD, step.ended_ms),
            ("end_time", Tid.DWORD, step.ended_ms),
            ("status", Tid.INT, step.status),
            ("error", Tid.STRING, step.error),
            ("last_updated", Tid.DWORD, now_ms()),
        )
        for key, tid, value in entries:
            self._odb.write(f"{_ROOT}/{folder}/{name}/{key}", tid, value)

    def finish(self, error: BaseException | None) -> None:
        """Close the record with the outcome."""
        status = error.code if isinstance(error, MidasError) else SUCCESS if error is None else -1
        text = "Success" if error is None else str(getattr(error, "message", repr(error)))
        self._odb.write(IN_PROGRESS, Tid.INT, 0)
        self._odb.write(f"{_ROOT}/end_time", Tid.DWORD, now_ms())
        self._odb.write(f"{_ROOT}/status", Tid.INT, status)
        self._odb.write(f"{_ROOT}/error", Tid.STRING, text, 256)
