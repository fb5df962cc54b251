"""The record of transfers: each try to bring a file to a place, from its begin to its end."""

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from stager.models import Replica, now
from stager.records import Transfer, TransferOutcome


def begin_transfer(session: Session, replica: Replica, stager: str) -> Transfer:
    """Note that a try begins; one of ours that goes on already stays the same try.

    What a stager that died has left open is closed as interrupted.
    """
    for transfer in _open(session, replica.id):
        if transfer.stager == stager:
            return transfer
        transfer.outcome = TransferOutcome.INTERRUPTED
        transfer.reason = "the stager died, or lost its claim"
    last = session.scalar(
        select(func.max(Transfer.number)).where(Transfer.replica_id == replica.id)
    )
    transfer = Transfer(
        replica_id=replica.id,
        number=(last or 0) + 1,
        stager=stager,
        started_at=now(),
        bytes_sent=0,
        outcome=TransferOutcome.RUNNING,
    )
    session.add(transfer)
    session.flush()
    return transfer


def end_transfer(
    session: Session,
    replica_id: int,
    outcome: TransferOutcome,
    bytes_sent: int = 0,
    reason: str | None = None,
) -> None:
    """Note how the try that goes on has ended; nothing happens where none does.

    :param bytes_sent: what it sent; parts that were there before are not in it.
    """
    for transfer in _open(session, replica_id):
        transfer.outcome = outcome
        transfer.reason = reason
        transfer.ended_at = now()
        transfer.bytes_sent = bytes_sent
        duration_s = (transfer.ended_at - transfer.started_at).total_seconds()
        transfer.duration_s = max(duration_s, 0.0)
        transfer.rate_bytes_s = bytes_sent / duration_s if duration_s > 0 else None


def _open(session: Session, replica_id: int) -> list[Transfer]:
    query = select(Transfer).where(
        Transfer.replica_id == replica_id, Transfer.outcome == TransferOutcome.RUNNING
    )
    return list(session.scalars(query))
