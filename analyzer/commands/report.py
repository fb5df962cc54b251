"""Draw the reports of runs: ``report``."""

from pathlib import Path
from typing import Annotated

import typer

from analyzer.commands.shared import Data, complain
from analyzer.errors import AnalyzerError, ResultsError
from analyzer.report import FORMATS, report_path, write_report
from analyzer.results import results_name


def report(
    files: Annotated[
        list[str], typer.Argument(metavar="FILE...", help="Results files, or run numbers.")
    ],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Picture (.png, .pdf, .svg), or a folder."),
    ] = None,
    camera: Annotated[
        int | None, typer.Option(min=0, help="Whose image and clusters. Default: the first.")
    ] = None,
    data: Data = None,
) -> None:
    """Draw the report of each run, one page: images, spectrum, curves in time, quality and limits.

    It is made from the results of the run; by default it goes beside them, run00042.report.png.

    Examples:

      cygno-analyzer report data/run00042.reco.h5

      cygno-analyzer report 42 43 44 --data /data -o reports/

      cygno-analyzer report run00042.reco.h5 -o run42.pdf
    """
    is_picture = output is not None and output.suffix.removeprefix(".").lower() in FORMATS
    if output is not None and is_picture and len(files) > 1:
        raise typer.BadParameter(
            f"{output} is one picture for {len(files)} runs; give a folder", param_hint="--output"
        )
    is_whole = True
    for text in files:
        try:
            source = _find_results(text, [Path(), *(data or [])])
            target = output
            if output is not None and not is_picture:
                target = output / report_path(source).name
            typer.echo(str(write_report(source, target, camera)))
        except AnalyzerError as error:
            complain(str(error))
            is_whole = False
    if not is_whole:
        raise typer.Exit(1)


def _find_results(text: str, folders: list[Path]) -> Path:
    """Return the results that a person means: a file, or a run's number in one of the folders."""
    if not text.isdigit() or Path(text).is_file():
        return Path(text)
    for folder in folders:
        path = folder / results_name(int(text))
        if path.is_file():
            return path
    places = ", ".join(str(folder) for folder in folders)
    raise ResultsError(f"run {int(text)}: no {results_name(int(text))} in {places}")
