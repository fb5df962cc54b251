"""Commands whose modules are loaded when they are wanted: ``status`` needs no S3, no NumPy."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any, ClassVar

import typer
from typer.core import TyperGroup
from typer.main import get_command


class LazyGroup(TyperGroup):
    """A group that knows its commands by name, and where each is.

    Made by `lazy_group`; a command is ``module:function``, a group of commands ``module:app``.
    """

    places: ClassVar[Mapping[str, str]] = {}

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of all commands, in their order."""
        return list(self.places)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command by its name, None if there is none."""
        if cmd_name not in self.places:
            return None
        module, _, name = self.places[cmd_name].partition(":")
        found = getattr(import_module(module), name)
        if not isinstance(found, typer.Typer):
            alone = typer.Typer(rich_markup_mode="rich", add_completion=False)
            alone.command(cmd_name)(found)
            found = alone
        command = get_command(found)
        command.name = cmd_name
        return command


def lazy_group(commands: Mapping[str, str]) -> type[LazyGroup]:
    """Return a group of these commands, for ``typer.Typer(cls=...)``."""
    return type("Commands", (LazyGroup,), {"places": dict(commands)})
