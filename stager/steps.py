"""The steps of one file or replica, each for a thread: claim, do, verify, commit.

Every step may be killed anywhere and repeated; what it finds done, it does not do again.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rawdata.errors import RawDataError
from stager.configuration import Configuration
from stager.crash import reached
from stager.discovery import FoundFile, why_unsettled
from stager.errors import (
    ChangingError,
    ClaimLostError,
    ConfigurationError,
    ConflictError,
    CredentialsError,
    FileError,
    Stopped,
    StoreError,
)
from stager.hashing import check_sidecars, hash_file, read_md5
from stager.job import Job
from stager.ledger import Ledger
from stager.models import File, Replica, State
from stager.outcome import WAITING, Outcome, outcome_of
from stager.parts import MIB
from stager.places.opened import Places
from stager.progress import Progress
from stager.prune import prune
from stager.quality import read_summary
from stager.recheck import Answer, ask_again
from stager.replicate import bring_there, clear_scratch
from stager.retention import Verdict
from stager.rows import DONE
from stager.runscan import scan_run

log = logging.getLogger(__name__)

TO_HASH: Final = (State.DISCOVERED, State.FAILED)
"""States of a file that is to be read."""
TO_REPLICATE: Final = (State.HASHED, State.UPLOADING, State.VERIFIED, State.FAILED)
"""States of a replica that is to be brought to its place."""
_WAIT_S: Final = 0.1

Done = File | Outcome | Answer | list[Verdict] | None
"""What a thread made: a file that is ready for its places, something to tell, or nothing."""


@dataclass(frozen=True)
class Steps:
    """What threads do in one pass, with its places.

    :param stop: once set, whatever is being done ends at its next pulse.
    :param look_again: told after how many seconds a file that must settle may be ready.
    :param tell_trouble: told of a place and what keeps it from being used at all.
    """

    configuration: Configuration
    ledger: Ledger
    places: Places
    progress: Progress
    stop: threading.Event
    look_again: Callable[[float], None]
    tell_trouble: Callable[[str, str], None]

    def ask_again(self, file: File, replica: Replica, read_back: bool) -> Done:
        """Ask a place whether it still has a copy."""
        scratch = self.configuration.scratch_dir
        with self._job() as job:
            return ask_again(
                self.ledger, self.places, file, replica, scratch, job, read_back=read_back
            )

    def prune(self, current_run: int | None, apply: bool, only: Sequence[int]) -> Done:
        """Judge which local files may go, and delete them if `apply` says so."""
        with self._job() as job:
            return prune(
                self.configuration,
                self.ledger,
                self.places,
                job,
                current_run,
                apply=apply,
                only=only,
            )

    def keep(self, file: File) -> Done:
        """Take back a file that a stager which has died wanted to delete."""
        claimed, holder = self.ledger.claim(file, (State.DELETABLE,))
        if not holder and claimed.state == State.DELETABLE:
            self.ledger.commit_kept(file.id)
        return None

    def hash(self, file: File, found: FoundFile, with_md5: bool) -> Done:
        """Read a file and write down what it holds; it then is ready for its places.

        :param with_md5: its MD5, too, which `md5` computes otherwise.
        """
        claimed, holder = self.ledger.claim(file, TO_HASH)
        if holder:
            return outcome_of(file, WAITING, f"{holder} works on it")
        if claimed.state not in TO_HASH:
            # Another stager was faster; what it has not finished yet, it may need help with.
            return None if claimed.state in DONE else claimed
        with self._job() as job:
            job.hold(claimed)
            reached("hash-claimed")
            try:
                return self._read(file, found, with_md5, job)
            except ChangingError as error:
                self.ledger.release(file, str(error))
                self.look_again(self.configuration.settings.settle_s)
                return outcome_of(file, WAITING, str(error))
            except (FileError, RawDataError) as error:
                failed = self.ledger.commit_failed(file, str(error))
                return outcome_of(file, State.FAILED, str(failed.reason))
            except ClaimLostError as error:
                return outcome_of(file, WAITING, str(error))
            except Stopped:
                self.ledger.release(file)
                raise

    def _read(self, file: File, found: FoundFile, with_md5: bool, job: Job) -> Done:
        path = Path(file.path)
        scan = None
        if file.kind == "raw":
            scan = scan_run(path, job.pulse)
            # Without its end, a file may still be growing where we cannot see its writer.
            unsettled = why_unsettled(found, self.configuration.settings.settle_s)
            if not scan.has_end and unsettled:
                self.ledger.release(file, unsettled.reason)
                self.look_again(unsettled.look_again_s or 0.0)
                return outcome_of(file, WAITING, unsettled.reason)
        job.begin(f"reading {file.name}", found.size_bytes)
        hashes = hash_file(path, job.advance, with_md5=with_md5)
        if hashes.mtime_ns != found.mtime_ns:
            raise ChangingError(f"{file.name} changed while it was read")
        agreed = check_sidecars(path, hashes, scan) if scan else []
        summary = _summary_of(file)
        reached("hash-done")
        hashed = self.ledger.commit_hashed(file.id, hashes, scan, agreed, summary)
        reached("hash-committed")
        return hashed

    def has_md5_beside(self, file: File, found: FoundFile) -> bool:
        """Tell whether the MD5 is computed apart from what must be known before a file is sent.

        MD5 takes twice as long as all else that is computed of a file, and nothing that is sent to
        a bucket needs it.
        """
        return any(
            place.settings.kind == "s3"
            and place.settings.required
            and place.wants(file)
            and found.size_bytes > place.s3.part_size_mib * MIB
            for place in self.ledger.places
        )

    def md5(self, file: File, hashing: "Future[Done] | None" = None) -> Done:
        """Bring the MD5 of a file that is hashed without it on record; None if it is there.

        :param hashing: what hashes the file meanwhile; the MD5 counts only if that succeeds, and
            has read the same. None if the file was hashed before.
        """
        # No claim: another stager may do the same for the place that it serves, with one result.
        with self._job() as job:
            if hashing is None and self.ledger.has_md5(file):
                return None

            def pulse() -> None:
                job.pulse()
                if hashing is not None and hashing.done() and _hashed(hashing) is None:
                    raise FileError("it could not be hashed")  # and who tried it says so

            doubt = ""
            try:
                reading = read_md5(Path(file.path), pulse)
            except FileError as error:
                reading, doubt = None, str(error)
            hashed: File | None = file
            if hashing is not None:
                _await(hashing, job)
                hashed = _hashed(hashing)
            if hashed is None:
                return None
            if reading is not None:
                doubt = reading.doubt(hashed)
            if reading is None or doubt:
                failed = self.ledger.commit_failed(file, doubt)
                return outcome_of(file, State.FAILED, str(failed.reason))
        reached("md5-done")
        self.ledger.commit_md5(hashed, reading.md5)
        reached("md5-committed")
        return None

    def replicate(self, file: File, replica: Replica, md5: "Future[Done] | None") -> Done:
        """Let a replica be at its place, prove it, and let the run log say so.

        :param md5: done once the file's MD5, which the run log has, too, is on record; None if it
            is already.
        """
        trouble = self.places.troubles.get(replica.place)
        if trouble and replica.state != State.VERIFIED:
            return outcome_of(file, WAITING, trouble, [replica])
        replica, holder = self.ledger.claim(replica, TO_REPLICATE)
        if holder:
            return outcome_of(file, WAITING, f"{holder} works on it", [replica])
        if replica.state not in TO_REPLICATE:
            return None
        scratch = self.configuration.scratch_dir
        with self._job() as job:
            job.hold(replica)
            try:
                if replica.state != State.VERIFIED:
                    place = self.places.open(replica.place)
                    found = bring_there(self.ledger, place, file, replica, scratch, job)
                    reached("verify-done")
                    self.ledger.commit_verified(replica.id, found, place.location, job.sent_bytes)
                    reached("verify-committed")
                    replica.object_bytes, replica.checksum = found.object_bytes, found.checksum
                clear_scratch(replica, scratch)
                _await_md5(md5, job)
                state = self.ledger.commit_catalogued(replica.id)
                reached("catalogue-done")
                replica.state = State.CATALOGUED
                return outcome_of(file, state, replicas=[replica])
            except OSError as error:
                reason = f"{error.strerror}: {error.filename}"
                replica = self.ledger.commit_failed(replica, reason, sent_bytes=job.sent_bytes)
                return outcome_of(file, State.FAILED, reason, [replica])
            except (StoreError, CredentialsError, FileError, ConfigurationError) as error:
                reason = self.places.reason(replica.place, error)
                if reason == self.places.troubles.get(replica.place):
                    self.tell_trouble(replica.place, reason)
                conflict = isinstance(error, ConflictError)
                replica = self.ledger.commit_failed(replica, reason, conflict, job.sent_bytes)
                return outcome_of(file, State.FAILED, reason, [replica])
            except ClaimLostError as error:
                return outcome_of(file, WAITING, str(error), [replica])
            except Stopped:
                self.ledger.interrupt(replica, job.sent_bytes)
                raise

    def _job(self) -> Job:
        return Job(self.ledger, self.progress, self.stop)


def _await_md5(md5: "Future[Done] | None", job: Job) -> None:
    """Wait until the MD5 is on record. :raises FileError: if the file is not what was hashed."""
    if md5 is not None:
        _await(md5, job)
        failed = md5.result()
        if isinstance(failed, Outcome):
            raise FileError(failed.reason)


def _hashed(hashing: "Future[Done]") -> File | None:
    """Return the file that was hashed; None if that did not succeed."""
    if hashing.cancelled() or hashing.exception():
        return None
    done = hashing.result()
    return done if isinstance(done, File) else None


def _await(future: "Future[Done]", job: Job) -> None:
    while not future.done():
        wait([future], _WAIT_S)
        job.pulse()


def _summary_of(file: File) -> dict[str, Any] | None:
    """Return what a summary says; one that cannot be read is staged as it is."""
    if file.kind != "summary":
        return None
    try:
        return read_summary(Path(file.path), file.run_number)[0]
    except FileError as error:
        log.warning("%s; its run has no quality in the catalog", error)
        return None
