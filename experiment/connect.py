"""Choose the world, once: a real MIDAS or the standalone experiment. No other line asks."""

import importlib.util
import os
import sys
from pathlib import Path

from experiment.client import Client
from experiment.errors import ExperimentError

DEFAULT_FOLDER = Path("~/cygno-experiment")


def midas_is_available() -> bool:
    """Tell whether MIDAS's Python package and C library are here.

    The package is looked for on ``sys.path`` and in ``$MIDASSYS/python``.
    """
    midassys = os.environ.get("MIDASSYS")
    if not midassys or not list(Path(midassys, "lib").glob("libmidas-c-compat.*")):
        return False
    package_folder = Path(midassys, "python")
    if importlib.util.find_spec("midas") is None and (package_folder / "midas").is_dir():
        sys.path.append(str(package_folder))
        importlib.invalidate_caches()
    return importlib.util.find_spec("midas") is not None


def names_a_folder(experiment: str) -> bool:
    """Tell a standalone experiment's folder from the name of a MIDAS experiment.

    >>> names_a_folder("./demo"), names_a_folder("LNGS")
    (True, False)
    """
    return os.sep in experiment or experiment in (".", "..") or Path(experiment).is_dir()


def connect(client_name: str, experiment: str | os.PathLike[str] | None = None) -> Client:
    """Connect a program to its experiment.

    :param client_name: the program's name, as operators see it (at most 31 characters).
    :param experiment: the folder of a standalone experiment, or the name of a MIDAS one. Where it
        is None, ``CYGNO_EXPERIMENT`` is taken, then ``MIDAS_EXPT_NAME`` (only where a MIDAS is
        installed), then the folder ``~/cygno-experiment``.
    :raises ExperimentError: if the experiment cannot be reached; the message says what to start.
    """
    named = os.fspath(experiment) if experiment is not None else os.environ.get("CYGNO_EXPERIMENT")
    if named and names_a_folder(named):
        return _connect_standalone(client_name, Path(named))
    if midas_is_available():
        midas_name = named or os.environ.get("MIDAS_EXPT_NAME")
        if midas_name:
            from experiment.midas_client import connect_midas

            return connect_midas(client_name, midas_name)
    if named:
        raise ExperimentError(
            f"{client_name}: experiment {named!r} is neither the folder of a standalone "
            "experiment nor, without MIDASSYS, a MIDAS one. Give a folder such as ./demo, "
            "or set MIDASSYS."
        )
    return _connect_standalone(client_name, DEFAULT_FOLDER.expanduser())


def _connect_standalone(client_name: str, folder: Path) -> Client:
    from experiment.standalone.client import StandaloneClient

    return StandaloneClient(client_name, folder)
