"""Bring the files of completed runs through all their steps.

Threads do the work (`stager.steps`); the thread that owns the worker finds files, hands out the
work and collects outcomes.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Final

from stager.bandwidth import Limiter
from stager.configuration import Configuration
from stager.crash import reached
from stager.crew import Crew
from stager.discovery import FoundFile, Wait, find_files, why_wait
from stager.disk import Disk, look_at_disk
from stager.errors import Stopped
from stager.ledger import Ledger
from stager.models import File, Replica, State, now
from stager.outcome import WAITING, Outcome, Pass, outcome_of
from stager.places.configured import find_place
from stager.places.opened import Places
from stager.progress import Progress
from stager.recheck import Answer, copies
from stager.registry import Registry
from stager.resolve import Choice, retry_failed
from stager.rows import DONE
from stager.steps import TO_HASH, TO_REPLICATE, Done, Steps

_PULSE_S: Final = 0.1


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
        self._steps = self._steps_now()

    def _steps_now(self) -> Steps:
        """Return what threads do from now on: each pass opens its places anew."""
        return Steps(
            self._configuration,
            self._ledger,
            Places(self._configuration, self._limiters),
            self._progress,
            self._crew.stop,
            self._look_again,
            self._troubles.__setitem__,
        )

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
        self._steps = self._steps_now()
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
            do = partial(self._steps.ask_again, file, replica, read_back)
            self._crew.submit(f"ask {replica.place}", size, ("answer", replica.id), do)
        return len(asked)

    def retry(self, runs: Sequence[int] = ()) -> None:
        """Let what has failed be tried in the next pass."""
        self._ledger.catalog.persist(partial(retry_failed, self._ledger, Choice(runs)))

    def begin_prune(
        self, current_run: int | None, *, apply: bool, only: Sequence[int] = ()
    ) -> bool:
        """Hand out the deletion of local files, or with no `apply` the judgement alone.

        :returns: False if that is being done already.
        """
        if "deletion" in self._crew.busy:
            return False
        do = partial(self._steps.prune, current_run, apply, only)
        self._crew.submit("deletion", 1, "deletion", do)
        return True

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
            self._crew.submit("reading", 1, ("file", file.id), partial(self._steps.keep, file))
            return None
        if found is None:
            return outcome_of(file, State.FAILED, file.reason or "is gone")
        if file.state not in TO_HASH:
            return self._begin_replicas(file)
        self._remind(file)
        if not self._is_due(file):
            return None
        wait = why_wait(found, current_run, self._settings.settle_s)
        if wait is not None:
            return self._wait(file, wait)
        size = self._settings.parallel_files
        md5_beside = self._steps.has_md5_beside(file, found)
        do = partial(self._steps.hash, file, found, not md5_beside)
        hashing = self._crew.submit("reading", size, ("file", file.id), do)
        # On a core of its own: else it would keep the first byte waiting.
        if md5_beside and len(os.sched_getaffinity(0)) > 1:
            self._begin_md5(file, hashing)
        return None

    def _begin_replicas(self, file: File) -> Outcome | None:
        if file.state in DONE and not file.replicas:  # it goes nowhere
            return outcome_of(file, file.state)
        md5 = None if file.md5 else self._begin_md5(file)
        begun = False
        for replica in file.replicas:
            place = find_place(self._ledger.places, replica.place)
            if place is None or replica.state not in TO_REPLICATE:
                continue
            begun = True
            busy = ("replica", replica.id) in self._crew.busy
            if not busy and self._is_due(replica):
                size = place.settings.parallel_files
                size = self._settings.parallel_files if place.settings.kind == "s3" else size
                do = partial(self._steps.replicate, file, replica, md5)
                self._crew.submit(f"to {place.name}", size, ("replica", replica.id), do)
            if replica.tries:  # until the next try has succeeded
                failed = outcome_of(file, State.FAILED, str(replica.reason), [replica])
                self._result.add(failed)
        if file.state in DONE and not begun:  # its copies are there already
            return outcome_of(file, file.state, replicas=file.replicas)
        return None

    def _begin_md5(self, file: File, hashing: "Future[Done] | None" = None) -> "Future[Done]":
        """Hand out the MD5 of a file that is hashed without it, unless that is being done."""
        size = self._settings.parallel_files
        do = partial(self._steps.md5, file, hashing)
        return self._crew.submit("md5", size, ("md5", file.id), do)

    def _remind(self, file: File) -> None:
        """Tell of a failure that lasts until its next try has succeeded."""
        if file.tries:
            self._result.add(outcome_of(file, State.FAILED, str(file.reason)))

    def _wait(self, file: File, wait: Wait) -> Outcome:
        self._ledger.note_wait(file, wait.reason)
        if wait.look_again_s is not None:
            self._look_again(wait.look_again_s)
        return outcome_of(file, WAITING, wait.reason)

    def _look_again(self, after_s: float) -> None:
        self._result.look_again_s = max(self._result.look_again_s or 0.0, after_s)

    def _is_due(self, row: File | Replica) -> bool:
        return self._retry_all or row.next_try_at is None or row.next_try_at <= now()


def _disk_of(data_dir: Path, found: Mapping[str, FoundFile]) -> Disk | None:
    """Return how full the disk is, None if it does not say."""
    try:
        return look_at_disk(data_dir, list(found.values()))
    except OSError:
        return None
