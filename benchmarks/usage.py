"""What programs use of the machine, from ``/proc``: processor time by program and thread."""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Snapshot:
    """Processor time so far [s].

    :param threads: by (program, thread id).
    :param machine_s: of all processes of the machine.
    """

    clock_s: float
    programs: dict[str, float]
    threads: dict[tuple[str, int], float]
    machine_s: float


def take_snapshot(pids: Mapping[str, int]) -> Snapshot:
    """Look at programs (name -> process id); one that has gone uses nothing."""
    programs, threads = {}, {}
    for name, pid in pids.items():
        try:
            programs[name] = _used_s(Path(f"/proc/{pid}/stat"))
            for task in Path(f"/proc/{pid}/task").iterdir():
                threads[name, int(task.name)] = _used_s(task / "stat")
        except (FileNotFoundError, ProcessLookupError):
            continue
    return Snapshot(time.monotonic(), programs, threads, _machine_s())


@dataclass(frozen=True)
class Usage:
    """What was used between two snapshots.

    :param programs_s: processor time by program [s].
    :param main_s: of it, that of the program's main thread [s].
    :param busiest: program, ``main`` or ``thread``, and the part of a core that thread used.
    :param others_cores: cores that processes used which are none of ours.
    """

    seconds: float
    programs_s: dict[str, float]
    main_s: dict[str, float]
    busiest: tuple[str, str, float]
    others_cores: float

    @property
    def cores(self) -> float:
        """Cores that all programs used together."""
        return sum(self.programs_s.values()) / self.seconds


def between(first: Snapshot, last: Snapshot, pids: Mapping[str, int]) -> Usage:
    """Return what was used between two snapshots of the same programs."""
    seconds = last.clock_s - first.clock_s
    programs = {name: used - first.programs.get(name, 0) for name, used in last.programs.items()}
    threads = {key: used - first.threads.get(key, 0) for key, used in last.threads.items()}
    (name, thread), used_s = max(threads.items(), key=lambda entry: entry[1])
    kind = "main" if pids[name] == thread else "thread"
    main = {name: threads.get((name, pid), 0.0) for name, pid in pids.items()}
    others_s = last.machine_s - first.machine_s - sum(programs.values())
    busiest = (name, kind, used_s / seconds)
    return Usage(seconds, programs, main, busiest, max(0.0, others_s / seconds))


def put_first(pid: int) -> None:
    """Let the kernel prefer a session's processes to those of others (sched(7), autogroup).

    :raises OSError: without the right to do so.
    """
    Path(f"/proc/{pid}/autogroup").write_text("-20")


def _used_s(stat: Path) -> float:
    # The name in parentheses may hold spaces; utime and stime are fields 14 and 15 (proc(5)).
    fields = stat.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


def _machine_s() -> float:
    """Processor time of all: user, nice, system, irq, softirq (proc(5))."""
    with open("/proc/stat") as file:
        fields = [int(field) for field in file.readline().split()[1:]]
    return (sum(fields[:3]) + sum(fields[5:7])) / _TICKS_PER_S
