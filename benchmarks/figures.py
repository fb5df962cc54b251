"""Print what was measured: a table for people, one JSON object for machines."""

import json
from collections.abc import Mapping

from rich.console import Console
from rich.table import Table


def print_figures(figures: Mapping[str, float], *, as_json: bool) -> None:
    """Print one figure a line, by its name."""
    if as_json:
        print(json.dumps(figures))
        return
    table = Table("figure", "value")
    for name, value in figures.items():
        table.add_row(name, f"{value:.4g}")
    Console().print(table)
