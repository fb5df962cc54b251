"""What the commands of ``cygno-rawdata`` share: arguments, the consoles, progress."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from rawdata.checksum import SIDECAR_SUFFIX

_PIPE_COLUMNS: Final = 120
_PROGRESS_BYTES: Final = 1 << 26
"""Files below this size are read in less than a second or so: no progress bar."""

results = Console(highlight=False, width=None if sys.stdout.isatty() else _PIPE_COLUMNS)
errors = Console(stderr=True, highlight=False)


def _without_sidecars(files: list[Path]) -> list[Path]:
    """Let ``run*.mid*`` mean the runs, not the checksum files beside them."""
    runs = [path for path in files if path.suffix != SIDECAR_SUFFIX]
    if files and not runs:
        raise typer.BadParameter("only sidecar files were named, no run files")
    return runs


Files = Annotated[
    list[Path],
    typer.Argument(
        help="Run files; .crc32c files among them are passed over.", callback=_without_sidecars
    ),
]
File = Annotated[Path, typer.Argument(help="Run file.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


def print_json(content: Any) -> None:
    """Print one object on one line."""
    typer.echo(json.dumps(content, ensure_ascii=False))


@contextmanager
def progress(path: Path, doing: str) -> Iterator[Callable[[int, int], object]]:
    """Show progress on stderr for files that take a while.

    :returns: a function to call with the bytes done and in all.
    """
    size = path.stat().st_size if path.is_file() else 0
    if size < _PROGRESS_BYTES:
        yield lambda done, total: None
        return
    columns = (
        TextColumn(f"{doing} {path.name}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=errors, transient=True) as bar:
        task = bar.add_task(doing, total=size)
        yield lambda done, total: bar.update(task, completed=done)
