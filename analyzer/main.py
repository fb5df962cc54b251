"""``cygno-analyzer``: pedestals, clusters and waveforms, online and from run files."""

import sys

import typer

from analyzer.commands.file import file
from analyzer.commands.online import online
from analyzer.commands.pedestal import pedestal
from analyzer.commands.report import report
from analyzer.commands.shared import complain
from analyzer.commands.show import show
from analyzer.errors import AnalyzerError
from experiment.errors import ExperimentError
from rawdata.errors import RawDataError

app = typer.Typer(
    help=__doc__,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
# Each subject has a file in analyzer/commands; a group of commands is added with `app.add_typer`.
app.command()(file)
app.command()(pedestal)
app.command()(online)
app.command()(report)
app.command()(show)


def main() -> None:
    """Run the command line; every known failure is one line and exit code 1."""
    try:
        app()
    except (AnalyzerError, RawDataError, ExperimentError) as error:
        complain(str(error))
        sys.exit(1)


if __name__ == "__main__":
    main()
