"""An OIDC issuer: what it says of itself, and its token endpoint.

Sources: OpenID Connect Discovery 1.0; OAuth 2.0 (RFC 6749), device grant (RFC 8628), resource
indicators (RFC 8707; older issuers take ``audience``, as oidc-agent sends it).
"""

import base64
import json
import ssl
import time
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote_plus, urlencode, urlsplit

import urllib3

from stager.errors import CredentialsError, IssuerError
from stager.masking import hide, masked

_LOCAL: Final = ("127.0.0.1", "localhost", "::1")
_METADATA_S: Final = 3600.0
_HINTS: Final = {
    "invalid_client": "client id or secret is wrong, or this client may not do that",
    "unauthorized_client": "this client may not use this grant: ask the issuer's administrators",
    "invalid_scope": "a scope is not allowed for this client",
    "invalid_target": "the audience is not allowed for this client",
    "unsupported_grant_type": "the issuer does not know this grant",
}


@dataclass(frozen=True)
class Client:
    """Who we are to the issuer; the secret is empty for public clients."""

    id: str
    secret: str = field(default="", repr=False)


class Issuer:
    """One issuer.

    :param url: its name, under which discovery finds the rest.
    :param ca_file: certificates to trust instead of the system's; empty: the system's.
    """

    def __init__(self, url: str, ca_file: str = "", timeout_s: float = 10.0) -> None:
        self.url = url.rstrip("/")
        address = urlsplit(url)
        if address.scheme not in ("http", "https") or not address.hostname:
            raise CredentialsError(
                f"the issuer {url!r} is no URL; wanted https://... (CYGNO_OIDC_ISSUER)"
            )
        if address.scheme == "http" and address.hostname not in _LOCAL:
            raise CredentialsError(
                f"the issuer {url} is not asked: secrets would go over the network in the clear; "
                "wanted https://..."
            )
        self._http = urllib3.PoolManager(
            timeout=urllib3.Timeout(timeout_s),
            retries=urllib3.Retry(connect=1, read=0, redirect=False, status=0),
            cert_reqs="CERT_REQUIRED",
            ca_certs=ca_file or None,
            ssl_context=None if ca_file else ssl.create_default_context(),
        )
        self._metadata: dict[str, Any] = {}
        self._metadata_s = 0.0

    def __repr__(self) -> str:
        return f"Issuer({self.url})"

    def endpoint(self, name: str) -> str:
        """Return the URL of ``token_endpoint`` and the like, from discovery.

        :raises CredentialsError: if the issuer has none, or is not who it should be.
        """
        if not self._metadata or time.monotonic() - self._metadata_s > _METADATA_S:
            place = f"{self.url}/.well-known/openid-configuration"
            status, content = self._ask("GET", place)
            if status != 200 or "issuer" not in content:
                raise IssuerError(
                    f"{place} has no OpenID configuration (HTTP {status}): is this the issuer's "
                    "URL?"
                )
            if str(content["issuer"]).rstrip("/") != self.url:
                raise CredentialsError(
                    f"{place} speaks for the issuer {content['issuer']}, not for {self.url}: set "
                    "CYGNO_OIDC_ISSUER to the name it gives itself"
                )
            self._metadata, self._metadata_s = content, time.monotonic()
        if name not in self._metadata:
            raise CredentialsError(f"the issuer {self.url} has no {name}")
        found = str(self._metadata[name])
        if urlsplit(found).scheme == "http" and urlsplit(found).hostname not in _LOCAL:
            raise CredentialsError(f"the {name} of {self.url} is {found}: not asked in the clear")
        return found

    def ask_for_token(self, client: Client, **form: str) -> dict[str, Any]:
        """Return what the token endpoint gives for a grant.

        :raises RefusedError: with the issuer's error code; CredentialsError if it cannot be asked.
        """
        status, content = self.post("token_endpoint", client, form)
        if status != 200 or not isinstance(content.get("access_token"), str):
            code = str(content.get("error", f"HTTP {status}"))
            said = masked(str(content.get("error_description", "")))
            hint = _HINTS.get(code, "")
            detail = "; ".join(text for text in (said, hint) if text)
            if status >= 500:
                raise IssuerError(f"the issuer {self.url} failed ({code}): look there, or wait")
            raise RefusedError(
                code,
                f"the issuer {self.url} refused {form.get('grant_type')} for client {client.id}: "
                f"{code}{f' ({detail})' if detail else ''}",
            )
        for name in ("access_token", "refresh_token", "id_token"):
            if isinstance(content.get(name), str):
                hide(content[name])
        return content

    def post(
        self, endpoint: str, client: Client, form: dict[str, str]
    ) -> tuple[int, dict[str, Any]]:
        """Post a form, with the client's authentication; return status and content."""
        headers, fields = {}, {name: value for name, value in form.items() if value}
        place = self.endpoint(endpoint)
        if not client.secret:
            fields["client_id"] = client.id
        elif self._wants_secret_in_form():
            fields |= {"client_id": client.id, "client_secret": client.secret}
        else:  # RFC 6749, 2.3.1: form-encoded, then Basic
            pair = f"{quote_plus(client.id)}:{quote_plus(client.secret)}"
            headers["Authorization"] = "Basic " + hide(base64.b64encode(pair.encode()).decode())
        return self._ask("POST", place, headers, fields)

    def _wants_secret_in_form(self) -> bool:
        ways = self._metadata.get("token_endpoint_auth_methods_supported")
        return isinstance(ways, list) and "client_secret_basic" not in ways

    def _ask(
        self,
        method: str,
        url: str,
        headers: dict[str, str] | None = None,
        form: dict[str, str] | None = None,
    ) -> tuple[int, dict[str, Any]]:
        sent = {"Accept": "application/json", **(headers or {})}
        if form is not None:
            sent["Content-Type"] = "application/x-www-form-urlencoded"
        try:
            reply = self._http.request(
                method, url, headers=sent, body=urlencode(form) if form is not None else None
            )
        except urllib3.exceptions.HTTPError as error:
            reason = getattr(error, "reason", None) or error
            if isinstance(reason, urllib3.exceptions.SSLError):
                raise CredentialsError(
                    f"the certificate of {url} is not trusted: {reason}; name its authority with "
                    "CYGNO_S3_CA_FILE"
                ) from error
            raise IssuerError(
                f"the issuer {self.url} cannot be reached: {_short(reason)}; is this its URL, and "
                "is it up?"
            ) from error
        try:
            content = json.loads(reply.data)
        except ValueError:
            content = {}
        return reply.status, content if isinstance(content, dict) else {}


class RefusedError(CredentialsError):
    """The issuer said no; `code` is OAuth's word for why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def _short(error: object) -> str:
    text = str(error)
    return text.rpartition(": ")[2] if ": " in text else text
