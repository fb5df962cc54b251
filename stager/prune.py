"""Delete local files that are safe elsewhere: each required place is asked again, just before."""

import os
from collections.abc import Sequence
from pathlib import Path

from stager.configuration import Configuration
from stager.crash import reached
from stager.discovery import FoundFile, find_files, has_writer
from stager.disk import look_at_disk
from stager.errors import ConflictError, FileError, MissingError, StagerError
from stager.job import Job
from stager.ledger import Ledger
from stager.models import File, State, now
from stager.places.configured import find_place
from stager.places.opened import Places
from stager.replicate import past_of, subject_of, watch_to_ask
from stager.retention import Verdict, judge, local_runs


def prune(
    configuration: Configuration,
    ledger: Ledger,
    places: Places,
    job: Job,
    current_run: int | None,
    *,
    apply: bool,
    only: Sequence[int] = (),
) -> list[Verdict]:
    """Judge all runs, and delete the local files of those that may go if `apply` says so.

    :param only: run numbers; none is all.
    :raises StagerError: if the data folder or the catalog cannot be used.
    """
    found = find_files(configuration.data_dir)
    disk = look_at_disk(configuration.data_dir, found)
    verdicts = judge(
        local_runs(ledger.catalog),
        configuration.places,
        configuration.settings,
        disk,
        now(),
        current_run,
    )
    verdicts = [verdict for verdict in verdicts if not only or verdict.run in only]
    present = {str(file.path): file for file in found}
    if configuration.truth_dir and configuration.truth_dir.is_dir():
        present |= {str(f.path): f for f in find_files(configuration.truth_dir)}
    for verdict in verdicts:
        if apply and verdict.goes:
            _delete_run(verdict, configuration, ledger, places, job, present)
    return verdicts


def _delete_run(
    verdict: Verdict,
    configuration: Configuration,
    ledger: Ledger,
    places: Places,
    job: Job,
    present: dict[str, FoundFile],
) -> None:
    witnesses: dict[int, str] = {}
    try:
        for file in verdict.files:
            witnesses[file.id] = _ask_all(file, configuration, ledger, places, job)
    except StagerError as error:
        if not isinstance(error, (MissingError, ConflictError)):
            error = FileError(f"could not be verified now: {error}")
        verdict.goes, verdict.reason = False, str(error)
        return
    reached("prune-verified")
    # The run file last: as long as it is here, its run can be told.
    for file in sorted(verdict.files, key=lambda file: file.kind == "raw"):
        job.pulse()
        reason = f"deleted: {verdict.reason}; verified just before: {witnesses[file.id]}"
        state = ledger.commit_deletable(file.id, reason)
        if state == State.DELETED:
            verdict.files.remove(file)
            verdict.reason += f"; {file.name} is deleted by another stager"
            continue
        if state != State.DELETABLE:
            verdict.reason += f"; {file.name} was changed meanwhile and stays"
            continue
        reached("prune-claimed")
        why = _unlink(file, present.get(file.path))
        if why:
            ledger.commit_kept(file.id)
            verdict.reason += f"; {file.name} stays: {why}"
            continue
        reached("prune-unlinked")
        ledger.commit_deleted(file.id, reason)
        reached("prune-committed")
        verdict.deleted.append(file.path)
    verdict.goes = bool(verdict.files)


def _ask_all(
    file: File, configuration: Configuration, ledger: Ledger, places: Places, job: Job
) -> str:
    """Ask every required place for a file; return who has it, in words.

    :raises StagerError: if one does not have it, or cannot be asked.
    """
    said = []
    for replica in file.replicas:
        place = find_place(configuration.places, replica.place)
        if place is None or not place.settings.required:
            continue
        subject = subject_of(file, replica, configuration.scratch_dir)
        try:
            found = places.open(place.name).ask(subject, past_of(replica), watch_to_ask(job))
        except (MissingError, ConflictError) as error:
            ledger.commit_lost(replica.id, error)
            raise
        if not found.checksum:
            raise FileError(f"{place.name} tells no checksum of {file.name}")
        ledger.commit_checked(replica.id, found)
        said.append(
            f"{place.name} ({found.checksum_algorithm} {found.checksum}, {found.verified_by})"
        )
    if not said:
        raise FileError(f"no place is required to have {file.name}")
    return ", ".join(said)


def _unlink(file: File, found: FoundFile | None) -> str:
    """Look at a file once more and delete it; return why it was not."""
    path = Path(file.path)
    try:
        status = path.lstat()
        if found is None or (status.st_size, status.st_mtime_ns) != (
            file.size_bytes,
            file.mtime_ns,
        ):
            return "it is not as it was when it was staged"
        if has_writer(path):
            return "a program is writing to it"
        path.unlink()
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        return str(error.strerror)
    return ""
