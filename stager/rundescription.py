"""What a scanned run file says of its run, written into the tables of the catalog."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import exists, func, or_, select
from sqlalchemy.orm import Session

from rawdata.odbdump import get
from stager.models import File, Replica, Run, Runlog, State, Storage, now
from stager.places.configured import PlaceConfiguration
from stager.runlog import events_sent, frames_lost, utc_time, values_at_begin, values_at_end
from stager.runscan import RunScan
from stager.slowcontrol import write_slow_control

_HELD: Final = (
    State.HASHED,
    State.UPLOADING,
    State.VERIFIED,
    State.CATALOGUED,
    State.REPLICATED,
)
"""States of a local file that is here, whole."""

ROLES: Final = {"cloud": "storage_cloud_status", "tape": "storage_tape_status"}
"""Role of a place -> the run log's column that follows it."""

REPLAYER: Final = "cygno-replay"
"""Client name of the program that feeds recorded runs."""


def describe_run(session: Session, file: File, scan: RunScan) -> None:
    """Write what a run file tells into ``runs`` and ``Runlog``, in the caller's transaction."""
    begin, end = scan.begin or {}, scan.end or {}
    number = file.run_number
    run = session.get_one(Run, number)
    run.events, run.trigger_events = _run_counts(session, number)
    run.is_complete = scan.is_whole
    run.start_time = utc_time(begin, "Start time")
    run.stop_time = utc_time(end, "Stop time")
    run.events_sent = events_sent(end, number)
    run.frames_lost = frames_lost(end, number)
    run.source = _replay_source(begin)
    run.note = _note(run, file, scan)
    run.updated_at = now()
    row = runlog_row(session, number)
    for column, value in {**values_at_begin(begin), **values_at_end(end)}.items():
        if getattr(row, column) is None or column == "total_gas_flow":
            setattr(row, column, value)
    run.description = row.run_description
    row.number_of_events = float(run.trigger_events)
    row.file_size, row.file_checksum = file.size_bytes, file.md5
    row.storage_local_status = Storage.STORED
    write_slow_control(session, file, scan.slow_control, begin)


def runlog_row(session: Session, run_number: int) -> Runlog:
    """Return the row of a run; the logger may have written it before us, in part."""
    row = session.get(Runlog, run_number)
    if row is None:
        row = Runlog(run_number=run_number)
        session.add(row)
    for column in ("storage_local_status", "storage_cloud_status", "storage_tape_status"):
        if getattr(row, column) is None:
            setattr(row, column, Storage.UNKNOWN)
    if row.online_reco_status is None:
        row.online_reco_status = -1
    if row.total_gas_flow is None:
        row.total_gas_flow = -1.0
    return row


def mend_runlog(session: Session, places: Sequence[PlaceConfiguration]) -> list[int]:
    """Say again what the run log forgot, in the caller's transaction; return the runs concerned.

    MIDAS's logger writes its columns at end of run, and all of them anew where a run was begun
    twice: where it comes after us, it takes back what we know.
    """
    held = (File.kind == "raw", File.sha256.is_not(None), File.state.in_(_HELD))
    forgot_local = or_(
        Runlog.storage_local_status.is_(None),
        Runlog.storage_local_status.in_((Storage.UNKNOWN, Storage.WRITTEN)),
    )
    joined = select(Runlog, Run).join(Run, Run.run_number == Runlog.run_number)
    local = joined.where(forgot_local, exists().where(File.run_number == Run.run_number, *held))
    mended = set()
    for row, run in session.execute(local.with_for_update(of=Runlog)).all():
        row.storage_local_status = Storage.STORED
        if run.trigger_events is not None:
            row.number_of_events = float(run.trigger_events)
        mended.add(run.run_number)
    for role, column in ROLES.items():
        names = [place.name for place in places if place.settings.role == role]
        status = getattr(Runlog, column)
        copies = exists().where(
            File.run_number == Run.run_number,
            File.kind == "raw",
            Replica.file_id == File.id,
            Replica.place.in_(names),
        )
        forgot = joined.where(
            or_(status.is_(None), status == Storage.UNKNOWN),
            copies.where(Replica.state == State.CATALOGUED),
            ~copies.where(Replica.state != State.CATALOGUED),
        )
        for row, run in session.execute(forgot.with_for_update(of=Runlog)).all():
            set_stored(row, role, Storage.STORED, run.tag)
            mended.add(run.run_number)
    return sorted(mended)


def set_stored(row: Runlog, role: str, status: Storage, tag: str) -> None:
    """Let the run log say whether the places of a role have a run."""
    setattr(row, ROLES[role], status)
    if role == "cloud" and status == Storage.STORED:
        row.file_s3_tag = tag


def _run_counts(session: Session, run_number: int) -> tuple[int, int]:
    """Return whole and trigger events of a run; a subrun that lies there twice counts once."""
    query = (
        select(func.max(File.events), func.max(File.trigger_events))
        .where(File.run_number == run_number, File.kind == "raw")
        .group_by(File.subrun)
    )
    rows = session.execute(query).all()
    return sum(row[0] or 0 for row in rows), sum(row[1] or 0 for row in rows)


def _replay_source(begin: dict[str, Any]) -> str | None:
    replay, clients = begin.get("Replay"), get(begin, "/System/Clients", {})
    # The record of a replay stays in the ODB; it is of this run if the replayer was there.
    replayed = isinstance(clients, dict) and any(
        isinstance(client, dict) and client.get("Name") == REPLAYER for client in clients.values()
    )
    if not isinstance(replay, dict) or not replayed:
        return None
    return "; ".join(f"{name}: {value}" for name, value in replay.items())[:1000] or None


def _note(run: Run, file: File, scan: RunScan) -> str | None:
    notes = []
    said = get(scan.begin or {}, "/Runinfo/Run number", run.run_number)
    if said != run.run_number:
        notes.append(f"the ODB dump in {file.name} is of run {said}")
    if scan.damage:
        notes.append(f"{file.name} cannot be read beyond {scan.damage}")
    if not scan.has_end:
        notes.append(f"truncated: {file.name} has no end-of-run event; {scan.events} whole events")
    if run.events_sent is not None and run.events_sent != run.trigger_events:
        notes.append(f"{run.events_sent} events were sent, {run.trigger_events} are in the file")
    return "; ".join(notes) or None
