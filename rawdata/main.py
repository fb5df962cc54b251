"""Command ``cygno-rawdata``: check, dump and explain run files; compress and expand frames."""

import json
import sys
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.table import Table
from rich.text import Text

from rawdata.check import FileReport, check_file
from rawdata.errors import BankMissingError, LayoutError, RawDataError
from rawdata.event import Event
from rawdata.layouts import camera
from rawdata.odbdump import get, mask_secrets, parse_dump
from rawdata.runfile import RunFile, RunFileError
from rawdata.show import bank_as_dict, bank_summary, event_as_dict, event_name, odb_lines
from rawdata.terminal import AsJson, File, Files, errors, print_json, progress, results
from rawdata.transcode_commands import expand, shrink

app = typer.Typer(
    help="Look into run files (.mid, plain or compressed with gzip, lz4, bzip2, zstd).",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.command()
def check(files: Files, as_json: AsJson = False) -> None:
    """Read files through: count events and banks, compare CRC32C with the sidecar files.

    The exit status is 1 if any file is damaged, cut, or differs from its checksum. With --json one
    object is printed for each file, on a line of its own.

    Examples:

      cygno-rawdata check run00042.mid.lz4

      cygno-rawdata check --json data/run*.mid*
    """
    whole = True
    for path in files:
        with progress(path, "check") as on_progress:
            report = check_file(path, on_progress)
        whole = whole and report.whole
        if as_json:
            print_json(report.as_dict())
        else:
            _print_report(report)
    if not whole:
        raise typer.Exit(1)


@app.command()
def dump(
    file: File,
    event: Annotated[
        int | None, typer.Option(min=0, help="Index of one event; the ODB dump is event 0.")
    ] = None,
    bank: Annotated[str | None, typer.Option(help="Name of a bank, such as CAM0.")] = None,
    as_json: AsJson = False,
) -> None:
    """List events and their banks; or show one event, or one bank.

    With --json one object is printed for each event; --event and --bank together give all values.

    Examples:

      cygno-rawdata dump run00042.mid

      cygno-rawdata dump run00042.mid --event 4

      cygno-rawdata dump run00042.mid --event 4 --bank DGH0

      cygno-rawdata dump run00042.mid --bank CAM0
    """
    found = False
    with RunFile(file) as run:
        for index, item in _selected(run, event):
            if bank is not None and bank not in item:
                if event is not None:
                    raise BankMissingError(
                        f"{file}: event {index} has no bank {bank}; it has: "
                        f"{' '.join(item.banks) or 'none'}"
                    )
                continue
            found = True
            if as_json:
                print_json(_json_of(index, item, bank, whole=event is not None))
            elif event is None:
                _print_event_line(index, item, bank)
            else:
                _print_event(index, item, bank)
    if bank is not None and not found:
        raise BankMissingError(f"{file}: no event has a bank {bank}")


@app.command()
def odb(
    file: File,
    path: Annotated[
        str, typer.Argument(metavar="[PATH]", help="Key or folder, such as /Runinfo.")
    ] = "/",
    end: Annotated[bool, typer.Option("--end", help="The dump at end of run.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the ODB as it was at begin (or end) of run. Passwords and tokens are masked.

    Examples:

      cygno-rawdata odb run00042.mid /Configurations/Exposure

      cygno-rawdata odb run00042.mid /Equipment/Trigger --end --json
    """
    with RunFile(file) as run:
        content = run.odb_end if end else run.odb_begin
    if content is None:
        raise RunFileError(file, f"has no ODB dump at {'end' if end else 'begin'} of run")
    value = get(mask_secrets(content), path)
    if value is None:
        folder = path.rstrip("/").rpartition("/")[0] or "/"
        there = get(content, folder)
        names = ", ".join(there) if isinstance(there, Mapping) else "no such folder"
        raise RunFileError(file, f"the ODB has no {path}; in {folder}: {names}")
    if as_json:
        typer.echo(json.dumps(value, indent=2, ensure_ascii=False))
    elif isinstance(value, Mapping):
        for line in odb_lines(value, "/" + path.strip("/") if path.strip("/") else ""):
            typer.echo(line)
    else:
        typer.echo(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


@app.command()
def info(files: Files, as_json: AsJson = False) -> None:
    """Say what a file is: run, time, size, camera, exposure. Reads only its beginning.

    Example:

      cygno-rawdata info data/run*.mid*
    """
    rows = [_info_of(path) for path in files]
    if as_json:
        for row in rows:
            print_json(row)
        return
    table = Table("file", "run", "start", "size", "camera", "exposure", "description", box=None)
    for row in rows:
        table.add_row(
            Path(row["file"]).name,
            _or_dash(row["run_number"]),
            _time(row["start_time"]),
            f"{row['file_bytes'] / 1e6:.1f} MB",
            _or_dash("x".join(map(str, row["camera_shape"] or ()))),
            "-" if row["exposure_s"] is None else f"{row['exposure_s']} s",
            Text(str(row["description"] or "")),
        )
    results.print(table)


def _info_of(path: Path) -> dict[str, Any]:
    with RunFile(path) as run:
        odb_begin = run.odb_begin or {}
        shape: tuple[int, int] | None = None
        start = None
        for index, event in enumerate(run):
            start = event.timestamp if start is None else start
            if 0 in camera.camera_indices(event):
                shape = _shape_of(event)
            if shape is not None or index >= 100:
                break
        return {
            "file": str(path),
            "run_number": run.run_number,
            "start_time": start,
            "file_bytes": run.file_bytes,
            "compression": run.compression,
            "events": len(run) if run.compression == "none" else None,
            "camera_shape": shape,
            "exposure_s": get(odb_begin, "/Configurations/Exposure"),
            "pedestal": get(odb_begin, "/Configurations/Pedestal"),
            "description": get(odb_begin, "/Experiment/Run Parameters/Run description"),
        }


def _shape_of(event: Event) -> tuple[int, int] | None:
    try:
        rows, columns = camera.decode_frame(event).shape
    except LayoutError:
        return None
    return rows, columns


def _selected(run: RunFile, index: int | None) -> Iterator[tuple[int, Event]]:
    if index is None:
        yield from enumerate(run)
        return
    if run.compression == "none":
        events = len(run)
        if index < events:
            yield index, run[index]
            return
    else:
        events = 0
        for event in run:
            if events == index:
                yield index, event
                return
            events += 1
    raise RunFileError(run.path, f"has events 0 to {events - 1}, not {index}")


def _json_of(index: int, event: Event, bank: str | None, *, whole: bool) -> dict[str, Any]:
    content = event_as_dict(index, event)
    if bank is not None:
        content["banks"] = {bank: bank_as_dict(event, bank, values=whole)}
    if whole and event.is_odb_dump:
        content["odb"] = mask_secrets(parse_dump(event.text))
    return content


def _print_event_line(index: int, event: Event, bank: str | None) -> None:
    names = [bank] if bank is not None else list(event.banks)
    details = "; ".join(f"{name} {bank_summary(event, name)}" for name in names)
    typer.echo(
        f"{index:6d}  {event_name(event)}  serial {event.serial_number}  "
        f"{_time(event.timestamp)}  {len(event.raw)} bytes  {details}".rstrip()
    )


def _print_event(index: int, event: Event, bank: str | None) -> None:
    if bank is not None:
        typer.echo(f"event {index}, bank {bank}: {bank_summary(event, bank)}")
        typer.echo(np.array2string(event[bank], threshold=200, max_line_width=100))
        return
    fields = event_as_dict(index, event)
    for name in ("index", "id", "trigger_mask", "serial_number", "time", "size_bytes"):
        typer.echo(f"{name:15} {fields[name]}")
    if event.is_odb_dump:
        for line in odb_lines(mask_secrets(parse_dump(event.text)), ""):
            typer.echo(line)
    elif event.is_internal:
        typer.echo(event.text)
    for name in event.banks:
        typer.echo(f"{name:15} {bank_summary(event, name)}")


def _print_report(report: FileReport) -> None:
    if not report.compression:  # it could not be opened
        errors.print(Text("\n".join(report.problems), "red"), soft_wrap=True)
        return
    verdict = Text("whole", "green") if report.whole else Text("DAMAGED", "bold red")
    run = "" if report.run_number is None else f"run {report.run_number}, "
    results.print(
        Text.assemble(
            f"{report.path}: ",
            verdict,
            f" - {run}{report.compression}, {report.file_bytes} bytes "
            f"({report.bytes_uncompressed} uncompressed), "
            f"{_time(report.first_time)} to {_time(report.last_time)}",
        ),
        soft_wrap=True,
    )
    table = Table("event id", "events", "MB", "missing", "banks (number)")
    for event_id, count in sorted(report.events.items()):
        table.add_row(
            f"{event_id:#x}" if event_id >= 0x8000 else str(event_id),
            str(count.events),
            f"{count.bytes / 1e6:.3f}",
            str(count.missing),
            " ".join(f"{name} ({bank.events})" for name, bank in count.banks.items()) or "-",
        )
    if report.events:
        results.print(table)
    if report.compressed_frames:
        agreeing = report.compressed_frames - report.damaged_frames
        results.print(
            f"CRC32C of compressed frames: {agreeing} of {report.compressed_frames} agree"
        )
    for item in report.checksums:
        state = "agrees" if item.matches else "DIFFERS"
        results.print(
            f"CRC32C of the {item.of}: {item.found}, {state} with {item.sidecar.name}",
            soft_wrap=True,
        )
    for problem in report.problems:
        errors.print(Text(problem, "red"), soft_wrap=True)


def _time(unix_s: int | None) -> str:
    return "-" if unix_s is None else datetime.fromtimestamp(unix_s).isoformat(" ")


def _or_dash(value: Any) -> str:
    return "-" if value in (None, "") else str(value)


app.command()(expand)
app.command()(shrink)


def main() -> None:
    """Run ``cygno-rawdata``; an error is one line, never a traceback."""
    try:
        app()
    except (RawDataError, OSError) as error:
        errors.print(f"cygno-rawdata: {error}", style="red", markup=False, soft_wrap=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
