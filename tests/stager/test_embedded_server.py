"""The embedded S3 server: private, on the loopback only, gone when its owner is."""

import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from sim.errors import SimulationError
from sim.s3 import S3Server
from tests.conftest import wait_until
from tests.stager.conftest import make_folder
from tests.stager.staging import Folder


def listening(pid: int) -> set[str]:
    """Return the addresses at which a process listens, from /proc."""
    inodes = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        target = os.readlink(entry)
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    addresses = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:
                addresses.add(fields[1].split(":")[0])
    return addresses


def is_alive(pid: int) -> bool:
    """Tell whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_it_listens_on_the_loopback_only(s3: S3Server) -> None:
    assert s3.pid is not None
    assert listening(s3.pid) == {"0100007F"}


def test_its_keys_are_private(s3: S3Server) -> None:
    for name in ("credentials.json", "identities.json"):
        assert stat.S_IMODE((s3.folder / name).stat().st_mode) == 0o600
    content = json.loads(s3.credentials_file.read_text())
    assert content["endpoint"] == s3.endpoint
    assert content["secret_key"] not in repr(s3.access)
    assert content["secret_key"] not in (s3.folder / "server.log").read_text(errors="replace")
    command = Path(f"/proc/{s3.pid}/cmdline").read_text()
    assert content["secret_key"] not in command and "telemetry=false" in command


def test_it_verifies_what_it_receives(folder: Folder) -> None:
    client = folder.client()
    with pytest.raises(client.exceptions.ClientError, match="BadDigest"):
        client.put_object(
            Bucket=folder.bucket, Key=folder.key("x"), Body=b"abc", ChecksumCRC32C="AAAAAQ=="
        )
    with pytest.raises(client.exceptions.ClientError, match="NoSuchBucket"):
        client.put_object(Bucket="never-made", Key="x", Body=b"abc")


def test_data_and_keys_outlive_stops_and_kills(tmp_path: Path) -> None:
    server = S3Server(tmp_path / "s3", bucket="other-bucket")
    with server:
        before = server.access
        client = make_folder(server, tmp_path / "e").client()
        client.put_object(Bucket="other-bucket", Key="k", Body=b"content")
        with pytest.raises(SimulationError, match=r"runs in .* already"):
            S3Server(tmp_path / "s3").start()
        pid = server.pid
        server.kill()
        assert pid is not None and not is_alive(pid)
        server.start()
        assert (server.access.access_key, server.access.secret_key) == (
            before.access_key,
            before.secret_key,
        )
        client = make_folder(server, tmp_path / "e2").client()
        assert client.get_object(Bucket="other-bucket", Key="k")["Body"].read() == b"content"
        pid = server.pid
    assert server.pid is None
    assert pid is not None and not is_alive(pid)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_it_ends_with_its_owner(tmp_path: Path, number: int) -> None:
    folder = tmp_path / "s3"
    owner = subprocess.Popen(
        [sys.executable, "-m", "sim.s3", str(folder)], stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout is not None
    assert "S3 at http://127.0.0.1:" in owner.stdout.readline()
    children = Path(f"/proc/{owner.pid}/task/{owner.pid}/children").read_text().split()
    (child,) = [int(pid) for pid in children]
    owner.send_signal(number)
    assert owner.wait(30) == (0 if number == signal.SIGTERM else -number)
    owner.stdout.close()
    wait_until(lambda: not is_alive(child), 20, "the server to end with its owner")


def test_what_cannot_start_says_where_to_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sim.s3._weed", lambda: Path("/bin/false"))
    with pytest.raises(SimulationError, match=r"ended with code 1; see .*server\.log"):
        S3Server(tmp_path / "s3").start()
