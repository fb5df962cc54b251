"""Read the run catalog from notebooks and scripts.

.. code-block:: python

    from stager.runs import open_runs

    with open_runs("mysql+mysqldb://reader@daq/cygno_db") as runs:
        table = runs.frame(since="2026-11-01", kind="source")     # a pandas.DataFrame
        noise = runs.quality("noise_adu", first=42000)            # a NumPy array

A catalog is opened to be read: nothing is written, and no schema is changed.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
from sqlalchemy import Boolean, DateTime, Float, Integer, select
from sqlalchemy.orm import Session

from stager.catalog import Catalog
from stager.errors import CatalogError, ConfigurationError
from stager.models import File, Replica, Run, Runlog
from stager.records import QualityValue, SlowControl, Transfer
from stager.runquery import COLUMNS, RunFilter, filter_of, find_runs

if TYPE_CHECKING:  # an extra of whoever wants it
    import pandas

VARIABLE: Final = "CYGNO_STAGER_CATALOG"
_TEXTS: Final = {"tag", "note", "quality", "state", "optional_failed"}


def open_runs(catalog: str | os.PathLike[str] | None = None) -> "Runs":
    """Open a catalog for reading.

    :param catalog: SQLAlchemy URL, or the path of an SQLite catalog; without it the environment's
        ``CYGNO_STAGER_CATALOG``.
    :raises ConfigurationError: if there is none.
    :raises CatalogError: if it cannot be read.
    """
    named = os.fspath(catalog) if catalog is not None else os.environ.get(VARIABLE, "")
    if not named:
        raise ConfigurationError(f"which catalog? give its URL or file, or set {VARIABLE}")
    if "://" not in named:
        named = f"sqlite:///{Path(named).expanduser().resolve()}"
    return Runs(named)


class Runs:
    """The runs of a catalog; close it, or use it in a ``with``.

    Filters are named as the fields of `stager.runquery.RunFilter`: `first`, `last`, `since`,
    `until`, `kind`, `run_type`, `text`, `state`, `limit`; dates may be given as ISO text.
    """

    def __init__(self, url: str) -> None:
        self._catalog = Catalog(url, upgrade=False)

    def close(self) -> None:
        """Let go of the database."""
        self._catalog.close()

    def __enter__(self) -> "Runs":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def find(self, **filters: Any) -> list[dict[str, Any]]:
        """Return runs as dicts with the keys `stager.runquery.COLUMNS`, in their order."""
        wanted = filter_of(filters)
        with self._catalog.read() as session:
            return find_runs(session, wanted)

    def array(self, **filters: Any) -> npt.NDArray[Any]:
        """Return runs as a structured array with the fields `stager.runquery.COLUMNS`.

        `run_number` is int64, other numbers and flags are float64 with NaN where nothing is known,
        times datetime64[us] with NaT, texts str with "".
        """
        return as_array(self.find(**filters))

    def frame(self, **filters: Any) -> "pandas.DataFrame":
        """Return runs as a pandas.DataFrame whose index is the run number.

        :raises CatalogError: if pandas is not installed.
        """
        try:
            import pandas
        except ImportError as error:
            raise CatalogError("pandas is not installed: pip install pandas") from error
        frame = pandas.DataFrame(self.array(**filters))
        return frame.set_index("run_number")

    def run(self, run_number: int) -> dict[str, Any]:
        """Return all that is known of one run.

        :returns: keys `run` (as `find` has it), `files` (each with its `replicas`, and those with
            their `transfers`), `quality` (quantity -> number or text) and `slow_control`.
        :raises CatalogError: if there is no such run.
        """
        with self._catalog.read() as session:
            found = find_runs(session, RunFilter(first=run_number, last=run_number))
            if not found:
                raise CatalogError(f"there is no run {run_number} in {self._catalog.shown_url}")
            return {
                "run": found[0],
                "files": _files_of(session, run_number),
                "quality": _quality_of(session, run_number),
                "slow_control": _slow_control_of(session, run_number),
            }

    def quality(self, quantity: str, **filters: Any) -> npt.NDArray[Any]:
        """Return one quantity of the analyzer's summaries.

        :returns: structured array: `run_number`, `start_time` (datetime64[us], local time of the
            DAQ computer), `value` (NaN where a run does not tell).
        """
        with self._catalog.read() as session:
            rows = session.execute(
                select(QualityValue.run_number, QualityValue.value).where(
                    QualityValue.quantity == quantity
                )
            ).all()
        return self._joined({row.run_number: (row.value,) for row in rows}, ("value",), filters)

    def slow_control(
        self, name: str, equipment: str | None = None, bank: str | None = None, **filters: Any
    ) -> npt.NDArray[Any]:
        """Return one channel of slow control over runs; subruns are taken together.

        :param name: of the channel, such as ``VGEM1`` or ``P0IIn3``.
        :param equipment: where several have such a channel.
        :param bank: ``DMND``, ``MSRD`` or ``CRNT`` of high voltage; without it ``MSRD``.
        :returns: structured array: `run_number`, `start_time`, `mean`, `lowest`, `highest`.
        """
        query = select(SlowControl).where(SlowControl.name == name)
        if equipment is not None:
            query = query.where(SlowControl.equipment == equipment)
        query = query.where(
            SlowControl.bank == bank if bank else SlowControl.bank.not_in(("DMND", "CRNT", "TPTR"))
        )
        with self._catalog.read() as session:
            rows = session.scalars(query.order_by(SlowControl.run_number)).all()
        channels = sorted({f"{row.equipment} {row.bank}{row.channel}" for row in rows})
        if len(channels) > 1:
            raise CatalogError(
                f"{name} names several channels: {', '.join(channels)}; say equipment= or bank="
            )
        found: dict[int, list[SlowControl]] = {}
        for row in rows:
            found.setdefault(row.run_number, []).append(row)
        values = {run: _merged(parts) for run, parts in found.items()}
        return self._joined(values, ("mean", "lowest", "highest"), filters)

    def _joined(
        self, values: Mapping[int, tuple[float | None, ...]], names: Sequence[str], filters: Any
    ) -> npt.NDArray[Any]:
        runs = [run for run in self.find(**filters) if run["run_number"] in values]
        dtype = [("run_number", "i8"), ("start_time", "M8[us]"), *((name, "f8") for name in names)]
        rows = [
            (
                run["run_number"],
                np.datetime64(run["start_time"] or "NaT", "us"),
                *(np.nan if value is None else value for value in values[run["run_number"]]),
            )
            for run in runs
        ]
        return np.array(rows, dtype=dtype)


def as_array(rows: Sequence[Mapping[str, Any]]) -> npt.NDArray[Any]:
    """Return rows of `find_runs` as a structured array; see `Runs.array`."""
    columns: dict[str, npt.NDArray[Any]] = {}
    for name in COLUMNS:
        values = [row[name] for row in rows]
        kind = _kind(name)
        if name == "run_number":
            columns[name] = np.array(values, np.int64)
        elif kind == "time":
            columns[name] = np.array([value or "NaT" for value in values], "M8[us]")
        elif kind == "number":
            columns[name] = np.array([np.nan if v is None else float(v) for v in values])
        else:
            columns[name] = np.array([value or "" for value in values], np.str_)
    dtype = [
        (name, column.dtype if len(rows) else _EMPTY[_kind(name)])
        for name, column in columns.items()
    ]
    array = np.empty(len(rows), dtype=dtype)
    for name, column in columns.items():
        array[name] = column
    return array


_EMPTY: Final = {"integer": "i8", "number": "f8", "time": "M8[us]", "text": "U1"}


def _kind(name: str) -> str:
    if name == "run_number":
        return "integer"
    if name in Runlog.__table__.columns:
        kind = Runlog.__table__.columns[name].type
        if isinstance(kind, DateTime):
            return "time"
        return "number" if isinstance(kind, (Boolean, Float, Integer)) else "text"
    return "text" if name in _TEXTS else "number"


def _merged(parts: Sequence[SlowControl]) -> tuple[float | None, ...]:
    total = sum(part.readings for part in parts)
    mean = sum((part.mean or 0.0) * part.readings for part in parts) / total if total else None
    lowest = [part.lowest for part in parts if part.lowest is not None]
    highest = [part.highest for part in parts if part.highest is not None]
    return mean, min(lowest, default=None), max(highest, default=None)


def _files_of(session: Session, run_number: int) -> list[dict[str, Any]]:
    files = session.scalars(
        select(File).where(File.run_number == run_number).order_by(File.subrun, File.id)
    ).all()
    return [
        {**_columns(file), "replicas": [_replica(session, row) for row in file.replicas]}
        for file in files
    ]


def _replica(session: Session, replica: Replica) -> dict[str, Any]:
    transfers = session.scalars(
        select(Transfer).where(Transfer.replica_id == replica.id).order_by(Transfer.id)
    )
    return {**_columns(replica), "transfers": [_columns(transfer) for transfer in transfers]}


def _quality_of(session: Session, run_number: int) -> dict[str, float | str | None]:
    rows = session.scalars(select(QualityValue).where(QualityValue.run_number == run_number))
    return {row.quantity: row.value if row.text is None else row.text for row in rows}


def _slow_control_of(session: Session, run_number: int) -> list[dict[str, Any]]:
    rows = session.scalars(
        select(SlowControl)
        .where(SlowControl.run_number == run_number)
        .order_by(SlowControl.equipment, SlowControl.bank, SlowControl.channel, SlowControl.subrun)
    )
    return [_columns(row) for row in rows]


def _columns(row: Run | File | Replica | Transfer | SlowControl) -> dict[str, Any]:
    return {column.name: getattr(row, column.name) for column in row.__table__.columns}
