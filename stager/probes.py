"""Try every place out: issuer, token, STS, the bucket's rights with a small object, clocks."""

import secrets
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

from botocore.exceptions import ClientError

from rawdata.checksum import crc32c
from stager.configuration import Configuration
from stager.credentials.choose import issuer_of, token_source
from stager.errors import CredentialsError, StagerError, StoreError
from stager.findings import Finding, caught, fail, ok, skipped, warn
from stager.places.configured import PlaceConfiguration
from stager.places.opened import open_place, own_configuration
from stager.places.wording import in_words_of
from stager.store import Store, error_code, open_store

PROBE: Final = b"cygno-stager doctor: this object may be deleted\n"
_CLOCK_WARN_S: Final = 30.0
_CLOCK_FAIL_S: Final = 840.0
"""S3 refuses requests that are 900 s off."""
_SLOW_S: Final = 2.0
_KNOWS_ISSUER: Final = ("client-credentials", "refresh-token", "oidc-agent")


def check_place(configuration: Configuration, place: PlaceConfiguration) -> Iterator[Finding]:
    """Try a place out, from its credentials to its rights."""
    for finding in _check_place(configuration, place):
        seen, mend = (in_words_of(place.name, text) for text in (finding.seen, finding.mend))
        yield replace(finding, seen=seen, mend=mend)


def _check_place(configuration: Configuration, place: PlaceConfiguration) -> Iterator[Finding]:
    name = place.name
    if place.settings.kind != "s3":
        yield from caught(name, lambda: _check_other(configuration, place))
        return
    own = own_configuration(configuration, place)
    has_keys = True
    for finding in caught(f"{name}: keys", lambda: _check_keys(own, name)):
        has_keys = has_keys and finding.mood != "fail"
        yield finding
    if not has_keys:
        yield skipped(f"{name}: bucket", "there are no keys to ask with")
        return
    yield from caught(f"{name}: bucket", lambda: _check_bucket(own, name))


def _check_other(configuration: Configuration, place: PlaceConfiguration) -> Iterator[Finding]:
    opened = open_place(configuration, place)
    yield ok(place.name, f"{place.settings.kind} {opened.location} answers")


def _check_keys(own: Configuration, name: str) -> Iterator[Finding]:
    settings = own.settings
    if settings.credentials != "static":
        yield from _check_token(own, name)
    began = time.monotonic()
    credentials = own.credentials()
    frozen = credentials.for_botocore().get_frozen_credentials()
    took_s = time.monotonic() - began
    kind = "keys" if settings.credentials == "static" else "session"
    if not frozen.access_key:
        raise CredentialsError("the keys are empty; give AWS_ACCESS_KEY_ID")
    seen = f"{credentials.shown} from {credentials.source}"
    if took_s > _SLOW_S:
        yield warn(f"{name}: {kind}", f"{seen}, after {took_s:.1f} s", "STS is slow: look there")
    else:
        yield ok(f"{name}: {kind}", seen)


def _check_token(own: Configuration, name: str) -> Iterator[Finding]:
    settings = own.settings
    if settings.credentials in _KNOWS_ISSUER and settings.issuer:
        endpoint = issuer_of(settings).endpoint("token_endpoint")
        yield ok(f"{name}: issuer", f"{settings.issuer} gives tokens at {endpoint}")
    token = token_source(settings, own.environment).token()
    if settings.audience and settings.audience not in str(token.claims.get("aud", "")):
        yield warn(
            f"{name}: token",
            f"a token {token.described}, not for {settings.audience}",
            "let the issuer give tokens for CYGNO_OIDC_AUDIENCE",
        )
    else:
        yield ok(f"{name}: token", f"from {token.source}, {token.described}")


@dataclass
class _Probe:
    """A small object of our own, and what became of it."""

    store: Store
    name: str
    key: str = field(init=False)
    date: str = ""
    """The server's clock, from its last answer."""

    def __post_init__(self) -> None:
        host = socket.gethostname().partition(".")[0][:40]
        self.key = f"{self.store.settings.tag}/.doctor-{host}-{secrets.token_hex(4)}"

    def ask(self, doing: str, call: str, **arguments: Any) -> dict[str, Any]:
        """Send one request about it."""
        where = {"Bucket": self.store.settings.bucket, "Key": self.key}
        with self.store.translated(f"{doing} {self.store.object_name(self.key)}"):
            reply: dict[str, Any] = getattr(self.store.client, call)(**where, **arguments)
        headers = reply.get("ResponseMetadata", {}).get("HTTPHeaders", {})
        self.date = headers.get("date", self.date)
        return reply


def _check_bucket(own: Configuration, name: str) -> Iterator[Finding]:
    store = open_store(own.settings, own.credentials())
    began = time.monotonic()
    store.check()
    took_ms = 1e3 * (time.monotonic() - began)
    yield ok(f"{name}: bucket", f"{store.shown} answers in {took_ms:.0f} ms")
    probe = _Probe(store, name)
    try:
        probe.ask("writing", "put_object", Body=PROBE, ChecksumAlgorithm="CRC32C")
    except StoreError as error:
        yield fail(f"{name}: write", str(error), "allow s3:PutObject to these keys, in this bucket")
        return
    yield ok(f"{name}: write", f"{len(PROBE)} bytes as {probe.key}")
    yield from caught(f"{name}: read", lambda: _read(probe))
    yield from _multipart(probe)
    yield from _delete(probe)
    yield _clock(probe)


def _read(probe: _Probe) -> Iterator[Finding]:
    remote = probe.store.find(probe.key)
    if remote is None or remote.size_bytes != len(PROBE):
        yield fail(
            f"{probe.name}: read",
            f"{probe.key} was written, but the server does not have it as it was",
            "look at the server's log",
        )
        return
    if remote.crc32c != f"{crc32c(PROBE):08x}":
        yield warn(
            f"{probe.name}: checksum",
            "the server keeps no CRC32C of objects",
            "each file will be read back to be verified, which takes its time",
        )
    else:
        yield ok(f"{probe.name}: checksum", f"the server's CRC32C is right: {remote.crc32c}")
    contents = probe.store.read_back(probe.key, lambda _: None)
    if contents.crc32c == f"{crc32c(PROBE):08x}":
        yield ok(f"{probe.name}: read", "it reads back as it was written")
    else:
        yield fail(f"{probe.name}: read", "other bytes came back", "look at the server's disk")


def _multipart(probe: _Probe) -> Iterator[Finding]:
    try:
        reply = probe.ask("beginning an upload of", "create_multipart_upload")
        probe.ask("giving up an upload of", "abort_multipart_upload", UploadId=reply["UploadId"])
    except StoreError as error:
        yield fail(
            f"{probe.name}: multipart",
            str(error),
            "large files go in parts: allow s3:PutObject and s3:AbortMultipartUpload",
        )
    else:
        yield ok(f"{probe.name}: multipart", "an upload in parts can be begun and given up")


def _delete(probe: _Probe) -> Iterator[Finding]:
    check = f"{probe.name}: delete"
    try:
        probe.ask("deleting", "delete_object")
    except StagerError as error:
        cause = error.__cause__
        if isinstance(cause, ClientError) and error_code(cause) == "AccessDenied":
            yield ok(check, f"these keys may not delete, which is safe; {probe.key} stays there")
        else:
            yield warn(check, str(error), f"delete {probe.key} by hand")
    else:
        yield ok(check, "the probe is gone")


def _clock(probe: _Probe) -> Finding:
    """Compare our clock with that of the server's answers."""
    check = f"{probe.name}: clock"
    try:
        there = parsedate_to_datetime(probe.date)
    except (TypeError, ValueError):
        return skipped(check, "the server does not tell the time")
    return clock_finding(check, (datetime.now(UTC) - there).total_seconds())


def clock_finding(check: str, ahead_s: float) -> Finding:
    """Say how far our clock is ahead of a server's."""
    seen = f"{abs(ahead_s):.0f} s {'ahead of' if ahead_s > 0 else 'behind'} the server"
    mend = "set this computer's clock: timedatectl set-ntp true, or chronyc makestep"
    if abs(ahead_s) >= _CLOCK_FAIL_S:
        return fail(check, seen, mend)
    if abs(ahead_s) >= _CLOCK_WARN_S:
        return warn(check, seen, mend)
    return ok(check, "as the server's, to some seconds" if abs(ahead_s) < 2 else seen)
