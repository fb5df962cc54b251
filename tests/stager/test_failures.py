"""Whatever fails ends in one clear line; the run file is untouched; a second try completes."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from sim.s3 import S3Server
from stager.errors import CatalogError
from stager.models import State
from stager.once import complaints
from stager.outcome import Pass
from tests.conftest import free_port
from tests.stager.conftest import make_folder
from tests.stager.runs import write_run
from tests.stager.serving import serving
from tests.stager.staging import FAST, Folder


def the_one_complaint(result: Pass) -> str:
    """Return the one line that an operator is shown."""
    (line,) = complaints(result)
    assert "\n" not in line and "Traceback" not in line
    return line


@pytest.fixture
def run(folder: Folder, data: Path) -> Iterator[Path]:
    """A run that must be untouched by the failure, and staged by the second try."""
    path = folder.add(data / "run01104.mid")
    before = (path.read_bytes(), path.stat().st_mtime_ns)
    yield path
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before
    result = folder.stage()
    assert complaints(result) == []
    assert result.outcomes[0].state == State.CATALOGUED
    assert folder.content(path.name) == path.read_bytes()


def test_wrong_secret(folder: Folder, run: Path) -> None:
    keys = {"AWS_ACCESS_KEY_ID": folder.access["access_key"], "AWS_SECRET_ACCESS_KEY": "wrong" * 5}
    line = the_one_complaint(folder.stage(**keys))
    assert "the secret key is wrong" in line and "environment" in line
    assert "wrongwrong" not in line
    assert folder.access["access_key"] not in line


def test_unknown_key(folder: Folder, run: Path) -> None:
    keys = {"AWS_ACCESS_KEY_ID": "AKIANOBODYKNOWS00000", "AWS_SECRET_ACCESS_KEY": "x" * 20}
    assert "the access key is not known" in the_one_complaint(folder.stage(**keys))


def test_half_of_the_keys(folder: Folder, run: Path) -> None:
    line = the_one_complaint(folder.stage(AWS_SECRET_ACCESS_KEY="x" * 20))
    assert "AWS_ACCESS_KEY_ID is not set" in line


def test_keys_that_others_can_read(folder: Folder, run: Path) -> None:
    keys = folder.path / "s3" / "credentials.json"
    keys.chmod(0o644)
    line = the_one_complaint(folder.stage())
    assert "mode 0644, allowed 0600" in line and f"chmod 600 {keys}" in line
    keys.chmod(0o600)


def test_stopped_server(folder: Folder, run: Path) -> None:
    endpoint = f"http://127.0.0.1:{free_port()}"
    result = folder.stage(CYGNO_S3_ENDPOINT=endpoint)
    line = the_one_complaint(result)
    assert f"{endpoint} cannot be reached" in line and "run again" in line
    assert result.outcomes[0].state == State.FAILED
    replica = folder.replica(run.name)
    assert (replica.state, replica.tries) == (State.FAILED, 1)
    assert replica.next_try_at is not None and endpoint in str(replica.reason)


def test_a_stopped_server_is_said_once_and_the_other_files_wait(
    folder: Folder, run: Path, data: Path
) -> None:
    folder.add(data / "run01105.mid.bz2")
    result = folder.stage(CYGNO_S3_ENDPOINT=f"http://127.0.0.1:{free_port()}")
    assert "2 files wait for it" in the_one_complaint(result)
    # What needs no server is done nevertheless.
    assert folder.file("run01105.mid.bz2").state == State.HASHED


def test_missing_bucket(folder: Folder, run: Path) -> None:
    line = the_one_complaint(folder.stage(CYGNO_S3_BUCKET="no-such-bucket"))
    assert "has no bucket no-such-bucket" in line


def test_missing_endpoint(folder: Folder, data: Path) -> None:
    (folder.path / "s3" / "credentials.json").unlink()
    folder.add(data / "run01104.mid")
    assert "no S3 server is named" in the_one_complaint(
        folder.stage(AWS_ACCESS_KEY_ID="AKIANOBODY", AWS_SECRET_ACCESS_KEY="x" * 20)
    )


@contextmanager
def silent_server() -> Iterator[str]:
    """A server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_silent_server(folder: Folder, run: Path) -> None:
    with silent_server() as endpoint:
        line = the_one_complaint(
            folder.stage(CYGNO_S3_ENDPOINT=endpoint, CYGNO_S3_READ_TIMEOUT_S="0.3")
        )
    assert "did not answer within 0.3 s" in line


@contextmanager
def answering(status: int, body: str) -> Iterator[str]:
    """A server that has one answer to everything."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            content = body.encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        do_GET = do_HEAD = do_PUT = do_POST = answer  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with serving(Handler) as url:
        yield url


def s3_error(code: str) -> str:
    """Return the body of an S3 error."""
    return f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>no</Message></Error>"


@pytest.mark.parametrize(
    ("status", "code", "says"),
    [
        (503, "SlowDown", "failed (SlowDown, HTTP 503)"),
        (500, "InternalError", "its disk is full"),
        (403, "RequestTimeTooSkewed", "signed by this computer's clock"),
        (403, "QuotaExceeded", "quota"),
        (400, "ExpiredToken", "have expired"),
        (418, "IAmATeapot", "refused (IAmATeapot, HTTP 418)"),
    ],
)
def test_refusing_server(folder: Folder, run: Path, status: int, code: str, says: str) -> None:
    with answering(status, s3_error(code)) as endpoint:
        assert says in the_one_complaint(folder.stage(CYGNO_S3_ENDPOINT=endpoint))


def test_a_server_that_is_no_s3(folder: Folder, run: Path) -> None:
    with answering(200, "<html>It works!</html>") as endpoint:
        line = the_one_complaint(folder.stage(CYGNO_S3_ENDPOINT=endpoint))
    assert f"{endpoint} answers, but not as an S3 server does" in line


def test_damaged_file(folder: Folder, data: Path) -> None:
    path = folder.add(data / "run01104.mid")
    sidecar = folder.add(data / "run01104.mid.crc32c")
    original = path.read_bytes()
    path.write_bytes(original[:-2000] + b"\xff" + original[-1999:])
    damaged = path.read_bytes()
    result = folder.stage()
    line = the_one_complaint(result)
    assert "run01104.mid is damaged" in line and sidecar.name in line and "f7231a62" in line
    assert path.name not in folder.objects()
    assert path.read_bytes() == damaged
    path.write_bytes(original)
    assert complaints(folder.stage()) == []
    assert folder.content(path.name) == original


def test_damage_inside_a_compressed_file(folder: Folder, data: Path) -> None:
    path = folder.add(data / "run01105.mid.bz2")
    folder.add(data / "run01105.mid.crc32c")
    content = bytearray(path.read_bytes())
    content[400_000] ^= 0xFF
    path.write_bytes(content)
    line = the_one_complaint(folder.stage())
    assert "run01105.mid.bz2 is damaged" in line and "uncompressed content" in line
    assert path.name not in folder.objects()


def test_unreadable_sidecar(folder: Folder, data: Path) -> None:
    folder.add(data / "run01104.mid")
    sidecar = folder.data / "run01104.mid.crc32c"
    sidecar.write_text("what is this")
    assert "not a CRC32C sidecar" in the_one_complaint(folder.stage())
    sidecar.unlink()
    assert folder.stage().outcomes[0].state == State.CATALOGUED


def test_a_file_that_vanishes_is_missed(folder: Folder, data: Path) -> None:
    path = folder.add(data / "run01104.mid")
    assert folder.stage_in_process(CYGNO_STAGER_CRASH_AT="hash-committed") == -9
    path.unlink()
    assert "is gone from the folder before it was staged" in the_one_complaint(folder.stage())
    folder.add(data / "run01104.mid")
    assert complaints(folder.stage()) == []
    assert path.name in folder.objects()


def can_mount() -> bool:
    """Tell whether a small file system can be made here."""
    probe = subprocess.run(
        ["unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, check=False
    )
    return os.geteuid() == 0 and probe.returncode == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system of its own; grow it with `grow`."""
    if not can_mount():
        pytest.skip("no right to mount a small file system here")
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def grow(disk: Path, size: str) -> None:
    """Make a small disk larger."""
    subprocess.run(["mount", "-o", f"remount,size={size}", str(disk)], check=True)


def test_the_catalogs_disk_is_full(folder: Folder, small_disk: Path, data: Path) -> None:
    path = folder.add(data / "run01104.mid")
    (small_disk / "ballast").write_bytes(bytes(23 * 2**20))
    with pytest.raises(OSError, match="No space"), (small_disk / "more").open("wb", 0) as file:
        while True:
            file.write(bytes(4096))
    catalog = {"CYGNO_STAGER_CATALOG": f"sqlite:///{small_disk}/catalog.sqlite"}
    with pytest.raises(CatalogError, match=r"catalog\.sqlite failed: .*make room on its disk"):
        folder.stage(**catalog)
    grow(small_disk, "64m")
    assert folder.stage(**catalog).outcomes[0].state == State.CATALOGUED
    assert folder.content(path.name) == path.read_bytes()


def test_the_catalog_fills_up_at_any_moment(
    folder: Folder, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a full disk would stop it, at each size that the file may have."""
    folder.add(data / "run01104.mid")
    folder.add(data / "run01105.mid.bz2")
    failures = 0
    limit = [0]

    def restrict(connection: object, _: object) -> None:
        connection.execute(f"PRAGMA max_page_count = {limit[0]}")  # type: ignore[attr-defined]

    event.listen(Engine, "connect", restrict)
    try:
        for limit[0] in (1, 6, 12, 14, 16, 18, 20, 22):
            try:
                folder.stage()
            except CatalogError as error:
                assert "full" in str(error) and "make room" in str(error)
                failures += 1
    finally:
        event.remove(Engine, "connect", restrict)
    assert failures > 0
    folder.stage()
    assert set(folder.objects()) == {"run01104.mid", "run01105.mid.bz2"}
    assert {folder.runlog(n).storage_cloud_status for n in (1104, 1105)} == {1}


def test_the_servers_disk_is_full(small_disk: Path, tmp_path: Path) -> None:
    with S3Server(small_disk / "s3") as server:
        folder = make_folder(server, tmp_path / "experiment")
        path = write_run(folder.data, 1, events=30)
        before = path.read_bytes()
        line = the_one_complaint(folder.stage(CYGNO_S3_PART_SIZE_MIB="5"))
        assert "its disk is full: look there" in line
        assert path.read_bytes() == before
        grow(small_disk, "400m")
        server.kill()  # it marks its volumes full, and looks again only at a start
        server.start()
        folder = Folder(folder.path, folder.tag, {**folder.access, "endpoint": server.endpoint})
        (folder.path / "s3" / "credentials.json").write_text(
            (small_disk / "s3" / "credentials.json").read_text()
        )
        assert complaints(folder.stage(CYGNO_S3_PART_SIZE_MIB="5")) == []
        assert folder.content(path.name) == before


def command(
    folder: Folder, *arguments: str, **environment: str
) -> "subprocess.CompletedProcess[str]":
    """Run the real command."""
    return subprocess.run(
        [sys.executable, "-m", "stager.main", *arguments, "--experiment", str(folder.path)],
        env={**os.environ, **FAST, "CYGNO_S3_TAG": folder.tag, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_the_command_says_one_line_and_ends_with_1(folder: Folder, run: Path) -> None:
    done = command(folder, "once", "--json", CYGNO_S3_ENDPOINT=f"http://127.0.0.1:{free_port()}")
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stderr.startswith("cygno-stager: the S3 server http://127.0.0.1:")
    answer = json.loads(done.stdout.splitlines()[-1])
    assert (answer["staged"], answer["failed"]) == (0, 1)


def test_the_command_without_an_experiment_says_what_it_needs(folder: Folder) -> None:
    (folder.path / "data").rmdir()
    done = command(folder, "once")
    assert (done.returncode, done.stdout) == (1, "")
    assert f"the data folder {folder.path}/data cannot be read" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_misuse_is_told_from_failure(folder: Folder) -> None:
    done = command(folder, "once", "--part-size-mib", "3")
    assert (done.returncode, done.stdout) == (2, "")
    assert "part_size_mib is 3 in --part-size-mib; allowed: greater than or" in done.stderr
