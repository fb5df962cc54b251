"""The demonstration behind ``make demo``: a pedestal run, a physics run, a replayed run."""

import sys
from pathlib import Path

from rich.console import Console

from experiment.errors import ExperimentError
from sim.errors import SimulationError
from sim.main import near, progress_bar, report_to, show
from sim.run import RunPlan, RunResult, replay_run, take_run

RECORDED = Path("tests/data/run01104.mid")
console = Console(highlight=False)


def demonstrate(folder: Path) -> list[RunResult]:
    """Take the three runs in `folder`, telling what goes on.

    :raises SimulationError: naming the program or step that failed.
    """
    # At one rate, so that both are exposed equally long: a pedestal serves runs of its exposure.
    pedestal = RunPlan(events=30, seed=1, rate_hz=4, mode="free", pedestal=True)
    physics = RunPlan(events=20, seed=1, rate_hz=4, mode="continuous")
    results: list[RunResult] = []
    for title, plan in (
        (
            "A pedestal run: 30 frames of 2304x2304 pixels without light, at 4 Hz",
            pedestal,
        ),
        ("A physics run: 20 events at 4 Hz, one camera and two digitizers", physics),
        (f"A recorded run, replayed: {RECORDED}", None),
    ):
        console.print(f"\n[bold]{len(results) + 1}/3 {title}[/bold]")
        with progress_bar() as progress:
            report = report_to(progress)
            if plan is None:
                result = replay_run(RECORDED.resolve(), "max", folder, report, "gzip", stage=True)
            else:
                result = take_run(plan, folder, report)
        show(result)
        results.append(result)
    return results


def where_to_look(folder: Path, results: list[RunResult]) -> None:
    """Print what a newcomer can look at next."""
    shown, file = near(folder), near(results[1].file)
    console.print("\n[bold]Where to look[/bold]")
    for command, what in (
        (f".venv/bin/cygno-rawdata check {shown}/data/run*.mid*", "is every file whole?"),
        (f".venv/bin/cygno-rawdata dump {file}", "what is in each event?"),
        (f".venv/bin/cygno-rawdata odb {file} /Configurations", "how was the run taken?"),
        (f".venv/bin/cygno-stager status --experiment {shown}", "is every run in S3?"),
        (f".venv/bin/cygno-sim serve --output {shown}", "run it yourself, in a browser"),
    ):
        console.print(f"  {command}\n      [dim]{what}[/dim]")
    console.print(f"  {shown}/data/*.reco.h5\n      [dim]events, clusters and waveforms[/dim]")
    console.print(f"  {shown}/midas.log, {shown}/logs/\n      [dim]what the programs said[/dim]")


def main() -> int:
    """Run as ``python -m sim.demo FOLDER``."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "demo").resolve()
    try:
        results = demonstrate(folder)
    except (SimulationError, ExperimentError, OSError) as error:
        console.print(f"the demonstration failed: {error}", style="red", markup=False)
        return 1
    except KeyboardInterrupt:
        console.print("interrupted; the run was stopped and all programs with it")
        return 130
    where_to_look(folder, results)
    return 0 if all(result.is_complete for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
