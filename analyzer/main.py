"""``cygno-analyzer``: pedestals, clusters and waveforms, online and from run files."""

import json
import logging
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from analyzer.errors import AnalyzerError
from analyzer.lookup import PedestalLookup
from analyzer.online import CLIENT_NAME, OnlineAnalyzer
from analyzer.pedestal import Pedestal
from analyzer.pedestal_files import pedestal_name
from analyzer.pedestal_run import make_pedestal
from analyzer.results import results_name
from analyzer.run_files import find_run
from analyzer.runs import RunSummary, analyze_run
from analyzer.settings import PROFILES, AnalyzerSettings, profile
from experiment.connect import connect
from experiment.errors import ExperimentError
from rawdata.errors import RawDataError
from rawdata.runfile import RunFile

app = typer.Typer(
    help=__doc__,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
errors = Console(stderr=True)

NICENESS = 5
"""Frontend and logger go first where cores are few."""

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object a run, for machines.")]
Data = Annotated[
    list[Path] | None,
    typer.Option(help="Folder of run files and pedestals, for runs given by number; repeatable."),
]
ProfileName = Annotated[
    str | None,
    typer.Option(
        "--profile", help=f"Settings of a site: {', '.join(PROFILES)}. Default: the run's own."
    ),
]


@contextmanager
def _progress_bar() -> Iterator[Progress]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[events]} events"),
        TimeElapsedColumn(),
    )
    shown = errors.is_terminal
    with Progress(*columns, console=errors, transient=True, disable=not shown) as bar:
        yield bar


def _say(text: str, is_error: bool) -> None:
    _print(text, "yellow" if is_error else None)


def _print(text: str, style: str | None) -> None:
    """Print one line to stderr, however long it is."""
    errors.print(text, style=style, markup=False, highlight=False, soft_wrap=True)


def _settings(name: str | None) -> AnalyzerSettings | None:
    if name is None:
        return None
    if name not in PROFILES:
        raise typer.BadParameter(f"{name} is none of {', '.join(PROFILES)}", param_hint="--profile")
    return profile(name)  # type: ignore[arg-type]


@app.command()
def file(
    runs: Annotated[list[str], typer.Argument(metavar="RUN...", help="Run files, or run numbers.")],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Results file, or a folder. Default: beside the run."),
    ] = None,
    pedestal: Annotated[
        str | None,
        typer.Option(
            help="Pedestal file, pedestal run file or run number. Default: the nearest earlier "
            "pedestal that fits, in the folders of the run, of the output and of --data."
        ),
    ] = None,
    data: Data = None,
    profile_name: ProfileName = None,
    jobs: Annotated[int, typer.Option("-j", "--jobs", min=0, help="Threads; 0: one a core.")] = 0,
    as_json: Json = False,
) -> None:
    """Analyze run files: clusters of every frame, every waveform, into an HDF5 file a run.

    A pedestal run among them makes its pedestal file beside its results. A damaged file gives the
    results of its whole events, and exit code 1.

    Examples:

      cygno-analyzer file run01102.mid.lz4 -o results.h5

      cygno-analyzer file 1101 1102 1104 --data /data -o results/ -j 4 --json

      cygno-analyzer file run01104.mid --pedestal 1101
    """
    settings = _settings(profile_name)
    folders = [Path(), *(data or [])]
    sources = [find_run(run, folders) for run in runs]
    outputs = _outputs(sources, output)
    given = _given_pedestal(pedestal, sources, folders, settings) if pedestal else None
    is_whole = True
    for source, target in zip(sources, outputs, strict=True):
        places = list(dict.fromkeys([target.parent, source.parent, *(data or [])]))
        try:
            with _progress_bar() as bar:
                task = bar.add_task(source.name, total=1.0, events=0)
                summary = analyze_run(
                    source,
                    target,
                    PedestalLookup(places, given),
                    settings=settings,
                    workers=jobs or os.cpu_count() or 1,
                    tell=_say,
                    progress=_advance(bar, task),
                )
        except (AnalyzerError, RawDataError) as error:
            _print(str(error), "red")
            is_whole = False
            continue
        _show_run(summary, as_json)
        if summary.damage:
            _print(summary.damage, "red")
            is_whole = False
        elif not summary.has_end:
            _say(f"{source}: the run was not ended: it has no ODB dump at end of run", True)
    if not is_whole:
        raise typer.Exit(1)


def _advance(bar: Progress, task: TaskID) -> Any:
    return lambda events, part: bar.update(task, completed=part, events=events)


def _outputs(sources: list[Path], output: Path | None) -> list[Path]:
    """Return the results file of each run.

    :raises BadParameter: if several runs would go to one file.
    """
    if output is not None and len(sources) == 1 and not output.is_dir() and output.suffix:
        return [output]
    if output is not None and output.suffix in (".h5", ".hdf5") and not output.is_dir():
        raise typer.BadParameter(
            f"{output} is one file for {len(sources)} runs; give a folder", param_hint="--output"
        )
    names = []
    for source in sources:
        with RunFile(source) as opened:
            number = opened.run_number
        name = results_name(number) if number is not None else f"{source.name}.reco.h5"
        names.append((output or source.parent) / name)
    return names


def _given_pedestal(
    text: str, sources: list[Path], folders: list[Path], settings: AnalyzerSettings | None
) -> Path:
    """Return the pedestal file that a person means, making it where a run is meant."""
    path = Path(text)
    if path.is_file() and path.suffix in (".h5", ".hdf5"):
        return path
    places = list(dict.fromkeys([*(source.parent for source in sources), *folders]))
    if text.isdigit():
        for place in places:
            made = place / pedestal_name(int(text))
            if made.is_file():
                return made
    source = find_run(text, places)
    made, _ = _make(source, None, settings)
    return made


@app.command()
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
    path, pedestals = _make(source, output, _settings(profile_name))
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


def _make(
    source: Path, output: Path | None, settings: AnalyzerSettings | None
) -> tuple[Path, dict[int, Pedestal]]:
    with _progress_bar() as bar:
        task = bar.add_task(f"pedestal of {source.name}", total=1.0, events=0)
        made = make_pedestal(source, output, settings or AnalyzerSettings(), _advance(bar, task))
    for problem in made[2]:
        _say(problem, True)
    return made[0], made[1]


def _show_run(summary: RunSummary, as_json: bool) -> None:
    if as_json:
        content = asdict(summary)
        content.update(
            source=str(summary.source),
            output=str(summary.output),
            pedestal_file=str(summary.pedestal_file or ""),
        )
        typer.echo(json.dumps({**content.pop("counts"), **content}))
        return
    counts = summary.counts
    table = Table(show_header=False, title=f"run {summary.run}", title_justify="left")
    table.add_row("events", f"{counts.analyzed} analyzed, {counts.troubled} with problems")
    table.add_row("clusters", str(counts.clusters))
    table.add_row("waveforms", str(counts.waveforms))
    for camera, used in summary.pedestals.items():
        text = f"{used['source']}, noise {used['noise_adu']} ADU, {used['defects']} defects"
        table.add_row(f"pedestal {camera}", text)
    if summary.pedestal_file:
        table.add_row("made", str(summary.pedestal_file))
    table.add_row("results", str(summary.output))
    rate = counts.analyzed / summary.duration_s if summary.duration_s else 0.0
    table.add_row("time", f"{summary.duration_s:.1f} s, {rate:.1f} events/s")
    Console().print(table)


@app.command()
def online(
    experiment: Annotated[
        str | None,
        typer.Option(
            help="Folder of a standalone experiment, or name of a MIDAS one.",
            envvar="CYGNO_EXPERIMENT",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Folder of results. Default: /Logger/Data dir."),
    ] = None,
    jobs: Annotated[
        int, typer.Option("-j", "--jobs", min=0, help="Threads; 0: the setting Workers.")
    ] = 0,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log to stderr.")] = False,
) -> None:
    """Analyze runs while they are taken, without ever holding up the data taking.

    Results go to run00042.reco.h5 in the data folder, quality to the ODB,
    /Equipment/Analyzer/Variables. Events that were missed are completed from the run file at the
    end of the run. It may be started and stopped at any time.

    Examples:

      cygno-analyzer online --experiment ./demo

      MIDAS_EXPT_NAME=LNGS cygno-analyzer online -j 2
    """
    level = logging.INFO if verbose else logging.WARNING
    logging.basicConfig(level=level, format="%(asctime)s %(name)s %(levelname)s: %(message)s")
    stop = False

    def end(*_: object) -> None:
        nonlocal stop
        stop = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    os.nice(NICENESS)
    client = connect(CLIENT_NAME, experiment)
    try:
        OnlineAnalyzer(client, output, jobs).serve(lambda: stop)
    finally:
        client.disconnect()


def main() -> None:
    """Run the command line; every known failure is one line and exit code 1."""
    try:
        app()
    except (AnalyzerError, RawDataError, ExperimentError) as error:
        _print(str(error), "red")
        sys.exit(1)


if __name__ == "__main__":
    main()
