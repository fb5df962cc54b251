"""Look at one event: ``show``."""

from pathlib import Path
from typing import Annotated

import typer

from analyzer.commands.shared import Data, ProfileName, say, settings_of_profile
from analyzer.errors import AnalyzerError
from analyzer.event_page import write_event
from analyzer.one_event import load_event
from analyzer.results import results_name
from analyzer.run_files import find_run


def show(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="Run file, results file, or run number.")
    ],
    event: Annotated[int, typer.Option(min=0, help="Index of the trigger event in the run.")] = 0,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Picture (.png, .pdf, .svg). Default: run_event.png."),
    ] = None,
    camera: Annotated[int | None, typer.Option(min=0, help="Default: the first.")] = None,
    trigger: Annotated[int, typer.Option(min=0, help="Whose waveforms are drawn.")] = 0,
    low: Annotated[
        float | None, typer.Option(help="Light of the darkest colour [ADU above the pedestal].")
    ] = None,
    high: Annotated[
        float | None, typer.Option(help="Light of the brightest colour [ADU above the pedestal].")
    ] = None,
    pedestal: Annotated[
        Path | None, typer.Option(help="Pedestal file. Default: the nearest earlier one that fits.")
    ] = None,
    data: Data = None,
    profile_name: ProfileName = None,
) -> None:
    """Draw an event: image with its clusters, projections, clusters near by, and waveforms.

    A run file is analyzed on the spot. With a results file, the frame comes from the run file
    beside it or in --data; without that, the pixels of clusters are drawn if they were kept.

    Examples:

      cygno-analyzer show run01102.mid.lz4 --event 3 -o event.png

      cygno-analyzer show data/run00042.reco.h5 --event 17

      cygno-analyzer show 42 --data /data --event 17 --low -2 --high 40 -o event.pdf
    """
    folders = [Path(), *(data or [])]
    source = _find(file, folders)
    places = list(dict.fromkeys([source.parent, *(data or [])]))
    settings = settings_of_profile(profile_name)
    found = load_event(source, event, places, say, pedestal=pedestal, settings=settings)
    for problem in found.problems:
        say(f"run {found.run}, event {event}: {problem}", True)
    target = output or Path(f"run{found.run:05d}_{event:04d}.png")
    typer.echo(str(write_event(found, target, camera, trigger, (low, high))))


def _find(text: str, folders: list[Path]) -> Path:
    """Return the file that a person means; of a run number the run file, else the results."""
    try:
        return find_run(text, folders)
    except AnalyzerError:
        if text.isdigit():
            for folder in folders:
                if (folder / results_name(int(text))).is_file():
                    return folder / results_name(int(text))
        raise
