"""Bring one file into the bucket: whole or in parts, never over another content, resumable."""

import base64
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from botocore.exceptions import ClientError

from stager.crash import reached
from stager.errors import FileError, StagerError, Stopped, StoreError
from stager.parts import MIB, Part, PartBody, PartSums, cut, part_size, sums
from stager.store import Contents, Store, error_code

_PULSE_S: Final = 0.1
# The server has, or has not, what we meant it to have; only asking it again can tell.
_EXISTS_ALREADY: Final = ("PreconditionFailed", "ConditionalRequestConflict")


class AlreadyThereError(StoreError):
    """An object of this name appeared; whether it has our content is for `verify` to say."""


@dataclass(frozen=True)
class Begun:
    """An upload in parts that was begun: what is needed to go on with it."""

    upload_id: str
    part_size_bytes: int


@dataclass(frozen=True)
class Watch:
    """Who wants to know how an upload goes.

    :param begun: told once the server knows the upload, and None when it was given up.
    :param sent: told the number of bytes, after each part.
    :param pulse: called at least every 0.1 s by the thread that uploads; what it raises ends it.
    """

    begun: Callable[[Begun | None], None]
    sent: Callable[[int], None]
    pulse: Callable[[], None]


class Upload:
    """One file on its way to one object.

    :param contents: size and checksums of the file when it was hashed.
    :param mtime_ns: its modification time then; a file that has changed since is not sent.
    """

    def __init__(
        self, store: Store, path: Path, key: str, contents: Contents, mtime_ns: int, watch: Watch
    ) -> None:
        self._store = store
        self._path = path
        self._key = key
        self._contents = contents
        self._mtime_ns = mtime_ns
        self._watch = watch
        self._stop = threading.Event()
        self._where = {"Bucket": store.settings.bucket, "Key": key}
        self._crc32c = base64.b64encode(bytes.fromhex(contents.crc32c)).decode()

    def run(self, begun: Begun | None = None) -> None:
        """Send the file; what `begun` an earlier time is gone on with.

        :raises AlreadyThereError: if an object of this name appeared meanwhile.
        :raises StagerError: naming what the file or the server lacks.
        """
        try:
            descriptor = os.open(self._path, os.O_RDONLY)
        except OSError as error:
            raise FileError(f"{self._path} cannot be read: {error.strerror}") from error
        threads = self._store.settings.parallel_parts
        pool = ThreadPoolExecutor(threads, thread_name_prefix="upload")
        try:
            self._require_unchanged(descriptor)
            whole_bytes = self._store.settings.part_size_mib * MIB
            if begun is None and self._contents.size_bytes <= whole_bytes:
                self._await(pool.submit(self._put, descriptor))
            else:
                self._send_in_parts(pool, descriptor, begun)
        finally:
            self._stop.set()  # whatever is being sent ends at its next read
            pool.shutdown(wait=True, cancel_futures=True)
            os.close(descriptor)

    def _require_unchanged(self, descriptor: int) -> None:
        status = os.fstat(descriptor)
        if (status.st_size, status.st_mtime_ns) != (self._contents.size_bytes, self._mtime_ns):
            raise FileError(
                f"{self._path.name} has changed since it was hashed "
                f"({self._contents.size_bytes} bytes then, {status.st_size} now); not uploaded"
            )

    def _put(self, descriptor: int) -> None:
        whole = Part(1, 0, self._contents.size_bytes)
        with self._translated(f"sending {self._path.name}"):
            self._store.client.put_object(
                **self._where,
                Body=self._body(descriptor, whole) if whole.size_bytes else b"",
                ContentLength=whole.size_bytes,
                ChecksumCRC32C=self._crc32c,
                IfNoneMatch="*",
                Metadata=self._metadata,
            )
        self._watch.sent(whole.size_bytes)

    def _body(self, descriptor: int, part: Part) -> PartBody:
        return PartBody(descriptor, part, self._stop, self._store.limiter)

    @property
    def _metadata(self) -> dict[str, str]:
        return {"sha256": self._contents.sha256}

    def _send_in_parts(
        self, pool: ThreadPoolExecutor, descriptor: int, begun: Begun | None
    ) -> None:
        there: dict[int, dict[str, Any]] | None = None
        if begun is not None:
            there = self._parts_there(begun)
            if there is None:
                self._watch.begun(None)
                begun = None
        if begun is None:
            begun, there = self._begin(), {}
        parts = cut(self._contents.size_bytes, begun.part_size_bytes)
        try:
            done = self._send_parts(pool, descriptor, begun, parts, there or {})
            reached("parts-done")
            self._require_unchanged(descriptor)
            self._complete(begun, done)
        except StoreError as error:
            cause = error.__cause__
            if isinstance(error, AlreadyThereError) or (
                isinstance(cause, ClientError)
                and error_code(cause) in ("NoSuchUpload", "BadDigest", "InvalidPart")
            ):
                give_up(self._store, self._key, begun)
                self._watch.begun(None)
            raise

    def _begin(self) -> Begun:
        wanted = self._store.settings.part_size_mib * MIB
        size = part_size(self._contents.size_bytes, wanted)
        with self._translated(f"beginning to send {self._path.name}"):
            reply = self._store.client.create_multipart_upload(
                **self._where,
                ChecksumAlgorithm="CRC32C",
                # The server then computes the CRC32C of the whole object, which is the file's.
                ChecksumType="FULL_OBJECT",
                Metadata=self._metadata,
            )
        reached("upload-created")
        begun = Begun(str(reply["UploadId"]), size)
        self._watch.begun(begun)
        reached("upload-begun")
        return begun

    def _parts_there(self, begun: Begun) -> dict[int, dict[str, Any]] | None:
        """Return the parts that the server has, None if it does not know the upload."""
        try:
            with self._translated(f"asking for parts of {self._path.name}"):
                pages = self._store.client.get_paginator("list_parts").paginate(
                    **self._where, UploadId=begun.upload_id
                )
                return {
                    int(part["PartNumber"]): part
                    for page in pages
                    for part in page.get("Parts", ())
                }
        except StoreError as error:
            cause = error.__cause__
            if isinstance(cause, ClientError) and error_code(cause) == "NoSuchUpload":
                return None
            raise

    def _send_parts(
        self,
        pool: ThreadPoolExecutor,
        descriptor: int,
        begun: Begun,
        parts: list[Part],
        there: dict[int, dict[str, Any]],
    ) -> list[dict[str, Any]]:
        done: list[dict[str, Any]] = []
        waiting = iter(parts)
        running: set[Future[tuple[Part, dict[str, Any]]]] = set()
        while len(done) < len(parts):
            # A few at a time: 10,000 futures would keep 10,000 results waiting.
            while len(running) < 2 * self._store.settings.parallel_parts:
                part = next(waiting, None)
                if part is None:
                    break
                running.add(
                    pool.submit(self._send_part, descriptor, begun, part, there.get(part.number))
                )
            finished, running = wait(running, _PULSE_S, FIRST_COMPLETED)
            self._watch.pulse()
            for future in finished:
                part, entry = future.result()
                done.append(entry)
                self._watch.sent(part.size_bytes)
                reached("part-done")
        return sorted(done, key=lambda entry: int(entry["PartNumber"]))

    def _send_part(
        self, descriptor: int, begun: Begun, part: Part, there: dict[str, Any] | None
    ) -> tuple[Part, dict[str, Any]]:
        checked = sums(descriptor, part, self._stop, with_md5=there is not None)
        if there is not None and _is_same(there, part, checked):
            etag = there["ETag"]
        else:
            with self._translated(f"sending part {part.number} of {self._path.name}"):
                reply = self._store.client.upload_part(
                    **self._where,
                    UploadId=begun.upload_id,
                    PartNumber=part.number,
                    Body=self._body(descriptor, part),
                    ContentLength=part.size_bytes,
                    ChecksumCRC32C=checked.crc32c,
                )
            etag = reply["ETag"]
        return part, {"PartNumber": part.number, "ETag": etag, "ChecksumCRC32C": checked.crc32c}

    def _complete(self, begun: Begun, done: list[dict[str, Any]]) -> None:
        with self._translated(f"completing {self._path.name}"):
            self._store.client.complete_multipart_upload(
                **self._where,
                UploadId=begun.upload_id,
                MultipartUpload={"Parts": done},
                ChecksumCRC32C=self._crc32c,
                ChecksumType="FULL_OBJECT",
                IfNoneMatch="*",
            )

    @contextmanager
    def _translated(self, doing: str) -> Iterator[None]:
        try:
            with self._store.translated(doing):
                yield
        except StagerError as error:
            cause = error.__cause__
            if self._stop.is_set():
                raise Stopped("asked to end") from error
            if isinstance(cause, ClientError) and error_code(cause) in _EXISTS_ALREADY:
                raise AlreadyThereError(f"{doing}: an object of this name exists") from cause
            raise

    def _await(self, future: "Future[None]") -> None:
        while not future.done():
            wait([future], _PULSE_S)
            self._watch.pulse()
        future.result()


def _is_same(there: dict[str, Any], part: Part, local: PartSums) -> bool:
    """Tell whether the server's part is ours: by its CRC32C, else by its ETag, which is its MD5."""
    if int(there["Size"]) != part.size_bytes:
        return False
    if there.get("ChecksumCRC32C"):
        return bool(there["ChecksumCRC32C"] == local.crc32c)
    return bool(str(there["ETag"]).strip('"') == local.md5)


def give_up(store: Store, key: str, begun: Begun) -> None:
    """Let the server forget the parts of an upload that can never become our object."""
    with suppress(StoreError), store.translated("giving up an upload"):  # or it did already
        store.client.abort_multipart_upload(
            Bucket=store.settings.bucket, Key=key, UploadId=begun.upload_id
        )


def abandon_strays(store: Store, key: str) -> None:
    """Let the server forget uploads of this key that were begun but whose ids were never noted.

    A stager that died between beginning an upload and noting it leaves one.
    """
    # They cost room on the server, nothing else; and who may write may lack the right to list.
    with suppress(StoreError), store.translated(f"looking for unfinished uploads of {key}"):
        reply = store.client.list_multipart_uploads(Bucket=store.settings.bucket, Prefix=key)
        for upload in reply.get("Uploads", ()):
            if upload["Key"] == key:
                give_up(store, key, Begun(str(upload["UploadId"]), 0))
