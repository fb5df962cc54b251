"""Bring completed runs to S3 and into the run catalog (``cygno-stager``)."""

import sys
from typing import Final

import typer

from experiment.errors import ExperimentError
from stager.commands.lazy import lazy_group
from stager.commands.shared import complain
from stager.errors import ConfigurationError, StagerError
from stager.masking import mask_tracebacks

COMMANDS: Final = {
    "once": "stager.commands.stage:once",
    "daemon": "stager.commands.stage:daemon",
    "status": "stager.commands.look:status",
    "verify": "stager.commands.care:verify",
    "retry": "stager.commands.care:retry",
    "prune": "stager.commands.care:prune",
    "doctor": "stager.commands.doctor:doctor",
    "login": "stager.commands.login:login",
    "catalog": "stager.commands.catalog:app",
}
"""Each subject has a file in ``stager/commands``, which is loaded when it is wanted."""

app = typer.Typer(
    cls=lazy_group(COMMANDS),
    help=__doc__,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)


@app.callback(help=__doc__)
def _group() -> None: ...


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
