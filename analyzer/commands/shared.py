"""What the commands share: options, where they complain, progress, the settings of a profile."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from analyzer.settings import PROFILES, AnalyzerSettings, profile

errors = Console(stderr=True)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object a run, for machines.")]
Data = Annotated[
    list[Path] | None,
    typer.Option(help="Folder of run files and pedestals, for runs given by number; repeatable."),
]
ProfileName = Annotated[
    str | None,
    typer.Option(
        "--profile", help=f"Settings of a site: {', '.join(PROFILES)}. Default: the run's own."
    ),
]


@contextmanager
def progress_bar(what: str) -> Iterator[Callable[[int, float], None]]:
    """Show a bar on stderr, where a person sits in front of it.

    :returns: ``advance(events, part)``: events that are done, and the part of the work, 0 to 1.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[events]} events"),
        TimeElapsedColumn(),
    )
    shown = errors.is_terminal
    with Progress(*columns, console=errors, transient=True, disable=not shown) as bar:
        task = bar.add_task(what, total=1.0, events=0)
        yield lambda events, part: bar.update(task, completed=part, events=events)


def say(text: str, is_error: bool) -> None:
    """Tell a person something on stderr; errors in yellow, since the work goes on."""
    write_line(text, "yellow" if is_error else None)


def complain(text: str) -> None:
    """Say on stderr what went wrong."""
    write_line(text, "red")


def write_line(text: str, style: str | None) -> None:
    """Write one line to stderr, however long it is."""
    errors.print(text, style=style, markup=False, highlight=False, soft_wrap=True)


def settings_of_profile(name: str | None) -> AnalyzerSettings | None:
    """Return a site's settings, None where none is named.

    :raises BadParameter: if there is no such profile.
    """
    if name is None:
        return None
    if name not in PROFILES:
        raise typer.BadParameter(f"{name} is none of {', '.join(PROFILES)}", param_hint="--profile")
    return profile(name)  # type: ignore[arg-type]
