"""The record of transfers: every try from its begin to its end, also of stagers that died."""

from pathlib import Path

from sqlalchemy.orm import Session

from stager.catalog import Catalog
from stager.models import Replica, State, now
from stager.records import Transfer, TransferOutcome
from stager.transfers import begin_transfer, end_transfer
from tests.stager.rows import add_file, all_rows


def replica(session: Session) -> Replica:
    row = session.get(Replica, 1)
    if row is None:
        file = add_file(session, Path("/data/run00007.mid"), 7)
        row = Replica(
            id=1, file_id=file.id, place="cloud", kind="s3", state=State.HASHED, updated_at=now()
        )
        session.add(row)
        session.flush()
    return row


def test_tries_are_numbered_and_tell_how_they_ended(catalog_url: str) -> None:
    catalog = Catalog(catalog_url)
    with catalog.write() as session:
        begin_transfer(session, replica(session), "a")
    with catalog.write() as session:
        begin_transfer(session, replica(session), "a")  # the same try, after a lost answer
        end_transfer(session, 1, TransferOutcome.FAILED, 10, "server down")
        end_transfer(session, 1, TransferOutcome.VERIFIED)  # none goes on
    with catalog.write() as session:
        begin_transfer(session, replica(session), "a")  # and dies
    with catalog.write() as session:
        begin_transfer(session, replica(session), "b")
    with catalog.write() as session:
        end_transfer(session, 1, TransferOutcome.VERIFIED, 1_000_000)
    rows = all_rows(catalog, Transfer)
    catalog.close()
    assert [(t.number, t.stager, t.outcome, t.bytes_sent) for t in rows] == [
        (1, "a", "failed", 10),
        (2, "a", "interrupted", 0),
        (3, "b", "verified", 1_000_000),
    ]
    assert rows[0].reason == "server down" and rows[1].ended_at is None
    last = rows[2]
    assert last.ended_at and last.duration_s is not None
    assert last.duration_s == (last.ended_at - last.started_at).total_seconds()
    assert last.rate_bytes_s is not None
    assert abs(last.rate_bytes_s * last.duration_s - 1_000_000) < 1
