"""Bring the files of completed runs through all their steps: claim, do, verify, commit.

Every step may be killed anywhere and repeated; what it finds done, it does not do again.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Final

from rawdata.errors import RawDataError
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
from stager.turns import Turns
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
        self._turns = Turns(ledger, pulse)
        self._pulse = self._turns.pulse
        self._progress = progress
        self._opening = threading.Lock()
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
        threads = self._settings.parallel_files
        outcomes: list[Outcome | Future[Outcome | None] | None] = []
        with ThreadPoolExecutor(threads, thread_name_prefix="file") as pool:
            try:
                for file in files:
                    self._pulse()
                    if not retry_all and not _is_due(file):
                        continue
                    outcomes.append(
                        self._work_on(file, found.get(file.path), current_run, result, pool)
                    )
                result.outcomes = [done for each in outcomes if (done := self._await(each))]
            except BaseException:
                self._turns.end()
                pool.shutdown(cancel_futures=True)
                raise
        result.trouble = self._trouble
        return result

    def _await(self, outcome: Outcome | Future[Outcome | None] | None) -> Outcome | None:
        if not isinstance(outcome, Future):
            return outcome
        while not outcome.done():
            wait([outcome], _PULSE_S)
            self._pulse()
        return outcome.result()

    def _work_on(
        self,
        file: File,
        found: FoundFile | None,
        current_run: int | None,
        result: Pass,
        pool: ThreadPoolExecutor,
    ) -> Outcome | Future[Outcome | None] | None:
        """Do what can be done for a file; None if another stager did it meanwhile.

        Files are read one after the other; their replicas are brought to their places by `pool`.
        """
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
        return pool.submit(self._replicate_all, file)

    def _replicate_all(self, file: File) -> Outcome | None:
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
        with self._turns.on(claimed):
            reached("hash-claimed")
            return self._hash_claimed(file, found)

    def _hash_claimed(self, file: File, found: FoundFile) -> File | Outcome | Wait:
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
            self._progress.end()

    # replicate ---------------------------------------------------------------------------------
    def _replicate(self, file: File, replica: Replica) -> Outcome | None:
        if self._trouble and replica.state != State.VERIFIED:
            return outcome_of(file, WAITING, self._trouble, replica)
        replica, holder = self._ledger.claim(replica, _TO_REPLICATE)
        if holder:
            return outcome_of(file, WAITING, f"{holder} works on it", replica)
        if replica.state not in _TO_REPLICATE:
            return None
        with self._turns.on(replica):
            return self._replicate_claimed(file, replica)

    def _replicate_claimed(self, file: File, replica: Replica) -> Outcome:
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
            reason = str(error)
            if isinstance(error, (StoreUnusableError, CredentialsError)):
                # Files that are sent at once meet the same trouble: it is said once.
                reason = self._trouble = self._trouble or reason
            self._ledger.commit_failed(replica, reason)
            return outcome_of(file, State.FAILED, reason, replica)
        finally:
            self._progress.end()

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
        with self._opening:
            return self._open_store_once()

    def _open_store_once(self) -> Store:
        if self._store is None:
            if self._trouble:
                raise StoreUnusableError(self._trouble)
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

    def _advance(self, count_bytes: int) -> None:
        self._progress.advance(count_bytes)
        self._pulse()


def _is_due(file: File) -> bool:
    """Tell whether a file's next try may begin."""
    rows: list[File | Replica] = [file, *file.replicas]
    return all(row.next_try_at is None or row.next_try_at <= now() for row in rows)
