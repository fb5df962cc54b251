"""What the catalog says of the latest runs, for people and programs."""

from datetime import datetime
from typing import Any

from rich.table import Table
from sqlalchemy import select
from sqlalchemy.orm import selectinload

from stager.catalog import Catalog
from stager.claims import is_dead, shown
from stager.models import File, Run, State

_COLORS = {State.CATALOGUED: "green", State.VERIFIED: "green", State.FAILED: "red"}


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
        "tries": file.tries,
        "next_try_at": _iso(file.next_try_at),
        "replicas": [
            {
                "place": replica.place,
                "state": replica.state,
                "object_key": replica.object_key,
                "object_bytes": replica.object_bytes,
                "checksum_server": replica.checksum,
                "verified_by": replica.verified_by,
                "verified_at": _iso(replica.verified_at),
                "reason": replica.reason,
                "tries": replica.tries,
                "next_try_at": _iso(replica.next_try_at),
            }
            for replica in file.replicas
        ],
    }


def as_table(runs: list[Run], catalog_url: str) -> Table:
    """Return a table: one line a file; why it failed and when it is tried again."""
    table = Table(title=f"run catalog {catalog_url}", title_justify="left")
    for title in ("run", "events", "file", "size", "local", "cloud", "object", "note"):
        align = "right" if title in ("run", "events", "size") else "left"
        folds = title in ("object", "note")
        table.add_column(title, justify=align, overflow="fold", no_wrap=not folds)  # type: ignore[arg-type]
    for run in runs:
        for index, file in enumerate(_ordered(run)):
            first = index == 0
            replica = file.replicas[0] if file.replicas else None
            notes = [_why(file)] + ([_why(replica)] if replica else [])
            notes += [str(run.note)] if first and run.note else []
            table.add_row(
                str(run.run_number) if first else "",
                str(run.trigger_events) if first and run.trigger_events is not None else "",
                file.name,
                shown_size(file.size_bytes),
                _local(file),
                _colored(replica.state) if replica else "",
                (replica.object_key or "") if replica else "",
                "; ".join(note for note in notes if note),
                end_section=file is _ordered(run)[-1],
            )
    return table


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


def _ordered(run: Run) -> list[File]:
    return sorted(run.files, key=lambda file: (file.kind != "raw", file.name))


def _local(file: File) -> str:
    state = _colored("hashed" if file.state == State.CATALOGUED else file.state)
    return f"{state} [yellow](truncated)[/yellow]" if file.truncated else state


def _colored(state: str) -> str:
    color = _COLORS.get(State(state), "")
    return f"[{color}]{state}[/{color}]" if color else state


def _why(row: Any) -> str:
    text = str(row.reason or "")
    if row.owner and not is_dead(row.owner):
        text = f"{shown(row.owner)} works on it"
    if row.state == State.FAILED and row.next_try_at:
        moment: datetime = row.next_try_at
        text += f" (try {row.tries} failed; next at {moment.astimezone():%H:%M:%S})"
    return text


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
