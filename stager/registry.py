"""Bring what the folder shows into the catalog: new files, changed ones, those that are gone."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from sqlalchemy import exists, select
from sqlalchemy.orm import Session, selectinload

from stager.catalog import persistent
from stager.discovery import FoundFile
from stager.ledger import Ledger
from stager.models import File, Replica, Run, Runlog, State, Storage, now
from stager.rows import DONE, OVER, add_replicas, advance, fail, set_deleted, settle
from stager.rundescription import mend_runlog

_IN_ONE_GO: Final = 500
_GONE: Final = "is gone from the folder before it was staged; put it back"
_REMOVED: Final = "was gone from the folder when it was looked for; not deleted by the stager"
_WAS_READ: Final = (State.HASHED, State.CATALOGUED, State.REPLICATED)


@persistent
class Registry:
    """What the catalog knows of the folders' files.

    Two stagers may find the same files at the same moment: who is refused begins again.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.catalog = ledger.catalog

    def register(self, found: Sequence[FoundFile], folders: Sequence[Path]) -> list[File]:
        """Bring the files that are there into the catalog; return those with work left.

        :param folders: those that were searched: files of theirs that are not found are gone.
        """
        known = self._known(folders)
        fresh = [f for f in found if _is_news(known.get(str(f.path)), f)]
        self._register_all(fresh)
        paths = {str(f.path) for f in found}
        self._note_gone([row for path, row in known.items() if path not in paths])
        self._add_missing_replicas()
        with self.catalog.write() as session:
            mend_runlog(session, self._ledger.places)
        return self.unfinished()

    def unfinished(self) -> list[File]:
        """Return the files with work left, with their replicas; those that failed come last."""
        places = [place.name for place in self._ledger.places]
        work_left = exists().where(
            Replica.file_id == File.id,
            Replica.state.not_in(OVER),
            Replica.place.in_(places),
        )
        query = select(File).where(
            File.state.in_((State.DISCOVERED, State.HASHED, State.FAILED, State.DELETABLE))
            | (File.state.in_(DONE) & work_left)
        )
        with self.catalog.read() as session:
            rows = session.scalars(
                query.options(selectinload(File.replicas)).order_by(
                    File.run_number, File.subrun, File.id
                )
            ).all()
        return sorted(rows, key=lambda row: max([row.tries, *(r.tries for r in row.replicas)]))

    def _known(self, folders: Sequence[Path]) -> dict[str, Any]:
        """Return id, size, time and state of all files in these folders, by their paths."""
        columns = (File.id, File.path, File.size_bytes, File.mtime_ns, File.state, File.reason)
        with self.catalog.read() as session:
            rows = session.execute(select(*columns)).all()
        names = {f"{folder}/" for folder in folders}
        return {row.path: row for row in rows if row.path[: row.path.rindex("/") + 1] in names}

    def _register_all(self, fresh: Sequence[FoundFile]) -> None:
        for first in range(0, len(fresh), _IN_ONE_GO):
            some = fresh[first : first + _IN_ONE_GO]
            with self.catalog.write() as session:
                self._add_runs(session, {found.run_number for found in some})
                paths = [str(found.path) for found in some]
                query = select(File).where(File.path.in_(paths)).with_for_update()
                files = {file.path: file for file in session.scalars(query)}
                for found in some:
                    self._register(session, found, files.get(str(found.path)))

    def _add_runs(self, session: Session, numbers: set[int]) -> None:
        known = set(session.scalars(select(Run.run_number).where(Run.run_number.in_(numbers))))
        for number in sorted(numbers - known):
            run = Run(run_number=number, tag=self._ledger.settings.tag)
            run.created_at = run.updated_at = now()
            session.add(run)

    def _register(self, session: Session, found: FoundFile, file: File | None) -> None:
        moment = now()
        if file is not None and file.state == State.DELETED and not found.path.exists():
            return  # it was deleted after the search
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
        same = (file.size_bytes, file.mtime_ns) == (found.size_bytes, found.mtime_ns)
        file.size_bytes, file.mtime_ns = found.size_bytes, found.mtime_ns
        if file.state == State.DELETED and same and file.sha256:
            # It is back as it was: what is known of its content and its copies still holds.
            file.deleted_at = None
            advance(file, State.HASHED)
            settle(file, self._ledger.places)
            _set_local_status(session, file, Storage.STORED)
        else:
            file.deleted_at = None
            advance(file, State.DISCOVERED)

    def _note_gone(self, missing: Sequence[Any]) -> None:
        for row in missing:
            if row.state == State.DELETED or Path(row.path).exists():  # it came after the search
                continue
            if row.state == State.FAILED and str(row.reason).endswith(_GONE):
                continue
            with self.catalog.write() as session:
                file = session.get_one(File, row.id, with_for_update=True)
                if file.state == State.DELETABLE:
                    # We were killed between deleting it and saying so; `reason` is on record.
                    set_deleted(session, file, str(file.reason))
                elif file.state in DONE:
                    set_deleted(session, file, f"{file.name} {_REMOVED}")
                else:
                    fail(file, f"{file.name} {_GONE}", self._ledger.settings)

    def _add_missing_replicas(self) -> None:
        """Let every file that was read have a replica at each place that wants it by now."""
        for place in self._ledger.places:
            has_one = exists().where(Replica.file_id == File.id, Replica.place == place.name)
            kinds = place.settings.kinds or place.s3.kinds
            query = select(File.id, File.name, File.kind).where(
                File.state.in_(_WAS_READ), File.kind.in_(kinds), ~has_one
            )
            with self.catalog.read() as session:
                rows = session.execute(query).all()
            lacking = [row.id for row in rows if place.wants(File(name=row.name, kind=row.kind))]
            for first in range(0, len(lacking), _IN_ONE_GO):
                with self.catalog.write() as session:
                    for file_id in lacking[first : first + _IN_ONE_GO]:
                        file = session.get_one(File, file_id, with_for_update=True)
                        add_replicas(file, self._ledger.places)
                        settle(file, self._ledger.places)


def _set_local_status(session: Session, file: File, status: Storage) -> None:
    row = session.get(Runlog, file.run_number)
    if row is not None and file.kind == "raw":
        row.storage_local_status = status


def _is_news(known: Any, found: FoundFile) -> bool:
    if known is None or known.state == State.DELETED:
        return True
    return (known.size_bytes, known.mtime_ns) != (found.size_bytes, found.mtime_ns)
