"""What networks and servers do to uploads: one clear line, nothing lost, nothing twice.

The table of docs/explanation/staging-faults.md names these tests.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import botocore.crt.auth
import pytest

from sim.s3 import S3Server
from stager.models import File, Replica, Runlog, State
from stager.once import complaints
from stager.outcome import Pass
from tests.conftest import free_port, wait_until
from tests.stager.access import Site
from tests.stager.conftest import make_folder
from tests.stager.proxy import Proxy, proxy_before
from tests.stager.runs import write_run
from tests.stager.staging import Folder

PARTS = {"CYGNO_S3_PART_SIZE_MIB": "5"}
RAW = ".mid"


@pytest.fixture
def proxy(folder: Folder) -> Iterator[Proxy]:
    """A proxy between the stager and the server."""
    with proxy_before(folder.access["endpoint"]) as proxy:
        yield proxy


@pytest.fixture
def run(folder: Folder) -> Path:
    """A run of three parts."""
    return write_run(folder.data, 1, events=12)


def stage(folder: Folder, proxy: Proxy, **environment: str) -> Pass:
    """Stage through the proxy."""
    return folder.stage(**{**PARTS, "CYGNO_S3_ENDPOINT": proxy.endpoint, **environment})


@contextmanager
def own_server(tmp_path: Path) -> Iterator[S3Server]:
    """A server that a test may kill."""
    server = S3Server(tmp_path / "s3")
    server.start()
    try:
        yield server
    finally:
        server.kill()


def require_whole(folder: Folder) -> None:
    """Check that every file is there once, as it is here, and that nothing is left over."""
    assert set(folder.objects()) == {path.name for path in folder.data.iterdir()}
    for path in folder.data.iterdir():
        assert folder.content(path.name) == path.read_bytes()
    assert folder.unfinished_uploads() == []
    assert {row.state for row in [*folder.rows(File), *folder.rows(Replica)]} == {State.CATALOGUED}
    assert len(folder.rows(Replica)) == len(list(folder.data.iterdir()))


S500 = {"action": "refuse", "status": 500, "code": "InternalError"}
SLOW_DOWN = {"action": "refuse", "status": 503, "code": "SlowDown"}
QUOTA = {"action": "refuse", "status": 403, "code": "QuotaExceeded"}
FULL = {"action": "refuse", "status": 507, "code": "InsufficientStorage"}
CUT, LOST, CORRUPT = {"action": "cut"}, {"action": "lose answer"}, {"action": "corrupt"}

FAULTS: list[tuple[str, dict[str, Any], str]] = [
    ("UploadPart", CUT, "cannot be reached, sending part"),
    ("UploadPart", LOST, "cannot be reached, sending part"),
    ("UploadPart", CORRUPT, "received other bytes than were sent"),
    ("UploadPart", S500, "failed (InternalError, HTTP 500)"),
    ("UploadPart", QUOTA, "the quota of"),
    ("UploadPart", FULL, "its disk is full"),
    ("CreateMultipartUpload", LOST, "beginning to send run00001.mid"),
    ("CompleteMultipartUpload", SLOW_DOWN, "completing run00001.mid"),
    ("CompleteMultipartUpload", LOST, "completing run00001.mid"),
    ("HeadObject", S500, "asking for s3://"),
    ("ListObjects", SLOW_DOWN, "listing the bucket"),
]


@pytest.mark.parametrize(
    ("operation", "fault", "says"),
    FAULTS,
    ids=[f"{operation} {fault.get('code') or fault['action']}" for operation, fault, _ in FAULTS],
)
def test_a_request_that_fails(
    folder: Folder, proxy: Proxy, run: Path, operation: str, fault: dict[str, Any], says: str
) -> None:
    """Without retries it is one line and a later try; nothing wrong is stored meanwhile."""
    met = proxy.add(operation, suffix="" if operation == "ListObjects" else RAW, **fault)
    result = stage(folder, proxy)
    assert met.met == 1
    (line,) = complaints(result)
    assert says in line and "\n" not in line
    replica = folder.replica(run.name)
    if operation == "ListObjects":  # the first of the files says it, the others wait
        assert replica.state in (State.HASHED, State.FAILED)
    else:
        assert (replica.state, replica.tries) == (State.FAILED, 1)
    content = folder.objects().get(run.name)
    assert content in (None, run.stat().st_size)  # whole, or not there
    assert complaints(stage(folder, proxy)) == []
    require_whole(folder)


@pytest.mark.parametrize(
    ("operation", "fault"),
    [
        ("UploadPart", SLOW_DOWN),
        ("CompleteMultipartUpload", LOST),
    ],
)
def test_a_request_that_fails_once_is_repeated(
    folder: Folder, proxy: Proxy, run: Path, operation: str, fault: dict[str, Any]
) -> None:
    met = proxy.add(operation, suffix=RAW, **fault)
    assert complaints(stage(folder, proxy, CYGNO_S3_ATTEMPTS="3")) == []
    assert met.met == 1
    require_whole(folder)


@pytest.mark.parametrize("fault", [CUT, LOST, CORRUPT], ids=lambda fault: fault["action"])
def test_a_small_file_that_fails(
    folder: Folder, proxy: Proxy, data: Path, fault: dict[str, Any]
) -> None:
    folder.add(data / "run01104.mid")
    met = proxy.add("PutObject", **fault)
    assert len(complaints(stage(folder, proxy))) == 1
    assert complaints(stage(folder, proxy)) == []
    assert met.met == 1
    require_whole(folder)


def test_a_failed_part_is_the_only_one_that_is_sent_again(folder: Folder, proxy: Proxy) -> None:
    write_run(folder.data, 1, events=33)
    proxy.add("UploadPart", after=4, **CUT)
    one_after_another = {"CYGNO_S3_PARALLEL_PARTS": "1"}
    assert len(complaints(stage(folder, proxy, **one_after_another))) == 1
    proxy.operations.clear()
    assert complaints(stage(folder, proxy, **one_after_another)) == []
    assert proxy.operations.count("UploadPart") == 3  # of seven
    require_whole(folder)


def test_several_parts_and_files_are_sent_at_once(folder: Folder, proxy: Proxy) -> None:
    for number in (1, 2):
        write_run(folder.data, number, events=12)
    proxy.add("UploadPart", "slow", delay_s=0.005, times=100)
    environment = {"CYGNO_S3_PARALLEL_FILES": "2", "CYGNO_S3_PARALLEL_PARTS": "3"}
    assert complaints(stage(folder, proxy, **environment)) == []
    assert proxy.most_at_once > 3  # more than one file may have
    require_whole(folder)


def test_a_slow_server_is_waited_for(folder: Folder, proxy: Proxy, run: Path) -> None:
    proxy.add("UploadPart", "slow", delay_s=0.01, times=100)
    assert complaints(stage(folder, proxy, CYGNO_S3_READ_TIMEOUT_S="20")) == []
    require_whole(folder)


def test_a_server_that_stops_answering_in_mid_upload(
    folder: Folder, proxy: Proxy, run: Path
) -> None:
    proxy.add("UploadPart", "stall", after=1)
    (line,) = complaints(stage(folder, proxy, CYGNO_S3_READ_TIMEOUT_S="0.5"))
    assert "did not answer within 0.5 s, sending part" in line
    assert complaints(stage(folder, proxy)) == []
    require_whole(folder)


def test_a_server_that_dies_in_mid_upload_and_comes_back(
    tmp_path: Path,
) -> None:
    with own_server(tmp_path) as server, proxy_before(server.endpoint) as proxy:
        folder = make_folder(server, tmp_path / "experiment")
        write_run(folder.data, 1, events=33)
        proxy.add("UploadPart", "cut", after=3, times=99, meanwhile=server.kill)
        environment = {"CYGNO_S3_PARALLEL_PARTS": "1"}
        assert len(complaints(stage(folder, proxy, **environment))) == 1
        proxy.faults.clear()
        server.start()
        proxy.operations.clear()
        assert complaints(stage(folder, proxy, **environment)) == []
        assert proxy.operations.count("UploadPart") == 4  # of seven: three were there
        require_whole(folder)


def test_an_upload_that_the_server_gave_up_meanwhile(
    folder: Folder, proxy: Proxy, run: Path
) -> None:
    """A rule of the bucket may remove unfinished uploads."""

    def give_up() -> None:
        client = folder.client()
        for upload in client.list_multipart_uploads(Bucket=folder.bucket)["Uploads"]:
            client.abort_multipart_upload(
                Bucket=folder.bucket, Key=upload["Key"], UploadId=upload["UploadId"]
            )

    proxy.add("CompleteMultipartUpload", "pass", meanwhile=give_up)
    (line,) = complaints(stage(folder, proxy))
    assert "NoSuchUpload" in line
    assert complaints(stage(folder, proxy)) == []
    require_whole(folder)


def test_a_bucket_that_vanishes_in_mid_upload(tmp_path: Path) -> None:
    with own_server(tmp_path) as server, proxy_before(server.endpoint) as proxy:
        folder = make_folder(server, tmp_path / "experiment")
        write_run(folder.data, 1, events=12)
        client = folder.client()

        def remove() -> None:
            for entry in client.list_objects_v2(Bucket=folder.bucket).get("Contents", []):
                client.delete_object(Bucket=folder.bucket, Key=entry["Key"])
            client.delete_bucket(Bucket=folder.bucket)

        proxy.add("UploadPart", "pass", meanwhile=remove)
        one = {"CYGNO_S3_PARALLEL_PARTS": "1", "CYGNO_S3_PARALLEL_FILES": "1"}
        assert len(complaints(stage(folder, proxy, **one))) >= 1
        assert any("has no bucket" in line for line in complaints(stage(folder, proxy, **one)))
        client.create_bucket(Bucket=folder.bucket)
        assert complaints(stage(folder, proxy, **one)) == []
        assert "run00001.mid" in folder.objects()
        assert folder.content("run00001.mid") == (folder.data / "run00001.mid").read_bytes()


@pytest.mark.parametrize("code", ["ExpiredToken", "InvalidAccessKeyId"])
def test_a_session_that_is_revoked_in_mid_upload(site: Site, place: Folder, code: str) -> None:
    """The server refuses the keys of a part: new ones are fetched, the part is sent again."""
    write_run(place.data, 1, events=12)
    with proxy_before(site.server.endpoint) as proxy:
        met = proxy.add("UploadPart", "refuse", status=403, code=code, after=1)
        environment = site.environment(
            "client-credentials",
            CYGNO_S3_ENDPOINT=proxy.endpoint,
            CYGNO_S3_STS_ENDPOINT=site.server.endpoint,
            CYGNO_S3_SESSION_DURATION_S="900",
        )
        assert complaints(place.stage(**PARTS, **environment)) == []
        assert met.met == 1
    require_whole(place)


def test_a_login_that_is_revoked_in_mid_upload(site: Site, place: Folder) -> None:
    """Session and token are refused, and no new token can be had: a later try goes on."""
    write_run(place.data, 1, events=12)
    refresh = place.path / "refresh"
    refresh.touch(0o600)
    refresh.write_text(site.issuer.refresh_token())
    with proxy_before(site.server.endpoint) as proxy:
        environment = site.environment(
            "refresh-token",
            CYGNO_OIDC_REFRESH_TOKEN_FILE=str(refresh),
            CYGNO_S3_ENDPOINT=proxy.endpoint,
            CYGNO_S3_STS_ENDPOINT=proxy.endpoint,
            CYGNO_S3_SESSION_DURATION_S="900",
            CYGNO_S3_PARALLEL_PARTS="1",
            CYGNO_S3_PARALLEL_FILES="1",
        )
        proxy.add(
            "UploadPart",
            "refuse",
            status=403,
            code="InvalidAccessKeyId",
            after=1,
            meanwhile=site.issuer.revoke,
        )
        # The first session was had before; from now on its token is good for none.
        refused = proxy.add("AssumeRole", "refuse", status=400, code="ExpiredToken", after=1)
        (line,) = complaints(place.stage(**PARTS, **environment))
        assert "log in again with cygno-stager login" in line
        assert refused.met == 1
        refresh.write_text(site.issuer.refresh_token())
        proxy.operations.clear()
        assert complaints(place.stage(**PARTS, **environment)) == []
        assert proxy.operations.count("UploadPart") == 2  # the first was there
    require_whole(place)


def test_static_keys_that_are_withdrawn_in_mid_upload(
    folder: Folder, proxy: Proxy, run: Path
) -> None:
    proxy.add("UploadPart", "refuse", status=403, code="InvalidAccessKeyId", after=1, times=9)
    (line,) = complaints(stage(folder, proxy))
    assert "the access key is not known there" in line
    proxy.faults.clear()
    assert complaints(stage(folder, proxy)) == []
    require_whole(folder)


@pytest.mark.parametrize(("hours", "says"), [(1, "ahead of"), (-1, "behind")])
def test_a_clock_that_is_wrong(
    folder: Folder, data: Path, monkeypatch: pytest.MonkeyPatch, hours: int, says: str
) -> None:
    """The real server refuses, and says its own time."""
    folder.add(data / "run01104.mid")
    real = botocore.crt.auth.get_current_datetime
    with monkeypatch.context() as patch:
        patch.setattr(
            botocore.crt.auth,
            "get_current_datetime",
            lambda **named: real(**named) + timedelta(hours=hours),
        )
        (line,) = complaints(folder.stage())
    assert "takes no requests signed by this computer's clock" in line
    assert "timedatectl set-ntp true" in line
    assert complaints(folder.stage()) == []
    require_whole(folder)


def test_a_file_that_changes_while_it_is_sent(folder: Folder, proxy: Proxy, run: Path) -> None:
    original = run.read_bytes()
    before = run.stat()

    def change() -> None:
        with run.open("r+b") as file:
            file.seek(3_000_000)
            file.write(b"changed")

    proxy.add("UploadPart", "pass", meanwhile=change, after=2)
    (line,) = complaints(stage(folder, proxy))
    assert "has changed since it was hashed" in line or "other bytes than were sent" in line
    assert run.name not in folder.objects()
    run.write_bytes(original)
    os.utime(run, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert complaints(stage(folder, proxy)) == []
    require_whole(folder)


def test_a_file_that_is_truncated_while_it_is_sent(folder: Folder, proxy: Proxy, run: Path) -> None:
    original = run.read_bytes()
    proxy.add("UploadPart", "pass", meanwhile=lambda: os.truncate(run, 6_000_000))
    (line,) = complaints(stage(folder, proxy, CYGNO_S3_PARALLEL_PARTS="1"))
    assert "run00001.mid" in line or "has become shorter" in line or "the file ends" in line
    assert run.name not in folder.objects()
    run.write_bytes(original)
    assert complaints(stage(folder, proxy)) == []
    require_whole(folder)


def test_two_stagers_at_once_on_one_large_file(folder: Folder, proxy: Proxy) -> None:
    path = write_run(folder.data, 1, events=33)
    proxy.add("UploadPart", "slow", delay_s=0.005, times=100)
    environment = {**PARTS, "CYGNO_S3_ENDPOINT": proxy.endpoint}
    processes = [folder.start(**environment) for _ in range(2)]
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    assert proxy.operations.count("CompleteMultipartUpload") == 1
    assert proxy.operations.count("UploadPart") == 7
    assert folder.content(path.name) == path.read_bytes()
    assert complaints(folder.stage()) == []
    require_whole(folder)


def test_one_of_two_stagers_is_killed_and_the_other_goes_on(folder: Folder, proxy: Proxy) -> None:
    write_run(folder.data, 1, events=33)
    proxy.add("UploadPart", "slow", delay_s=0.01, times=100)
    environment = {**PARTS, "CYGNO_S3_ENDPOINT": proxy.endpoint, "CYGNO_S3_PARALLEL_PARTS": "1"}
    first = folder.start(**environment)
    wait_until(lambda: proxy.operations.count("UploadPart") >= 3, 30, "the first parts")
    first.kill()
    first.join()
    proxy.operations.clear()
    assert folder.stage_in_process(**environment) == 0
    assert proxy.operations.count("UploadPart") < 7
    require_whole(folder)


@pytest.mark.timeout(300)
def test_a_thousand_small_runs(folder: Folder) -> None:
    """All are there once, with the server away at first, and one stager killed among them."""
    for number in range(1, 1001):
        path = write_run(folder.data, number, events=1, size_bytes=100)
        path.with_name(f"{path.name}.crc32c").unlink()
    down = {"CYGNO_S3_ENDPOINT": f"http://127.0.0.1:{free_port()}"}
    assert "1000 files wait for it" in complaints(folder.stage(**down))[0]
    assert folder.stage_in_process(CYGNO_STAGER_CRASH_AT="catalogue-done:400") == -9
    assert sum(row.state == State.CATALOGUED for row in folder.rows(Replica)) >= 400
    result = folder.stage()
    assert complaints(result) == []
    assert result.count(State.CATALOGUED) <= 600
    assert folder.stage().outcomes == []  # nothing is done twice
    assert {(r.storage_cloud_status, r.number_of_events) for r in folder.rows(Runlog)} == {(1, 1.0)}
    require_whole(folder)
