"""Compiled code on disk that is older than the source it was made from.

Numba compiles a kernel anew when its own file has changed, but not when a file has whose functions
it calls: those are compiled into it. After an update by git, which touches changed files alone, old
code would go on to be used, without a word.
"""

import hashlib
from pathlib import Path

DIGEST = "kernels.sha256"


def forget_stale(folder: Path) -> bool:
    """Remove the compiled code of a folder if any of its sources has changed.

    Compiled code elsewhere (``NUMBA_CACHE_DIR``), or in a folder that may not be written, is left
    alone: an installation writes all sources anew, and numba sees that.

    :param folder: of the sources; numba keeps its files in ``__pycache__`` there.
    :returns: whether something was removed.
    """
    digest = hashlib.sha256()
    for source in sorted(folder.glob("*.py")):
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    cache = folder / "__pycache__"
    mark = cache / DIGEST
    try:
        if mark.read_text() == digest.hexdigest():
            return False
    except OSError:
        pass
    compiled = [path for path in cache.glob("*.nb?") if path.suffix in (".nbi", ".nbc")]
    try:
        for path in compiled:
            path.unlink(missing_ok=True)
        cache.mkdir(exist_ok=True)
        mark.write_text(digest.hexdigest())
    except OSError:
        return False
    return bool(compiled)
