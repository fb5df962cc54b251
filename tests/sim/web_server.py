"""A web server of the standalone experiment, asked as a page asks it."""

import json
import subprocess
from dataclasses import dataclass
from typing import Any

import httpx

from experiment.standalone.client import StandaloneClient


@dataclass
class Web:
    """A web server and a client of the same experiment."""

    url: str
    client: StandaloneClient
    process: "subprocess.Popen[bytes]"

    def post(self, content: Any, **headers: str) -> httpx.Response:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        return httpx.post(f"{self.url}/?mjsonrpc", content=body, headers=headers, timeout=30)

    def reply(self, method: str, params: Any) -> dict[str, Any]:
        request = {"jsonrpc": "2.0", "id": 5, "method": method, "params": params}
        reply: dict[str, Any] = self.post(request).json()
        assert reply.pop("jsonrpc") == "2.0"
        assert reply.pop("id") == 5
        return reply

    def call(self, method: str, params: Any = None) -> Any:
        return self.reply(method, {} if params is None else params)["result"]

    def values(self, *paths: str) -> list[Any]:
        params = {"paths": paths, "omit_names": True, "omit_last_written": True}
        data: list[Any] = self.call("db_get_values", params)["data"]
        return data


def answers(url: str) -> bool:
    """Tell whether a web server is up."""
    try:
        return httpx.get(url).status_code == 200
    except httpx.TransportError:
        return False
