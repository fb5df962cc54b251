"""Look at what the catalog says: ``status``."""

import json
from typing import Annotated

import typer
from rich.console import Console

from stager import status as catalog_status
from stager.catalog import Catalog
from stager.commands.groups import Where, grouped
from stager.commands.opening import configuration_of
from stager.commands.shared import Json, catalog_exists, shown_url


@grouped
def status(
    where: Where,
    run: Annotated[int | None, typer.Option(help="Only this run.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many of the latest runs.")] = 20,
    as_json: Json = False,
) -> None:
    """Show runs, their files, where they are, why one failed and when it is tried again.

    Examples:

      cygno-stager status --experiment demo

      cygno-stager status --experiment demo --run 42 --json
    """
    configuration = configuration_of(where, "cygno-stager-status")
    shown = shown_url(configuration.catalog_url)
    runs = []
    if catalog_exists(configuration):
        opened = Catalog(configuration.catalog_url)
        try:
            runs = catalog_status.latest_runs(opened, limit, run)
        finally:
            opened.close()
    if as_json:
        typer.echo(json.dumps(catalog_status.as_json(runs, shown)))
    elif runs:
        catalog_status.show(runs, shown, Console())
    else:
        what = "nothing" if run is None else f"no run {run}"
        typer.echo(f"there is {what} in the catalog {shown} yet")
