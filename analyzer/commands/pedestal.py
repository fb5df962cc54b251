"""Make pedestals: ``pedestal``."""

import json
from pathlib import Path
from typing import Annotated

import typer

from analyzer.commands.shared import (
    Data,
    Json,
    ProfileName,
    progress_bar,
    say,
    settings_of_profile,
)
from analyzer.pedestal import Pedestal
from analyzer.pedestal_run import make_pedestal
from analyzer.run_files import find_run
from analyzer.settings import AnalyzerSettings


def pedestal(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Run file, or run number.")],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Pedestal file. Default: beside the run file."),
    ] = None,
    data: Data = None,
    profile_name: ProfileName = None,
    as_json: Json = False,
) -> None:
    """Make the pedestal of a run: mean, noise and defects of every pixel.

    Any run will do: light is left out. It is found by itself for later runs if it lies in their
    folder under the name run01101.pedestal.h5.

    Examples:

      cygno-analyzer pedestal run01101.mid.gz

      cygno-analyzer pedestal 1101 --data /data -o today.pedestal.h5
    """
    source = find_run(run, [Path(), *(data or [])])
    path, pedestals = make_with_bar(source, output, settings_of_profile(profile_name))
    facts = {str(camera): found.summary() for camera, found in pedestals.items()}
    if as_json:
        typer.echo(json.dumps({"file": str(path), "cameras": facts}))
        return
    for camera, fact in facts.items():
        typer.echo(
            f"camera {camera}: {fact['rows']}x{fact['columns']}, {fact['frames']} frames, mean "
            f"{fact['mean_adu']} ADU, noise {fact['noise_adu']} ADU, {fact['defects']} defects"
        )
    typer.echo(str(path))


def make_with_bar(
    source: Path, output: Path | None, settings: AnalyzerSettings | None
) -> tuple[Path, dict[int, Pedestal]]:
    """Make a pedestal, with a progress bar: (file, camera -> pedestal)."""
    with progress_bar(f"pedestal of {source.name}") as advance:
        made = make_pedestal(source, output, settings or AnalyzerSettings(), advance)
    for problem in made[2]:
        say(problem, True)
    return made[0], made[1]
