"""What the trigger frontends counted in a run: ``/Equipment/Trigger*/Run`` at its end."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from rawdata import odbdump
from rawdata.datamodel import is_trigger_equipment

_COUNTS: Final = {
    "frames_acquired": "Frames acquired",
    "frames_lost": "Frames lost",
    "triggers_read": "Triggers read",
    "triggers_lost": "Triggers lost",
}
"""Figure -> key of the record."""


@dataclass(frozen=True)
class TriggerRecord:
    """Counts of all trigger frontends that took part in a run, added up.

    :param counts: figure -> count; empty if no frontend said anything.
    :param live_time_s: of the frontend that was alive for the shortest time; dead time likewise.
    """

    counts: Mapping[str, int] = field(default_factory=dict)
    events_sent: int | None = None
    live_time_s: float | None = None
    dead_time_s: float | None = None

    def figures(self) -> Iterator[tuple[str, Any]]:
        """Yield key and value of the figures that it makes."""
        yield from self.counts.items()
        live, dead = self.live_time_s, self.dead_time_s
        if live is None or dead is None:
            return
        yield "live_time_s", live
        yield "dead_time_s", dead
        if live + dead > 0:
            yield "live_percent", 100 * live / (live + dead)


def trigger_record(odb: Mapping[str, Any], run: int) -> TriggerRecord:
    """Return the record of a run from an ODB at its end; of another run's there is none.

    >>> odb = {"Equipment": {"Trigger": {"Run": {"Run number": 7, "Triggers read": 5}}}}
    >>> trigger_record(odb, 7).counts["triggers_read"], trigger_record(odb, 8).counts
    (5, {})
    """
    records = [
        record
        for name, content in odbdump.get(odb, "/Equipment", {}).items()
        if is_trigger_equipment(name)
        and isinstance(content, Mapping)
        and isinstance(record := content.get("Run"), Mapping)
        and record.get("Run number") == run
    ]
    counts = {
        figure: sum(int(record[key]) for record in records if key in record)
        for figure, key in _COUNTS.items()
        if any(key in record for record in records)
    }
    sent = [int(record["Events sent"]) for record in records if "Events sent" in record]
    live = [
        (float(record["Live time s"]), float(record["Dead time s"]))
        for record in records
        if "Live time s" in record and "Dead time s" in record
    ]
    shortest = min(live) if live else (None, None)
    return TriggerRecord(counts, sum(sent) if sent else None, *shortest)
