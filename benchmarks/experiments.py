"""An experiment of its own for each measurement, standalone or in a real MIDAS, gone afterwards."""

import ctypes
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TextIO

from experiment.client import Client
from experiment.connect import connect, midas_is_available
from sim.errors import SimulationError
from sim.programs import Program, Programs, _die_with_parent
from sim.run import LOGGER, start_experiment, start_programs

World = Literal["standalone", "midas"]
WORLDS: tuple[World, ...] = ("standalone", "midas")
MIDAS_NAME = "bench"
MAX_EVENT_BYTES = 48 << 20
SYSTEM_BUFFER_BYTES = 256 << 20
_IPC_RMID = 0  # bits/ipc.h


@dataclass(frozen=True)
class Experiment:
    """An experiment that runs, and our place in it.

    :param programs: those that belong to the world itself, and those started later.
    :param logger: name of its logger among them, if it was asked for.
    """

    client: Client
    programs: Programs
    logger: str
    data: Path


@contextmanager
def open_experiment(world: World, folder: Path, *, logs: bool = False) -> Iterator[Experiment]:
    """Start an experiment in an empty folder and connect to it.

    :param logs: start its logger, too.
    :raises SimulationError: if it does not start, or there is no MIDAS.
    """
    opened = _open_midas(folder, logs) if world == "midas" else _open_standalone(folder, logs)
    with opened as experiment:
        yield experiment


def own_output() -> TextIO:
    """Return our standard output; what others print, such as MIDAS's library, goes to stderr."""
    ours = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return ours


@contextmanager
def temporary_folder(parent: Path | None = None) -> Iterator[Path]:
    """Make a folder for an experiment; its name is short, since MIDAS makes file names of it."""
    with tempfile.TemporaryDirectory(prefix="b-", dir=parent) as folder:
        yield Path(folder)


@contextmanager
def _open_standalone(folder: Path, logs: bool) -> Iterator[Experiment]:
    with Programs(folder) as programs:
        client = start_experiment(programs)
        try:
            if logs:
                start_programs(programs, client, {**LOGGER})
            yield Experiment(client, programs, "Logger", folder / "data")
        finally:
            client.disconnect()


class MidasPrograms(Programs):
    """Programs of a MIDAS experiment, which the environment names.

    The logger is the first to start and the last to end: MIDAS breaks where two programs attach at
    the same moment while none is attached.
    """

    def start(self, name: str, module: str, *arguments: str) -> Program:
        """Start ``python -m module arguments``; the environment names the experiment."""
        return self.start_command(name, sys.executable, "-m", module, *arguments)

    def start_command(self, name: str, *command: str) -> Program:
        """Start any program; its output goes to its log."""
        log = self.folder / "logs" / f"{name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )
        self._running.append(program := Program(name, process, log))
        return program


@contextmanager
def _open_midas(folder: Path, logs: bool) -> Iterator[Experiment]:
    if not midas_is_available():
        raise SimulationError("no MIDAS is here: set MIDASSYS to one that was built by cmake")
    midassys = Path(os.environ["MIDASSYS"])
    exptab, data = folder / "exptab", folder / "data"
    exptab.write_text(f"{MIDAS_NAME} {folder} {os.environ.get('USER') or 'root'}\n")
    data.mkdir()
    for name in ("MIDAS_DIR", "MIDAS_SERVER_HOST", "CYGNO_EXPERIMENT"):
        os.environ.pop(name, None)
    os.environ["MIDAS_EXPTAB"], os.environ["MIDAS_EXPT_NAME"] = str(exptab), MIDAS_NAME
    try:
        with MidasPrograms(folder) as programs:
            _ask(folder, midassys / "bin/odbinit", "-s", "8MiB")
            odbedit = midassys / "bin/odbedit"
            for key, value in (
                ("/Experiment/MAX_EVENT_SIZE", MAX_EVENT_BYTES),
                ("/Experiment/Buffer sizes/SYSTEM", SYSTEM_BUFFER_BYTES),
            ):
                _ask(folder, odbedit, "-c", f'create UINT32 "{key}"')
                _ask(folder, odbedit, "-c", f'set "{key}" {value}')
            client = connect("benchmark", MIDAS_NAME)
            try:
                if logs:
                    client.odb_set("/Logger/Data dir", f"{data}/")
                    logger = programs.start_command("mlogger", str(midassys / "bin/mlogger"))
                    is_up = b"MIDAS logger started"
                    programs.wait_for(lambda: is_up in logger.log.read_bytes(), 30, "mlogger")
                yield Experiment(client, programs, "mlogger", data)
            finally:
                programs.stop()
                client.disconnect()
    finally:
        _forget_midas(folder)


def _ask(folder: Path, *command: str | Path) -> None:
    done = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if done.returncode:
        raise SimulationError(f"{' '.join(map(str, command))}: {done.stdout}{done.stderr}")


def _forget_midas(folder: Path) -> None:
    """Remove what MIDAS leaves in shared memory, and its semaphores."""
    for left in Path("/dev/shm").glob(f"*{str(folder).replace('/', '_')}*"):
        left.unlink()
    libc = ctypes.CDLL(None)
    for file in folder.glob(".*.SHM"):
        semaphore = libc.semget(libc.ftok(str(file).encode(), ord("M")), 1, 0)
        libc.semctl(semaphore, 0, _IPC_RMID)


def wait_for(condition: Callable[[], object], timeout_s: float, what: str, client: Client) -> None:
    """Wait for a condition while the experiment is served.

    :raises SimulationError: if the time is over.
    """
    end_s = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end_s:
            raise SimulationError(f"waited {timeout_s:.0f} s in vain for {what}")
        client.communicate(50)
