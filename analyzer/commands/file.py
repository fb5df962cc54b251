"""Analyze run files: ``file``."""

import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from analyzer.changes import parse_changes, with_changes
from analyzer.commands.pedestal import make_with_bar
from analyzer.commands.shared import (
    Data,
    Json,
    ProfileName,
    complain,
    errors,
    progress_bar,
    say,
    settings_of_profile,
)
from analyzer.errors import AnalyzerError
from analyzer.lookup import PedestalLookup
from analyzer.pedestal_files import pedestal_name
from analyzer.results import results_name
from analyzer.root_file import root_name
from analyzer.run_files import find_run, number_in_name, run_number_of
from analyzer.runs import Format, RunSummary, analyze_run
from analyzer.settings import AnalyzerSettings
from analyzer.summary import read_summary, summary_path
from analyzer.warmup import compile_kernels
from rawdata.checksum import SIDECAR_SUFFIX
from rawdata.errors import RawDataError
from rawdata.runfile import RunFile, RunFileError

FILE_ENDINGS: Final = (".h5", ".hdf5", ".root")
"""Endings of an output that is one file and no folder."""


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
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="A setting that differs from the profile's or the run's, such as nsigma=0.8; "
            "repeatable.",
        ),
    ] = None,
    format: Annotated[
        Format,
        typer.Option(
            help="hdf5, or root with the trees of CYGNO's reconstruction (needs the extra 'root').",
        ),
    ] = Format.HDF5,
    jobs: Annotated[int, typer.Option("-j", "--jobs", min=0, help="Threads; 0: one a core.")] = 0,
    as_json: Json = False,
) -> None:
    """Analyze run files: clusters of every frame, every waveform, into a file a run.

    A pedestal run among them makes its pedestal file beside its results. A damaged file gives the
    results of its whole events, and exit code 1.

    Examples:

      cygno-analyzer file run01102.mid.lz4 -o results.h5

      cygno-analyzer file 1101 1102 1104 --data /data -o results/ -j 4 --json

      cygno-analyzer file run01104.mid --pedestal 1101

      cygno-analyzer file run01104.mid --format root -o reco_run01104.root

      cygno-analyzer file run01104.mid --set Finder=cygno --set "Grow sigma=3.5"
    """
    settings = settings_of_profile(profile_name)
    try:
        changed = parse_changes(changes or [])
        with_changes(settings or AnalyzerSettings(), changed)  # else told for each of the runs
    except AnalyzerError as error:
        raise typer.BadParameter(str(error), param_hint="--set") from error
    folders = [Path(), *(data or [])]
    # Checksums that run*.mid* brings along are left out.
    chosen = [run for run in runs if not run.endswith(SIDECAR_SUFFIX)] or runs
    sources = [find_run(run, folders) for run in chosen]
    outputs = _outputs(sources, output, format)
    given = _given_pedestal(pedestal, sources, folders, settings) if pedestal else None
    with errors.status("compiling, once on a machine (up to a minute)"):
        compile_kernels()  # else the first run would seem slow
    is_whole = True
    for source, target in zip(sources, outputs, strict=True):
        places = list(dict.fromkeys([target.parent, source.parent, *(data or [])]))
        try:
            with progress_bar(source.name) as advance:
                summary = analyze_run(
                    source,
                    target,
                    PedestalLookup(places, given),
                    settings=settings,
                    workers=jobs or os.cpu_count() or 1,
                    tell=say,
                    progress=advance,
                    format=format,
                    changes=changed,
                )
        except (AnalyzerError, RawDataError) as error:
            complain(str(error))
            is_whole = False
            continue
        _show_run(summary, as_json)
        if summary.damage:
            complain(summary.damage)
            is_whole = False
        elif not summary.has_end:
            say(f"{source}: the run was not ended: it has no ODB dump at end of run", True)
    if not is_whole:
        raise typer.Exit(1)


def _outputs(sources: list[Path], output: Path | None, format: Format) -> list[Path]:
    """Return the results file of each run.

    :raises BadParameter: if several runs would go to one file.
    """
    if output is not None and len(sources) == 1 and not output.is_dir() and output.suffix:
        return [output]
    if output is not None and output.suffix in FILE_ENDINGS and not output.is_dir():
        raise typer.BadParameter(
            f"{output} is one file for {len(sources)} runs; give a folder", param_hint="--output"
        )
    return [(output or source.parent) / _output_name(source, format) for source in sources]


def _output_name(source: Path, format: Format) -> str:
    """Return the name of a run's results; a file that cannot be read has a name all the same."""
    try:
        with RunFile(source) as opened:
            number = run_number_of(source, opened)
    except RunFileError:
        number = number_in_name(source)
    if format is Format.ROOT:
        return root_name(number) if number else f"{source.name}.reco.root"
    return results_name(number) if number else f"{source.name}.reco.h5"


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
    made, _ = make_with_bar(source, None, settings)
    return made


def _quality_lines(path: Path) -> Iterator[tuple[str, str]]:
    """Yield name and text of what a person wants to know first of a run's quality."""
    if not path.is_file():  # results in another format have none
        return
    known = read_summary(path)
    if known["noise_adu"] is not None:
        drift = known["pedestal_drift_adu"]
        yield "noise", f"{known['noise_adu']:.2f} ADU, level {drift:+.2f} ADU from the pedestal"
    if known["hot_pixels"]:
        yield "turned hot", f"{known['hot_pixels']} macro-pixels; take a pedestal run"
    if known["fe55_fit_status"] == "ok":
        yield (
            "55Fe line",
            f"{known['fe55_peak_adu']:.0f} ± {known['fe55_peak_error_adu']:.0f} ADU, resolution "
            f"{known['fe55_resolution_percent']:.1f} ± "
            f"{known['fe55_resolution_error_percent']:.1f} %",
        )
    if known["limits_violated"]:
        yield "beyond limits", known["limits_violated"].replace(",", ", ")


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
    for name, text in _quality_lines(summary_path(summary.output)):
        table.add_row(name, text)
    table.add_row("results", str(summary.output))
    rate = counts.analyzed / summary.duration_s if summary.duration_s else 0.0
    table.add_row("time", f"{summary.duration_s:.1f} s, {rate:.1f} events/s")
    Console().print(table)
