"""Runs of the catalog as tables for people."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from rich.markup import escape
from rich.table import Table

from stager.runquery import MORE_COLUMNS, RUNLOG_COLUMNS
from stager.status import STATE_COLORS, shown_size, shown_state

_QUALITY_COLORS: Final = {"good": "green", "warning": "yellow", "troubled": "red", "bad": "red"}
_STORAGE: Final = {-1: "no", 0: "written", 1: "yes", 2: "removed"}


def runs_table(rows: Sequence[Mapping[str, Any]], title: str) -> Table:
    """Return one line a run."""
    table = Table(title=title, title_justify="left")
    for name in ("run", "start", "duration", "events", "type", "description"):
        right = name in ("run", "duration", "events")
        table.add_column(name, justify="right" if right else "left", no_wrap=name != "description")
    for name in ("size", "state", "cloud", "tape", "quality", "note"):
        table.add_column(
            name,
            justify="right" if name == "size" else "left",
            no_wrap=name != "note",
            overflow="fold",
        )
    for row in rows:
        table.add_row(
            str(row["run_number"]),
            f"{row['start_time']:%Y-%m-%d %H:%M:%S}" if row["start_time"] else "",
            _duration(row["start_time"], row["stop_time"]),
            _count(row["number_of_events"]),
            kind_of(row),
            escape(row["run_description"] or ""),
            shown_size(row["size_bytes"]) if row["size_bytes"] is not None else "",
            _colored(row["state"] or "-", STATE_COLORS),
            _storage(row["storage_cloud_status"]),
            _storage(row["storage_tape_status"]),
            _colored(row["quality"] or "", _QUALITY_COLORS),
            escape(_note(row)),
        )
    return table


def run_tables(found: Mapping[str, Any]) -> list[Table]:
    """Return all that is known of one run: its row, files, transfers, quality, slow control."""
    run = found["run"]
    tables = [_pairs_table(f"run {run['run_number']}", run, (*RUNLOG_COLUMNS, *MORE_COLUMNS))]
    files = Table(
        "file", "size", "state", "place", "copy", "object", "verified", "why", title="files"
    )
    transfers = Table(
        "file", "place", "try", "start", "duration", "sent", "rate", "outcome", title="transfers"
    )
    for file in found["files"]:
        rows = file["replicas"] or [None]
        state = shown_state(file["state"], file["truncated"])
        for index, replica in enumerate(rows):
            first = index == 0
            files.add_row(
                file["name"] if first else "",
                shown_size(file["size_bytes"]) if first else "",
                _colored(state, STATE_COLORS) if first else "",
                *(_replica_cells(replica) if replica else ("", "", "", "")),
                escape((replica or {}).get("reason") or (file["reason"] if first else "") or ""),
            )
            for transfer in (replica or {}).get("transfers", ()):
                transfers.add_row(file["name"], replica["place"], *_transfer_cells(transfer))
    if files.row_count:
        tables.append(files)
    if transfers.row_count:
        tables.append(transfers)
    if found["quality"]:
        tables.append(_pairs_table("quality", found["quality"], sorted(found["quality"])))
    if found["slow_control"]:
        tables.append(_slow_control_table(found["slow_control"]))
    for table in tables:
        table.title_justify = "left"
    return tables


def _note(row: Mapping[str, Any]) -> str:
    """Return what is not as it should be, also where nothing that is required is concerned."""
    places = row["optional_failed"]
    return "; ".join(filter(None, (row["note"], places and f"failed at optional {places}")))


def kind_of(row: Mapping[str, Any]) -> str:
    """Return what kind of run this is, as the filter ``kind`` has it.

    >>> kind_of({"pedestal_run": True, "source_type": 1})
    'pedestal'

    Empty where the run log says neither.
    """
    if row["pedestal_run"] is None and row["source_type"] is None:
        return ""
    if row["pedestal_run"]:
        return "pedestal"
    return "source" if (row["source_type"] or 0) > 0 else "background"


def _pairs_table(title: str, values: Mapping[str, Any], names: Sequence[str]) -> Table:
    """Return two columns of names and values side by side, to be short."""
    table = Table("", "", "", "", title=title, show_header=False)
    names = [name for name in names if values[name] not in (None, "")]
    half = (len(names) + 1) // 2
    for left, right in zip(names[:half], [*names[half:], ""], strict=False):
        table.add_row(left, _shown(values[left]), right, _shown(values[right]) if right else "")
    return table


def _replica_cells(replica: Mapping[str, Any]) -> tuple[str, str, str, str]:
    verified = replica["verified_at"]
    return (
        replica["place"],
        _colored(replica["state"], STATE_COLORS),
        replica["object_key"] or "",
        f"{verified.astimezone():%Y-%m-%d %H:%M} by {replica['verified_by']}" if verified else "",
    )


def _transfer_cells(transfer: Mapping[str, Any]) -> tuple[str, ...]:
    rate, duration_s = transfer["rate_bytes_s"], transfer["duration_s"]
    return (
        str(transfer["number"]),
        f"{transfer['started_at'].astimezone():%Y-%m-%d %H:%M:%S}",
        f"{duration_s:.1f} s" if duration_s is not None else "",
        shown_size(transfer["bytes_sent"]),
        f"{shown_size(round(rate))}/s" if rate else "",
        escape(f"{transfer['outcome']} {transfer['reason'] or ''}".strip()),
    )


def _slow_control_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    table = Table("equipment", "bank", "channel", title="slow control")
    for name in ("readings", "mean", "sigma", "lowest", "highest", "unit"):
        table.add_column(name, justify="right" if name != "unit" else "left")
    for row in rows:
        numbers = (row[name] for name in ("mean", "sigma", "lowest", "highest"))
        table.add_row(
            row["equipment"],
            row["bank"],
            row["name"],
            str(row["readings"]),
            *(f"{number:.5g}" if number is not None else "" for number in numbers),
            row["unit"] or "",
        )
    return table


def _duration(start: datetime | None, stop: datetime | None) -> str:
    if start is None or stop is None or stop < start:
        return ""
    seconds = round((stop - start).total_seconds())
    hours, rest = divmod(seconds, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}"


def _count(events: float | None) -> str:
    return "" if events is None else f"{events:.0f}"


def _storage(status: int | None) -> str:
    return "" if status is None else _STORAGE.get(int(status), str(status))


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.7g}"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    return escape(str(value))


def _colored(text: str, colors: Mapping[str, str]) -> str:
    return f"[{colors[text]}]{text}[/{colors[text]}]" if text in colors else text
