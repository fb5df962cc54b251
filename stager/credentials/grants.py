"""Tokens that we fetch ourselves from an issuer: as a client, or with a refresh token."""

import fcntl
import json
import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from stager.credentials.issuer import Client, Issuer, RefusedError
from stager.credentials.private import read_private, write_private
from stager.credentials.tokens import Token
from stager.errors import CredentialsError
from stager.masking import hide

log = logging.getLogger(__name__)

_UNTOLD_S: Final = 300.0
"""Life of a token where the issuer does not tell it."""
_USED: Final = 0.7
"""Part of a token's life after which a new one is fetched."""


@dataclass
class _Kept:
    """The last token, for as long as it is good."""

    token: Token | None = None
    until_s: float = 0.0

    def get(self) -> Token | None:
        return self.token if time.monotonic() < self.until_s else None

    def put(self, reply: dict[str, Any], source: str) -> Token:
        life_s = float(reply.get("expires_in") or _UNTOLD_S)
        self.token = Token(str(reply["access_token"]), source)
        self.until_s = time.monotonic() + _USED * life_s
        return self.token


@dataclass
class ClientTokens:
    """Tokens for a service that is its own person: grant ``client_credentials``."""

    issuer: Issuer
    client: Client
    audience: str
    scopes: tuple[str, ...]
    _kept: _Kept = field(default_factory=_Kept, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def token(self) -> Token:
        """Return the last token while it is good, else fetch one."""
        with self._lock:
            kept = self._kept.get()
            if kept:
                return kept
            # Scopes that concern a person make no sense here, and some issuers refuse them.
            scopes = [s for s in self.scopes if s not in ("openid", "offline_access", "profile")]
            reply = self.issuer.ask_for_token(
                self.client,
                grant_type="client_credentials",
                scope=" ".join(scopes),
                audience=self.audience,
                resource=self.audience if "://" in self.audience else "",
            )
            return self._kept.put(reply, f"{self.issuer.url} (client {self.client.id})")

    def forget(self) -> None:
        """Fetch a new one the next time."""
        self._kept = _Kept()


@dataclass(frozen=True)
class RefreshFile:
    """Where a refresh token is kept, between starts and after each rotation."""

    path: Path

    def read(self) -> str:
        """Return it: from JSON as `write` makes it, or the bare token.

        :raises CredentialsError: if there is none, or it is not private.
        """
        if not self.path.exists():
            raise CredentialsError(
                f"there is no refresh token in {self.path}: get one with cygno-stager login"
            )
        text = read_private(self.path).strip()
        try:
            content = json.loads(text)
            text = str(content["refresh_token"]) if isinstance(content, dict) else text
        except (ValueError, KeyError):
            pass
        if not text or text.startswith("{"):
            raise CredentialsError(
                f"{self.path} holds no refresh token: get one with cygno-stager login"
            )
        return hide(text)

    def write(self, issuer: str, client_id: str, refresh_token: str) -> None:
        """Keep it. :raises CredentialsError: if it cannot be written."""
        content = {"issuer": issuer, "client_id": client_id, "refresh_token": refresh_token}
        write_private(self.path, json.dumps(content, indent=1) + "\n")

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other stagers from using it: an issuer that rotates takes each token once."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self.path.with_name(f".{self.path.name}.lock"), os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


@dataclass
class RefreshTokens:
    """Tokens for a person who logged in once: grant ``refresh_token``.

    :param given: a refresh token from the environment: tried where the file has none that is
        good, since the file also holds what the issuer put in its place.
    """

    issuer: Issuer
    client: Client
    audience: str
    scopes: tuple[str, ...]
    file: RefreshFile
    given: str = field(default="", repr=False)
    _unsaved: str = field(default="", repr=False)
    _kept: _Kept = field(default_factory=_Kept, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def token(self) -> Token:
        """Return the last token while it is good, else fetch one.

        :raises CredentialsError: naming the file and the command that mends it.
        """
        with self._lock, self.file.alone():
            kept = self._kept.get()
            if kept:
                return kept
            reply, used = self._refresh()
            renewed = reply.get("refresh_token")
            if isinstance(renewed, str) and renewed and renewed != used:
                self._unsaved = renewed  # the old one may be void by now
            if self._unsaved:
                self._save()
            return self._kept.put(reply, f"{self.issuer.url} (refresh token of {self.client.id})")

    def _save(self) -> None:
        """Keep the newest refresh token; in memory where the disk does not let us."""
        try:
            self.file.write(self.issuer.url, self.client.id, self._unsaved)
            self._unsaved = ""
        except CredentialsError as error:
            log.error(
                "%s: the new refresh token is in memory only, and lost when this program ends; "
                "make room, or log in again with cygno-stager login",
                error,
            )

    def _refresh(self) -> tuple[dict[str, Any], str]:
        """Return the issuer's reply, and the refresh token that it took."""
        candidates = [hide(self.given)] if self.given else []
        if self.file.path.exists() or not (candidates or self._unsaved):
            candidates.insert(0, self.file.read())
        if self._unsaved:
            candidates.insert(0, self._unsaved)
        for left, candidate in reversed(list(enumerate(reversed(candidates)))):
            try:
                reply = self.issuer.ask_for_token(
                    self.client,
                    grant_type="refresh_token",
                    refresh_token=candidate,
                    audience=self.audience,
                    resource=self.audience if "://" in self.audience else "",
                )
                return reply, candidate
            except RefusedError as error:
                if error.code != "invalid_grant":
                    raise
                if left:
                    continue
                raise CredentialsError(
                    f"{error}: the refresh token in {self.file.path} has expired or was revoked; "
                    "log in again with cygno-stager login"
                ) from error
        raise AssertionError("there is at least one candidate")

    def forget(self) -> None:
        """Fetch a new one the next time."""
        self._kept = _Kept()
