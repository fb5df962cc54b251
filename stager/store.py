"""The S3 bucket: ask what is there, and say in words what the server refuses."""

import base64
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any, Final
from urllib.parse import urlsplit

import botocore.loaders
import botocore.session
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    ReadTimeoutError,
    SSLError,
)

from rawdata.checksum import crc32c
from stager.bandwidth import Limiter, parse_schedule
from stager.credentials import KeySource
from stager.errors import CredentialsError, StagerError, StoreError, StoreUnusableError
from stager.settings import StagerSettings

_READ_BYTES: Final = 1 << 20

_KEY_ERRORS: Final = {
    "SignatureDoesNotMatch": "the secret key is wrong",
    "InvalidAccessKeyId": "the access key is not known there",
    "ExpiredToken": "the keys have expired",
    "InvalidToken": "the session token is not valid",
}
_ENDED: Final = ("ExpiredToken", "ExpiredTokenException", "InvalidToken", "InvalidAccessKeyId")
_DIGEST_ERRORS: Final = ("BadDigest", "InvalidDigest", "XAmzContentSHA256Mismatch")


@dataclass(frozen=True)
class RemoteObject:
    """What the server says of one object.

    :param crc32c: hexadecimal CRC32C, of the whole object, or None.
    :param composite: CRC32C over the CRC32Cs of the parts, as the server wrote it, or None.
    :param sha256: what the uploader wrote into the metadata: a claim, not a proof.
    """

    key: str
    size_bytes: int
    crc32c: str | None
    composite: str | None
    sha256: str | None
    etag: str


@dataclass(frozen=True)
class Contents:
    """Size and checksums of some bytes, hexadecimal."""

    size_bytes: int
    sha256: str
    crc32c: str


@dataclass(frozen=True)
class Store:
    """One bucket of one server."""

    settings: StagerSettings
    credentials: KeySource
    client: Any = field(repr=False)
    limiter: Limiter = field(repr=False)
    """Shared by all that is sent to it."""

    @property
    def shown(self) -> str:
        """Server and bucket, for messages."""
        return f"{self.settings.endpoint} bucket {self.settings.bucket}"

    def object_name(self, key: str) -> str:
        """Return an object's name, for messages."""
        return f"s3://{self.settings.bucket}/{key}"

    def check(self) -> None:
        """Ask the server for its bucket, so that what ails all files is said once.

        :raises CredentialsError: if the keys are refused.
        :raises StoreUnusableError: if the server does not answer or has no such bucket.
        """
        try:
            with self.translated("listing the bucket"):
                reply = self.client.list_objects_v2(
                    Bucket=self.settings.bucket, Prefix=f"{self.settings.tag}/", MaxKeys=1
                )
        except StoreError as error:
            cause = error.__cause__
            denied = isinstance(cause, ClientError) and error_code(cause) == "AccessDenied"
            if not denied:  # who may write may lack the right to list
                raise
            return
        if "Name" not in reply and "IsTruncated" not in reply:
            raise StoreUnusableError(
                f"{self.settings.endpoint} answers, but not as an S3 server does: is this its "
                "address?"
            )

    def find(self, key: str) -> RemoteObject | None:
        """Ask for size and checksum of an object; None if there is none."""
        try:
            with self.translated(f"asking for {self.object_name(key)}"):
                reply = self.client.head_object(
                    Bucket=self.settings.bucket, Key=key, ChecksumMode="ENABLED"
                )
        except StoreError as error:
            cause = error.__cause__
            # The answer to HEAD has no body, so all it says is the number.
            if isinstance(cause, ClientError) and _status(cause) == 404:
                return None
            raise
        checksum = str(reply.get("ChecksumCRC32C", ""))
        composite = "-" in checksum
        return RemoteObject(
            key=key,
            size_bytes=int(reply["ContentLength"]),
            crc32c=base64.b64decode(checksum).hex() if checksum and not composite else None,
            composite=checksum if composite else None,
            sha256=reply.get("Metadata", {}).get("sha256"),
            etag=str(reply.get("ETag", "")),
        )

    def read_back(self, key: str, progress: Callable[[int], None]) -> Contents:
        """Read an object and return what it holds."""
        sha256, crc, size = hashlib.sha256(), 0, 0
        with self.translated(f"reading {self.object_name(key)} back"):
            reply = self.client.get_object(Bucket=self.settings.bucket, Key=key)
            for block in reply["Body"].iter_chunks(_READ_BYTES):
                sha256.update(block)
                crc = crc32c(block, crc)
                size += len(block)
                progress(len(block))
        return Contents(size, sha256.hexdigest(), f"{crc:08x}")

    @contextmanager
    def translated(self, doing: str) -> Iterator[None]:
        """Turn what botocore raises into one line for operators; the cause is kept."""
        try:
            yield
        except (ClientError, BotoCoreError) as error:
            raise self._explain(error, doing) from error

    def _explain(self, error: ClientError | BotoCoreError, doing: str) -> StagerError:
        if isinstance(error, ClientError):
            return self._explain_refusal(error, doing)
        inner = getattr(error, "kwargs", {}).get("error")
        if isinstance(inner, StagerError):  # raised by the body of a request while it was sent
            return inner
        if isinstance(error, SSLError):
            return StoreUnusableError(
                f"the certificate of {self.settings.endpoint} is not trusted: {_first(error)}; "
                "name its authority with CYGNO_S3_CA_FILE"
            )
        if isinstance(error, (ReadTimeoutError, ConnectTimeoutError)):
            limit = (
                self.settings.read_timeout_s
                if isinstance(error, ReadTimeoutError)
                else self.settings.connect_timeout_s
            )
            return StoreUnusableError(
                f"the S3 server {self.settings.endpoint} did not answer within {limit:g} s, "
                f"{doing}; it is overloaded, down or behind a firewall"
            )
        if isinstance(error, (EndpointConnectionError, ConnectionClosedError, HTTPClientError)):
            return StoreUnusableError(
                f"the S3 server {self.settings.endpoint} cannot be reached, {doing}: is it running,"
                " and is this its address?"
            )
        return StoreError(f"{doing} failed: {_first(error)}")

    def _explain_refusal(self, error: ClientError, doing: str) -> StagerError:
        code, status = error_code(error), _status(error)
        said = f"{code}, HTTP {status}"
        if code == "RequestTimeTooSkewed":
            return StoreUnusableError(
                f"{self.settings.endpoint} takes no requests signed by this computer's clock"
                f"{_shown_skew(error)} ({said}); let it be set: timedatectl set-ntp true, or "
                "chronyc makestep"
            )
        if code in _KEY_ERRORS or (status == 403 and code == "403"):
            why = _KEY_ERRORS.get(code, "the keys are wrong or lack the right")
            return CredentialsError(
                f"{self.settings.endpoint} refused the keys {self.credentials.shown} "
                f"from {self.credentials.source}: {why} ({said})"
            )
        if code == "AccessDenied":
            return StoreError(
                f"{doing}: the keys {self.credentials.shown} from "
                f"{self.credentials.source} lack the right to it in {self.shown} ({said})"
            )
        if code == "NoSuchBucket":
            return StoreUnusableError(
                f"{self.settings.endpoint} has no bucket {self.settings.bucket}: make it, or name "
                "another with CYGNO_S3_BUCKET"
            )
        if code in _DIGEST_ERRORS:
            return StoreError(
                f"{doing}: the server received other bytes than were sent ({said}); it kept none"
            )
        if status >= 500 or code in ("SlowDown", "InternalError"):
            return StoreUnusableError(
                f"{doing}: {self.settings.endpoint} failed ({said}); it is overloaded or its disk "
                "is full: look there"
            )
        if "quota" in code.lower():
            return StoreUnusableError(f"{doing}: the quota of {self.shown} is used up ({said})")
        return StoreError(f"{doing}: {self.settings.endpoint} refused ({said}): {_first(error)}")


def open_store(settings: StagerSettings, credentials: KeySource) -> Store:
    """Return the bucket; nothing is sent yet.

    :raises StoreUnusableError: if the endpoint is missing or is no URL.
    """
    if not settings.endpoint:
        raise StoreUnusableError(
            "no S3 server is named: give --endpoint URL, CYGNO_S3_ENDPOINT, or Endpoint in "
            "/Equipment/Stager/Settings"
        )
    if settings.ca_file and not os.access(settings.ca_file, os.R_OK):
        raise StoreUnusableError(
            f"the certificates in {settings.ca_file} cannot be read: set CYGNO_S3_CA_FILE to a "
            "file in PEM format, or to nothing for the system's"
        )
    # A proxy in the environment is for the world outside, not for a server on this computer.
    address = urlsplit(settings.endpoint)
    local = address.hostname in ("127.0.0.1", "localhost", "::1")
    config = Config(
        # Each request signs the CRC32C of its body, which the server compares with the body. Where
        # nobody can change both on the way, a SHA-256 of the body says nothing more, and costs as
        # much as sending it.
        s3={
            "addressing_style": "path",
            "payload_signing_enabled": not (local or address.scheme == "https"),
        },
        signature_version="s3v4",
        connect_timeout=settings.connect_timeout_s,
        read_timeout=settings.read_timeout_s,
        retries={"mode": "standard", "total_max_attempts": settings.attempts},
        max_pool_connections=settings.parallel_files * (settings.parallel_parts + 1),
        proxies={} if local else None,
    )
    try:
        session = botocore.session.Session()
        session.register_component("data_loader", _loader())
        session.register_component("credential_provider", _OneProvider(credentials))
        client = session.create_client(
            "s3",
            region_name=settings.region,
            endpoint_url=settings.endpoint,
            config=config,
            verify=settings.ca_file or None,
        )
    except (ValueError, BotoCoreError) as error:
        raise StoreUnusableError(
            f"the endpoint {settings.endpoint!r} cannot be used: {_first(error)}; wanted a URL such"
            " as https://s3.example.org:7480"
        ) from error
    client.meta.events.register_first("needs-retry.s3", _renewal(credentials))
    return Store(settings, credentials, client, Limiter(parse_schedule(settings.bandwidth)))


class _OneProvider:
    """What botocore takes for its search for keys: ours, and no other's."""

    def __init__(self, credentials: KeySource) -> None:
        self._credentials = credentials

    def load_credentials(self) -> Any:
        """Return the keys."""
        return self._credentials.for_botocore()


def _renewal(credentials: KeySource) -> Callable[..., Any]:
    """Return a hook that, where keys were refused, renews them and sends the request again, once.

    A session may end before its time: it was revoked, or the server forgot it.
    """

    def renew(response: Any, request_dict: dict[str, Any], **_: Any) -> float | None:
        refused = response and response[1].get("Error", {}).get("Code") in _ENDED
        # The answer to HEAD has no body, so it may only say 403.
        refused = refused or (
            response and response[0].status_code == 403 and request_dict["method"] == "HEAD"
        )
        if not refused or request_dict["context"].get("keys_renewed"):
            return None
        request_dict["context"]["keys_renewed"] = True
        return 0.0 if credentials.renew() else None

    return renew


@cache
def _loader() -> Any:
    """Return the reader of botocore's service descriptions: megabytes of JSON, read once."""
    return botocore.loaders.Loader()


def error_code(error: ClientError) -> str:
    """Return the code that the server gave, such as ``NoSuchBucket``."""
    return str(error.response.get("Error", {}).get("Code", ""))


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _shown_skew(error: ClientError) -> str:
    """Return by how much the clocks differ, as far as the server's answer tells."""
    headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    try:
        there = parsedate_to_datetime(headers["date"])
    except (KeyError, ValueError):
        return ", which differs too much from its own"
    ahead_s = (datetime.now(UTC) - there).total_seconds()
    return f", which is {abs(ahead_s):.0f} s {'ahead of' if ahead_s > 0 else 'behind'} its own"


def _first(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
