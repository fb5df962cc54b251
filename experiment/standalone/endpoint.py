"""Where the server of a standalone experiment is reached: ``experiment.json`` in its folder."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from experiment.standalone.process import process_lives

FILE_NAME = "experiment.json"


@dataclass(frozen=True)
class Endpoint:
    """One life of a server: it is another endpoint each time it starts.

    :param address: ZeroMQ address that clients connect to.
    :param pid: process number of the server.
    :param started: when that process began, see `process_start`.
    """

    address: str
    pid: int
    started: int

    @property
    def is_alive(self) -> bool:
        """True while the server's process lives."""
        return process_lives(self.pid, self.started)

    def as_json(self) -> str:
        """Return the text of ``experiment.json``."""
        return json.dumps(asdict(self), indent=1) + "\n"


def read_endpoint(folder: Path) -> Endpoint | None:
    """Return the endpoint that the folder names, whether its server lives or not."""
    try:
        content = json.loads((folder / FILE_NAME).read_text())
        return Endpoint(str(content["address"]), int(content["pid"]), int(content["started"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def find_server(folder: Path) -> Endpoint | None:
    """Return the endpoint of the living server of a folder, or None."""
    endpoint = read_endpoint(folder)
    return endpoint if endpoint is not None and endpoint.is_alive else None
