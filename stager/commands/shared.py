"""What the commands share: their options, where they complain, how they show progress."""

import os
import threading
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from sqlalchemy import make_url

from stager.configuration import Configuration
from stager.masking import masked

errors = Console(stderr=True, soft_wrap=True, highlight=False)

PIPED_WIDTH: Final = 160
"""Where no terminal says how wide a table may be."""

Experiment = Annotated[
    str | None,
    typer.Option(
        help="Folder of a standalone experiment, or name of a MIDAS one.", envvar="CYGNO_EXPERIMENT"
    ),
]
DataDir = Annotated[Path | None, typer.Option(help="Folder of the run files.")]
Config = Annotated[Path | None, typer.Option(help="TOML file with settings.")]
Endpoint = Annotated[str | None, typer.Option(help="URL of the S3 server.")]
Bucket = Annotated[str | None, typer.Option(help="Bucket that receives the files.")]
Region = Annotated[str | None, typer.Option(help="Region that signatures name.")]
Tag = Annotated[str | None, typer.Option(help="Site; objects are named TAG/FILE.")]
PartSize = Annotated[int | None, typer.Option(help="Size of the parts of large files [MiB].")]
CatalogUrl = Annotated[str | None, typer.Option(help="SQLAlchemy URL of the run catalog.")]
CredentialsFile = Annotated[
    str | None, typer.Option(help="File with the keys, mode 0600, instead of AWS_*.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line.")]


class Bars:
    """Progress bars on stderr, where a person sits in front of it; one for each thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._progress: Progress | None = None
        self._tasks: dict[int, TaskID] = {}

    def begin(self, what: str, total_bytes: int) -> None:
        """Show a new step of this thread."""
        self.end()
        if not errors.is_terminal:
            return
        with self._lock:
            if self._progress is None:
                self._progress = Progress(
                    TextColumn("{task.description}"),
                    BarColumn(),
                    DownloadColumn(),
                    TransferSpeedColumn(),
                    TimeRemainingColumn(),
                    console=errors,
                    transient=True,
                )
                self._progress.start()
            task = self._progress.add_task(what, total=total_bytes)
            self._tasks[threading.get_ident()] = task

    def advance(self, count_bytes: int) -> None:
        """Move this thread's step on."""
        task = self._tasks.get(threading.get_ident())
        if self._progress and task is not None:
            self._progress.advance(task, count_bytes)

    def end(self) -> None:
        """Take this thread's step away."""
        with self._lock:
            task = self._tasks.pop(threading.get_ident(), None)
            if self._progress and task is not None:
                self._progress.remove_task(task)
            if self._progress and not self._tasks:
                self._progress.stop()
                self._progress = None


def shown_url(catalog_url: str) -> str:
    """Return a catalog's URL without its password."""
    return make_url(catalog_url).render_as_string(hide_password=True)


def catalog_exists(configuration: Configuration) -> bool:
    """Tell whether there is a catalog to look into; looking must not make one."""
    url = make_url(configuration.catalog_url)
    return url.get_backend_name() != "sqlite" or not url.database or os.path.exists(url.database)


def count_of_files(number: int) -> str:
    """Return ``1 file``, ``2 files``."""
    return "1 file" if number == 1 else f"{number} files"


def complain(line: str) -> None:
    """Say on stderr what went wrong."""
    errors.print(masked(f"cygno-stager: {line}"), markup=False, style="red")
