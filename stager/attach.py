"""The stager's tie to an experiment: there may be one, and it may come and go."""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from experiment.client import Client
from experiment.connect import DEFAULT_FOLDER, connect, midas_is_available, names_a_folder
from experiment.constants import STATE_STOPPED
from experiment.errors import ExperimentError
from experiment.standalone.endpoint import find_server
from stager.errors import ConfigurationError

VARIABLE: Final = "CYGNO_EXPERIMENT"


def find_folder(named: str | None, environment: Mapping[str, str] = os.environ) -> Path | None:
    """Return the folder of the standalone experiment that is meant, None if none is.

    :param named: what the command was told; else the environment; else the default folder, where
        it exists and no MIDAS is named.
    :raises ConfigurationError: if a folder is named that does not exist.
    """
    named = named or environment.get(VARIABLE)
    if named:
        if not names_a_folder(named):
            return None
        folder = Path(named)
        if not folder.is_dir():
            raise ConfigurationError(f"there is no experiment folder {folder}")
        return folder.resolve()
    if midas_is_available() and environment.get("MIDAS_EXPT_NAME"):
        return None
    default = DEFAULT_FOLDER.expanduser()
    return default if default.is_dir() else None


def connect_if_up(client_name: str, named: str | None, folder: Path | None) -> Client | None:
    """Connect to the experiment if it is up; the stager works without it as well."""
    if folder is not None:
        # Asked first, because connecting waits for a server that may be about to start.
        if find_server(folder) is None:
            return None
        named = str(folder)
    elif not (named or os.environ.get(VARIABLE) or midas_is_available()):
        return None
    try:
        return connect(client_name, named)
    except ExperimentError:
        return None


def current_run(client: Client | None) -> int | None:
    """Return the number of the run that is being taken, None if none is as far as we know."""
    if client is None:
        return None
    info = client.odb_get("/Runinfo")
    busy = info.get("State", STATE_STOPPED) != STATE_STOPPED or info.get("Transition in progress")
    return int(info["Run number"]) if busy else None


class Attached:
    """An experiment for as long as it is up; afterwards one goes on alone."""

    def __init__(self, client: Client | None) -> None:
        self.client = client

    def pulse(self) -> None:
        """Serve the experiment for a moment, so that it sees us alive."""
        if self.client is not None:
            try:
                self.client.communicate(1)
            except ExperimentError:
                self.close()

    def current_run(self) -> int | None:
        """Return the run that is being taken, as far as we know."""
        try:
            return current_run(self.client)
        except ExperimentError:
            self.close()
            return None

    def close(self) -> None:
        """Leave the experiment; safe to call twice."""
        client, self.client = self.client, None
        if client is not None:
            with suppress(ExperimentError):
                client.disconnect()
