"""Log a person in without a browser on this computer: OAuth's device grant (RFC 8628)."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from stager.credentials.grants import RefreshFile
from stager.credentials.issuer import Client, Issuer, RefusedError
from stager.errors import CredentialsError
from stager.masking import hide, masked

_GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"
_DEFAULT_INTERVAL_S: Final = 5.0
"""RFC 8628, 3.2; and 3.5: ``slow_down`` adds as much."""


@dataclass(frozen=True)
class Invitation:
    """What the person is shown.

    :param complete_url: the same page with the code filled in; empty if the issuer has none.
    """

    url: str
    code: str
    complete_url: str
    expires_s: float


def log_in(
    issuer: Issuer,
    client: Client,
    scopes: tuple[str, ...],
    audience: str,
    file: RefreshFile,
    invite: Callable[[Invitation], None],
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Show a person a page and a code, wait until they have agreed, keep the refresh token.

    :param invite: shows page and code.
    :raises CredentialsError: if they refuse, take too long, or the issuer gives no refresh token.
    """
    wanted = tuple(dict.fromkeys((*scopes, "offline_access")))
    form = {"scope": " ".join(wanted), "audience": audience}
    if "://" in audience:
        form["resource"] = audience
    status, content = issuer.post("device_authorization_endpoint", client, form)
    if status != 200 or "device_code" not in content:
        code = content.get("error", f"HTTP {status}")
        said = masked(str(content.get("error_description", "")))
        raise CredentialsError(
            f"the issuer {issuer.url} refused to begin a login for client {client.id}: {code}"
            f"{f' ({said})' if said else ''}; the client must be allowed the device grant and "
            f"the scopes {' '.join(wanted)}"
        )
    device_code = hide(str(content["device_code"]))
    expires_s = float(content.get("expires_in") or 600)
    invite(
        Invitation(
            str(content.get("verification_uri", "")),
            str(content.get("user_code", "")),
            str(content.get("verification_uri_complete", "")),
            expires_s,
        )
    )
    reply = _poll(issuer, client, device_code, content, clock() + expires_s, sleep, clock)
    refresh_token = reply.get("refresh_token")
    if not isinstance(refresh_token, str) or not refresh_token:
        raise CredentialsError(
            f"the issuer {issuer.url} gave no refresh token: the client {client.id} must be "
            "allowed the scope offline_access and the grant refresh_token"
        )
    file.write(issuer.url, client.id, refresh_token)


def _poll(
    issuer: Issuer,
    client: Client,
    device_code: str,
    content: dict[str, Any],
    end_s: float,
    sleep: Callable[[float], None],
    clock: Callable[[], float],
) -> dict[str, Any]:
    interval_s = float(content.get("interval", _DEFAULT_INTERVAL_S))
    while clock() < end_s:
        sleep(interval_s)
        try:
            return issuer.ask_for_token(client, grant_type=_GRANT, device_code=device_code)
        except RefusedError as error:
            if error.code == "slow_down":
                interval_s += _DEFAULT_INTERVAL_S
            elif error.code == "access_denied":
                raise CredentialsError("the login was refused on the issuer's page") from error
            elif error.code == "expired_token":
                break
            elif error.code != "authorization_pending":
                raise
    raise CredentialsError("nobody logged in before the code expired; run it again")
