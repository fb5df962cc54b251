"""Which local files may be deleted: the rules, and nothing of the deed.

A run goes as a whole, when every required place has all of its files, and it is old, or the disk is
full. Whatever is in doubt stays, and it is said why.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import selectinload

from stager.catalog import Catalog
from stager.disk import Disk
from stager.models import File, Replica, Run, State
from stager.places.configured import PlaceConfiguration, find_place
from stager.rows import DONE
from stager.settings import StagerSettings

_GONE = (State.DELETED, State.DELETABLE)


@dataclass
class Verdict:
    """What is to become of the local files of one run, and why.

    :param files: those that may be deleted.
    """

    run: int
    reason: str
    files: list[File] = field(default_factory=list)
    goes: bool = False
    was_to_go: bool = False
    """By the rules; what places and files said just before may have kept it."""
    deleted: list[str] = field(default_factory=list)
    """Paths of files that were deleted."""

    @property
    def size_bytes(self) -> int:
        """What deleting them frees."""
        return sum(file.size_bytes for file in self.files)

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {
            "run": self.run,
            "goes": self.goes,
            "reason": self.reason,
            "size_bytes": self.size_bytes if self.goes else 0,
            "files": [file.path for file in self.files] if self.goes else [],
            "deleted": self.deleted,
        }


def local_runs(catalog: Catalog) -> list[Run]:
    """Return the runs that have local files, with those and their replicas, oldest number first."""
    local = select(File.run_number).where(File.state.not_in(_GONE)).distinct()
    query = select(Run).where(Run.run_number.in_(local)).order_by(Run.run_number)
    with catalog.read() as session:
        options = selectinload(Run.files).selectinload(File.replicas)
        return list(session.scalars(query.options(options)))


def judge(
    runs: Sequence[Run],
    places: Sequence[PlaceConfiguration],
    settings: StagerSettings,
    disk: Disk,
    moment: datetime,
    current_run: int | None = None,
) -> list[Verdict]:
    """Say of each run whether its local files may go.

    While the disk is fuller than allowed, younger runs go too, the oldest first, until it is not.
    """
    newest = {run.run_number for run in runs[-settings.keep_newest_runs :]}
    total, free = disk.total_bytes, disk.free_bytes
    verdicts = []
    for run in runs:
        verdict = Verdict(run.run_number, "", safe_files(run, places))
        full = 100.0 * (1 - free / total) if total else 0.0
        age = moment - began(run)
        if run.run_number == current_run:
            verdict.reason = "it is being taken"
        elif run.run_number in newest:
            verdict.reason = f"it is one of the newest {settings.keep_newest_runs}"
        else:
            verdict.reason = why_unsafe(run, places, settings)
        old = age > timedelta(days=settings.keep_days)
        shown = f"it is {age / timedelta(days=1):.1f} days old"
        disk_is = f"the disk is {full:.0f} % full (limit {settings.fuller_than_percent:g})"
        if not verdict.reason and not old and full <= settings.fuller_than_percent:
            verdict.reason = f"{shown} (kept {settings.keep_days:g}), and {disk_is}"
        elif not verdict.reason:
            verdict.goes = verdict.was_to_go = True
            verdict.reason = (
                f"{shown} (kept {settings.keep_days:g})" if old else f"{shown}, but {disk_is}"
            )
            free += verdict.size_bytes
        verdicts.append(verdict)
    return verdicts


def began(run: Run) -> datetime:
    """Return when a run was: its end, its begin, or the latest change of its files."""
    known = run.stop_time or run.start_time
    changed = max((file.mtime_ns for file in run.files), default=0)
    changed_at = datetime.fromtimestamp(changed / 1e9, UTC)
    # A clock that was wrong while the run was taken must not let it go too early.
    return max(known, changed_at) if known else changed_at


def safe_files(run: Run, places: Sequence[PlaceConfiguration]) -> list[File]:
    """Return the local files of a run that all required places have, as the catalog knows."""
    return [
        file
        for file in run.files
        if file.state in DONE and file.replicas and not why_file_unsafe(file, places)
    ]


def why_unsafe(run: Run, places: Sequence[PlaceConfiguration], settings: StagerSettings) -> str:
    """Return why a run must stay whatever its age, nothing if it need not."""
    local = [file for file in run.files if file.state not in _GONE]
    has_reco = any(file.kind == "reco" and file.state not in _FAILING for file in run.files)
    if not has_reco and not settings.delete_without_reco:
        return "it has no reco file"
    for file in local:
        if not any(place.wants(file) for place in places):
            continue  # it goes nowhere, and stays here
        why = why_file_unsafe(file, places)
        failed = file.state == State.FAILED or any(r.state == State.FAILED for r in file.replicas)
        if why and not (failed and settings.delete_with_failed):
            return f"{file.name}: {why}"
    if not safe_files(run, places):
        return "none of its files is at a required place"
    return ""


_FAILING = (State.FAILED, State.DISCOVERED)


def why_file_unsafe(file: File, places: Sequence[PlaceConfiguration]) -> str:
    """Return why a file must stay whatever its age, nothing if it need not."""
    if file.state == State.FAILED:
        return f"it has failed: {file.reason}"
    if file.state not in DONE:
        return f"it is not at its places yet ({file.reason or file.state})"
    wanted = [p for p in places if p.settings.required and p.wants(file)]
    if not wanted:
        return "no place is required to have it"
    replicas = {replica.place: replica for replica in file.replicas}
    for place in wanted:
        why = _why_not_there(place, replicas.get(place.name))
        if why:
            return why
    failed = [r for r in file.replicas if r.state == State.FAILED and find_place(places, r.place)]
    return f"{failed[0].place} has failed: {failed[0].reason}" if failed else ""


def _why_not_there(place: PlaceConfiguration, replica: Replica | None) -> str:
    if replica is None:
        return f"{place.name} does not have it"
    if replica.state == State.KEPT:
        return f"{place.name} has another content under its name"
    if replica.state != State.CATALOGUED:
        return f"{place.name} does not have it ({replica.reason or replica.state})"
    if not replica.checksum:
        return (
            f"{place.name} tells no checksum of it ({replica.verified_by}): let Check print one, "
            "or do not require the place"
        )
    return ""
