"""Which events of a run came in, how many did not, and why.

The buffer never waits for us: what is not read in time is overwritten. Serial numbers tell how many
events are missing between two that came, and what kept us from reading meanwhile is the reason.
"""

from dataclasses import dataclass
from typing import Final

from rawdata.datamodel import TRIGGER_EVENT_ID
from rawdata.event import Event

BUSY: Final = "busy"
JOINED_LATE: Final = "before joining"
COMPILING: Final = "compiling"
NO_PEDESTAL: Final = "pedestal"
DAMAGED: Final = "damaged"

REASONS: Final[dict[str, str]] = {
    BUSY: "overwritten before read",
    JOINED_LATE: "taken before the analyzer joined in mid-run",
    COMPILING: "overwritten while the kernels were compiled",
    NO_PEDESTAL: "overwritten while the last run's pedestal was made",
    DAMAGED: "damaged or too large",
}
"""Why events were not seen: key -> in words. They add up to what was not seen."""


@dataclass
class _Source:
    """Serial numbers of one frontend: of its first event in a run, and of the last that came."""

    base: int
    last: int


def count_of(events: int) -> str:
    """Return ``1 event``, ``2 events``."""
    return "1 event" if events == 1 else f"{events} events"


class Arrivals:
    """Counts the events of one run as they come.

    :param joined: the run was on already when the analyzer came.
    """

    def __init__(self, *, joined: bool = False) -> None:
        self.joined = joined
        self.seen = 0
        """Events that came in and can be analyzed."""
        self.missed = dict.fromkeys(REASONS, 0)
        """Events that did not, by reason, as far as later ones tell."""
        self._sources: dict[int, _Source] = {}
        self._hindrance = BUSY
        self._damage_in_gap = 0

    def hinder(self, reason: str) -> None:
        """Note why nothing is read now; what is overwritten meanwhile is put down to it."""
        self._hindrance = reason

    def caught_up(self) -> None:
        """Note that all was read that was there: what goes missing later is not due to the past."""
        self._hindrance = BUSY

    def add(self, event: Event) -> int:
        """Count an event that came, and return its index in the run."""
        serial = event.serial_number
        source = self._sources.get(event.event_id)
        if source is None:
            # Frontends number the events of a run from 0, some from 1. Which of the two it is, and
            # whether earlier events were missed, is known at the end, from their total number.
            base = 1 if serial == 1 and not self.joined else 0
            source = self._sources[event.event_id] = _Source(base, base - 1)
            reason = JOINED_LATE if self.joined else self._hindrance
        else:
            reason = self._hindrance
        self._miss(reason, serial - source.last - 1)
        source.last = max(source.last, serial)
        self.seen += 1
        if event.event_id != TRIGGER_EVENT_ID:  # one of several frontends: as they came
            return self.seen - 1
        return max(0, serial - source.base)

    def damaged(self) -> None:
        """Count an event that came but is of no use; its serial number will be missing."""
        self.missed[DAMAGED] += 1
        self._damage_in_gap += 1

    def _miss(self, reason: str, gap: int) -> None:
        """Put a gap in the serial numbers down to a reason; damaged events are in it, too."""
        explained = min(max(gap, 0), self._damage_in_gap)
        self._damage_in_gap -= explained
        self.missed[reason] += max(gap, 0) - explained

    def in_words(self) -> list[str]:
        """Return for each reason how many events it cost.

        >>> arrivals = Arrivals()
        >>> arrivals.damaged()
        >>> arrivals.in_words()
        ['1 event damaged or too large']
        """
        return [f"{count_of(n)} {REASONS[reason]}" for reason, n in self.missed.items() if n]

    @property
    def fraction_seen(self) -> float:
        """Events that came in over those that were sent up to the last that came, 0 to 1."""
        sent = self.seen + self.total_missed
        return self.seen / sent if sent else 1.0

    @property
    def total_missed(self) -> int:
        """Events that did not come in, as far as is known."""
        return sum(self.missed.values())
