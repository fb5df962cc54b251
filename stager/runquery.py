"""Which runs of the catalog are meant, and what is told of each: one row, CYGNO's columns first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime, time, timedelta
from typing import Any, Final, Literal

from sqlalchemy import Select, String, and_, case, func, literal, or_, select, union, union_all
from sqlalchemy.orm import Session

from stager.errors import ConfigurationError
from stager.models import File, Replica, Run, Runlog, State
from stager.records import Quality

Kind = Literal["pedestal", "source", "background"]
KINDS: Final = ("pedestal", "source", "background")

_RANKS: Final = (
    State.FAILED,
    State.DISCOVERED,
    State.HASHED,
    State.UPLOADING,
    State.VERIFIED,
    State.DELETABLE,
    State.CATALOGUED,
    State.REPLICATED,
    State.DELETED,
)
"""A run is as far as its least advanced file; one that failed comes first, as does one that has
failed at a place which is required to have it."""

STATES: Final = (*(str(state) for state in _RANKS), "none")
"""States of runs; ``none``: no file of it is known, only its row in the run log."""

RUNLOG_COLUMNS: Final = tuple(column.name for column in Runlog.__table__.columns)
MORE_COLUMNS: Final = (
    "tag",
    "is_complete",
    "events",
    "trigger_events",
    "events_sent",
    "frames_lost",
    "note",
    "quality",
    "files",
    "size_bytes",
    "state",
    "optional_failed",
)
"""What is told of a run beside CYGNO's columns; `quality` is the analyzer's verdict,
`optional_failed` the places that are not required and at which a copy failed."""
COLUMNS: Final = (*RUNLOG_COLUMNS, *MORE_COLUMNS)


@dataclass(frozen=True)
class RunFilter:
    """Which runs; what is None says nothing.

    :param first, last: run numbers, both included.
    :param since: local time of the DAQ computer of the earliest start.
    :param until: that of the latest; a date means all of that day.
    :param kind: ``pedestal``, ``source`` (with a source, no pedestal) or ``background``.
    :param run_type: CYGNO's number of it.
    :param text: a part of description, note, sequence file or tag; its case does not matter.
    :param state: see `STATES`.
    :param limit: the latest so many of them.
    """

    first: int | None = None
    last: int | None = None
    since: date | datetime | None = None
    until: date | datetime | None = None
    kind: Kind | None = None
    run_type: int | None = None
    text: str | None = None
    state: str | None = None
    limit: int | None = None


def find_runs(session: Session, wanted: RunFilter) -> list[dict[str, Any]]:
    """Return one row a run, in the order of their numbers; its keys are `COLUMNS`."""
    query = _query(wanted).order_by(_NUMBERS.c.run_number.desc()).limit(wanted.limit)
    rows = [dict(row) for row in session.execute(query).mappings()]
    for row in rows:
        for name in ("files", "size_bytes"):  # MariaDB's sums are decimals
            row[name] = None if row[name] is None else int(row[name])
        row["state"] = None if row["state"] is None else str(_RANKS[int(row["state"])])
        places = (row["optional_failed"] or "").split(",")
        row["optional_failed"] = ", ".join(sorted(places)) or None
    return rows[::-1]


_NUMBERS: Final = union(select(Runlog.run_number), select(Run.run_number)).subquery("numbers")
"""A run may be in the run log alone, before its file is found; or have a file alone."""

_NOWHERE: Final = literal(None, String)
_RANK: Final = case({str(state): rank for rank, state in enumerate(_RANKS)}, value=File.state)
_HELD: Final = (
    select(
        File.run_number,
        _RANK.label("rank"),
        literal(1).label("files"),
        File.size_bytes.label("size_bytes"),
        _NOWHERE.label("place"),
    ),
    select(File.run_number, literal(0), literal(0), literal(0), _NOWHERE)
    .join(Replica, Replica.file_id == File.id)
    .where(Replica.state == State.FAILED, Replica.required),
    select(File.run_number, literal(len(_RANKS)), literal(0), literal(0), Replica.place)
    .join(Replica, Replica.file_id == File.id)
    .where(Replica.state == State.FAILED, ~Replica.required),
)


def _query(wanted: RunFilter) -> Select[Any]:
    every = union_all(*(part.where(_in_range(File.run_number, wanted)) for part in _HELD))
    held = every.subquery("held")
    sums = (
        select(
            held.c.run_number,
            func.min(held.c.rank).label("state"),
            func.sum(held.c.files).label("files"),
            func.sum(held.c.size_bytes).label("size_bytes"),
            func.group_concat(held.c.place.distinct()).label("optional_failed"),
        )
        .group_by(held.c.run_number)
        .subquery("sums")
    )
    runlog = [column for column in Runlog.__table__.columns if column.name != "run_number"]
    query = (
        select(
            _NUMBERS.c.run_number,
            *runlog,
            Run.tag,
            Run.is_complete,
            Run.events,
            Run.trigger_events,
            Run.events_sent,
            Run.frames_lost,
            Run.note,
            Quality.verdict.label("quality"),
            func.coalesce(sums.c.files, 0).label("files"),
            func.coalesce(sums.c.size_bytes, func.nullif(Runlog.file_size, -1)).label("size_bytes"),
            sums.c.state,
            sums.c.optional_failed,
        )
        .select_from(_NUMBERS)
        .outerjoin(Runlog, Runlog.run_number == _NUMBERS.c.run_number)
        .outerjoin(Run, Run.run_number == _NUMBERS.c.run_number)
        .outerjoin(Quality, Quality.run_number == _NUMBERS.c.run_number)
        .outerjoin(sums, sums.c.run_number == _NUMBERS.c.run_number)
    )
    return query.where(_in_range(_NUMBERS.c.run_number, wanted), *_conditions(wanted, sums.c.state))


def _in_range(column: Any, wanted: RunFilter) -> Any:
    return and_(
        True,
        *([column >= wanted.first] if wanted.first is not None else []),
        *([column <= wanted.last] if wanted.last is not None else []),
    )


def _conditions(wanted: RunFilter, state: Any) -> Sequence[Any]:
    conditions: list[Any] = []
    if wanted.since is not None:
        conditions.append(Runlog.start_time >= _moment(wanted.since))
    if wanted.until is not None:
        conditions.append(Runlog.start_time < _end(wanted.until))
    is_pedestal, has_source = Runlog.pedestal_run.is_(True), Runlog.source_type > 0
    if wanted.kind == "pedestal":
        conditions.append(is_pedestal)
    elif wanted.kind is not None:
        conditions.append(~func.coalesce(is_pedestal, False))
        with_source = func.coalesce(has_source, False)
        conditions.append(with_source if wanted.kind == "source" else ~with_source)
    if wanted.run_type is not None:
        conditions.append(Runlog.run_type == wanted.run_type)
    if wanted.text:
        places = (
            Runlog.run_description,
            Run.description,
            Run.note,
            Runlog.sequence_filename,
            Runlog.file_s3_tag,
            Run.tag,
        )
        conditions.append(or_(*(place.icontains(wanted.text, autoescape=True) for place in places)))
    if wanted.state == "none":
        conditions.append(state.is_(None))
    elif wanted.state is not None:
        conditions.append(state == _RANKS.index(State(wanted.state)))
    return conditions


def _moment(when: date | datetime) -> datetime:
    return when if isinstance(when, datetime) else datetime.combine(when, time())


def _end(when: date | datetime) -> datetime:
    """Return the first moment after it: a date is all of its day, a moment itself included."""
    if isinstance(when, datetime):
        return when + timedelta(microseconds=1)
    return datetime.combine(when + timedelta(days=1), time())


def filter_of(filters: Mapping[str, Any]) -> RunFilter:
    """Return a filter from keywords. :raises ConfigurationError: naming what is not allowed."""
    known = [field.name for field in fields(RunFilter)]
    for name in filters:
        if name not in known:
            raise ConfigurationError(f"there is no filter {name!r}; known: {', '.join(known)}")
    given = dict(filters)
    for name in ("since", "until"):
        if isinstance(given.get(name), str):
            given[name] = parse_when(given[name])
    for name, allowed in (("kind", KINDS), ("state", STATES)):
        if given.get(name) not in (None, *allowed):
            raise ConfigurationError(
                f"{name} is {given[name]!r}; allowed: {', '.join(map(str, allowed))}"
            )
    return RunFilter(**given)


def parse_when(text: str) -> date | datetime:
    """Return a date or a moment.

    >>> parse_when("2026-11-27"), parse_when("2026-11-27 17:50")
    (datetime.date(2026, 11, 27), datetime.datetime(2026, 11, 27, 17, 50))
    """
    try:
        return date.fromisoformat(text) if len(text) <= 10 else datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigurationError(
            f"{text!r} is no time; wanted 2026-11-27 or 2026-11-27 17:50:00"
        ) from error
