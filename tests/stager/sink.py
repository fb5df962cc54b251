"""An S3 server that checks what it is sent and keeps none of it, for files larger than disks here.

It knows as much of the protocol as one upload in parts needs.
"""

import base64
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, urlsplit

from rawdata.checksum import crc32c
from tests.stager.proxy import name_operation
from tests.stager.serving import serving

_BLOCK_BYTES = 1 << 20


class Sink:
    """What was sent.

    :param parts: number of each part -> its bytes.
    :param objects: key -> bytes, and the CRC32C that the client named.
    """

    def __init__(self) -> None:
        self.endpoint = ""
        self.parts: dict[int, int] = {}
        self.objects: dict[str, tuple[int, str]] = {}
        self.refused = 0
        """Parts whose bytes had another checksum than was named."""
        self.lock = threading.Lock()


def _handler(sink: Sink) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def answer(self) -> None:
            parts = urlsplit(self.path)
            operation = name_operation(self.command, self.path).operation
            named = self.headers.get("x-amz-checksum-crc32c", "")
            size, crc = self._read()
            if operation == "ListObjects":
                self._send(200, "<ListBucketResult><Name>sink</Name></ListBucketResult>")
            elif operation == "HeadObject":
                if parts.path not in sink.objects:
                    self._send(404, "")
                    return
                there, checksum = sink.objects[parts.path]
                self._send(200, "", {"x-amz-checksum-crc32c": checksum}, there)
            elif operation == "CreateMultipartUpload":
                reply = "InitiateMultipartUploadResult"
                self._send(200, f"<{reply}><UploadId>sunk</UploadId></{reply}>")
            elif operation == "UploadPart":
                good = named == base64.b64encode(crc.to_bytes(4, "big")).decode()
                number = int(parse_qs(parts.query)["partNumber"][0])
                with sink.lock:
                    sink.refused += not good
                    sink.parts[number] = size
                code = "" if good else "<Error><Code>BadDigest</Code></Error>"
                self._send(200 if good else 400, code, {"ETag": '"part"'})
            elif operation == "CompleteMultipartUpload":
                with sink.lock:
                    sink.objects[parts.path] = (sum(sink.parts.values()), named)
                reply = "CompleteMultipartUploadResult"
                self._send(200, f"<{reply}><ETag>whole</ETag></{reply}>")
            else:
                self._send(501, "")

        do_GET = do_HEAD = do_PUT = do_POST = answer  # noqa: N815

        def _read(self) -> tuple[int, int]:
            size = left = int(self.headers.get("Content-Length") or 0)
            block, crc = memoryview(bytearray(_BLOCK_BYTES)), 0
            while left:
                count = self.rfile.readinto(block[: min(left, _BLOCK_BYTES)])  # type: ignore[attr-defined]
                if not count:
                    raise ConnectionError("the client hung up")
                crc = crc32c(block[:count], crc)
                left -= count
            return size, crc

        def _send(
            self,
            status: int,
            text: str,
            headers: dict[str, str] | None = None,
            size_bytes: int | None = None,
        ) -> None:
            self.send_response_only(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(text) if size_bytes is None else size_bytes))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler


@contextmanager
def serve_sink() -> Iterator[Sink]:
    """Serve a sink on a free port of 127.0.0.1."""
    sink = Sink()
    with serving(_handler(sink)) as sink.endpoint:
        yield sink
