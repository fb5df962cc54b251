"""Groups of options that several commands have, declared once.

A command takes a group as one parameter; typer sees the options in it.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from functools import wraps
from typing import Any, get_type_hints

from stager.commands.shared import (
    Bucket,
    CatalogUrl,
    Config,
    CredentialsFile,
    DataDir,
    Endpoint,
    Experiment,
    PartSize,
    Region,
    Tag,
)


@dataclass(frozen=True)
class Where:
    """Which experiment and catalog a command looks into."""

    experiment: Experiment = None
    data_dir: DataDir = None
    config: Config = None
    catalog: CatalogUrl = None

    @property
    def options(self) -> dict[str, Any]:
        """Those that are settings, for `configure`."""
        return _settings(self)


@dataclass(frozen=True)
class Staging:
    """What is staged, and whereto."""

    experiment: Experiment = None
    data_dir: DataDir = None
    config: Config = None
    endpoint: Endpoint = None
    bucket: Bucket = None
    region: Region = None
    tag: Tag = None
    part_size_mib: PartSize = None
    catalog: CatalogUrl = None
    credentials_file: CredentialsFile = None

    @property
    def options(self) -> dict[str, Any]:
        """Those that are settings, for `configure`."""
        return _settings(self)


def _settings(group: Where | Staging) -> dict[str, Any]:
    elsewhere = ("experiment", "config")
    options = {name: value for name, value in vars(group).items() if name not in elsewhere}
    return {**options, "data_dir": str(group.data_dir) if group.data_dir else None}


def grouped(command: Callable[..., None]) -> Callable[..., None]:
    """Let the fields of a command's groups, which are dataclasses, be options of their own.

    >>> @dataclass
    ... class Size:
    ...     width: int = 2
    ...     height: int = 3
    >>> @grouped
    ... def show(size: Size, unit: str = "m") -> None:
    ...     print(size.width * size.height, unit)
    >>> list(inspect.signature(show).parameters), show(width=5, height=1, unit="cm")
    5 cm
    (['width', 'height', 'unit'], None)
    """
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, Any] = {}
    parameters = []
    for parameter in inspect.signature(command).parameters.values():
        kind = hints[parameter.name]
        if not is_dataclass(kind):
            parameters.append((parameter.name, parameter.default, kind))
            continue
        groups[parameter.name] = kind
        options = get_type_hints(kind, include_extras=True)
        parameters += [(f.name, f.default, options[f.name]) for f in fields(kind)]

    @wraps(command)
    def call(**given: Any) -> None:
        for name, kind in groups.items():
            given[name] = kind(**{field.name: given.pop(field.name) for field in fields(kind)})
        command(**given)

    only = inspect.Parameter.KEYWORD_ONLY
    call.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            inspect.Parameter(name, only, default=default, annotation=kind)
            for name, default, kind in parameters
        ]
    )
    call.__annotations__ = {name: kind for name, _, kind in parameters}
    return call
