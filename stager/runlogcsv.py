"""The run log as CSV, as CYGNO exports it, and back.

Columns are named as in SQL, in CYGNO's order; what is not known is empty; flags are 0 and 1; times
``YYYY-MM-DD HH:MM:SS``, local time of the DAQ computer. Source: ``runlog_LNGS_auto.csv``.
"""

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, TextIO

from sqlalchemy import Boolean, DateTime, Float, Integer, String, Text, select
from sqlalchemy.orm import Session

from stager.errors import ConfigurationError, FileError
from stager.models import Runlog

_TIME: Final = "%Y-%m-%d %H:%M:%S"
_EPOCH: Final = datetime(1970, 1, 1)
_NOTHING: Final = ("", "NULL", "None", "nan", "NaN", "NaT", "\\N")
"""What programs write where nothing is known."""


def write_csv(rows: Iterable[Mapping[str, Any]], columns: Sequence[str], into: TextIO) -> int:
    """Write rows; return how many."""
    writer = csv.writer(into, lineterminator="\n")
    writer.writerow(columns)
    count = 0
    for row in rows:
        writer.writerow([_written(row[column]) for column in columns])
        count += 1
    return count


def _written(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, datetime):
        return value.strftime(_TIME)
    return repr(value) if isinstance(value, float) else str(value)


def read_csv(source: TextIO, name: str) -> list[dict[str, Any]]:
    """Return the rows of a file as `Runlog` has them; columns that it lacks are not in them.

    :raises FileError: naming line, column, the value seen and what is allowed.
    """
    reader = csv.reader(source)
    try:
        header = [column.strip() for column in next(reader, [])]
        kinds = _columns(header, name)
        rows = [
            _row(header, cells, kinds, f"{name}, line {reader.line_num}")
            for cells in reader
            if cells
        ]
    except csv.Error as error:
        raise FileError(f"{name}, line {reader.line_num}: this is not CSV: {error}") from error
    except UnicodeDecodeError as error:
        raise FileError(f"{name} is not UTF-8: {error}") from error
    numbers = [row["run_number"] for row in rows]
    for number in set(numbers):
        if numbers.count(number) > 1:
            raise FileError(f"{name} has run {number} more than once; keep one of its lines")
    return rows


def _columns(header: Sequence[str], name: str) -> dict[str, Any]:
    known = {column.name: column for column in Runlog.__table__.columns}
    if "run_number" not in header:
        raise FileError(f"{name} has no column run_number in its first line: {', '.join(header)}")
    for column in header:
        if column not in known:
            raise FileError(
                f"{name} has a column {column!r} that the run log does not have; known: "
                f"{', '.join(known)}"
            )
    return known


def _row(
    header: Sequence[str], cells: Sequence[str], kinds: Mapping[str, Any], where: str
) -> dict[str, Any]:
    if len(cells) != len(header):
        raise FileError(f"{where}: {len(cells)} values for {len(header)} columns")
    row = {}
    for column, cell in zip(header, cells, strict=True):
        try:
            row[column] = None if cell in _NOTHING else _read(cell, column, kinds[column].type)
        except ValueError as error:
            raise FileError(
                f"{where}: {column} is {cell!r}; allowed: {_allowed(kinds[column].type)}"
            ) from error
    if row["run_number"] is None:
        raise FileError(f"{where}: run_number is empty")
    return row


def _read(cell: str, column: str, kind: Any) -> Any:
    if isinstance(kind, Boolean):
        return _flag(cell)
    if isinstance(kind, DateTime):
        return datetime.strptime(cell, _TIME)
    if isinstance(kind, Integer):
        return _integer(cell, column)
    if isinstance(kind, Float):
        value = float(cell)
        if not math.isfinite(value):
            raise ValueError(cell)
        return value
    if isinstance(kind, String) and not isinstance(kind, Text) and len(cell) > (kind.length or 0):
        raise ValueError(cell)
    return cell


def _flag(cell: str) -> bool:
    if cell.lower() in ("0", "0.0", "false", "n"):
        return False
    if cell.lower() in ("1", "1.0", "true", "y"):
        return True
    raise ValueError(cell)


def _integer(cell: str, column: str) -> int:
    """Read a whole number; CYGNO's exports made times of day of some columns named ``*_time``."""
    if column.endswith("_time") and cell.startswith("1970-01-01 "):
        return round((datetime.strptime(cell, _TIME) - _EPOCH).total_seconds())
    value = float(cell)
    if value != int(value):
        raise ValueError(cell)
    return int(cell) if cell.lstrip("-").isdigit() else int(value)


def _allowed(kind: Any) -> str:
    if isinstance(kind, Boolean):
        return "0 or 1"
    if isinstance(kind, DateTime):
        return "YYYY-MM-DD HH:MM:SS"
    if isinstance(kind, Integer):
        return "a whole number"
    if isinstance(kind, Float):
        return "a number"
    return f"up to {kind.length} characters"


@dataclass
class Imported:
    """What became of the rows of a file."""

    new: list[int] = field(default_factory=list)
    same: list[int] = field(default_factory=list)
    changed: list[int] = field(default_factory=list)
    """Runs that the run log had otherwise."""


def import_rows(session: Session, rows: Sequence[Mapping[str, Any]], overwrite: bool) -> Imported:
    """Bring rows into the run log, in the caller's transaction.

    :param overwrite: let rows replace what the run log says of their columns; without it nothing
        must differ, or nothing is to be committed.
    """
    result = Imported()
    present = {row.run_number: row for row in session.scalars(select(Runlog))}
    for row in rows:
        number = int(row["run_number"])
        known = present.get(number)
        if known is None:
            session.add(Runlog(**row))
            result.new.append(number)
        elif all(_is_same(getattr(known, name), value) for name, value in row.items()):
            result.same.append(number)
        else:
            result.changed.append(number)
            if overwrite:
                for name, value in row.items():
                    setattr(known, name, value)
    return result


def _is_same(known: Any, value: Any) -> bool:
    if isinstance(known, float) and isinstance(value, float):
        return math.isclose(known, value, rel_tol=1e-6)  # the logger's columns are FLOAT
    return bool(known == value)


def check_columns(names: Sequence[str], allowed: Sequence[str]) -> None:
    """See that columns exist. :raises ConfigurationError: naming the one that does not."""
    for name in names:
        if name not in allowed:
            raise ConfigurationError(f"there is no column {name!r}; known: {', '.join(allowed)}")
