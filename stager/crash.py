"""Points at which a test can let the stager die, to prove that it may die anywhere."""

import os
import signal
from typing import Final

VARIABLE: Final = "CYGNO_STAGER_CRASH_AT"

STEPS: Final = (
    "discovered",
    "hash-claimed",
    "hash-done",
    "hash-committed",
    "md5-done",
    "md5-committed",
    "upload-claimed",
    "upload-created",
    "upload-begun",
    "part-done",
    "parts-done",
    "object-done",
    "verify-done",
    "verify-committed",
    "catalogue-done",
)
"""Every point that a file passes which is sent in parts; its MD5 is computed meanwhile."""

TRANSCODE_STEPS: Final = ("transcode-begun", "transcode-done", "transcode-committed")
COPY_STEPS: Final = ("copy-begun", "copy-written", "copy-read-back", "object-done")
COMMAND_STEPS: Final = ("command-noted", "command-done")
PRUNE_STEPS: Final = ("prune-verified", "prune-claimed", "prune-unlinked", "prune-committed")
"""Points of files that are transcoded, copied to a folder, brought by a program, deleted."""

_seen: dict[str, int] = {}


def reached(step: str) -> None:
    """Die here, as by ``kill -9``, if the environment says so.

    ``CYGNO_STAGER_CRASH_AT=part-done:3`` dies when the third part is done.
    """
    wanted = os.environ.get(VARIABLE)
    if not wanted:
        return
    name, _, count = wanted.partition(":")
    if name == step:
        _seen[step] = _seen.get(step, 0) + 1
        if _seen[step] == int(count or 1):
            os.kill(os.getpid(), signal.SIGKILL)
