"""Let failed files be tried at once, and settle conflicts as a person decides.

A conflict is another content under the name of ours. It is never overwritten: either what is there
is kept, and our file stays here, or our file goes there under another name.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from stager import claims
from stager.errors import ConfigurationError, StagerError
from stager.ledger import Ledger
from stager.models import File, Replica, Run, State, now
from stager.rows import advance, settle

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")


@dataclass(frozen=True)
class Choice:
    """Which files are meant.

    :param runs: run numbers; none is all.
    :param place: name of a place; None is all, and local files.
    :param name: name of a file; None is all.
    """

    runs: Sequence[int] = ()
    place: str | None = None
    name: str | None = None

    def fits(self, file: File) -> bool:
        """Tell whether a file is meant."""
        return (not self.runs or file.run_number in self.runs) and self.name in (None, file.name)


def retry_failed(ledger: Ledger, choice: Choice) -> list[dict[str, Any]]:
    """Let all that has failed be tried at once; return what that is."""
    with ledger.catalog.write() as session:
        done = []
        for file in _files(session, choice):
            rows: list[File | Replica] = [file] if choice.place is None else []
            rows += [r for r in file.replicas if choice.place in (None, r.place)]
            for row in rows:
                if row.state == State.FAILED:
                    row.next_try_at = None
                    row.updated_at = now()
                    done.append(_shown(file, row if isinstance(row, Replica) else None))
        return done


def keep_remote(ledger: Ledger, choice: Choice) -> list[dict[str, Any]]:
    """Settle conflicts for what is there: our file stays here, and is no copy of it.

    :raises StagerError: if there is no conflict, or somebody works on it.
    """
    with ledger.catalog.write() as session:
        conflicts = _conflicts(session, choice, ledger)
        done = []
        for file, replica in conflicts:
            reason = f"kept what is there, another content than {file.name}: {replica.reason}"
            advance(replica, State.KEPT)
            replica.conflict, replica.upload_id = False, None
            replica.reason = reason
            settle(file, ledger.places)
            _note(session, file, f"{replica.object_key} at {replica.place} is not {file.name}")
            done.append(_shown(file, replica))
        return done


def upload_as(ledger: Ledger, choice: Choice, name: str) -> list[dict[str, Any]]:
    """Settle one conflict by another name for our file.

    :raises ConfigurationError: if it cannot be a name; StagerError if another file of ours has it,
        or it is not one conflict that is meant.
    """
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"--upload-as {name!r}: a name has letters, digits and . _ - only, and no folder"
        )
    with ledger.catalog.write() as session:
        conflicts = _conflicts(session, choice, ledger)
        if len(conflicts) != 1:
            meant = ", ".join(f"{file.name} at {r.place}" for file, r in conflicts)
            raise ConfigurationError(
                f"--upload-as names one file, {len(conflicts)} conflicts are meant ({meant}): "
                "choose with --file and --place"
            )
        ((file, replica),) = conflicts
        key = f"{str(replica.object_key).rpartition('/')[0]}/{name}"
        query = select(Replica).where(Replica.place == replica.place, Replica.object_key == key)
        if session.scalars(query).first() is not None:
            raise StagerError(f"{key} at {replica.place} is the name of another file; choose one")
        replica.object_key = key
        replica.conflict, replica.upload_id, replica.part_size_bytes = False, None, None
        advance(replica, State.HASHED)
        _note(session, file, f"{file.name} is at {replica.place} as {name}")
        return [_shown(file, replica)]


def _files(session: Session, choice: Choice) -> list[File]:
    query = select(File).options(selectinload(File.replicas)).order_by(File.run_number, File.id)
    if choice.runs:
        query = query.where(File.run_number.in_(choice.runs))
    if choice.name is not None:
        query = query.where(File.name == choice.name)
    return list(session.scalars(query.with_for_update()))


def _conflicts(session: Session, choice: Choice, ledger: Ledger) -> list[tuple[File, Replica]]:
    found = [
        (file, replica)
        for file in _files(session, choice)
        for replica in file.replicas
        if replica.conflict and choice.place in (None, replica.place)
    ]
    if not found:
        raise StagerError("there is no such conflict; cygno-stager status shows what there is")
    for _, replica in found:
        holder = claims.take(replica, ledger.identity)
        if holder:
            raise StagerError(f"{holder} works on {replica.object_key}; try again")
    return found


def _note(session: Session, file: File, text: str) -> None:
    run = session.get_one(Run, file.run_number)
    run.note = "; ".join(filter(None, [run.note, text]))
    run.updated_at = now()


def _shown(file: File, replica: Replica | None) -> dict[str, Any]:
    row = replica or file
    return {
        "run": file.run_number,
        "path": file.path,
        "place": replica.place if replica else "",
        "object_key": replica.object_key if replica else "",
        "state": str(row.state),
        "reason": row.reason or "",
    }
