"""Give a finished file its name, never over another one."""

import errno
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

_NO_HARD_LINKS: Final = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)


def give_name(temporary: Path, output: Path) -> None:
    """Rename a file, and bring its new name to the disk.

    The temporary name may remain, where files can have two: the caller removes it.

    :raises FileExistsError: if a file of that name came into being meanwhile.
    """
    try:
        os.link(temporary, output)
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        if os.path.lexists(output):
            raise FileExistsError(errno.EEXIST, "File exists", str(output)) from error
        temporary.rename(output)
    folder = os.open(output.parent, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network file systems cannot
            os.fsync(folder)
    finally:
        os.close(folder)
