"""Bring completed runs to S3 and into the run catalog (``cygno-stager``)."""

import sys

import typer

from experiment.errors import ExperimentError
from stager.commands import care, catalog, login, look, stage
from stager.commands.shared import complain
from stager.errors import ConfigurationError, StagerError
from stager.masking import mask_tracebacks

app = typer.Typer(
    help=__doc__,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
# Each subject has a file in stager/commands; a group of commands is added with `app.add_typer`.
app.command()(stage.once)
app.command()(stage.daemon)
app.command()(look.status)
app.command()(care.verify)
app.command()(care.retry)
app.command()(care.prune)
app.command()(login.login)
app.add_typer(catalog.app, name="catalog")


def main() -> None:
    """Run the command; a failure is one line and exit code 1, misuse exit code 2."""
    mask_tracebacks()
    try:
        app()
    except ConfigurationError as error:
        complain(str(error))
        sys.exit(2)
    except (StagerError, ExperimentError) as error:
        complain(str(error))
        sys.exit(1)


if __name__ == "__main__":
    main()
