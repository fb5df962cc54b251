"""Files with secrets: only their owner may read them."""

import os
import stat
from pathlib import Path

from stager.errors import CredentialsError


def read_private(path: Path) -> str:
    """Return the text of a file that only its owner may read.

    :raises CredentialsError: if others may read it, it is somebody else's, or we may not.
    """
    try:
        status = path.stat()
        mode = stat.S_IMODE(status.st_mode)
        if mode & 0o077:
            raise CredentialsError(
                f"{path} holds secrets and others may read it (mode {mode:04o}, allowed 0600): "
                f"chmod 600 {path}, and if this is a shared machine change the keys"
            )
        if status.st_uid not in (os.geteuid(), 0):
            raise CredentialsError(
                f"{path} holds secrets and belongs to user {status.st_uid}, who can change it "
                f"(allowed: {os.geteuid()}, who runs this, or root): chown {os.geteuid()} {path}"
            )
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise CredentialsError(f"the keys in {path} cannot be read: {reason}") from error


def write_private(path: Path, text: str) -> None:
    """Write a file that only we may read, in one piece: nobody ever finds half of it.

    :raises CredentialsError: if it cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise CredentialsError(f"{path} cannot be written: {error.strerror}") from error
