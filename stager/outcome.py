"""What became of each file: what programs read, and what people are shown."""

from dataclasses import dataclass, field
from typing import Final, Protocol

from stager.models import File, Replica

WAITING: Final = "waiting"
"""State of a file in which nothing is wrong, but something must happen first."""


class Progress(Protocol):
    """Who shows a person how far long steps are; each thread has one step at a time."""

    def begin(self, what: str, total_bytes: int) -> None:
        """Show a new step."""

    def advance(self, count_bytes: int) -> None:
        """Move it on."""

    def end(self) -> None:
        """Take it away."""


@dataclass
class Outcome:
    """What became of one file in one pass; an element of ``files`` in ``--json``."""

    run: int
    path: str
    kind: str
    state: str
    reason: str = ""
    object_key: str = ""
    object_bytes: int | None = None
    sha256: str | None = None
    crc32c: str | None = None
    checksum_server: str | None = None
    """CRC32C that the server answered when asked after the upload; equals `crc32c`."""
    events: int | None = None
    truncated: bool = False


@dataclass
class Pass:
    """What one pass over all files did."""

    outcomes: list[Outcome] = field(default_factory=list)
    look_again_s: float | None = None
    """When a file that only has to stay unchanged may be ready."""
    trouble: str = ""
    """What kept the whole bucket from being used."""

    def count(self, *states: str) -> int:
        """Return how many files ended in one of these states."""
        return sum(outcome.state in states for outcome in self.outcomes)


def outcome_of(file: File, state: str, reason: str = "", replica: Replica | None = None) -> Outcome:
    """Return what became of a file, and of one replica of it."""
    outcome = Outcome(
        run=file.run_number,
        path=file.path,
        kind=file.kind,
        state=str(state),
        reason=reason,
        sha256=file.sha256,
        crc32c=file.crc32c,
        events=file.events,
        truncated=bool(file.truncated),
    )
    if replica is not None:
        outcome.object_key = replica.object_key or ""
        outcome.object_bytes = replica.object_bytes
        outcome.checksum_server = replica.checksum
    return outcome
