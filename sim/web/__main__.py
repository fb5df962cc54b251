"""Serve the experiment to browsers: ``python -m sim.web --port 8080``."""

import argparse
import importlib.resources
import logging
import os
import signal
import socket
import sys
import threading
from pathlib import Path

import uvicorn

from experiment.connect import DEFAULT_FOLDER
from experiment.errors import ExperimentError
from experiment.standalone.client import StandaloneClient
from sim.web.desk import Desk
from sim.web.site import Site

NAME = "cygno-web"
HOST = "127.0.0.1"


class WebThread:
    """A thread that serves HTTP on a socket that is open already."""

    def __init__(self, site: Site, listening: socket.socket) -> None:
        config = uvicorn.Config(
            site.application(), log_level="warning", lifespan="off", timeout_graceful_shutdown=2
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [listening]}, name="web", daemon=True
        )
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """False if the thread has ended."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """End the thread."""
        self._server.should_exit = True
        self._thread.join(5)


def main() -> int:
    """Serve until SIGTERM, SIGINT or an operator's wish."""
    parser = argparse.ArgumentParser(prog="python -m sim.web", description=__doc__)
    parser.add_argument("--port", type=int, default=8080, help="port at 127.0.0.1 (0: any)")
    parser.add_argument(
        "--pages", type=Path, action="append", default=[], help="a further folder of pages"
    )
    arguments = parser.parse_args()
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s")
    folder = os.environ.get("CYGNO_EXPERIMENT") or DEFAULT_FOLDER.expanduser()
    try:
        listening = socket.create_server((HOST, arguments.port))
    except OSError as error:
        where = f"http://{HOST}:{arguments.port}/"
        sys.stderr.write(f"{NAME}: cannot serve {where}: {error.strerror}; take another --port\n")
        return 1
    try:
        with listening, StandaloneClient(NAME, folder) as client:
            return serve(client, listening, arguments.pages)
    except ExperimentError as error:
        sys.stderr.write(f"{NAME}: {error}\n")
        return 1


def serve(client: StandaloneClient, listening: socket.socket, pages: list[Path]) -> int:
    """Serve until told to end; return the exit code.

    :raises SystemExit: with code 0 if an operator asked this program to end.
    """
    told_to_end: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda seen, _: told_to_end.append(seen))
    own = Path(str(importlib.resources.files("web")))
    desk = Desk(client)
    site = Site(desk, client, [own, *pages])
    web = WebThread(site, listening)
    sys.stderr.write(f"http://{HOST}:{listening.getsockname()[1]}/\n")
    try:
        desk.serve(lambda: told_to_end or not web.is_alive)
    finally:
        died = not web.is_alive
        desk.close()
        site.close()
        web.stop()
    return int(died)


if __name__ == "__main__":
    sys.exit(main())
