"""The folder of an experiment: one server at a time, and the file that says where it is reached."""

import fcntl
import os
import shutil
import tempfile
from pathlib import Path
from typing import Final

from experiment.standalone.endpoint import FILE_NAME, Endpoint, read_endpoint
from sim.errors import SimulationError

_LOCK_FILE: Final = "server.lock"
_SOCKET_PREFIX: Final = "cygno-"
_SOCKET_NAME: Final = "odb"
_MAX_SOCKET_PATH: Final = 107  # sun_path of unix(7), with its final NUL


def lock_folder(folder: Path) -> int:
    """Take the folder for this process; the kernel gives it back when the process ends.

    :returns: a file descriptor, to be closed by who is done with the folder.
    :raises SimulationError: if another process serves it.
    """
    file = os.open(folder / _LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(file)
        other = read_endpoint(folder)
        who = f"process {other.pid}" if other else "another process"
        raise SimulationError(
            f"the experiment in {folder} is served already, by {who}; use that one, or stop it"
        ) from None
    return file


def write_endpoint(folder: Path, endpoint: Endpoint) -> None:
    """Tell clients where the server is; the file is there as a whole or not at all."""
    partial = folder / f"{FILE_NAME}.part"
    with partial.open("w") as file:
        file.write(endpoint.as_json())
        file.flush()
        os.fsync(file.fileno())
    partial.rename(folder / FILE_NAME)


def make_socket_path() -> Path:
    """Return the path of a socket to be, in a new folder that only we may enter."""
    usual = tempfile.gettempdir()
    has_room = len(f"{usual}/{_SOCKET_PREFIX}12345678/{_SOCKET_NAME}") < _MAX_SOCKET_PATH
    folder = tempfile.mkdtemp(prefix=_SOCKET_PREFIX, dir=usual if has_room else "/tmp")
    return Path(folder, _SOCKET_NAME)


def remove_socket_folder(left: Endpoint | None) -> None:
    """Remove what a server that was killed has left behind."""
    if left is not None and left.address.startswith("ipc://"):
        socket_folder = Path(left.address.removeprefix("ipc://")).parent
        if socket_folder.name.startswith(_SOCKET_PREFIX):
            shutil.rmtree(socket_folder, ignore_errors=True)
