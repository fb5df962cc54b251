"""Which credentials the settings ask for."""

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from stager.credentials.grants import ClientTokens, RefreshFile, RefreshTokens
from stager.credentials.issuer import Client, Issuer
from stager.credentials.keys import KeySource, find_credentials
from stager.credentials.private import read_private
from stager.credentials.session import SessionCredentials, StsPlace
from stager.credentials.tokens import AgentTokens, TokenFile, TokenSource
from stager.errors import CredentialsError
from stager.masking import hide
from stager.settings import StagerSettings

CLIENT_SECRET: Final = "CYGNO_OIDC_CLIENT_SECRET"
REFRESH_TOKEN: Final = "CYGNO_OIDC_REFRESH_TOKEN"

_MOST_SESSIONS: Final = 8
"""More than there are places; each may have its own."""
_OF_SESSIONS: Final = (
    *("credentials", "role_arn", "region", "session_duration_s", "ca_file", "connect_timeout_s"),
    *("issuer", "audience", "scopes", "agent_account", "token_file", "refresh_token_file"),
)

_sessions: dict[object, SessionCredentials] = {}
_lock = threading.Lock()


def credentials_for(
    settings: StagerSettings, environment: Mapping[str, str], folder: Path | None
) -> KeySource:
    """Return the keys that the settings ask for.

    Sessions are kept between calls: a daemon that looks for work every few seconds must not ask
    STS each time.

    :param folder: of the standalone experiment, whose embedded server's keys are found there.
    :raises CredentialsError: if something is missing; says what and where it may be given.
    """
    if settings.credentials == "static":
        return find_credentials(environment, settings.credentials_file, folder)
    if not settings.role_arn:
        raise CredentialsError(
            f"credentials of kind {settings.credentials} need a role that STS is asked for: set "
            "CYGNO_S3_ROLE_ARN, such as arn:aws:iam::role/DaqWriter"
        )
    # All that the session depends on, also a secret that was changed in its file.
    said = (
        *(getattr(settings, name) for name in _OF_SESSIONS),
        settings.sts_endpoint or settings.endpoint,
        environment.get(REFRESH_TOKEN, ""),
        client_of(settings, environment) if settings.client_id else None,
    )
    with _lock:
        if said not in _sessions:
            for old in list(_sessions)[: 1 - _MOST_SESSIONS]:
                del _sessions[old]
            place = StsPlace(
                endpoint=settings.sts_endpoint or settings.endpoint,
                region=settings.region,
                role_arn=settings.role_arn,
                duration_s=settings.session_duration_s,
                ca_file=settings.ca_file,
                timeout_s=settings.connect_timeout_s + 5.0,
            )
            _sessions[said] = SessionCredentials(token_source(settings, environment), place)
        return _sessions[said]


def token_source(settings: StagerSettings, environment: Mapping[str, str]) -> TokenSource:
    """Return who gives tokens. :raises CredentialsError: if a setting is missing."""
    if settings.credentials == "token-file":
        if not settings.token_file:
            raise _missing(settings, "a file", "CYGNO_OIDC_TOKEN_FILE")
        return TokenFile(Path(settings.token_file).expanduser())
    if settings.credentials == "oidc-agent":
        return AgentTokens(
            settings.agent_account, settings.issuer, settings.audience, settings.scopes
        )
    issuer, client = issuer_of(settings), client_of(settings, environment)
    if settings.credentials == "client-credentials":
        if not client.secret:
            raise _missing(
                settings, "a secret", f"{CLIENT_SECRET} or CYGNO_OIDC_CLIENT_SECRET_FILE"
            )
        return ClientTokens(issuer, client, settings.audience, settings.scopes)
    return RefreshTokens(
        issuer,
        client,
        settings.audience,
        settings.scopes,
        refresh_file(settings, environment),
        environment.get(REFRESH_TOKEN, ""),
    )


def issuer_of(settings: StagerSettings) -> Issuer:
    """Return the issuer. :raises CredentialsError: if none is named."""
    if not settings.issuer:
        raise _missing(settings, "an issuer", "CYGNO_OIDC_ISSUER")
    return Issuer(settings.issuer, settings.ca_file)


def client_of(settings: StagerSettings, environment: Mapping[str, str]) -> Client:
    """Return who we are to the issuer. :raises CredentialsError: if that is not said."""
    if not settings.client_id:
        raise _missing(settings, "a client", "CYGNO_OIDC_CLIENT_ID")
    secret = environment.get(CLIENT_SECRET, "")
    if not secret and settings.client_secret_file:
        secret = read_private(Path(settings.client_secret_file).expanduser()).strip()
    return Client(settings.client_id, hide(secret))


def refresh_file(settings: StagerSettings, environment: Mapping[str, str]) -> RefreshFile:
    """Return where the refresh token is kept."""
    if settings.refresh_token_file:
        return RefreshFile(Path(settings.refresh_token_file).expanduser())
    folder = environment.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return RefreshFile(Path(folder) / "cygno-daq" / "refresh-token.json")


def _missing(settings: StagerSettings, what: str, variable: str) -> CredentialsError:
    return CredentialsError(
        f"credentials of kind {settings.credentials} need {what}: set {variable}, or the setting "
        "of that name"
    )
