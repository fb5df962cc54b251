"""The two worlds that the contract tests run in: the standalone experiment and a real MIDAS."""

import ctypes
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Self

import pytest

from experiment.standalone.client import StandaloneClient
from experiment.standalone.endpoint import find_server
from tests.conftest import wait_until
from tests.experiment.peer import Peer, without_midas

IPC_RMID = 0  # bits/ipc.h


class World:
    """An experiment and the peers that play on it."""

    name = ""
    experiment = ""

    def __init__(self) -> None:
        self.environment: dict[str, str] = {}
        self._lasting: dict[str, Peer] = {}
        self._fresh: list[Peer] = []

    def peer(self, name: str) -> Peer:
        """Return a peer that lasts for all tests; what it registers is forgotten after each."""
        if name not in self._lasting or not self._lasting[name].lives:
            self._lasting[name] = Peer(name, self.experiment, self.environment)
        return self._lasting[name]

    def fresh(self, name: str) -> Peer:
        """Return a new peer, for this test only."""
        self._fresh.append(Peer(name, self.experiment, self.environment))
        return self._fresh[-1]

    def set_up(self) -> None:
        """Make the event buffer small, so that tests fill it soon."""
        setup = self.fresh("setup")
        for key in ("MAX_EVENT_SIZE", "Buffer sizes/SYSTEM"):
            setup.odb_set(f"/Experiment/{key}", ctypes.c_uint32(8 * 1024 * 1024))

    def clean(self) -> None:
        """Undo what a test left."""
        while self._fresh:
            self._fresh.pop().close()
        if not self._lasting:
            return
        for peer in self._lasting.values():
            peer.forget()
        peer = next(iter(self._lasting.values()))
        # MIDAS leaves these set where a start was prevented or deferred.
        for key in ("/Runinfo/Requested transition", "/Runinfo/Transition in progress"):
            if peer.odb_exists(key) and peer.odb_get(key):
                peer.odb_set(key, 0)
        if peer.odb_get("/Runinfo/State") != 1:
            peer.stop_run()
        if peer.odb_exists("/test"):
            peer.odb_delete("/test")

    def close(self) -> None:
        for peer in [*self._fresh, *self._lasting.values()]:
            peer.close()


class StandaloneWorld(World):
    """A server of the standalone experiment in a folder."""

    name = "standalone"

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self.experiment = str(folder)
        self.log = folder.with_suffix(".log")
        self.server = self.start_server()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start_server(self) -> subprocess.Popen[bytes]:
        """Start the server and wait until it can be reached."""
        with self.log.open("ab") as log:
            server = subprocess.Popen(
                [sys.executable, "-m", "sim.server", str(self.folder)],
                stderr=log,
                cwd=Path(__file__).parents[2],
            )
        wait_until(
            lambda: (e := find_server(self.folder)) is not None and e.pid == server.pid,
            30,
            "the server",
        )
        return server

    @property
    def messages(self) -> str:
        """The experiment's message log."""
        return (self.folder / "midas.log").read_text()

    def is_in_transition(self) -> bool:
        """Tell whether a transition is under way."""
        with StandaloneClient("look", self.folder) as look:
            return bool(look.odb_get("/Runinfo/Transition in progress"))

    def kill_server(self) -> None:
        self.server.kill()
        self.server.wait()

    def restart_server(self) -> None:
        """Kill the server and start another."""
        self.kill_server()
        self.server = self.start_server()

    def close(self) -> None:
        super().close()
        self.server.send_signal(signal.SIGTERM)
        assert self.server.wait(10) == 0, self.log.read_text()
        assert "Traceback" not in self.log.read_text(), self.log.read_text()


class MidasWorld(World):
    """A real MIDAS experiment of its own: ``exptab``, ODB in shared memory, no other program."""

    name = "midas"
    experiment = "contract"

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        midassys = Path(os.environ["MIDASSYS"])
        exptab = folder / "exptab"
        exptab.write_text(f"{self.experiment} {folder} {os.environ.get('USER') or 'root'}\n")
        path = f"{midassys / 'bin'}{os.pathsep}{os.environ['PATH']}"
        self.environment = {
            "PATH": path,
            "MIDAS_EXPTAB": str(exptab),
            "MIDAS_EXPT_NAME": self.experiment,
        }
        self._do("odbinit", "-s", "4MiB")

    def _do(self, *command: str) -> None:
        done = subprocess.run(
            command,
            cwd=self.folder,
            env={**without_midas(), **self.environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if done.returncode:
            pytest.fail(f"{' '.join(command)}: {done.stdout}{done.stderr}")

    def close(self) -> None:
        super().close()
        mark = str(self.folder).replace("/", "_")
        for left in Path("/dev/shm").glob(f"*{mark}*"):
            left.unlink()
        libc = ctypes.CDLL(None)
        for file in self.folder.glob(".*.SHM"):  # each has a System V semaphore, which stays behind
            semaphore = libc.semget(libc.ftok(str(file).encode(), ord("M")), 1, 0)
            libc.semctl(semaphore, 0, IPC_RMID)


def program_names(client: StandaloneClient | Peer) -> set[str]:
    """Return the names of the programs that are connected."""
    return {entry["Name"] for entry in client.odb_get("/System/Clients").values()}


def why_no_midas() -> str:
    """Return why tests with the marker ``midas`` cannot be done here; empty if they can."""
    midassys = os.environ.get("MIDASSYS")
    if not midassys:
        return "needs a MIDAS; MIDASSYS is not set"
    for part in ("bin/odbinit", "bin/mlogger", "lib/libmidas-c-compat.so", "python/midas"):
        if not Path(midassys, part).exists():
            return f"needs a MIDAS built by cmake; {midassys} has no {part}"
    return "" if socket.gethostname() else "MIDAS needs a host name"
