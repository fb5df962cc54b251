"""A proxy before an S3 server that does to requests what networks and servers do to them."""

import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.stager.serving import serving

_BLOCK_BYTES = 1 << 16
_HOP = ("connection", "keep-alive", "expect", "transfer-encoding")


@dataclass
class Request:
    """A request as faults see it.

    :param operation: S3's name of it, such as ``UploadPart``.
    """

    operation: str
    path: str


@dataclass
class Fault:
    """What happens to requests of one operation.

    :param action: ``refuse`` (answer `status` and `code`), ``cut`` (the connection, after half of
        the body), ``lose answer`` (the server did it, nobody hears of it), ``corrupt`` (one bit of
        the body), ``stall`` (no answer, ever), ``slow`` (`delay_s` for each 64 KiB).
    :param after: so many such requests pass first.
    :param times: then so many meet the fault.
    """

    operation: str
    action: str
    status: int = 500
    code: str = ""
    after: int = 0
    times: int = 1
    delay_s: float = 0.0
    suffix: str = ""
    """Only for keys that end so."""
    meanwhile: Callable[[], object] | None = None
    """Done before the fault."""
    met: int = field(default=0, init=False)

    def takes(self, request: Request) -> bool:
        """Count a request; tell whether it meets the fault."""
        if request.operation != self.operation or not request.path.endswith(self.suffix):
            return False
        if self.after:
            self.after -= 1
            return False
        if self.times:
            self.times -= 1
            self.met += 1
            return True
        return False


class Proxy:
    """The state of a proxy: its faults, and what went through it."""

    def __init__(self, upstream: str) -> None:
        self.upstream = urlsplit(upstream)
        self.endpoint = ""
        self.faults: list[Fault] = []
        self.operations: list[str] = []
        self.at_once = self.most_at_once = 0
        """Uploads of parts and files."""
        self._lock = threading.Lock()
        self.over = threading.Event()

    def add(self, *arguments: Any, **named: Any) -> Fault:
        """Add a fault."""
        self.faults.append(Fault(*arguments, **named))
        return self.faults[-1]

    def pick(self, request: Request) -> Fault | None:
        """Note a request, return its fault."""
        with self._lock:
            self.operations.append(request.operation)
            return next((fault for fault in self.faults if fault.takes(request)), None)

    @contextmanager
    def sending(self, operation: str) -> Iterator[None]:
        """Count how many are sent at once."""
        counts = operation in ("UploadPart", "PutObject")
        with self._lock:
            self.at_once += counts
            self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            yield
        finally:
            with self._lock:
                self.at_once -= counts


def name_operation(method: str, target: str) -> Request:
    """Return what S3 calls a request."""
    parts = urlsplit(target)
    query = parse_qs(parts.query, keep_blank_values=True)
    key = parts.path.strip("/").partition("/")[2]
    names: dict[tuple[str, bool], str] = {
        ("PUT", True): "UploadPart",
        ("PUT", False): "PutObject",
        ("POST", True): "CompleteMultipartUpload",
        ("POST", False): "CreateMultipartUpload" if "uploads" in query else "AssumeRole",
        ("GET", True): "ListParts",
        ("GET", False): "GetObject" if key else "ListObjects",
        ("HEAD", False): "HeadObject",
        ("DELETE", True): "AbortMultipartUpload",
        ("DELETE", False): "DeleteObject",
    }
    operation = names.get((method, "uploadId" in query), method)
    if operation == "ListObjects" and "uploads" in query:
        operation = "ListMultipartUploads"
    return Request(operation, parts.path)


def _handler(proxy: Proxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def forward(self) -> None:
            request = name_operation(self.command, self.path)
            fault = proxy.pick(request)
            self.left = int(self.headers.get("Content-Length") or 0)
            if fault and fault.meanwhile:
                fault.meanwhile()
            with proxy.sending(request.operation), suppress(OSError):
                self._do(fault)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = forward  # noqa: N815

        def _do(self, fault: Fault | None) -> None:
            action = fault.action if fault else ""
            if action == "cut":
                self._read(self.left // 2)
                self._hang_up()
            elif action == "stall":
                self._read(self.left)
                proxy.over.wait(20)
                self._hang_up()
            elif action == "refuse" and fault:
                self._read(self.left)
                text = f"<?xml version='1.0'?><Error><Code>{fault.code}</Code></Error>"
                self._send(fault.status, [], text.encode())
            else:
                self._pass_on(fault, action)

        def _pass_on(self, fault: Fault | None, action: str) -> None:
            server = http.client.HTTPConnection(str(proxy.upstream.hostname), proxy.upstream.port)
            try:
                server.putrequest(
                    self.command, self.path, skip_host=True, skip_accept_encoding=True
                )
                for name, value in self.headers.items():
                    if name.lower() not in _HOP:
                        server.putheader(name, value)
                server.endheaders()
                total = self.left
                while self.left:
                    block = self._read(_BLOCK_BYTES)
                    if action == "corrupt" and total // 2 in range(
                        total - self.left - len(block), total - self.left
                    ):
                        block = bytes([block[0] ^ 1]) + block[1:]
                    if action == "slow" and fault:
                        time.sleep(fault.delay_s)
                    server.send(block)
                reply = server.getresponse()
                content = reply.read()
            finally:
                server.close()
            if action == "lose answer":
                self._hang_up()
            else:
                self._send(reply.status, reply.getheaders(), content)

        def _read(self, count: int) -> bytes:
            block = self.rfile.read(min(count, self.left))
            if not block and count and self.left:
                raise ConnectionError("the client hung up")
            self.left -= len(block)
            return block

        def _send(self, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
            self.send_response_only(status)
            told = {name.lower() for name, _ in headers}
            for name, value in headers:
                if name.lower() not in _HOP:
                    self.send_header(name, value)
            if "content-length" not in told:
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        def _hang_up(self) -> None:
            self.close_connection = True
            with suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler


@contextmanager
def proxy_before(upstream: str) -> Iterator[Proxy]:
    """Serve a proxy on a free port of 127.0.0.1."""
    proxy = Proxy(upstream)
    with serving(_handler(proxy)) as proxy.endpoint:
        try:
            yield proxy
        finally:
            proxy.over.set()
