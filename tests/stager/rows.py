"""Rows that tests put into a catalog, and read from it, without a stager."""

from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from stager.catalog import Catalog
from stager.models import File, Run, State, now


def add_run(session: Session, number: int, **columns: Any) -> Run:
    """Return the row of a run, made if there is none."""
    run = session.get(Run, number)
    if run is None:
        run = Run(run_number=number, tag="LNGS", created_at=now(), updated_at=now())
        session.add(run)
    for name, value in columns.items():
        setattr(run, name, value)
    session.flush()
    return run


def add_file(session: Session, path: Path, run_number: int, kind: str = "raw", **more: Any) -> File:
    """Return the row of a file, made if there is none."""
    add_run(session, run_number)
    file = session.scalars(select(File).where(File.path == str(path))).one_or_none()
    if file is None:
        columns = {
            "state": State.HASHED,
            "size_bytes": 1000,
            "mtime_ns": 0,
            "discovered_at": now(),
            "updated_at": now(),
            **more,
        }
        file = File(run_number=run_number, kind=kind, path=str(path), name=path.name, **columns)
        session.add(file)
        session.flush()
    return file


def all_rows(catalog: Catalog, table: type[Any]) -> list[Any]:
    """Return all rows of a table."""
    with catalog.read() as session:
        return list(session.scalars(select(table)))
