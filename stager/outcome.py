"""What became of each file: what programs read, and what people are shown."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from stager.disk import Disk
from stager.models import File, Replica, State
from stager.recheck import Answer
from stager.retention import Verdict
from stager.settings import KINDS

WAITING: Final = "waiting"
"""State of a file in which nothing is wrong, but something must happen first."""
STAGED: Final = (State.CATALOGUED, State.REPLICATED)
"""States of a file of which nothing is left to do, as far as it is required."""


@dataclass
class Outcome:
    """What became of one file in one pass; an element of ``files`` in ``--json``.

    The object is that of the first place, which is the cloud where there is one; `places` has all.
    """

    run: int
    path: str
    kind: str
    state: str
    reason: str = ""
    place: str = ""
    """Of which place `reason` speaks; empty: of the local file."""
    object_key: str = ""
    object_bytes: int | None = None
    sha256: str | None = None
    crc32c: str | None = None
    checksum_server: str | None = None
    """CRC32C that the server answered when asked after the upload; equals `crc32c`."""
    events: int | None = None
    truncated: bool = False
    places: list[dict[str, Any]] = field(default_factory=list)

    def join(self, other: "Outcome") -> None:
        """Take in what became of the file later, or at other places; the worst of all counts."""
        fresh = {place["place"] for place in other.places}
        self.places = [p for p in self.places if p["place"] not in fresh] + other.places
        self.state, self.reason, self.place = other.state, other.reason, other.place
        worst = max(self.places, key=lambda place: _badness(place["state"]), default=None)
        if worst is not None and _badness(worst["state"]) > _badness(self.state):
            self.state, self.reason, self.place = worst["state"], worst["reason"], worst["place"]


def _badness(state: str) -> int:
    return {State.FAILED: 2, WAITING: 1}.get(state, 0)


@dataclass
class Pass:
    """What one pass over all files did."""

    outcomes: list[Outcome] = field(default_factory=list)
    look_again_s: float | None = None
    """When a file that only has to stay unchanged may be ready."""
    troubles: dict[str, str] = field(default_factory=dict)
    """Place -> what kept it from being used at all."""
    answers: list[Answer] = field(default_factory=list)
    """What places said that were asked again."""
    verdicts: list[Verdict] = field(default_factory=list)
    """What was judged of local files, and deleted."""
    disk: Disk | None = None
    _by_path: dict[str, Outcome] = field(default_factory=dict, repr=False)

    def add(self, outcome: Outcome) -> None:
        """Add what became of a file, at one place of it or at several."""
        present = self._by_path.setdefault(outcome.path, outcome)
        if present is outcome:
            self.outcomes.append(outcome)
        else:
            present.join(outcome)

    def order(self, names: Sequence[str]) -> None:
        """Bring files into the order of runs, the raw file first, and their places into this one.

        The object of the first place is the file's.
        """
        self.outcomes.sort(key=lambda o: (o.run, KINDS.index(o.kind), o.path))
        rank = {name: index for index, name in enumerate(names)}
        for outcome in self.outcomes:
            outcome.places.sort(key=lambda place: rank.get(place["place"], len(rank)))
            if outcome.places:
                first = outcome.places[0]
                outcome.object_key = first["object_key"]
                outcome.object_bytes = first["object_bytes"]
                outcome.checksum_server = first["checksum_server"]

    def count(self, *states: str) -> int:
        """Return how many files ended in one of these states."""
        return sum(outcome.state in states for outcome in self.outcomes)


def outcome_of(
    file: File, state: str, reason: str = "", replicas: Sequence[Replica] = ()
) -> Outcome:
    """Return what became of a file, or of these replicas of it."""
    return Outcome(
        run=file.run_number,
        path=file.path,
        kind=file.kind,
        state=str(state),
        reason=reason,
        place=replicas[0].place if len(replicas) == 1 else "",
        sha256=file.sha256,
        crc32c=file.crc32c,
        events=file.events,
        truncated=bool(file.truncated),
        places=[
            {
                "place": replica.place,
                "state": str(state) if len(replicas) == 1 else str(replica.state),
                "reason": reason,
                "object_key": replica.object_key or "",
                "object_bytes": replica.object_bytes,
                "checksum_server": replica.checksum,
            }
            for replica in replicas
        ],
    )
