"""What the catalog says of the latest runs, for people and programs."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from rich.console import Console, JustifyMethod
from rich.markup import escape
from rich.table import Table
from sqlalchemy import select
from sqlalchemy.orm import selectinload

from stager.catalog import Catalog
from stager.claims import is_dead, shown
from stager.models import File, Replica, Run, State
from stager.settings import CLOUD

STATE_COLORS: Final[dict[str, str]] = {
    State.CATALOGUED: "green",
    State.VERIFIED: "green",
    State.REPLICATED: "green",
    State.FAILED: "red",
    State.DELETED: "dim",
}


def latest_runs(catalog: Catalog, limit: int, run_number: int | None = None) -> list[Run]:
    """Return runs with their files and replicas, the latest `limit` of them, in their order."""
    query = select(Run).options(selectinload(Run.files).selectinload(File.replicas))
    if run_number is not None:
        query = query.where(Run.run_number == run_number)
    with catalog.read() as session:
        runs = session.scalars(query.order_by(Run.run_number.desc()).limit(limit)).all()
    return sorted(runs, key=lambda run: run.run_number)


def as_json(runs: list[Run], catalog_url: str) -> dict[str, Any]:
    """Return one object: runs, each with its files, each with its replicas."""
    return {"runs": [_run_json(run) for run in runs], "catalog": catalog_url}


def _run_json(run: Run) -> dict[str, Any]:
    return {
        "run": run.run_number,
        "description": run.description,
        "start_time": _iso(run.start_time),
        "stop_time": _iso(run.stop_time),
        "complete": run.is_complete,
        "events": run.trigger_events,
        "events_sent": run.events_sent,
        "note": run.note,
        "files": [_file_json(file) for file in _ordered(run)],
    }


def _file_json(file: File) -> dict[str, Any]:
    return {
        "path": file.path,
        "kind": file.kind,
        "size_bytes": file.size_bytes,
        "sha256": file.sha256,
        "crc32c": file.crc32c,
        "md5": file.md5,
        "state": file.state,
        "reason": file.reason,
        "truncated": file.truncated,
        "deleted_at": _iso(file.deleted_at),
        "tries": file.tries,
        "next_try_at": _iso(file.next_try_at),
        "replicas": [
            {
                "place": replica.place,
                "kind": replica.kind,
                "location": replica.location,
                "required": replica.required,
                "conflict": replica.conflict,
                "transcoded": replica.transcoded,
                "state": replica.state,
                "object_key": replica.object_key,
                "object_bytes": replica.object_bytes,
                "checksum_server": replica.checksum,
                "verified_by": replica.verified_by,
                "verified_at": _iso(replica.verified_at),
                "checked_at": _iso(replica.checked_at),
                "reason": replica.reason,
                "tries": replica.tries,
                "next_try_at": _iso(replica.next_try_at),
            }
            for replica in file.replicas
        ],
    }


_LEFT: Final = {"run": False, "events": False, "size": False}
_ROWS_IN_TABLE: Final = 300
"""More lines are shown without a frame: it would take seconds to draw."""


def show(runs: list[Run], catalog_url: str, console: Console) -> None:
    """Print one line a file: where it is, why it failed, when it is tried again."""
    places, rows = _rows(runs)
    titles = ["run", "events", "file", "size", "state", *places, "object", "note"]
    title = f"run catalog {catalog_url}"
    if console.is_terminal and len(rows) <= _ROWS_IN_TABLE:
        console.print(_table(title, titles, rows))
    else:
        console.file.write("\n".join([title, *_lines(titles, rows)]) + "\n")


def _rows(runs: list[Run]) -> tuple[list[str], list[list[str]]]:
    """Return the places that there are, and one row for each file."""
    places = list(
        dict.fromkeys(r.place for run in runs for file in run.files for r in file.replicas)
    ) or [CLOUD]
    rows = []
    for run in runs:
        for index, file in enumerate(_ordered(run)):
            first = index == 0
            at = {replica.place: replica for replica in file.replicas}
            keys = dict.fromkeys(r.object_key for r in file.replicas if r.object_key)
            whys = [_why(file), *(_why_there(r, len(places)) for r in file.replicas)]
            if first and run.note:
                whys.append(run.note)
            rows.append(
                [
                    str(run.run_number) if first else "",
                    str(run.trigger_events) if first and run.trigger_events is not None else "",
                    file.name,
                    shown_size(file.size_bytes),
                    shown_state(file.state, file.truncated),
                    *(at[place].state if place in at else "" for place in places),
                    ", ".join(keys),
                    "; ".join(why for why in whys if why),
                ]
            )
    return places, rows


def _table(title: str, titles: list[str], rows: list[list[str]]) -> Table:
    table = Table(title=title, title_justify="left")
    for name in titles:
        align: JustifyMethod = "left" if _LEFT.get(name, True) else "right"
        table.add_column(
            name, justify=align, overflow="fold", no_wrap=name not in ("object", "note")
        )
    for number, row in enumerate(rows):
        ends_run = number + 1 == len(rows) or bool(rows[number + 1][0])
        table.add_row(*(_colored(cell) for cell in row), end_section=ends_run)
    return table


def _lines(titles: list[str], rows: list[list[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(titles, *rows, strict=True)]
    aligned = [_LEFT.get(title, True) for title in titles]
    for row in (titles, *rows):
        cells = (
            cell.ljust(width) if left else cell.rjust(width)
            for cell, width, left in zip(row, widths, aligned, strict=True)
        )
        yield "  ".join(cells).rstrip()


def shown_size(size_bytes: int) -> str:
    """Return a size as people read it.

    >>> shown_size(512), shown_size(10_616_832)
    ('512 B', '10.6 MB')
    """
    size = float(size_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.2f} TB"


def shown_state(state: str, truncated: bool) -> str:
    """Return the state of a file, in the catalog's words, as all commands show it.

    >>> shown_state("catalogued", True)
    'catalogued (truncated)'
    """
    return f"{state} (truncated)" if truncated else state


def _ordered(run: Run) -> list[File]:
    return sorted(run.files, key=lambda file: (file.kind != "raw", file.name))


def _colored(cell: str) -> str:
    color = STATE_COLORS.get(cell.removesuffix(" (truncated)"))
    return f"[{color}]{cell}[/{color}]" if color else escape(cell)


def _why_there(replica: Replica, places: int) -> str:
    why = _why(replica)
    if replica.conflict:
        why += " (conflict: settle it with cygno-stager retry)"
    return f"{replica.place}: {why}" if why and places > 1 else why


def _why(row: File | Replica) -> str:
    text = str(row.reason or "")
    if row.owner and not is_dead(row.owner):
        text = f"{shown(row.owner)} works on it"
    if row.state == State.FAILED and row.next_try_at:
        moment: datetime = row.next_try_at
        text += f" (try {row.tries} failed; next at {moment.astimezone():%H:%M:%S})"
    return text


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
