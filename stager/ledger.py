"""What the steps write into the catalog: each method is one transaction, all of it or nothing."""

from collections.abc import Sequence
from typing import Any, TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from stager import claims
from stager.catalog import Catalog, persistent
from stager.configuration import Configuration
from stager.errors import ClaimLostError, ConflictError, FileError, StagerError
from stager.hashing import FileHashes
from stager.models import File, Replica, State, Storage, now
from stager.places.configured import find_place
from stager.quality import write_quality
from stager.records import TransferOutcome
from stager.rows import (
    DONE,
    add_replicas,
    advance,
    fail,
    set_deleted,
    set_found,
    settle,
)
from stager.rundescription import describe_run, runlog_row, set_stored
from stager.runscan import RunScan
from stager.transfers import begin_transfer, end_transfer
from stager.upload import Begun
from stager.verify import Verification

Row = TypeVar("Row", bound=File | Replica)


@persistent
class Ledger:
    """The catalog as one stager uses it; each public method waits out a database that is gone.

    :param configuration: places of new rows, waits of failed ones.
    """

    def __init__(self, catalog: Catalog, configuration: Configuration) -> None:
        self.catalog = catalog
        self.settings = configuration.settings
        self.places = configuration.places
        self.identity = claims.own_identity()

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
        """Lengthen our claim. :raises ClaimLostError: if it is ours no more."""
        with self.catalog.write() as session:
            current = session.get_one(type(row), row.id, with_for_update=True)
            holder = claims.take(current, self.identity)
            if holder:
                raise ClaimLostError(
                    f"{holder} has taken over: this computer was too slow or stopped"
                )

    def release(self, row: Row, reason: str | None = None) -> None:
        """Give a row back unchanged but for what it waits for."""
        with self.catalog.write() as session:
            current = session.get_one(type(row), row.id)
            claims.release(current)
            current.reason = reason
            current.updated_at = now()

    def interrupt(self, replica: Replica, sent_bytes: int = 0) -> None:
        """Give a replica back in the middle of its way; it is gone on with from there."""
        with self.catalog.write() as session:
            current = session.get_one(Replica, replica.id)
            claims.release(current)
            end_transfer(session, replica.id, TransferOutcome.INTERRUPTED, sent_bytes)

    def note_wait(self, file: File, reason: str) -> None:
        """Write down what a file waits for."""
        if file.reason != reason:
            self.release(file, reason)

    # a file ------------------------------------------------------------------------------------
    def commit_hashed(
        self,
        file_id: int,
        hashes: FileHashes,
        scan: RunScan | None = None,
        agreed: Sequence[str] = (),
        summary: dict[str, Any] | None = None,
    ) -> File:
        """Write down what a file holds; it is then ready for its replicas.

        :param scan: of a raw file, with the names of the sidecars that it `agreed` with.
        :param summary: what the analyzer's summary says.
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
            for replica in file.replicas:
                if file.sha256 != hashes.sha256:  # what was transcoded from it is of the past
                    replica.content_sha256 = replica.content_crc32c = None
            file.size_bytes, file.mtime_ns = hashes.size_bytes, hashes.mtime_ns
            if file.sha256 != hashes.sha256 or hashes.md5:
                file.md5 = hashes.md5
            file.sha256, file.crc32c, file.adler32 = hashes.sha256, hashes.crc32c, hashes.adler32
            file.checked_against = ", ".join(agreed) or None
            file.hashed_at = now()
            if scan is not None:
                file.events, file.trigger_events = scan.events, scan.trigger_events
                file.truncated = not scan.is_whole
                file.stream_bytes = None if scan.damage else scan.stream_bytes
                crc = scan.stream_crc32c
                stream_crc32c = hashes.crc32c if crc is None else f"{crc:08x}"
                file.stream_crc32c = None if scan.damage else stream_crc32c
            add_replicas(file, self.places)
            advance(file, State.HASHED)
            settle(file, self.places)
            session.flush()
            if scan is not None:
                describe_run(session, file, scan)
            if summary is not None:
                write_quality(session, file, summary, hashes.sha256)
            return file

    def has_md5(self, file: File) -> bool:
        """Tell whether the MD5 of a file is on record by now."""
        with self.catalog.read() as session:
            return session.get_one(File, file.id).md5 is not None

    def commit_md5(self, hashed: File, md5: str) -> None:
        """Write down the MD5 of a file, if it still is what was hashed; the run log has it, too."""
        with self.catalog.write() as session:
            file = session.get_one(File, hashed.id, with_for_update=True)
            if file.sha256 != hashed.sha256:
                return  # it was changed and hashed again meanwhile
            file.md5, file.updated_at = md5, now()
            if file.kind == "raw":
                runlog_row(session, file.run_number).file_checksum = md5
            settle(file, self.places)

    # a replica ---------------------------------------------------------------------------------
    def commit_transcoded(self, replica_id: int, hashes: FileHashes, stream_crc32c: str) -> None:
        """Write down what a transcoded file holds; what was begun with another one is void."""
        with self.catalog.write() as session:
            replica = session.get_one(Replica, replica_id)
            replica.content_bytes = hashes.size_bytes
            replica.content_sha256, replica.content_crc32c = hashes.sha256, hashes.crc32c
            replica.stream_crc32c = stream_crc32c
            replica.upload_id = replica.part_size_bytes = None
            replica.updated_at = now()

    def commit_uploading(self, replica_id: int, begun: Begun | None) -> None:
        """Write down that a replica is on its way, and in which upload."""
        with self.catalog.write() as session:
            replica = session.get_one(Replica, replica_id)
            begin_transfer(session, replica, self.identity)
            replica.state = State.UPLOADING
            replica.updated_at = now()
            replica.upload_id = begun.upload_id if begun else None
            replica.part_size_bytes = begun.part_size_bytes if begun else replica.part_size_bytes

    def commit_verified(
        self, replica_id: int, found: Verification, location: str, sent_bytes: int = 0
    ) -> None:
        """Write down what the place was found to have, and what was sent for it."""
        with self.catalog.write() as session:
            replica = session.get_one(Replica, replica_id)
            set_found(replica, found)
            replica.location = location[:255]
            replica.verified_at = replica.checked_at
            replica.sha256 = replica.file.sha256
            replica.upload_id = None
            replica.conflict = False
            identity = (replica.owner, replica.lease_until)
            advance(replica, State.VERIFIED)
            replica.owner, replica.lease_until = identity  # the run log is still to be written
            end_transfer(session, replica_id, TransferOutcome.VERIFIED, sent_bytes)

    def commit_catalogued(self, replica_id: int) -> State:
        """Let the run log say that the file is there; nothing is left to do for it.

        :returns: how far the file has come by that.
        """
        with self.catalog.write() as session:
            replica = session.get_one(Replica, replica_id)
            replica.catalogued_at = now()
            advance(replica, State.CATALOGUED)
            file = session.get_one(File, replica.file_id, with_for_update=True)
            session.refresh(file, ["replicas"])
            settle(file, self.places)
            session.flush()
            self._tell_runlog(session, replica)
            return State(file.state)

    def commit_checked(self, replica_id: int, found: Verification) -> None:
        """Write down that a place still has it."""
        with self.catalog.write() as session:
            set_found(session.get_one(Replica, replica_id), found)

    def commit_lost(self, replica_id: int, error: StagerError) -> None:
        """Write down that a place has a verified copy no more; it is brought there again.

        Its file is not safe there until then; Runlog says so, too.
        """
        with self.catalog.write() as session:
            replica = session.get_one(Replica, replica_id)
            since = replica.verified_at
            reason = f"{error}; it was there" + (f" on {since:%Y-%m-%d %H:%M} UTC" if since else "")
            replica.conflict = isinstance(error, ConflictError)
            replica.state, replica.reason = State.FAILED, reason
            replica.tries, replica.next_try_at = 1, now()
            replica.verified_at = replica.catalogued_at = replica.upload_id = None
            replica.updated_at = now()
            claims.release(replica)
            file = session.get_one(File, replica.file_id, with_for_update=True)
            session.refresh(file, ["replicas"])
            settle(file, self.places)
            session.flush()
            self._tell_runlog(session, replica)

    def _tell_runlog(self, session: Session, replica: Replica) -> None:
        """Let the run log's column of a place's role follow the run's raw files there."""
        place = find_place(self.places, replica.place)
        if replica.file.kind != "raw" or place is None or place.settings.role == "copy":
            return
        names = [p.name for p in self.places if p.settings.role == place.settings.role]
        query = select(Replica.state).join(File)
        query = query.where(File.run_number == replica.file.run_number, File.kind == "raw")
        states = session.scalars(query.where(Replica.place.in_(names))).all()
        stored = bool(states) and all(state == State.CATALOGUED for state in states)
        row = runlog_row(session, replica.file.run_number)
        status = Storage.STORED if stored else Storage.UNKNOWN
        set_stored(row, place.settings.role, status, place.tag)

    # deletion ----------------------------------------------------------------------------------
    def commit_deletable(self, file_id: int, reason: str) -> State:
        """Claim a file for deletion, and return its state.

        :returns: DELETABLE if it is ours; DELETED if somebody else deletes it, or has; else it is
            not as it was, or somebody works on it.
        """
        with self.catalog.write() as session:
            file = session.get_one(File, file_id, with_for_update=True)
            if file.state == State.DELETABLE:  # ours: said already, before the database was lost
                return State.DELETABLE if file.owner == self.identity else State.DELETED
            if file.state not in DONE or claims.take(file, self.identity):
                return State(file.state)
            file.state, file.reason, file.updated_at = State.DELETABLE, reason, now()
            return State.DELETABLE

    def commit_kept(self, file_id: int) -> None:
        """Take a file that was to be deleted back among the others."""
        with self.catalog.write() as session:
            file = session.get_one(File, file_id, with_for_update=True)
            if file.state == State.DELETABLE:
                advance(file, State.HASHED)
                settle(file, self.places)

    def commit_deleted(self, file_id: int, reason: str) -> None:
        """Write down that a local file is gone, and why."""
        with self.catalog.write() as session:
            set_deleted(session, session.get_one(File, file_id, with_for_update=True), reason)

    # failures ----------------------------------------------------------------------------------
    def commit_failed(
        self, row: Row, reason: str, conflict: bool = False, sent_bytes: int = 0
    ) -> Row:
        """Write down a failure and when to try again: later after each, with some jitter."""
        with self.catalog.write() as session:
            current = session.get_one(type(row), row.id)
            fail(current, reason, self.settings)
            if isinstance(current, Replica):
                current.conflict = conflict
                end_transfer(session, row.id, TransferOutcome.FAILED, sent_bytes, reason)
            return current
