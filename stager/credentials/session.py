"""Temporary keys: a token, turned into a session by STS, renewed before it ends.

Source: AWS STS, ``AssumeRoleWithWebIdentity``; Ceph RGW and SeaweedFS have the same call.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

import botocore.credentials
import botocore.session
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, SSLError

from stager.credentials.tokens import Token, TokenSource
from stager.errors import CredentialsError, IssuerError
from stager.masking import hide, mask

_SESSION_NAME: Final = "cygno-stager"
_RETRY_S: Final = 5.0
"""Wait between two tries of an early renewal; the present keys are good meanwhile."""
_UNTOLD_S: Final = 900.0
_TOKEN_REFUSED: Final = (
    "ExpiredTokenException",
    "ExpiredToken",
    "InvalidIdentityToken",
    "InvalidParameterValue",  # SeaweedFS: wrong audience or signature
    "AccessDenied",  # SeaweedFS: an issuer that it does not trust, or an unknown role
    "IDPRejectedClaim",
)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StsPlace:
    """Where STS is, and what it is asked for.

    :param duration_s: life of a session; 0: as STS wants it.
    """

    endpoint: str
    region: str
    role_arn: str
    duration_s: int
    ca_file: str
    timeout_s: float


@dataclass(frozen=True, repr=False)
class _Keys:
    frozen: botocore.credentials.ReadOnlyCredentials
    born_s: float
    """When they were fetched, and when they end, on `time.monotonic`."""
    end_s: float

    def left(self) -> float:
        """Return which part of their life is left."""
        return (self.end_s - time.monotonic()) / max(self.end_s - self.born_s, 1e-3)


class SessionCredentials:
    """Temporary keys that are always good when they are asked for; shared by all threads.

    When two thirds of their life are over, one thread fetches new ones; if that fails, the present
    ones go on being used until a tenth is left. Ends are reckoned from the server's clock, so that
    a wrong clock here does no harm.

    :param tokens: who names us to STS.
    :param ask: for tests: asks STS; None: the real one.
    """

    def __init__(
        self,
        tokens: TokenSource,
        place: StsPlace,
        ask: Callable[[Token], dict[str, Any]] | None = None,
    ) -> None:
        self._tokens = tokens
        self._place = place
        self._ask = ask or self._assume_role
        self._keys: _Keys | None = None
        self._lock = threading.Lock()
        self._client: Any = None
        self._try_again_s = 0.0
        self._described = "a token"

    def __repr__(self) -> str:
        return f"SessionCredentials({self.shown}, {self._place.role_arn}, {self._place.endpoint})"

    @property
    def source(self) -> str:
        """Where they come from, for messages."""
        role = self._place.role_arn or "the default role"
        return f"STS {self._place.endpoint} ({role}, with {self._described})"

    @property
    def shown(self) -> str:
        """What may be shown of the present access key."""
        return mask(str(self._keys.frozen.access_key)) if self._keys else "(none yet)"

    def for_botocore(self) -> botocore.credentials.Credentials:
        """Return what botocore asks before it signs each request. Fetches the first keys."""
        self.keys()
        return _Renewing(self)

    def keys(self) -> botocore.credentials.ReadOnlyCredentials:
        """Return keys that are good for a while.

        :raises CredentialsError: if there are none, saying who refused what.
        """
        present = self._keys
        if present is None or present.left() < 0.1:
            with self._lock:
                present = self._keys
                if present is None or present.left() < 0.1:  # nobody else was faster
                    present = self._fetch()
        elif present.left() < 1 / 3 and time.monotonic() > self._try_again_s:
            if self._lock.acquire(blocking=False):
                try:
                    present = self._fetch()
                except CredentialsError as error:
                    self._try_again_s = time.monotonic() + _RETRY_S
                    log.warning("keys for S3 could not be renewed early: %s", error)
                finally:
                    self._lock.release()
        return present.frozen

    def renew(self) -> bool:
        """Fetch new keys: the server refused the present ones before their end."""
        refused = self._keys
        with self._lock:
            if self._keys is refused:
                self._fetch()
        return True

    def _fetch(self) -> _Keys:
        token = self._tokens.token()
        self._described = f"the token from {token.source}"
        try:
            reply = self._ask(token)
        except ClientError as error:
            # A token that was good when it was kept may have been revoked: one new one is tried.
            self._tokens.forget()
            fresh = self._tokens.token()
            if fresh.value == token.value:
                raise self._explain(error, token) from error
            token = fresh
            try:
                reply = self._ask(token)
            except ClientError as again:
                raise self._explain(again, token) from again
        self._keys = _read_reply(reply)
        self._try_again_s = 0.0
        return self._keys

    def _assume_role(self, token: Token) -> dict[str, Any]:
        place = self._place
        try:
            if self._client is None:
                self._client = botocore.session.Session().create_client(
                    "sts",
                    region_name=place.region,
                    endpoint_url=place.endpoint,
                    verify=place.ca_file or None,
                    config=Config(
                        signature_version=UNSIGNED,
                        connect_timeout=place.timeout_s,
                        read_timeout=place.timeout_s,
                        retries={"mode": "standard", "total_max_attempts": 2},
                        proxies={} if "//127.0.0.1" in place.endpoint else None,
                    ),
                )
            asked: dict[str, Any] = (
                {"DurationSeconds": place.duration_s} if place.duration_s else {}
            )
            reply: dict[str, Any] = self._client.assume_role_with_web_identity(
                RoleArn=place.role_arn,
                RoleSessionName=_SESSION_NAME,
                WebIdentityToken=token.value,
                **asked,
            )
        except SSLError as error:
            raise CredentialsError(
                f"the certificate of STS {place.endpoint} is not trusted: {_first(error)}; name "
                "its authority with CYGNO_S3_CA_FILE"
            ) from error
        except (BotoCoreError, ValueError) as error:
            raise IssuerError(
                f"STS {place.endpoint} cannot be asked for keys: {_first(error)}; is it running, "
                "and is this its address (CYGNO_S3_STS_ENDPOINT)?"
            ) from error
        return reply

    def _explain(self, error: ClientError, token: Token) -> CredentialsError:
        place = self._place
        code = str(error.response.get("Error", {}).get("Code", ""))
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        message = str(error.response.get("Error", {}).get("Message", ""))
        said = f"{code}, HTTP {status}{f': {message}' if message else ''}"
        if status >= 500:
            return IssuerError(f"STS {place.endpoint} failed ({said}): look there, or wait")
        hint = "ask who runs it"
        if code.startswith("ExpiredToken") or token.expired_s > 0:
            hint = "the token has expired; if it should not have, compare the clocks"
        elif code in _TOKEN_REFUSED:
            hint = (
                "it must trust this issuer and audience, and this role must admit us: compare with "
                "CYGNO_OIDC_ISSUER, CYGNO_OIDC_AUDIENCE and CYGNO_S3_ROLE_ARN"
            )
        elif "PolicyDocument" in code or code == "ValidationError":
            hint = "look at CYGNO_S3_ROLE_ARN and CYGNO_S3_SESSION_DURATION_S"
        return CredentialsError(
            f"STS {place.endpoint} gave no keys for {place.role_arn} to the token from "
            f"{token.source} {token.described} ({said}): {hint}"
        )


class _Renewing(botocore.credentials.Credentials):
    """Botocore's view of a session: it asks for keys whenever it signs."""

    def __init__(self, session: SessionCredentials) -> None:
        # Whoever takes them without freezing takes nothing: they would grow stale there.
        super().__init__("", "", "")
        self._session = session
        self.method = "assume-role-with-web-identity"

    def __repr__(self) -> str:
        return repr(self._session)

    def get_frozen_credentials(self) -> botocore.credentials.ReadOnlyCredentials:
        """Return keys that are good now."""
        return self._session.keys()


def _read_reply(reply: dict[str, Any]) -> _Keys:
    """Return the keys of an answer of STS; their end by the server's own clock."""
    given = reply["Credentials"]
    frozen = botocore.credentials.ReadOnlyCredentials(
        given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"]
    )
    hide(given["AccessKeyId"], mask(given["AccessKeyId"]))
    hide(given["SecretAccessKey"])
    hide(given["SessionToken"])
    moment = time.monotonic()
    headers = reply.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    try:
        there = parsedate_to_datetime(headers["date"])
    except (KeyError, ValueError):
        there = datetime.now(UTC)
    end = given.get("Expiration")
    life_s = (end - there).total_seconds() if isinstance(end, datetime) else _UNTOLD_S
    return _Keys(frozen, moment, moment + max(life_s, 1.0))


def _first(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
