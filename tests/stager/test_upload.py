"""Large files go in parts that the server checks; nothing is overwritten; nothing is sent twice."""

import base64
import hashlib
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import stager.places.opened
import stager.upload
from rawdata.checksum import crc32c
from stager.models import State
from stager.parts import MAX_PARTS, MIB, cut, part_size
from stager.verify import composite_crc32c
from tests.stager.runs import write_run
from tests.stager.staging import Folder, crc_of

PARTS = {"CYGNO_S3_PART_SIZE_MIB": "5"}


@given(file_bytes=st.integers(1, 5 * 2**40), wanted=st.integers(5, 5120))
def test_parts_cover_any_file_and_are_never_too_many(file_bytes: int, wanted: int) -> None:
    size = part_size(file_bytes, wanted * MIB)
    assert size >= wanted * MIB
    assert -(-file_bytes // size) <= MAX_PARTS


@given(file_bytes=st.integers(0, 1000), part_bytes=st.integers(1, 100))
def test_parts_follow_one_another_without_gap(file_bytes: int, part_bytes: int) -> None:
    position = 0
    for number, part in enumerate(cut(file_bytes, part_bytes), start=1):
        assert (part.number, part.offset) == (number, position)
        assert 0 < part.size_bytes <= part_bytes
        position += part.size_bytes
    assert position == file_bytes


def test_a_file_in_parts_has_its_own_crc_as_the_objects_checksum(folder: Folder) -> None:
    path = write_run(folder.data, 1, events=12)
    outcome = folder.stage(**PARTS).outcomes[0]
    assert outcome.state == State.CATALOGUED
    reply = folder.client().head_object(
        Bucket=folder.bucket, Key=outcome.object_key, ChecksumMode="ENABLED"
    )
    assert reply["ETag"].strip('"').endswith("-3")  # it did go in three parts
    assert reply["ChecksumType"] == "FULL_OBJECT"
    assert base64.b64decode(reply["ChecksumCRC32C"]).hex() == crc_of(path) == outcome.crc32c
    assert folder.content(path.name) == path.read_bytes()
    assert folder.unfinished_uploads() == []


def test_a_killed_upload_goes_on_with_the_parts_that_are_there(folder: Folder) -> None:
    path = write_run(folder.data, 1, events=28)
    crash = {"CYGNO_STAGER_CRASH_AT": "part-done:3", "CYGNO_S3_PARALLEL_PARTS": "1"}
    assert folder.stage_in_process(**PARTS, **crash) == -9
    replica = folder.replica(path.name)
    assert replica.state == State.UPLOADING
    client = folder.client()
    where = {"Bucket": folder.bucket, "Key": replica.object_key, "UploadId": replica.upload_id}
    before = {p["PartNumber"]: p["LastModified"] for p in client.list_parts(**where)["Parts"]}
    assert 3 <= len(before) < 6
    # Die once more, just before completion: the early parts must be the same ones still.
    assert folder.stage_in_process(**PARTS, CYGNO_STAGER_CRASH_AT="parts-done") == -9
    after = {p["PartNumber"]: p["LastModified"] for p in client.list_parts(**where)["Parts"]}
    assert len(after) == 6
    assert {number: after[number] for number in before} == before
    folder.stage(**PARTS)
    assert folder.content(path.name) == path.read_bytes()
    assert folder.unfinished_uploads() == []


def test_a_part_that_is_not_ours_is_sent_again(folder: Folder) -> None:
    path = write_run(folder.data, 1, events=12)
    assert folder.stage_in_process(**PARTS, CYGNO_STAGER_CRASH_AT="parts-done") == -9
    replica = folder.replica(path.name)
    folder.client().upload_part(
        Bucket=folder.bucket,
        Key=replica.object_key,
        UploadId=replica.upload_id,
        PartNumber=2,
        Body=b"x" * (5 * MIB),
        ChecksumCRC32C=base64.b64encode(crc32c(b"x" * (5 * MIB)).to_bytes(4, "big")).decode(),
    )
    assert folder.stage(**PARTS).outcomes[0].state == State.CATALOGUED
    assert folder.content(path.name) == path.read_bytes()


def test_an_upload_that_the_server_forgot_begins_anew(folder: Folder) -> None:
    path = write_run(folder.data, 1, events=12)
    assert folder.stage_in_process(**PARTS, CYGNO_STAGER_CRASH_AT="part-done") == -9
    replica = folder.replica(path.name)
    folder.client().abort_multipart_upload(
        Bucket=folder.bucket, Key=replica.object_key, UploadId=replica.upload_id
    )
    assert folder.stage(**PARTS).outcomes[0].state == State.CATALOGUED
    assert folder.content(path.name) == path.read_bytes()


@pytest.mark.parametrize("parts", [{}, PARTS], ids=["whole", "in parts"])
def test_another_content_is_never_overwritten(folder: Folder, parts: dict[str, str]) -> None:
    path = write_run(folder.data, 1, events=8)
    client, key = folder.client(), folder.key(path.name)
    client.put_object(Bucket=folder.bucket, Key=key, Body=b"somebody else's")
    outcome = next(o for o in folder.stage(**parts).outcomes if o.kind == "raw")
    assert outcome.state == State.FAILED
    assert "another content" in outcome.reason and "not overwritten" in outcome.reason
    assert folder.content(path.name) == b"somebody else's"
    client.delete_object(Bucket=folder.bucket, Key=key)
    outcome = next(o for o in folder.stage(**parts).outcomes if o.kind == "raw")
    assert outcome.state == State.CATALOGUED
    assert folder.content(path.name) == path.read_bytes()


def test_same_size_is_not_same_content(folder: Folder, data: Path) -> None:
    path = folder.add(data / "run01104.mid")
    other = bytearray(path.read_bytes())
    other[1_000_000] ^= 1
    folder.client().put_object(Bucket=folder.bucket, Key=folder.key(path.name), Body=bytes(other))
    outcome = folder.stage().outcomes[0]
    assert outcome.state == State.FAILED and "another content" in outcome.reason
    assert folder.content(path.name) == bytes(other)


class Appearing:
    """A server on which an object appears just after it was looked for."""

    def __init__(self, client: Any, folder: Folder, body: bytes) -> None:
        self._client, self._folder, self._body = client, folder, body

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def head_object(self, **arguments: Any) -> Any:
        """Answer, and let the object appear."""
        try:
            return self._client.head_object(**arguments)
        finally:
            body = self._body if arguments["Key"].endswith(".mid") else b""
            if body:
                self._body = b""
                self._folder.client().put_object(
                    Bucket=arguments["Bucket"], Key=arguments["Key"], Body=body
                )


@pytest.mark.parametrize("parts", [{}, PARTS], ids=["whole", "in parts"])
@pytest.mark.parametrize("same", [True, False])
def test_who_comes_second_does_not_overwrite(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, parts: dict[str, str], same: bool
) -> None:
    path = write_run(folder.data, 1, events=8)
    body = path.read_bytes() if same else b"somebody was faster"
    opened = stager.places.opened.open_store

    def open_store(*arguments: Any) -> Any:
        store = opened(*arguments)
        object.__setattr__(store, "client", Appearing(store.client, folder, body))
        return store

    monkeypatch.setattr(stager.places.opened, "open_store", open_store)
    outcome = next(o for o in folder.stage(**parts).outcomes if o.kind == "raw")
    assert outcome.state == (State.CATALOGUED if same else State.FAILED)
    assert folder.content(path.name) == body
    assert folder.unfinished_uploads() == []


def test_an_object_without_checksum_is_read_back(folder: Folder, data: Path) -> None:
    """Another program (rclone, say) put the same file there: it is adopted, after a look."""
    path = folder.add(data / "run01104.mid")
    folder.client().put_object(
        Bucket=folder.bucket,
        Key=folder.key(path.name),
        Body=path.read_bytes(),
        ChecksumSHA256=base64.b64encode(hashlib.sha256(path.read_bytes()).digest()).decode(),
    )
    outcome = folder.stage().outcomes[0]
    assert outcome.state == State.CATALOGUED
    assert folder.replica(path.name).verified_by == "read back"
    assert outcome.checksum_server == crc_of(path)


def test_a_checksum_over_parts_is_computed_again(folder: Folder) -> None:
    """Servers that know no checksum of whole objects have one over the parts."""
    path = write_run(folder.data, 1, events=12)
    client, where = folder.client(), {"Bucket": folder.bucket, "Key": folder.key(path.name)}
    upload = client.create_multipart_upload(**where, ChecksumAlgorithm="CRC32C")["UploadId"]
    done = []
    for part in cut(path.stat().st_size, 5 * MIB):
        body = path.read_bytes()[part.offset : part.offset + part.size_bytes]
        crc = base64.b64encode(crc32c(body).to_bytes(4, "big")).decode()
        numbered = {"PartNumber": part.number, "ChecksumCRC32C": crc}
        reply = client.upload_part(**where, UploadId=upload, Body=body, **numbered)
        done.append({**numbered, "ETag": reply["ETag"]})
    client.complete_multipart_upload(**where, UploadId=upload, MultipartUpload={"Parts": done})
    reply = client.head_object(**where, ChecksumMode="ENABLED")
    assert reply["ChecksumType"] == "COMPOSITE"
    assert composite_crc32c(path, path.stat().st_size, 5 * MIB) == reply["ChecksumCRC32C"]
    # In whatever parts it was sent, its bytes are ours.
    assert folder.stage(**PARTS).outcomes[0].state == State.CATALOGUED


def test_a_file_that_changed_after_it_was_hashed_is_not_sent(folder: Folder) -> None:
    path = write_run(folder.data, 1, events=8)
    assert folder.stage_in_process(CYGNO_STAGER_CRASH_AT="hash-committed") == -9
    content = bytearray(path.read_bytes())
    content[4_000_000] ^= 0xFF
    path.write_bytes(content)
    outcome = next(o for o in folder.stage().outcomes if o.kind == "raw")
    assert outcome.state == State.FAILED
    assert "is damaged" in outcome.reason  # hashed again, it disagrees with the logger's sidecar
    assert path.name not in folder.objects()


def test_damage_that_leaves_no_trace_in_the_folder_is_refused_by_the_server(
    folder: Folder,
) -> None:
    """The disk gives other bytes than it gave when the file was hashed."""
    path = write_run(folder.data, 1, events=12)
    both = "hash-committed:2"  # run file and sidecar are read at once
    assert folder.stage_in_process(**PARTS, CYGNO_STAGER_CRASH_AT=both) == -9
    before = path.stat()
    with path.open("r+b") as file:
        file.seek(7 * MIB)
        file.write(b"rotten")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    outcome = next(o for o in folder.stage(**PARTS).outcomes if o.kind == "raw")
    assert outcome.state == State.FAILED
    assert "other bytes than were sent" in outcome.reason
    assert path.name not in folder.objects()
    assert folder.unfinished_uploads() == []


def test_a_file_that_is_cut_while_it_is_sent_is_not_stored(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_run(folder.data, 1, events=12)
    real = stager.upload.sums

    def sums_then_cut(*arguments: Any, **named: Any) -> Any:
        result = real(*arguments, **named)
        os.truncate(path, 2 * MIB)
        return result

    monkeypatch.setattr(stager.upload, "sums", sums_then_cut)
    outcome = next(o for o in folder.stage(**PARTS).outcomes if o.kind == "raw")
    assert outcome.state == State.FAILED
    assert path.name not in folder.objects()


def test_a_file_changed_after_staging_is_reported_and_the_object_kept(
    folder: Folder, data: Path
) -> None:
    path = folder.add(data / "run01104.mid")
    folder.stage()
    original = path.read_bytes()
    path.write_bytes(original + b"more")
    outcome = folder.stage().outcomes[0]
    assert outcome.state == State.FAILED
    assert "changed after it was staged" in outcome.reason
    assert folder.content(path.name) == original
    path.write_bytes(original)
    assert folder.stage().outcomes[0].state == State.CATALOGUED


def test_memory_does_not_grow_with_the_file(folder: Folder) -> None:
    small, large = folder.data / "run00001.mid", folder.data / "run00002.mid"
    write_run(folder.data, 1, events=1)
    assert folder.stage_in_process(**PARTS) == 0
    base_kib = folder.answer()["peak_kib"]
    write_run(folder.data, 2, events=160)
    assert folder.stage_in_process(**PARTS) == 0
    peak_kib = folder.answer()["peak_kib"]
    assert large.stat().st_size > 100 * small.stat().st_size
    assert peak_kib < base_kib + 64 * 1024
