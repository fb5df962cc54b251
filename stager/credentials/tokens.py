"""Tokens that name us to STS, and two places to take them from: a file, and oidc-agent."""

import base64
import binascii
import json
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from stager.credentials.private import read_private
from stager.errors import CredentialsError
from stager.masking import hide


@dataclass(frozen=True, repr=False)
class Token:
    """A token and where it came from; only its claims are ever shown."""

    value: str
    source: str

    def __post_init__(self) -> None:
        hide(self.value)

    def __repr__(self) -> str:
        return f"Token({self.described} from {self.source})"

    @property
    def claims(self) -> dict[str, Any]:
        """What it says, unchecked (the server checks it); empty if it is no JWT (RFC 7519)."""
        try:
            payload = self.value.split(".")[1]
            content = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        except (IndexError, ValueError, binascii.Error):
            return {}
        return content if isinstance(content, dict) else {}

    @property
    def described(self) -> str:
        """Issuer, audience and end, as an operator needs them to find what is wrong."""
        claims = self.claims
        if not claims:
            return "which is no JWT"
        audience = claims.get("aud", "nobody")
        shown = ", ".join(map(str, audience)) if isinstance(audience, list) else str(audience)
        return f"of {claims.get('iss', 'no issuer')} for audience {shown}, {_shown_end(claims)}"

    @property
    def expired_s(self) -> float:
        """For how long [s] it has been over by our clock; negative while it is not."""
        end = self.claims.get("exp")
        return time.time() - end if isinstance(end, int | float) else -float("inf")


def _shown_end(claims: dict[str, Any]) -> str:
    end = claims.get("exp")
    if not isinstance(end, int | float):
        return "without end"
    when = datetime.fromtimestamp(end).astimezone()
    tense = "expired" if end < time.time() else "valid until"
    return f"{tense} {when:%Y-%m-%d %H:%M:%S %Z}"


class TokenSource(Protocol):
    """Who gives tokens."""

    def token(self) -> Token:
        """Return a token that is still good for a while. :raises CredentialsError: why not."""

    def forget(self) -> None:
        """Take a new one the next time: STS refused the last."""


@dataclass(frozen=True)
class TokenFile:
    """A file with a token that somebody else keeps fresh; read anew each time."""

    path: Path

    def token(self) -> Token:
        """Read it."""
        token = Token(read_private(self.path).strip(), str(self.path))
        if not token.value:
            raise CredentialsError(f"{self.path} is empty; wanted a token")
        if token.expired_s > 0:
            raise CredentialsError(
                f"the token in {self.path} has expired {token.expired_s:.0f} s ago: let who "
                "writes it (a cron job, htgettoken) write a new one, or use another kind of "
                "credentials"
            )
        return token

    def forget(self) -> None:
        """There is nothing to forget."""


@dataclass(frozen=True)
class AgentTokens:
    """oidc-agent, which keeps the refresh token and gives access tokens.

    :param account: its short name there; empty: whichever account it has for the issuer.
    """

    account: str
    issuer: str
    audience: str
    scopes: tuple[str, ...]
    min_valid_s: int = 60

    def token(self) -> Token:
        """Ask it."""
        try:
            import liboidcagent
        except ImportError as error:
            raise CredentialsError(
                "oidc-agent is asked for by liboidcagent, which is missing: "
                "pip install liboidcagent"
            ) from error
        ask: dict[str, Any] = {
            "min_valid_period": self.min_valid_s,
            "application_hint": "cygno-stager",
            "scope": " ".join(self.scopes) or None,
            "audience": self.audience or None,
        }
        whose = self.account or self.issuer
        if not whose:
            raise CredentialsError(
                "oidc-agent: no account is named; set CYGNO_OIDC_AGENT_ACCOUNT or CYGNO_OIDC_ISSUER"
            )
        try:
            if self.account:
                value, _, _ = liboidcagent.get_token_response(self.account, **ask)
            else:
                value, _, _ = liboidcagent.get_token_response_by_issuer_url(self.issuer, **ask)
        except liboidcagent.OidcAgentConnectError as error:
            raise CredentialsError(
                f"oidc-agent cannot be reached ({error}): start it with eval $(oidc-agent), "
                "oidc-add the account, and give OIDC_SOCK to the stager's environment"
            ) from error
        except (liboidcagent.OidcAgentError, KeyError, ValueError, OSError) as error:
            said = " ".join(str(error).split())
            raise CredentialsError(
                f"oidc-agent gives no token for {whose}: {said}; look with oidc-add --loaded, and "
                f"oidc-add {self.account or 'ACCOUNT'} or oidc-gen --reauthenticate"
            ) from error
        return Token(str(value), f"oidc-agent ({whose})")

    def forget(self) -> None:
        """There is nothing to forget: it is asked each time."""
