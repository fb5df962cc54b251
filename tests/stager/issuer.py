"""A small OIDC issuer: discovery, keys, and the grants that the stager and oidc-agent use.

It really signs (RS256) and really refuses; what it gave is kept, so that tests can look for it in
what was printed. Faults are attributes that a test sets.
"""

import base64
import json
import secrets
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote_plus, urlsplit

from tests.conftest import require_module

require_module("joserfc")

from joserfc import jwt  # noqa: E402
from joserfc.jwk import RSAKey  # noqa: E402

AUDIENCE = "daq-staging"
CLIENT, SECRET = "daq", "a-client-secret-of-42-letters"
PUBLIC_CLIENT = "daq-people"
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


class Refused(Exception):  # noqa: N818 - OAuth's word
    """An error that the token endpoint answers with."""

    def __init__(self, code: str, status: int = 400) -> None:
        super().__init__(code)
        self.code, self.status = code, status


class Issuer:
    """The issuer's state.

    :param rotate: each refresh token is good once, and replaced.
    """

    def __init__(self) -> None:
        self.url = ""
        self.key = RSAKey.generate_key(2048, {"kid": secrets.token_hex(4), "use": "sig"})
        self.life_s = 3600.0
        self.audience = AUDIENCE
        self.rotate = True
        self.down = False
        self.given: list[str] = []
        """All secrets that it gave to anybody."""
        self.grants: list[str] = []
        """All grants that were asked for, refused ones too."""
        self.refresh_tokens: dict[str, str] = {}
        """Refresh token -> person."""
        self.devices: dict[str, dict[str, Any]] = {}
        """Device code -> state of the login; "person" is set by whoever agrees."""

    def token(self, subject: str = CLIENT, **claims: Any) -> str:
        """Return a signed token; any claim may be wrong."""
        now = time.time()
        content = {
            "iss": self.url,
            "sub": subject,
            "aud": self.audience,
            "iat": int(now),
            "exp": int(now + self.life_s),
            "jti": secrets.token_hex(8),
            **claims,
        }
        header = {"alg": "RS256", "kid": self.key.kid, "typ": "JWT"}
        self.given.append(jwt.encode(header, content, self.key))
        return self.given[-1]

    def refresh_token(self, person: str = "alice") -> str:
        """Return a refresh token, as after a login."""
        token = f"refresh-{secrets.token_urlsafe(24)}"
        self.refresh_tokens[token] = person
        self.given.append(token)
        return token

    def revoke(self) -> None:
        """Let no refresh token be good any more."""
        self.refresh_tokens.clear()

    def agree(self, user_code: str, person: str | None = "alice") -> None:
        """Agree to a login (or refuse it: None), as a person does on the issuer's page."""
        for device in self.devices.values():
            if device["user_code"] == user_code:
                device["person"], device["decided"] = person, True

    # what it answers ---------------------------------------------------------------------------
    def metadata(self) -> dict[str, Any]:
        """Return what discovery says."""
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "device_authorization_endpoint": f"{self.url}/device",
            "jwks_uri": f"{self.url}/jwks",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "scopes_supported": ["openid", "profile", "offline_access"],
            "grant_types_supported": [
                *("authorization_code", "refresh_token", "client_credentials", "password"),
                DEVICE_GRANT,
            ],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        }

    def answer_token(self, form: dict[str, str], client: str, secret: str) -> dict[str, Any]:
        """Answer at the token endpoint."""
        grant = form.get("grant_type", "")
        self.grants.append(grant)
        known = (client == CLIENT and secret == SECRET) or (client == PUBLIC_CLIENT and not secret)
        if not known:
            raise Refused("invalid_client", 401)
        if grant == "client_credentials":
            if client != CLIENT:
                raise Refused("unauthorized_client")
            return self._reply(form, client, None)
        if grant == "password":
            if (form.get("username"), form.get("password")) != ("alice", "pw-of-alice"):
                raise Refused("invalid_grant")
            return self._reply(form, "alice", self.refresh_token("alice"))
        if grant == "refresh_token":
            old = form.get("refresh_token", "")
            if old not in self.refresh_tokens:
                raise Refused("invalid_grant")
            person = self.refresh_tokens[old]
            if self.rotate:
                del self.refresh_tokens[old]
                return self._reply(form, person, self.refresh_token(person))
            return self._reply(form, person, old)
        if grant == DEVICE_GRANT:
            return self._reply_to_device(form)
        raise Refused("unsupported_grant_type")

    def _reply_to_device(self, form: dict[str, str]) -> dict[str, Any]:
        device = self.devices.get(form.get("device_code", ""))
        if device is None or device["expires"] < time.time():
            raise Refused("expired_token")
        device["polls"] += 1
        if device["slow_down"]:
            device["slow_down"] -= 1
            raise Refused("slow_down")
        if not device["decided"]:
            raise Refused("authorization_pending")
        if device["person"] is None:
            raise Refused("access_denied")
        wanted = "offline_access" in device["scope"].split()
        person = device["person"]
        return self._reply(form, person, self.refresh_token(person) if wanted else None)

    def _reply(self, form: dict[str, str], subject: str, refresh: str | None) -> dict[str, Any]:
        claims = {"aud": form["audience"]} if form.get("audience") else {}
        token = self.token(subject, **claims)
        reply = {"access_token": token, "token_type": "Bearer", "expires_in": int(self.life_s)}
        reply |= {"scope": form.get("scope") or "openid offline_access", "id_token": token}
        return {**reply, "refresh_token": refresh} if refresh else reply

    def answer_device(self, form: dict[str, str]) -> dict[str, Any]:
        """Begin a login."""
        code, user_code = secrets.token_urlsafe(24), secrets.token_hex(3).upper()
        self.given.append(code)
        self.devices[code] = {
            "user_code": user_code,
            "scope": form.get("scope", ""),
            "expires": time.time() + 300,
            "decided": False,
            "person": None,
            "polls": 0,
            "slow_down": 0,
        }
        return {
            "device_code": code,
            "user_code": user_code,
            "verification_uri": f"{self.url}/activate",
            "verification_uri_complete": f"{self.url}/activate?user_code={user_code}",
            "expires_in": 300,
            "interval": 0,
        }


def _handler(issuer: Issuer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = urlsplit(self.path).path
            if path == "/.well-known/openid-configuration":
                self._send(200, issuer.metadata())
            elif path == "/jwks":
                self._send(200, {"keys": [issuer.key.as_dict(private=False)]})
            else:
                self._send(404, {"error": "not_found"})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            form = {name: values[0] for name, values in parse_qs(body).items()}
            client, secret = form.get("client_id", ""), form.get("client_secret", "")
            scheme, _, basic = self.headers.get("Authorization", "").partition(" ")
            if scheme == "Basic":
                both = base64.b64decode(basic).decode().partition(":")
                client, secret = unquote_plus(both[0]), unquote_plus(both[2])
            try:
                if urlsplit(self.path).path == "/device":
                    self._send(200, issuer.answer_device(form))
                else:
                    self._send(200, issuer.answer_token(form, client, secret))
            except Refused as refused:
                self._send(refused.status, {"error": refused.code})

        def _send(self, status: int, content: dict[str, Any]) -> None:
            body = json.dumps(content).encode()
            if issuer.down:
                status, body = 503, b"down"
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler


@contextmanager
def serve(issuer: Issuer, certificate: Path | None = None) -> Iterator[Issuer]:
    """Serve an issuer on a free port of 127.0.0.1; with a certificate on https."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(issuer))
    server.daemon_threads = True
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
        server.socket = context.wrap_socket(server.socket, server_side=True)
    scheme = "https" if certificate else "http"
    issuer.url = issuer.url or f"{scheme}://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
