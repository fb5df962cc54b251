"""Keys for S3: where they come from, and that nobody else can read or print them.

Secrets come from the environment or from a file that only its owner may read; never from the ODB,
which every program and the web page can read.
"""

import configparser
import json
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from stager.errors import CredentialsError

EMBEDDED: Final = Path("s3/credentials.json")
"""Where a standalone experiment's folder has the keys of its embedded S3 server."""


@dataclass(frozen=True)
class Credentials:
    """Keys for S3; they are masked wherever this object is printed."""

    access_key: str
    secret_key: str
    source: str
    """Where they were found, for messages."""
    session_token: str = ""
    """Set for temporary keys."""

    def __repr__(self) -> str:
        return f"Credentials({mask(self.access_key)} from {self.source})"


def mask(secret: str) -> str:
    """Return what may be shown of a key.

    >>> mask("AKIAIOSFODNN7EXAMPLE"), mask("short")
    ('AKIA...', '...')
    """
    return f"{secret[:4]}..." if len(secret) > 8 else "..."


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
        "format)"
    )


def read_private(path: Path) -> str:
    """Return the text of a file that only its owner may read.

    :raises CredentialsError: if others may read it, or we may not.
    """
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            raise CredentialsError(
                f"{path} holds secrets and others may read it (mode {mode:04o}, allowed 0600): "
                f"chmod 600 {path}, and if this is a shared machine change the keys"
            )
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise CredentialsError(f"the keys in {path} cannot be read: {reason}") from error


def read_credentials(path: Path) -> Credentials:
    """Read keys from a file: JSON, or AWS's ``[default]`` format.

    :raises CredentialsError: if it is not private, or holds no keys.
    """
    text = read_private(path)
    keys = _json_keys(text) if text.lstrip().startswith("{") else _aws_keys(text)
    if keys is None or not all(keys):
        raise CredentialsError(
            f"{path} holds no keys: wanted JSON with access_key and secret_key, or a section "
            "[default] with aws_access_key_id and aws_secret_access_key"
        )
    return Credentials(*keys, str(path))


def _json_keys(text: str) -> tuple[str, str] | None:
    try:
        content: Any = json.loads(text)
        return str(content["access_key"]), str(content["secret_key"])
    except (ValueError, KeyError, TypeError):
        return None


def _aws_keys(text: str) -> tuple[str, str] | None:
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(text)
        section = parser["default"]
        return section["aws_access_key_id"], section["aws_secret_access_key"]
    except (configparser.Error, KeyError):
        return None
