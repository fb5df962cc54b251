"""Open what a command looks into, from its options."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console

from stager.attach import Attached, connect_if_up, find_folder
from stager.commands.shared import PIPED_WIDTH
from stager.configuration import Configuration, configure, find_catalog


def catalog_url(
    experiment: str | None, data_dir: Path | None, config: Path | None, catalog: str | None
) -> str:
    """Return the URL of the catalog that is meant; no data folder need be here."""
    with _attached(experiment, catalog is not None) as (folder, client):
        given = {"data_dir": str(data_dir) if data_dir else None, "catalog": catalog}
        return find_catalog(given, folder, client, config)


def configuration_of(
    options: dict[str, Any], experiment: str | None, config: Path | None, name: str
) -> Configuration:
    """Return the configuration of a command that only looks."""
    with _attached(experiment, False, name) as (folder, client):
        return configure(options, folder, client, config)


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
