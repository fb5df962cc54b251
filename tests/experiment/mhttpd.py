"""MIDAS's web server in a test: started for real, asked as a page asks it."""

import ctypes
import json
from typing import Any
from urllib.request import Request, urlopen

from tests.conftest import free_port, wait_until
from tests.experiment.midas_world import MidasRuns
from tests.experiment.peer import Peer


def start_mhttpd(world: MidasRuns, control: Peer) -> int:
    """Start mhttpd on 127.0.0.1 and return its port."""
    port = free_port()
    for key, value in (
        ("Enable localhost port", True),
        ("Enable insecure port", False),
        ("Enable IPv6", False),
        ("localhost port", ctypes.c_int32(port)),
    ):
        control.odb_set(f"/WebServer/{key}", value)
    world.start("mhttpd", "mhttpd")
    wait_until(lambda: _answers(port), 30, "mhttpd")
    return port


def ask_mhttpd(port: int, method: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """Call a method by JSON-RPC and return its result."""
    call = {"jsonrpc": "2.0", "method": method, "params": parameters, "id": 1}
    request = Request(
        f"http://127.0.0.1:{port}/?mjsonrpc",
        json.dumps(call).encode(),
        {"Content-Type": "application/json"},
    )
    with urlopen(request, timeout=60) as answer:
        return dict(json.load(answer)["result"])


def _answers(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/midas.js", timeout=10):
            return True
    except OSError:
        return False
