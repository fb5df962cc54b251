"""What the steps write into the catalog: each method is one transaction, all of it or nothing."""

import random
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final, TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from stager import claims
from stager.catalog import Catalog, persistent
from stager.discovery import FoundFile
from stager.errors import CatalogBusyError, FileError, StagerError
from stager.hashing import FileHashes
from stager.models import Claimed, File, Replica, Run, State, Storage, now
from stager.rundescription import describe_run, mend_runlog, runlog_row
from stager.runscan import RunScan
from stager.settings import StagerSettings
from stager.upload import Begun
from stager.verify import Verification

Row = TypeVar("Row", bound=File | Replica)

CLOUD: Final = "cloud"
_IN_ONE_GO: Final = 500
_REGISTER_TRIES: Final = 5
"""Two stagers may find the same new files at the same moment; MariaDB refuses the second."""
_GONE: Final = "is gone from the folder before it was staged; put it back"


@persistent
class Ledger:
    """The catalog as one stager uses it; each public method waits out a database that is gone.

    :param settings: tag, bucket, kinds and waits of new rows.
    """

    def __init__(self, catalog: Catalog, settings: StagerSettings) -> None:
        self.catalog = catalog
        self.settings = settings
        self.identity = claims.own_identity()

    # discovery ---------------------------------------------------------------------------------
    def register(self, found: Sequence[FoundFile], folders: Sequence[Path]) -> list[File]:
        """Bring the files that are there into the catalog; return those with work left.

        :param folders: those that were searched: files of theirs that are not found are gone.
        """
        for tries_left in reversed(range(_REGISTER_TRIES)):
            try:
                self._register_new(found)
                break
            except CatalogBusyError:
                if not tries_left:
                    raise
        self._mark_gone({str(f.path) for f in found}, {str(folder) for folder in folders})
        with self.catalog.write() as session:
            mend_runlog(session)
        return self.unfinished()

    def _register_new(self, found: Sequence[FoundFile]) -> None:
        with self.catalog.read() as session:
            known = {file.path: file for file in session.scalars(select(File))}
        fresh = [f for f in found if _differs(known.get(str(f.path)), f)]
        for first in range(0, len(fresh), _IN_ONE_GO):
            with self.catalog.write() as session:
                for file in fresh[first : first + _IN_ONE_GO]:
                    self._register(session, file)

    def unfinished(self) -> list[File]:
        """Return the files with work left, with their replicas; those that failed come last."""
        with self.catalog.read() as session:
            rows = session.scalars(
                select(File)
                .where(File.state != State.CATALOGUED)
                .options(selectinload(File.replicas))
                .order_by(File.run_number, File.subrun, File.id)
            ).all()
        return sorted(rows, key=lambda row: max([row.tries, *(r.tries for r in row.replicas)]))

    def _register(self, session: Session, found: FoundFile) -> None:
        moment = now()
        if session.get(Run, found.run_number) is None:
            run = Run(run_number=found.run_number, tag=self.settings.tag)
            run.created_at = run.updated_at = moment
            session.add(run)
        query = select(File).where(File.path == str(found.path)).with_for_update()
        file = session.scalars(query).one_or_none()
        if file is None:
            file = File(
                run_number=found.run_number,
                subrun=found.subrun,
                kind=found.kind,
                path=str(found.path),
                name=found.path.name,
                discovered_at=moment,
            )
            session.add(file)
        file.size_bytes, file.mtime_ns = found.size_bytes, found.mtime_ns
        _advance(file, State.DISCOVERED)
        session.flush()

    def _mark_gone(self, paths: set[str], folders: set[str]) -> None:
        with self.catalog.read() as session:
            query = select(File.id, File.path).where(File.state != State.CATALOGUED)
            missing = [
                row.id
                for row in session.execute(query)
                if row.path not in paths and str(Path(row.path).parent) in folders
            ]
        for file_id in missing:
            with self.catalog.write() as session:
                file = session.get_one(File, file_id)
                if file.state != State.FAILED or not str(file.reason).endswith(_GONE):
                    self._fail(file, f"{file.name} {_GONE}")

    # claims ------------------------------------------------------------------------------------
    def claim(self, row: Row, states: Sequence[State]) -> tuple[Row, str | None]:
        """Claim a row if it still is in one of these states, with its replicas loaded.

        :returns: the row as it is now, and who else holds it. It is ours if its owner is
            `identity`; where it has another state by now, somebody else was faster.
        """
        options = [selectinload(File.replicas)] if isinstance(row, File) else []
        with self.catalog.write() as session:
            current = session.get_one(type(row), row.id, options=options, with_for_update=True)
            holder = claims.take(current, self.identity) if current.state in states else None
            return current, holder

    def renew(self, row: Row) -> None:
        """Lengthen our claim. :raises StagerError: if it is ours no more."""
        with self.catalog.write() as session:
            current = session.get_one(type(row), row.id, with_for_update=True)
            holder = claims.take(current, self.identity)
            if holder:
                raise StagerError(f"{holder} has taken over: this computer was too slow or stopped")

    def release(self, row: Row, reason: str | None = None) -> None:
        """Give a row back unchanged but for what it waits for."""
        with self.catalog.write() as session:
            current = session.get_one(type(row), row.id)
            claims.release(current)
            current.reason = reason
            current.updated_at = now()

    def note_wait(self, file: File, reason: str) -> None:
        """Write down what a file waits for."""
        if file.reason != reason:
            self.release(file, reason)

    # steps -------------------------------------------------------------------------------------
    def commit_hashed(
        self, file_id: int, hashes: FileHashes, scan: RunScan | None, agreed: Sequence[str]
    ) -> File:
        """Write down what a file holds; it is then ready for its replicas.

        :raises FileError: if a verified replica holds another content.
        """
        with self.catalog.write() as session:
            file = session.get_one(File, file_id, with_for_update=True)
            for replica in file.replicas:
                if replica.sha256 and replica.sha256 != hashes.sha256:
                    raise FileError(
                        f"{file.name} was changed after it was staged: {replica.object_key} holds "
                        f"what it was (SHA-256 {replica.sha256[:12]}...), the file now is "
                        f"{hashes.sha256[:12]}...; restore it from there"
                    )
            file.size_bytes, file.mtime_ns = hashes.size_bytes, hashes.mtime_ns
            file.sha256, file.crc32c, file.md5 = hashes.sha256, hashes.crc32c, hashes.md5
            file.checked_against = ", ".join(agreed) or None
            file.hashed_at = now()
            if scan is not None:
                file.events, file.trigger_events = scan.events, scan.trigger_events
                file.truncated = not scan.is_whole
            if file.kind in self.settings.kinds and not file.replicas:
                replica = Replica(place=CLOUD, kind="s3", location=self.settings.bucket)
                replica.object_key = f"{self.settings.tag}/{file.name}"
                _advance(replica, State.HASHED)
                file.replicas.append(replica)
            done = all(replica.state == State.CATALOGUED for replica in file.replicas)
            _advance(file, State.CATALOGUED if done else State.HASHED)
            session.flush()
            if scan is not None:
                describe_run(session, file, scan)
            return file

    def commit_uploading(self, replica_id: int, begun: Begun | None) -> None:
        """Write down that a replica is on its way, and in which upload."""
        with self.catalog.write() as session:
            replica = session.get_one(Replica, replica_id)
            replica.state = State.UPLOADING
            replica.updated_at = now()
            replica.upload_id = begun.upload_id if begun else None
            replica.part_size_bytes = begun.part_size_bytes if begun else replica.part_size_bytes

    def commit_verified(self, replica_id: int, found: Verification) -> None:
        """Write down what the server was found to have."""
        with self.catalog.write() as session:
            replica = session.get_one(Replica, replica_id)
            replica.object_bytes = found.object_bytes
            replica.checksum_algorithm = found.checksum_algorithm
            replica.checksum = found.checksum
            replica.verified_by = found.verified_by
            replica.verified_at = now()
            replica.sha256 = replica.file.sha256
            replica.upload_id = None
            identity = (replica.owner, replica.lease_until)
            _advance(replica, State.VERIFIED)
            replica.owner, replica.lease_until = identity  # the run log is still to be written

    def commit_catalogued(self, replica_id: int) -> None:
        """Let the run log say that the file is in the cloud; nothing is left to do for it."""
        with self.catalog.write() as session:
            replica = session.get_one(Replica, replica_id)
            file = replica.file
            if file.kind == "raw":
                row = runlog_row(session, file.run_number)
                row.storage_cloud_status = Storage.STORED
                row.file_s3_tag = self.settings.tag
            replica.catalogued_at = now()
            _advance(replica, State.CATALOGUED)
            if all(other.state == State.CATALOGUED for other in file.replicas):
                _advance(file, State.CATALOGUED)

    def commit_failed(self, row: Row, reason: str) -> Row:
        """Write down a failure and when to try again: later after each, with some jitter."""
        with self.catalog.write() as session:
            current = session.get_one(type(row), row.id)
            self._fail(current, reason)
            return current

    def _fail(self, row: Claimed, reason: str) -> None:
        row.state = State.FAILED
        row.reason = reason
        row.tries = (row.tries or 0) + 1
        first, longest = self.settings.retry_first_s, self.settings.retry_longest_s
        delay_s = min(longest, first * 2.0 ** min(row.tries - 1, 30)) * random.uniform(0.8, 1.2)
        row.next_try_at = now() + timedelta(seconds=delay_s)
        row.updated_at = now()
        claims.release(row)


def _differs(known: File | None, found: FoundFile) -> bool:
    return known is None or (known.size_bytes, known.mtime_ns) != (
        found.size_bytes,
        found.mtime_ns,
    )


def _advance(row: Claimed, state: State) -> None:
    """Set a state that was reached without a failure."""
    row.state = state
    row.reason = None
    row.tries = 0
    row.next_try_at = None
    row.updated_at = now()
    claims.release(row)
