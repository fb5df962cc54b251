"""Static keys for S3: where they are found. And what the store wants of any kind of keys."""

import configparser
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import botocore.credentials

from stager.credentials.private import read_private
from stager.errors import CredentialsError
from stager.masking import hide, mask
from stager.settings import EMBEDDED


class KeySource(Protocol):
    """Keys for S3, static or temporary, as the store wants them."""

    @property
    def source(self) -> str:
        """Where they come from, for messages."""

    @property
    def shown(self) -> str:
        """What may be shown of the present access key."""

    def for_botocore(self) -> botocore.credentials.Credentials:
        """Return what botocore asks for keys before each request."""

    def renew(self) -> bool:
        """Fetch new keys because the server refused the present ones; False if there are none."""


@dataclass(frozen=True)
class Credentials:
    """Static keys; they are masked wherever this object is printed."""

    access_key: str
    secret_key: str
    source: str
    """Where they were found, for messages."""
    session_token: str = ""
    """Set for temporary keys that somebody else fetched."""

    def __post_init__(self) -> None:
        hide(self.secret_key)
        hide(self.session_token)
        hide(self.access_key, self.shown)

    def __repr__(self) -> str:
        return f"Credentials({self.shown} from {self.source})"

    @property
    def shown(self) -> str:
        """What may be shown of the access key."""
        return mask(self.access_key)

    def for_botocore(self) -> botocore.credentials.Credentials:
        """Return them as botocore wants them."""
        return botocore.credentials.Credentials(
            self.access_key, self.secret_key, self.session_token or None, self.source
        )

    def renew(self) -> bool:
        """Tell that they cannot be renewed."""
        return False


def find_credentials(
    environment: Mapping[str, str], named_file: str, folder: Path | None
) -> Credentials:
    """Return the first keys found: environment, named file, folder of the standalone experiment.

    :param named_file: path from the settings, or empty.
    :raises CredentialsError: if there are none, or they cannot be used; says what to do.
    """
    access_key = environment.get("AWS_ACCESS_KEY_ID", "")
    secret_key = environment.get("AWS_SECRET_ACCESS_KEY", "")
    if access_key and secret_key:
        token = environment.get("AWS_SESSION_TOKEN", "")
        return Credentials(access_key, secret_key, "the environment", token)
    if access_key or secret_key:
        missing = "AWS_SECRET_ACCESS_KEY" if access_key else "AWS_ACCESS_KEY_ID"
        raise CredentialsError(f"{missing} is not set, but its partner is: set both or neither")
    if named_file:
        return read_credentials(Path(named_file).expanduser())
    if folder and (folder / EMBEDDED).exists():
        return read_credentials(folder / EMBEDDED)
    raise CredentialsError(
        "no keys for S3: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a file with "
        "CYGNO_S3_CREDENTIALS_FILE (mode 0600; JSON with access_key and secret_key, or AWS's own "
        "format), or let a token be turned into keys with CYGNO_S3_CREDENTIALS"
    )


def read_credentials(path: Path) -> Credentials:
    """Read keys from a file: JSON, or AWS's ``[default]`` format.

    :raises CredentialsError: if it is not private, or holds no keys.
    """
    text = read_private(path)
    keys = _json_keys(text) if text.lstrip().startswith("{") else _aws_keys(text)
    if keys is None or not all(keys[:2]):
        raise CredentialsError(
            f"{path} holds no keys: wanted JSON with access_key and secret_key, or a section "
            "[default] with aws_access_key_id and aws_secret_access_key"
        )
    access_key, secret_key, session_token = keys
    return Credentials(access_key, secret_key, str(path), session_token)


def _json_keys(text: str) -> tuple[str, str, str] | None:
    try:
        content: Any = json.loads(text)
        keys = str(content["access_key"]), str(content["secret_key"])
        return *keys, str(content.get("session_token", ""))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _aws_keys(text: str) -> tuple[str, str, str] | None:
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(text)
        section = parser["default"]
        keys = section["aws_access_key_id"], section["aws_secret_access_key"]
        return *keys, section.get("aws_session_token", "")
    except (configparser.Error, KeyError):
        return None
