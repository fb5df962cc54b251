"""How rows of files and replicas change, within a transaction of the caller."""

import random
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from stager import claims
from stager.models import Claimed, File, Replica, State, Storage, now
from stager.places.configured import PlaceConfiguration
from stager.rundescription import runlog_row
from stager.settings import StagerSettings
from stager.transcoding import wanted
from stager.verify import Verification

DONE: Final = (State.CATALOGUED, State.REPLICATED)
"""States of a file that every required place has."""
OVER: Final = (State.CATALOGUED, State.KEPT)
"""States of a replica at which nothing is left to do."""


def add_replicas(file: File, places: Sequence[PlaceConfiguration]) -> None:
    """Give a file a replica for each place that wants it and has none."""
    present = {replica.place: replica for replica in file.replicas}
    for place in places:
        if not place.wants(file):
            continue
        replica = present.get(place.name)
        if replica is None:
            how = wanted(file, place)
            replica = Replica(place=place.name, kind=place.settings.kind)
            replica.object_key = f"{place.tag}/{how.name if how else file.name}"
            replica.transcoded = how.shown if how else None
            advance(replica, State.HASHED)
            file.replicas.append(replica)
        replica.required = place.settings.required


def settle(file: File, places: Sequence[PlaceConfiguration]) -> None:
    """Let a file have the state that its replicas give it, once all of its checksums are known."""
    names = {place.name for place in places}
    relevant = [replica for replica in file.replicas if replica.place in names]
    done = file.md5 is not None and all(r.state in OVER for r in relevant if r.required)
    if not done or file.state not in (State.HASHED, *DONE):
        if file.state in DONE:
            advance(file, State.HASHED)
        return
    several = len(relevant) > 1 and all(r.state in OVER for r in relevant)
    advance(file, State.REPLICATED if several else State.CATALOGUED)


def set_deleted(session: Session, file: File, reason: str) -> None:
    """Write down that a local file is gone."""
    advance(file, State.DELETED)
    file.reason, file.deleted_at = reason, now()
    session.flush()
    left = select(File.id).where(
        File.run_number == file.run_number, File.kind == "raw", File.state != State.DELETED
    )
    if file.kind == "raw" and session.scalars(left).first() is None:
        # CYGNO's tools write 0 after a deletion, too.
        runlog_row(session, file.run_number).storage_local_status = Storage.WRITTEN


def fail(row: Claimed, reason: str, settings: StagerSettings) -> None:
    """Let a row have failed, and say when to try again: later after each failure, with jitter."""
    row.state = State.FAILED
    row.reason = reason
    row.tries = (row.tries or 0) + 1
    first, longest = settings.retry_first_s, settings.retry_longest_s
    delay_s = min(longest, first * 2.0 ** min(row.tries - 1, 30)) * random.uniform(0.8, 1.2)
    row.next_try_at = now() + timedelta(seconds=delay_s)
    row.updated_at = now()
    claims.release(row)


def advance(row: Claimed, state: State) -> None:
    """Set a state that was reached without a failure."""
    row.state = state
    row.reason = None
    row.tries = 0
    row.next_try_at = None
    row.updated_at = now()
    claims.release(row)


def set_found(replica: Replica, found: Verification) -> None:
    """Write down what a place has."""
    replica.object_bytes = found.object_bytes
    replica.checksum_algorithm = found.checksum_algorithm or None
    replica.checksum = found.checksum or None
    replica.verified_by = found.verified_by
    replica.checked_at = now()
