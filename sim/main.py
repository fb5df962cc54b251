"""``cygno-sim``: take, serve and replay runs with no hardware and no MIDAS."""

import json
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from experiment.errors import ExperimentError
from sim.errors import SimulationError
from sim.replay import parse_rate
from sim.run import Report, RunPlan, RunResult, counted, replay_run, take_run
from sim.serve import serve as serve_experiment

app = typer.Typer(
    help=__doc__,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
errors = Console(stderr=True)

Output = Annotated[Path, typer.Option(help="Folder of the experiment: ODB, data, results, logs.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line.")]
Compress = Annotated[str, typer.Option(help="none, gzip, lz4, bzip2 or zstd.")]
NoStage = Annotated[bool, typer.Option("--no-stage", help="Do not bring the run to S3.")]
DEFAULT_OUTPUT = Path("cygno-experiment")
MODES = ("pmt", "continuous", "free")


def _parse_frame_rate(text: str) -> float:
    rate = parse_rate(text) if text != "original" else None
    if rate is None:
        raise ValueError(text)
    return rate


def _plan(**options: object) -> RunPlan:
    """Check what was asked for. :raises typer.BadParameter: naming option, value, allowed."""
    mode, generation, rate = options["mode"], options["generation"], str(options.pop("rate"))
    if mode not in MODES:
        raise typer.BadParameter(f"--mode is {mode!r}; allowed: {', '.join(MODES)}")
    if generation not in ("A", "C"):
        raise typer.BadParameter(f"--generation is {generation!r}; allowed: A, C")
    if options["compress"] not in ("none", "gzip", "lz4", "bzip2", "zstd"):
        raise typer.BadParameter(
            f"--compress is {options['compress']!r}; allowed: none, gzip, lz4, bzip2, zstd"
        )
    try:
        rate_hz = _parse_frame_rate(rate)
    except ValueError as error:
        raise typer.BadParameter(f"--rate is {rate!r}; allowed: max or Hz above 0") from error
    return RunPlan(rate_hz=rate_hz, **options)  # type: ignore[arg-type]


def report_to(progress: Progress) -> Report:
    """Return a report function: it moves the bar, or prints each step where none is shown."""
    task = progress.add_task("starting", total=None)
    shown = ""

    def report(what: str, done: int | None = None, wanted: int | None = None) -> None:
        nonlocal shown
        text = what if done is None else f"{what} {counted(done, wanted)}"
        progress.update(task, description=text, total=wanted, completed=done or 0)
        if progress.disable and done is None and what != shown:
            errors.print(what, markup=False, highlight=False, soft_wrap=True)
            shown = what

    return report


def progress_bar() -> Progress:
    """Return a progress bar on stderr that vanishes when it is done."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    return Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal)


def near(path: str | Path) -> str:
    """Return a path, or the path in a URL, as seen from the current folder where it is below."""
    return str(path).replace(f"{Path.cwd()}/", "")


def show(result: RunResult) -> None:
    """Print what came of a run, for people."""
    table = Table(title=f"run {result.run}", show_header=False, title_justify="left")
    table.add_row(
        "events",
        f"{result.events_acquired} acquired, {result.events_written} written,"
        f" {result.events_analyzed} analyzed; {result.frames_lost} frames lost",
    )
    table.add_row("rate", f"{result.frames_per_s:.2f} frames/s over {result.duration_s:.1f} s")
    table.add_row(
        "run file",
        f"{near(result.file)} ({result.file_bytes / 1e6:.1f} MB, "
        f"from {result.raw_bytes / 1e6:.1f} MB)",
    )
    table.add_row("results", near(result.reco_file))
    if result.staged:
        table.add_row("S3 object", f"{result.object_key} ({result.object_bytes / 1e6:.1f} MB)")
        table.add_row("catalog", near(result.catalog))
    Console().print(table)
    if result.stage_error:
        errors.print(f"not staged: {result.stage_error}", style="red", markup=False, soft_wrap=True)


def _finish(results: list[RunResult], as_json: bool) -> None:
    for result in results:
        if as_json:
            typer.echo(result.as_json())
        else:
            show(result)
    if not all(result.is_complete for result in results):
        raise typer.Exit(1)


@app.command()
def run(
    events: Annotated[int, typer.Option(min=1, help="Events to take.")] = 20,
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same run.")] = None,
    camera: Annotated[str, typer.Option(help="fusion, quest, flash or ROWSxCOLS.")] = "fusion",
    cameras: Annotated[int, typer.Option(min=1, max=6, help="Number of cameras.")] = 1,
    rate: Annotated[str, typer.Option(help="Frames per second [Hz], or max.")] = "5",
    mode: Annotated[str, typer.Option(help="pmt, continuous or free.")] = "continuous",
    pedestal: Annotated[bool, typer.Option("--pedestal", help="No light: a pedestal run.")] = False,
    generation: Annotated[str, typer.Option(help="Event layout: A or C.")] = "A",
    compress: Compress = "gzip",
    output: Output = DEFAULT_OUTPUT,
    no_stage: NoStage = False,
    as_json: Json = False,
) -> None:
    """Take one run, from photon to catalog, with the real programs in their own processes.

    Examples:

      cygno-sim run --events 100 --rate max --pedestal

      cygno-sim run --events 50 --seed 7 --json

      cygno-sim run --camera 512x512 --rate 20 --mode pmt --no-stage
    """
    plan = _plan(
        events=events,
        seed=seed,
        camera=camera,
        cameras=cameras,
        rate=rate,
        mode=mode,
        pedestal=pedestal,
        generation=generation,
        compress=compress,
        stage=not no_stage,
    )
    with progress_bar() as progress:
        result = take_run(plan, output.resolve(), report_to(progress))
    _finish([result], as_json)


@app.command()
def replay(
    files: Annotated[list[Path], typer.Argument(help="Recorded run files.", exists=True)],
    rate: Annotated[str, typer.Option(help="original, max or events per second.")] = "max",
    compress: Compress = "gzip",
    output: Output = DEFAULT_OUTPUT,
    no_stage: NoStage = False,
    as_json: Json = False,
) -> None:
    """Feed recorded runs through logger, analyzer and stager, each as a new run.

    Examples:

      cygno-sim replay tests/data/run01104.mid

      cygno-sim replay run4*.mid.gz --rate original --output rerun
    """
    try:
        parse_rate(rate)
    except ValueError as error:
        raise typer.BadParameter(f"--rate is {rate!r}; allowed: original, max, Hz") from error
    results = []
    for file in files:
        with progress_bar() as progress:
            report = report_to(progress)
            results.append(
                replay_run(file.resolve(), rate, output.resolve(), report, compress, not no_stage)
            )
    _finish(results, as_json)


@app.command()
def serve(
    output: Output = DEFAULT_OUTPUT,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Web page; 0 is none.")] = 8080,
    camera: Annotated[str, typer.Option(help="fusion, quest, flash or ROWSxCOLS.")] = "fusion",
    rate: Annotated[str, typer.Option(help="Frames per second [Hz], or max.")] = "2",
    compress: Compress = "gzip",
) -> None:
    """Keep the experiment up for operators until Ctrl-C.

    Camera, rate and compression are those of a new folder; an experiment that is there already
    has the settings it was left with.

    Example:

      cygno-sim serve --output demo --port 8080
    """
    plan = _plan(
        events=-1,
        seed=None,
        camera=camera,
        cameras=1,
        rate=rate,
        mode="continuous",
        pedestal=False,
        generation="A",
        compress=compress,
        stage=True,
    )
    serve_experiment(
        output.resolve(),
        port,
        plan,
        lambda line: errors.print(line, markup=False, highlight=False, soft_wrap=True),
    )


def main() -> None:
    """Run ``cygno-sim``; an error is one line, never a traceback."""
    for number in (signal.SIGTERM, signal.SIGINT):  # a shell's background jobs ignore the latter
        signal.signal(number, signal.default_int_handler)
    try:
        app()
    except (SimulationError, ExperimentError, OSError) as error:
        if "--json" in sys.argv:
            typer.echo(json.dumps({"error": str(error)}))
        errors.print(
            f"cygno-sim: {error}", style="red", markup=False, highlight=False, soft_wrap=True
        )
        sys.exit(1)
    except KeyboardInterrupt:
        errors.print(
            "cygno-sim: interrupted; the run was stopped and all programs with it", soft_wrap=True
        )
        sys.exit(130)


if __name__ == "__main__":
    main()
