"""Open what a command looks into, from its options."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console

from stager.attach import Attached, connect_if_up, find_folder
from stager.commands.groups import Where
from stager.commands.shared import PIPED_WIDTH
from stager.configuration import Configuration, configure, find_catalog


def catalog_url(where: Where) -> str:
    """Return the URL of the catalog that is meant; no data folder need be here."""
    with _attached(where.experiment, where.catalog is not None) as (folder, client):
        return find_catalog(where.options, folder, client, where.config)


def configuration_of(where: Where, name: str) -> Configuration:
    """Return the configuration of a command that only looks, as a client of this name."""
    with _attached(where.experiment, False, name) as (folder, client):
        return configure(where.options, folder, client, where.config)


@contextmanager
def _attached(
    experiment: str | None, needs_none: bool, name: str = "cygno-stager-catalog"
) -> Iterator[tuple[Path | None, Any]]:
    folder = find_folder(experiment)
    # Who names the catalog needs nothing that only a running experiment knows.
    attached = Attached(None if needs_none else connect_if_up(name, experiment, folder))
    try:
        yield folder, attached.client
    finally:
        attached.close()


def console() -> Console:
    """Return where tables go: as wide as the terminal, or wide enough to be piped."""
    found = Console()
    return found if found.is_terminal else Console(width=PIPED_WIDTH)
