"""Bring the files of completed runs through all their steps: claim, do, verify, commit.

Every step may be killed anywhere and repeated; what it finds done, it does not do again.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from rawdata.errors import RawDataError
from stager import claims
from stager.configuration import Configuration
from stager.crash import reached
from stager.discovery import FoundFile, Wait, find_files, why_unsettled, why_wait
from stager.errors import (
    ChangingError,
    CredentialsError,
    FileError,
    StoreError,
    StoreUnusableError,
)
from stager.hashing import check_sidecars, hash_file
from stager.ledger import Ledger
from stager.models import File, Replica, State, now
from stager.outcome import WAITING, Outcome, Pass, Progress, outcome_of
from stager.parts import MIB
from stager.runscan import scan_run
from stager.store import Contents, RemoteObject, Store, open_store
from stager.upload import AlreadyThereError, Begun, Upload, Watch, abandon_strays, give_up
from stager.verify import Verification, verify

_PULSE_S: Final = 0.1
_TO_HASH: Final = (State.DISCOVERED, State.FAILED)
_TO_REPLICATE: Final = (State.HASHED, State.UPLOADING, State.VERIFIED, State.FAILED)


class Worker:
    """One stager at work.

    :param pulse: called several times a second by the thread that works; what it raises ends the
        step, which is taken up again later.
    """

    def __init__(
        self,
        configuration: Configuration,
        ledger: Ledger,
        pulse: Callable[[], None],
        progress: Progress,
    ) -> None:
        self._configuration = configuration
        self._settings = configuration.settings
        self._ledger = ledger
        self._outer_pulse = pulse
        self._progress = progress
        self._claimed: File | Replica | None = None
        self._renewed = self._pulsed = 0.0
        self._store: Store | None = None
        self._trouble = ""

    def run_pass(self, current_run: int | None, retry_all: bool) -> Pass:
        """Look through the folder once and do all that can be done.

        :param current_run: the run that is being taken, which is left alone.
        :param retry_all: try failed files whose time has not come yet, too.
        :raises CatalogError: if the catalog fails; everything else is an outcome of a file.
        """
        result = Pass()
        self._store, self._trouble = None, ""
        folders = [f for f in (self._configuration.data_dir, self._configuration.truth_dir) if f]
        found = {str(f.path): f for f in find_files(*folders)}
        files = self._ledger.register(list(found.values()), folders)
        reached("discovered")
        for file in files:
            self._pulse()
            if not retry_all and not _is_due(file):
                continue
            outcome = self._work_on(file, found.get(file.path), current_run, result)
            if outcome is not None:
                result.outcomes.append(outcome)
        result.trouble = self._trouble
        return result

    def _work_on(
        self, file: File, found: FoundFile | None, current_run: int | None, result: Pass
    ) -> Outcome | None:
        """Do what can be done for a file; None if another stager did it meanwhile."""
        if found is None:
            return outcome_of(file, State.FAILED, file.reason or "is gone")
        if file.state in _TO_HASH:
            wait = why_wait(found, current_run, self._settings.settle_s)
            hashed = wait or self._hash(file, found)
            if isinstance(hashed, Wait):
                self._ledger.note_wait(file, hashed.reason)
                if hashed.look_again_s is not None:
                    result.look_again_s = max(result.look_again_s or 0.0, hashed.look_again_s)
                return outcome_of(file, WAITING, hashed.reason)
            if hashed is None or isinstance(hashed, Outcome):
                return hashed
            file = hashed
        if file.state == State.CATALOGUED:  # it goes nowhere, or its copies are there already
            return outcome_of(file, file.state, replica=next(iter(file.replicas), None))
        outcomes = [self._replicate(file, replica) for replica in file.replicas]
        return next((outcome for outcome in outcomes if outcome), None)

    # hash --------------------------------------------------------------------------------------
    def _hash(self, file: File, found: FoundFile) -> File | Outcome | Wait | None:
        claimed, holder = self._ledger.claim(file, _TO_HASH)
        if holder:
            return Wait(f"{holder} works on it")
        if claimed.state not in _TO_HASH:
            # Another stager was faster; what it has not finished yet, it may need help with.
            return None if claimed.state == State.CATALOGUED else claimed
        self._begin_claim(claimed)
        reached("hash-claimed")
        path = Path(file.path)
        try:
            scan = None
            if file.kind == "raw":
                scan = scan_run(path, self._pulse)
                # Without its end, a file may still be growing where we cannot see its writer.
                unsettled = why_unsettled(found, self._settings.settle_s)
                if not scan.has_end and unsettled:
                    self._ledger.release(file)
                    return unsettled
            self._progress.begin(f"reading {file.name}", found.size_bytes)
            hashes = hash_file(path, self._advance)
            if hashes.mtime_ns != found.mtime_ns:
                raise ChangingError(f"{file.name} changed while it was read")
            agreed = check_sidecars(path, hashes, scan) if scan else []
            reached("hash-done")
            hashed = self._ledger.commit_hashed(file.id, hashes, scan, agreed)
            reached("hash-committed")
            return hashed
        except ChangingError as error:
            self._ledger.release(file)
            return Wait(str(error), self._settings.settle_s)
        except (FileError, RawDataError) as error:
            failed = self._ledger.commit_failed(file, str(error))
            return outcome_of(file, State.FAILED, str(failed.reason))
        finally:
            self._end_claim()

    # replicate ---------------------------------------------------------------------------------
    def _replicate(self, file: File, replica: Replica) -> Outcome | None:
        if self._trouble and replica.state != State.VERIFIED:
            return outcome_of(file, WAITING, self._trouble, replica)
        replica, holder = self._ledger.claim(replica, _TO_REPLICATE)
        if holder:
            return outcome_of(file, WAITING, f"{holder} works on it", replica)
        if replica.state not in _TO_REPLICATE:
            return None
        self._begin_claim(replica)
        try:
            if replica.state != State.VERIFIED:
                found = self._bring_there(file, replica)
                reached("verify-done")
                self._ledger.commit_verified(replica.id, found)
                reached("verify-committed")
                replica.object_bytes, replica.checksum = found.object_bytes, found.checksum
            self._ledger.commit_catalogued(replica.id)
            reached("catalogue-done")
            return outcome_of(file, State.CATALOGUED, replica=replica)
        except (StoreError, CredentialsError, FileError) as error:
            if isinstance(error, (StoreUnusableError, CredentialsError)):
                self._trouble = str(error)
            self._ledger.commit_failed(replica, str(error))
            return outcome_of(file, State.FAILED, str(error), replica)
        finally:
            self._end_claim()

    def _bring_there(self, file: File, replica: Replica) -> Verification:
        """Let the object be there, and prove that it is."""
        store = self._open_store()
        key = str(replica.object_key)
        contents = Contents(file.size_bytes, str(file.sha256), str(file.crc32c))
        begun = (
            Begun(replica.upload_id, replica.part_size_bytes or 0) if replica.upload_id else None
        )
        was_uploading = replica.state != State.HASHED
        if was_uploading and begun is None and file.size_bytes > self._settings.part_size_mib * MIB:
            abandon_strays(store, key)
        self._ledger.commit_uploading(replica.id, begun)
        reached("upload-claimed")
        remote = store.find(key)
        if remote is None:
            remote = self._upload(store, file, replica, contents, begun)
        elif begun is not None:
            give_up(store, key, begun)  # a no-op where the object is what this upload became
        if remote is None:
            raise StoreError(
                f"{store.object_name(key)} was sent, and {store.settings.endpoint} accepted it, "
                "but does not have it now"
            )
        reached("object-done")
        self._progress.begin(f"verifying {file.name}", file.size_bytes)
        return verify(
            store, Path(file.path), remote, contents, replica.part_size_bytes, self._advance
        )

    def _upload(
        self, store: Store, file: File, replica: Replica, contents: Contents, begun: Begun | None
    ) -> RemoteObject | None:
        def note(upload: Begun | None) -> None:
            self._ledger.commit_uploading(replica.id, upload)
            replica.part_size_bytes = upload.part_size_bytes if upload else None

        self._progress.begin(f"sending {file.name}", file.size_bytes)
        key = str(replica.object_key)
        watch = Watch(begun=note, sent=self._advance, pulse=self._pulse)
        try:
            Upload(store, Path(file.path), key, contents, file.mtime_ns, watch).run(begun)
        except AlreadyThereError:
            pass  # somebody was faster; whether with the same content, we ask now
        return store.find(key)

    def _open_store(self) -> Store:
        if self._store is None:
            store = open_store(self._settings, self._configuration.credentials())
            try:
                store.check()
            except StoreUnusableError as error:
                if self._configuration.uses_embedded_server:
                    raise StoreUnusableError(
                        f"{error} It is the embedded server of {self._configuration.folder}: "
                        "start it with cygno-sim serve, or python -m sim.s3 "
                        f"{self._configuration.folder}/s3"
                    ) from error
                raise
            self._store = store
        return self._store

    # claims and pulses -------------------------------------------------------------------------
    def _begin_claim(self, row: File | Replica) -> None:
        self._claimed, self._renewed = row, time.monotonic()

    def _end_claim(self) -> None:
        self._claimed = None
        self._progress.end()

    def _advance(self, count_bytes: int) -> None:
        self._progress.advance(count_bytes)
        self._pulse()

    def _pulse(self) -> None:
        moment = time.monotonic()
        if moment - self._pulsed < _PULSE_S:
            return
        self._pulsed = moment
        self._outer_pulse()
        if self._claimed is not None and moment - self._renewed > claims.RENEW_AFTER_S:
            self._renewed = moment
            self._ledger.renew(self._claimed)


def _is_due(file: File) -> bool:
    """Tell whether a file's next try may begin."""
    rows: list[File | Replica] = [file, *file.replicas]
    return all(row.next_try_at is None or row.next_try_at <= now() for row in rows)
