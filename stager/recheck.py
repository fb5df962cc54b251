"""Ask places again for what they have, and write down what they say."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import selectinload

from stager.catalog import Catalog
from stager.errors import CatalogError, ConflictError, MissingError, StagerError, Stopped
from stager.job import Job
from stager.ledger import Ledger
from stager.models import File, Replica, State
from stager.places.opened import Places
from stager.replicate import past_of, subject_of, watch_to_ask

VERIFIED: Final = "verified"
MISSING: Final = "missing"
DIFFERS: Final = "differs"
NOT_ASKED: Final = "not asked"


@dataclass(frozen=True)
class Answer:
    """What a place said of one copy.

    :param state: `VERIFIED`, `MISSING`, `DIFFERS`, or `NOT_ASKED` where the place did not answer.
    """

    run: int
    path: str
    place: str
    object_key: str
    state: str
    reason: str = ""
    checksum_algorithm: str = ""
    checksum: str = ""
    verified_by: str = ""
    is_only_copy: bool = False
    """The local file was deleted."""

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return dict(vars(self))

    def complaint(self) -> str:
        """Return one line if it is not there, naming run, file, place and reason."""
        if self.state == VERIFIED:
            return ""
        local = "; the local file was deleted" if self.is_only_copy else ""
        return f"run {self.run}, {Path(self.path).name} at {self.place}: {self.reason}{local}"


def copies(
    catalog: Catalog, runs: Sequence[int] = (), place: str | None = None
) -> list[tuple[File, Replica]]:
    """Return the verified copies of these runs, of all if none is named."""
    query = (
        select(Replica)
        .join(File)
        .where(Replica.state.in_((State.VERIFIED, State.CATALOGUED)))
        .options(selectinload(Replica.file))
        .order_by(File.run_number, File.subrun, File.id, Replica.id)
    )
    if runs:
        query = query.where(File.run_number.in_(runs))
    if place:
        query = query.where(Replica.place == place)
    with catalog.read() as session:
        return [(replica.file, replica) for replica in session.scalars(query)]


def ask_again(
    ledger: Ledger,
    places: Places,
    file: File,
    replica: Replica,
    scratch: Path,
    job: Job,
    *,
    read_back: bool,
) -> Answer:
    """Ask a place for one copy; one that is lost is brought there again later.

    :raises CatalogError: if the catalog fails; all else is an answer.
    """

    def answer(state: str, reason: str = "") -> Answer:
        return Answer(
            run=file.run_number,
            path=file.path,
            place=replica.place,
            object_key=str(replica.object_key),
            state=state,
            reason=reason,
            is_only_copy=file.state == State.DELETED,
        )

    try:
        place = places.open(replica.place)
        subject = subject_of(file, replica, scratch)
        found = place.ask(subject, past_of(replica), watch_to_ask(job), read_back=read_back)
    except (MissingError, ConflictError) as error:
        ledger.commit_lost(replica.id, error)
        return answer(MISSING if isinstance(error, MissingError) else DIFFERS, str(error))
    except (CatalogError, Stopped):
        raise
    except StagerError as error:
        return answer(NOT_ASKED, str(error))
    ledger.commit_checked(replica.id, found)
    good = answer(VERIFIED)
    return Answer(
        **{
            **vars(good),
            "checksum_algorithm": found.checksum_algorithm,
            "checksum": found.checksum,
            "verified_by": found.verified_by,
        }
    )
