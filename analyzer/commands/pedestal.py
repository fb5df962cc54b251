"""Make pedestals: ``pedestal``."""

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from analyzer.commands.shared import (
    Data,
    Json,
    ProfileName,
    progress_bar,
    say,
    settings_of_profile,
)
from analyzer.pedestal import Pedestal
from analyzer.pedestal_change import Change, change_since
from analyzer.pedestal_files import Wanted, find_pedestal
from analyzer.pedestal_picture import draw_pedestals
from analyzer.pedestal_run import make_pedestal
from analyzer.run_files import find_run
from analyzer.settings import AnalyzerSettings

PICTURES = (".png", ".pdf", ".svg")
FILES = (".h5", ".hdf5")


def pedestal(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Run file, or run number.")],
    output: Annotated[
        list[Path] | None,
        typer.Option(
            "-o",
            "--output",
            help="Pedestal file (.h5) or its folder, default: beside the run file; or a picture "
            "of it (.png, .pdf, .svg); repeatable.",
        ),
    ] = None,
    until: Annotated[
        int, typer.Option(min=0, help="Last run it is for; 0: until there is a newer one.")
    ] = 0,
    data: Data = None,
    profile_name: ProfileName = None,
    jobs: Annotated[int, typer.Option("-j", "--jobs", min=0, help="Threads; 0: one a core.")] = 0,
    as_json: Json = False,
) -> None:
    """Make the pedestal of a run: mean, noise and defects of every pixel.

    Any run will do: light is left out. It is found by itself for later runs if it lies in their
    folder under the name run01101.pedestal.h5. What changed since the pedestal before is shown.

    Examples:

      cygno-analyzer pedestal run01101.mid.gz

      cygno-analyzer pedestal 1101 --data /data -o today.pedestal.h5 -o pedestal.png
    """
    file, picture = _targets(output or [])
    source = find_run(run, [Path(), *(data or [])])
    began = time.monotonic()
    path, pedestals = make_with_bar(
        source, file, settings_of_profile(profile_name), workers=jobs, valid_until=until
    )
    duration_s = time.monotonic() - began
    if picture is not None:
        draw_pedestals(picture, pedestals)
    folders = list(dict.fromkeys([path.parent, source.parent, *(data or [])]))
    changes = {camera: _change(made, camera, folders) for camera, made in pedestals.items()}
    rate = sum(made.frames for made in pedestals.values()) / max(duration_s, 1e-9)
    if as_json:
        cameras = {
            str(camera): {**made.summary(), "change": _summary(changes[camera])}
            for camera, made in pedestals.items()
        }
        content = {
            "file": str(path),
            "picture": str(picture or ""),
            "cameras": cameras,
            "duration_s": round(duration_s, 3),
            "frames_per_s": round(rate, 2),
        }
        typer.echo(json.dumps(content))
        return
    Console().print(_table(pedestals, changes))
    typer.echo(f"{path}  ({duration_s:.1f} s, {rate:.0f} frames/s)")
    if picture is not None:
        typer.echo(str(picture))


def _targets(outputs: list[Path]) -> tuple[Path | None, Path | None]:
    """Return the pedestal file or folder, and the picture, that are meant.

    :raises BadParameter: for what is neither, or two of a kind.
    """
    pictures = [path for path in outputs if path.suffix in PICTURES]
    files = [path for path in outputs if path.suffix not in PICTURES]
    for path in files:
        if path.suffix not in FILES and not path.is_dir():
            allowed = ", ".join(FILES + PICTURES)
            raise typer.BadParameter(
                f"{path} ends in none of {allowed} and is no folder", param_hint="--output"
            )
    if len(files) > 1 or len(pictures) > 1:
        raise typer.BadParameter(
            f"one pedestal file and one picture at most, not {', '.join(map(str, outputs))}",
            param_hint="--output",
        )
    return files[0] if files else None, pictures[0] if pictures else None


def _change(made: Pedestal, camera: int, folders: list[Path]) -> Change | None:
    """Return what changed since the pedestal before, None if there is none that is alike."""
    wanted = Wanted(made.run, camera, made.shape, made.exposure_s, made.camera_name)
    search = find_pedestal(folders, wanted)
    if search.pedestal is None or search.has_other_exposure:
        return None
    return change_since(made, search.pedestal)


def _summary(change: Change | None) -> dict[str, Any] | None:
    return None if change is None else change.summary()


def _table(pedestals: Mapping[int, Pedestal], changes: Mapping[int, Change | None]) -> Table:
    table = Table(show_header=len(pedestals) > 1, title_justify="left")
    first = next(iter(pedestals.values()))
    table.title = f"pedestal of {first.source}"
    table.add_column("")
    columns: list[dict[str, str]] = []
    for camera, made in sorted(pedestals.items()):
        table.add_column(f"camera {camera}")
        columns.append(_lines(camera, made, changes[camera]))
    for name in columns[0]:
        table.add_row(name, *(column.get(name, "") for column in columns))
    return table


def _lines(camera: int, made: Pedestal, change: Change | None) -> dict[str, str]:
    facts = made.summary()
    low, high = facts["mean_range_adu"]
    kinds = ", ".join(f"{n} {kind}" for kind, n in facts["defect_kinds"].items() if n)
    warm = facts["temperature_c"]
    lines = {
        "camera": f"{camera} {made.camera_name}".strip(),
        "frames": f"{made.frames} of {facts['rows']}x{facts['columns']}",
        "exposure": f"{made.exposure_s:g} s" if made.exposure_s else "not known",
        "sensor": "not known" if warm is None else f"{warm:.1f} °C",
        "mean": f"{facts['mean_adu']:.2f} ADU, 98 % within {low:.1f} to {high:.1f}",
        "noise": f"{facts['noise_adu']:.3f} ADU (median)",
        "defects": f"{facts['defects']}" + (f": {kinds}" if kinds else ""),
        "valid": f"until run {made.valid_until}" if made.valid_until else "until the next one",
    }
    if change is None:
        return lines | {"change": "no earlier one that is alike"}
    return lines | {
        "change": f"since {change.since}: level {change.level_adu:+.2f} ADU, worst part "
        f"{change.worst_tile_adu:+.2f}, noise x{change.noise_ratio:.3f}, "
        f"{change.new_defects} new defects, {change.gone_defects} gone"
    }


def make_with_bar(
    source: Path,
    output: Path | None,
    settings: AnalyzerSettings | None,
    *,
    workers: int = 0,
    valid_until: int = 0,
) -> tuple[Path, dict[int, Pedestal]]:
    """Make a pedestal, with a progress bar: (file, camera -> pedestal)."""
    with progress_bar(f"pedestal of {source.name}") as advance:
        path, pedestals, problems = make_pedestal(
            source,
            output,
            settings or AnalyzerSettings(),
            advance,
            workers=workers or os.cpu_count() or 1,
            valid_until=valid_until,
        )
    for problem in problems:
        say(problem, True)
    return path, pedestals
