"""Bring the files of completed runs through all their steps: claim, do, verify, commit.

Every step may be killed anywhere and repeated; what it finds done, it does not do again. Threads do
the work; the thread that owns the worker finds files, hands out the work and collects outcomes.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any, Final

from rawdata.errors import RawDataError
from stager.bandwidth import Limiter
from stager.configuration import Configuration
from stager.crash import reached
from stager.crew import Crew
from stager.discovery import FoundFile, Wait, find_files, why_unsettled, why_wait
from stager.disk import Disk, look_at_disk
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
from stager.hashing import check_sidecars, hash_file
from stager.job import Job
from stager.ledger import Ledger
from stager.models import File, Replica, State, now
from stager.outcome import WAITING, Outcome, Pass, outcome_of
from stager.places.configured import find_place
from stager.places.opened import Places
from stager.progress import Progress
from stager.prune import prune
from stager.quality import read_summary
from stager.recheck import Answer, ask_again, copies
from stager.registry import Registry
from stager.replicate import bring_there, clear_scratch
from stager.resolve import Choice, retry_failed
from stager.retention import Verdict
from stager.rows import DONE
from stager.runscan import scan_run

log = logging.getLogger(__name__)

_PULSE_S: Final = 0.1
_TO_HASH: Final = (State.DISCOVERED, State.FAILED)
_TO_REPLICATE: Final = (State.HASHED, State.UPLOADING, State.VERIFIED, State.FAILED)


Done = File | Outcome | Answer | list[Verdict] | None
"""What a thread made: a file that is ready for its places, something to tell, or nothing."""


class Worker:
    """One stager at work.

    :param pulse: called several times a second by the thread that owns the worker; what it raises
        ends the pass, and what is begun is taken up again later.
    """

    def __init__(
        self,
        configuration: Configuration,
        ledger: Ledger,
        pulse: Callable[[], None],
        progress: Progress,
    ) -> None:
        self._pulse = pulse
        self._progress = progress
        self._crew: Crew[Done] = Crew()
        self._result = Pass()
        self._retry_all = False
        self._troubles: dict[str, str] = {}
        """What ailed places, last: threads of an earlier pass may tell of it, too."""
        self._limiters: dict[tuple[str, str], Limiter] = {}
        self.use(configuration, ledger)

    def use(self, configuration: Configuration, ledger: Ledger) -> None:
        """Work with another configuration from the next pass on."""
        self._configuration = configuration
        self._settings = configuration.settings
        self._ledger = ledger
        self._places = Places(configuration, self._limiters)

    def close(self) -> None:
        """End all threads."""
        self._crew.close()

    def raise_if_over(self) -> None:
        """End what a thread does. :raises Stopped: once the worker is being closed."""
        if self._crew.stop.is_set():
            raise Stopped("asked to end")

    def run_pass(self, current_run: Callable[[], int | None], retry_all: bool) -> Pass:
        """Look through the folder once and do all that can be done.

        :param current_run: tells, once files were found, which run is being taken: it is left
            alone.
        :param retry_all: try failed files whose time has not come yet, too.
        :raises CatalogError: if the catalog fails; everything else is an outcome of a file.
        """
        self.begin_pass(current_run, retry_all)
        while self._crew.busy:
            self.collect(_PULSE_S)
        return self.take_result()

    def begin_pass(self, current_run: Callable[[], int | None], retry_all: bool) -> None:
        """Find files and hand out all that can be done; what is being done goes on."""
        self._places = Places(self._configuration, self._limiters)
        self._result.look_again_s = None
        self._retry_all = retry_all
        folders = [f for f in (self._configuration.data_dir, self._configuration.truth_dir) if f]
        found = {str(f.path): f for f in find_files(*folders)}
        self._result.disk = _disk_of(self._configuration.data_dir, found)
        run = current_run()  # asked afterwards, lest one begins in between
        files = Registry(self._ledger).register(list(found.values()), folders)
        reached("discovered")
        for file in files:
            self._pulse()
            if ("file", file.id) in self._crew.busy:
                self._remind(file)
                continue
            outcome = self._begin(file, found.get(file.path), run)
            if outcome is not None:
                self._result.add(outcome)

    def begin_recheck(
        self, runs: Sequence[int] = (), place: str | None = None, *, read_back: bool = False
    ) -> int:
        """Hand out the question whether verified copies are still there; return how many."""
        known = {p.name: p for p in self._configuration.places}
        asked = copies(self._ledger.catalog, runs, place)
        for file, replica in asked:
            size = known[replica.place].settings.parallel_files if replica.place in known else 1
            do = partial(self._ask_again, file, replica, self._places, read_back)
            self._crew.submit(f"ask {replica.place}", size, ("answer", replica.id), do)
        return len(asked)

    def retry(self, runs: Sequence[int] = ()) -> None:
        """Let what has failed be tried in the next pass."""
        self._ledger.catalog.persist(partial(retry_failed, self._ledger, Choice(runs)))

    def begin_prune(
        self, current_run: int | None, *, apply: bool, only: Sequence[int] = ()
    ) -> bool:
        """Hand out the deletion of local files, or with no `apply` the judgement alone."""
        do = partial(self._prune, current_run, self._places, apply, only)
        return self._crew.submit("deletion", 1, "deletion", do)

    def collect(self, timeout_s: float) -> bool:
        """Take what has been done, and hand out what follows from it; False if nothing was.

        :raises CatalogError: if the catalog has failed.
        """
        self._pulse()
        finished = self._crew.finished(min(timeout_s, _PULSE_S))
        for future in finished:
            self._take(future)
        return bool(finished)

    @property
    def look_again_s(self) -> float | None:
        """When a file that only has to stay unchanged may be ready."""
        return self._result.look_again_s

    @property
    def is_busy(self) -> bool:
        """True while threads have work."""
        return bool(self._crew.busy)

    def take_result(self) -> Pass:
        """Return what was done since this was last called."""
        result, self._result = self._result, Pass()
        # What ails a place is said in the same way as long as files fail by it.
        reasons = {place["reason"] for outcome in result.outcomes for place in outcome.places}
        result.troubles = {p: why for p, why in self._troubles.items() if why in reasons}
        result.order([place.name for place in self._configuration.places])
        return result

    def _take(self, future: "Future[Done]") -> None:
        done = future.result()
        if isinstance(done, Outcome):
            self._result.add(done)
        elif isinstance(done, Answer):
            self._result.answers.append(done)
        elif isinstance(done, list):
            self._result.verdicts = done
        elif isinstance(done, File):
            outcome = self._begin_replicas(done)
            if outcome is not None:
                self._result.add(outcome)

    def _begin(
        self, file: File, found: FoundFile | None, current_run: int | None
    ) -> Outcome | None:
        """Hand out the next step of a file."""
        if file.state == State.DELETABLE and found is not None:
            if file.owner == self._ledger.identity:
                return None  # it is being deleted
            self._crew.submit("reading", 1, ("file", file.id), partial(self._keep, file))
            return None
        if found is None:
            return outcome_of(file, State.FAILED, file.reason or "is gone")
        if file.state not in _TO_HASH:
            return self._begin_replicas(file)
        self._remind(file)
        if not self._is_due(file):
            return None
        wait = why_wait(found, current_run, self._settings.settle_s)
        if wait is not None:
            return self._wait(file, wait)
        size = self._settings.parallel_files
        self._crew.submit("reading", size, ("file", file.id), partial(self._hash, file, found))
        return None

    def _begin_replicas(self, file: File) -> Outcome | None:
        if file.state in DONE and not file.replicas:  # it goes nowhere
            return outcome_of(file, file.state)
        begun = False
        for replica in file.replicas:
            place = find_place(self._ledger.places, replica.place)
            if place is None or replica.state not in _TO_REPLICATE:
                continue
            begun = True
            busy = ("replica", replica.id) in self._crew.busy
            if not busy and self._is_due(replica):
                size = place.settings.parallel_files
                size = self._settings.parallel_files if place.settings.kind == "s3" else size
                do = partial(self._replicate, file, replica, self._places)
                self._crew.submit(f"to {place.name}", size, ("replica", replica.id), do)
            if replica.tries:  # until the next try has succeeded
                failed = outcome_of(file, State.FAILED, str(replica.reason), [replica])
                self._result.add(failed)
        if file.state in DONE and not begun:  # its copies are there already
            return outcome_of(file, file.state, replicas=file.replicas)
        return None

    def _remind(self, file: File) -> None:
        """Tell of a failure that lasts until its next try has succeeded."""
        if file.tries:
            self._result.add(outcome_of(file, State.FAILED, str(file.reason)))

    def _wait(self, file: File, wait: Wait) -> Outcome:
        self._ledger.note_wait(file, wait.reason)
        if wait.look_again_s is not None:
            self._result.look_again_s = max(self._result.look_again_s or 0.0, wait.look_again_s)
        return outcome_of(file, WAITING, wait.reason)

    def _is_due(self, row: File | Replica) -> bool:
        return self._retry_all or row.next_try_at is None or row.next_try_at <= now()

    # in threads --------------------------------------------------------------------------------
    def _job(self) -> Job:
        return Job(self._ledger, self._progress, self._crew.stop)

    def _ask_again(self, file: File, replica: Replica, places: Places, read_back: bool) -> Done:
        scratch = self._configuration.scratch_dir
        with self._job() as job:
            return ask_again(self._ledger, places, file, replica, scratch, job, read_back=read_back)

    def _prune(
        self, current_run: int | None, places: Places, apply: bool, only: Sequence[int]
    ) -> Done:
        with self._job() as job:
            return prune(
                self._configuration,
                self._ledger,
                places,
                job,
                current_run,
                apply=apply,
                only=only,
            )

    def _keep(self, file: File) -> Done:
        """Take back a file that a stager which has died wanted to delete."""
        claimed, holder = self._ledger.claim(file, (State.DELETABLE,))
        if not holder and claimed.state == State.DELETABLE:
            self._ledger.commit_kept(file.id)
        return None

    def _hash(self, file: File, found: FoundFile) -> Done:
        claimed, holder = self._ledger.claim(file, _TO_HASH)
        if holder:
            return outcome_of(file, WAITING, f"{holder} works on it")
        if claimed.state not in _TO_HASH:
            # Another stager was faster; what it has not finished yet, it may need help with.
            return None if claimed.state in DONE else claimed
        with self._job() as job:
            job.hold(claimed)
            reached("hash-claimed")
            try:
                return self._read(file, found, job)
            except ChangingError as error:
                self._ledger.release(file, str(error))
                self._look_again(self._settings.settle_s)
                return outcome_of(file, WAITING, str(error))
            except (FileError, RawDataError) as error:
                failed = self._ledger.commit_failed(file, str(error))
                return outcome_of(file, State.FAILED, str(failed.reason))
            except ClaimLostError as error:
                return outcome_of(file, WAITING, str(error))
            except Stopped:
                self._ledger.release(file)
                raise

    def _read(self, file: File, found: FoundFile, job: Job) -> Done:
        path = Path(file.path)
        scan = None
        if file.kind == "raw":
            scan = scan_run(path, job.pulse)
            # Without its end, a file may still be growing where we cannot see its writer.
            unsettled = why_unsettled(found, self._settings.settle_s)
            if not scan.has_end and unsettled:
                self._ledger.release(file, unsettled.reason)
                self._look_again(unsettled.look_again_s or 0.0)
                return outcome_of(file, WAITING, unsettled.reason)
        job.begin(f"reading {file.name}", found.size_bytes)
        hashes = hash_file(path, job.advance)
        if hashes.mtime_ns != found.mtime_ns:
            raise ChangingError(f"{file.name} changed while it was read")
        agreed = check_sidecars(path, hashes, scan) if scan else []
        summary = _summary_of(file)
        reached("hash-done")
        hashed = self._ledger.commit_hashed(file.id, hashes, scan, agreed, summary)
        reached("hash-committed")
        return hashed

    def _look_again(self, after_s: float) -> None:
        self._result.look_again_s = max(self._result.look_again_s or 0.0, after_s)

    def _replicate(self, file: File, replica: Replica, places: Places) -> Done:
        trouble = places.troubles.get(replica.place)
        if trouble and replica.state != State.VERIFIED:
            return outcome_of(file, WAITING, trouble, [replica])
        replica, holder = self._ledger.claim(replica, _TO_REPLICATE)
        if holder:
            return outcome_of(file, WAITING, f"{holder} works on it", [replica])
        if replica.state not in _TO_REPLICATE:
            return None
        scratch = self._configuration.scratch_dir
        with self._job() as job:
            job.hold(replica)
            try:
                if replica.state != State.VERIFIED:
                    place = places.open(replica.place)
                    found = bring_there(self._ledger, place, file, replica, scratch, job)
                    reached("verify-done")
                    self._ledger.commit_verified(replica.id, found, place.location, job.sent_bytes)
                    reached("verify-committed")
                    replica.object_bytes, replica.checksum = found.object_bytes, found.checksum
                clear_scratch(replica, scratch)
                self._ledger.commit_catalogued(replica.id)
                reached("catalogue-done")
                replica.state = State.CATALOGUED
                return outcome_of(file, State.CATALOGUED, replicas=[replica])
            except OSError as error:
                reason = f"{error.strerror}: {error.filename}"
                replica = self._ledger.commit_failed(replica, reason, sent_bytes=job.sent_bytes)
                return outcome_of(file, State.FAILED, reason, [replica])
            except (StoreError, CredentialsError, FileError, ConfigurationError) as error:
                reason = places.reason(replica.place, error)
                if reason == places.troubles.get(replica.place):
                    self._troubles[replica.place] = reason
                conflict = isinstance(error, ConflictError)
                replica = self._ledger.commit_failed(replica, reason, conflict, job.sent_bytes)
                return outcome_of(file, State.FAILED, reason, [replica])
            except ClaimLostError as error:
                return outcome_of(file, WAITING, str(error), [replica])
            except Stopped:
                self._ledger.interrupt(replica, job.sent_bytes)
                raise


def _summary_of(file: File) -> dict[str, Any] | None:
    """Return what a summary says; one that cannot be read is staged as it is."""
    if file.kind != "summary":
        return None
    try:
        return read_summary(Path(file.path), file.run_number)[0]
    except FileError as error:
        log.warning("%s; its run has no quality in the catalog", error)
        return None


def _disk_of(data_dir: Path, found: Mapping[str, FoundFile]) -> Disk | None:
    """Return how full the disk is, None if it does not say."""
    try:
        return look_at_disk(data_dir, list(found.values()))
    except OSError:
        return None
