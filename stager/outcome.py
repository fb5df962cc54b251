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
"""Of a file, or a copy of it, with which nothing is wrong, but something must happen first."""
STAGED: Final = (State.CATALOGUED, State.REPLICATED)
"""States of a file of which nothing is left to do, as far as it is required."""
_HELD_UP: Final = (State.FAILED, WAITING)
_ORDER: Final = tuple(State)


@dataclass
class Outcome:
    """What became of one file in one pass; an element of ``files`` in ``--json``.

    The object is that of the first place, which is the cloud where there is one; `places` has all.
    """

    run: int
    path: str
    kind: str
    state: str
    """As the catalog has it; or failed or waiting, if that is said of the file itself or of a copy
    which is required. What became of copies that are not is said in `places` alone."""
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
        # Threads tell in any order what they did: a file is as far as one of them has seen it.
        if (
            self.state in _HELD_UP
            or other.state in _HELD_UP
            or _ORDER.index(State(other.state)) > _ORDER.index(State(self.state))
        ):
            self.state, self.reason, self.place = other.state, other.reason, other.place
        required = [place for place in self.places if place["required"]]
        worst = max(required, key=lambda place: _badness(place["state"]), default=None)
        if worst is not None and _badness(worst["state"]) > _badness(self.state):
            self.state, self.reason, self.place = worst["state"], worst["reason"], worst["place"]

    @property
    def is_staged(self) -> bool:
        """True if all that is required has the file, and it was brought somewhere just now."""
        there = [place["state"] == State.CATALOGUED for place in self.places]
        return self.state in STAGED and (any(there) or not there)

    @property
    def has_optional_failure(self) -> bool:
        """True if it did not get to a place that is not required to have it."""
        return any(p["state"] == State.FAILED and not p["required"] for p in self.places)


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

    @property
    def staged(self) -> int:
        """How many files were brought to all places that must have them."""
        return sum(outcome.is_staged for outcome in self.outcomes)

    @property
    def optional_failed(self) -> int:
        """How many files did not get to a place that is not required to have them."""
        return sum(outcome.has_optional_failure for outcome in self.outcomes)

    def count(self, state: str) -> int:
        """Return how many files ended in this state."""
        return sum(outcome.state == state for outcome in self.outcomes)


def outcome_of(
    file: File, state: str, reason: str = "", replicas: Sequence[Replica] = ()
) -> Outcome:
    """Return what became of a file, or of these replicas of it."""
    is_held_up = state in _HELD_UP
    if is_held_up and replicas and not any(replica.required for replica in replicas):
        state_of_file, reason_of_file = str(file.state), ""
    else:
        state_of_file, reason_of_file = str(state), reason
    return Outcome(
        run=file.run_number,
        path=file.path,
        kind=file.kind,
        state=state_of_file,
        reason=reason_of_file,
        place=replicas[0].place if len(replicas) == 1 else "",
        sha256=file.sha256,
        crc32c=file.crc32c,
        events=file.events,
        truncated=bool(file.truncated),
        places=[
            {
                "place": replica.place,
                "required": replica.required,
                "state": str(state if is_held_up else replica.state),
                "reason": reason,
                "object_key": replica.object_key or "",
                "object_bytes": replica.object_bytes,
                "checksum_server": replica.checksum,
            }
            for replica in replicas
        ],
    )
