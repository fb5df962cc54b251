"""Read a run file once from end to end: count its whole events, keep its ODB dumps."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rawdata.checksum import crc32c
from rawdata.datamodel import is_trigger_event
from rawdata.errors import OdbDumpError
from rawdata.event import BEGIN_OF_RUN, END_OF_RUN, Event
from rawdata.odbdump import parse_dump
from rawdata.runfile import RunFile, RunFileError
from stager.slowcontrol import SlowReadings


@dataclass(frozen=True)
class RunScan:
    """What a run file holds.

    :param events: whole events, without the ODB dumps.
    :param has_end: it ends with the end-of-run dump, as a file that its logger closed.
    :param damage: where and why it cannot be read on; empty if it can be read to its end.
    :param stream_crc32c: CRC32C of the uncompressed events, None where the file is not compressed
        (it then is that of the file).
    """

    events: int
    trigger_events: int
    begin: dict[str, Any] | None
    end: dict[str, Any] | None
    has_end: bool
    damage: str
    stream_crc32c: int | None
    stream_bytes: int
    slow_control: SlowReadings = field(default_factory=SlowReadings, compare=False)

    @property
    def is_whole(self) -> bool:
        """True if the logger closed it and every event can be read."""
        return self.has_end and not self.damage


def scan_run(path: Path, pulse: Callable[[], None]) -> RunScan:
    """Read a run file in constant memory.

    :param pulse: called after each event; what it raises ends the scan.
    :raises RunFileError: if the file cannot be opened; damage within is part of the result.
    """
    events = triggers = stream_bytes = 0
    crc = 0
    dumps: dict[int, dict[str, Any]] = {}
    slow_control = SlowReadings()
    last_id = -1
    damage = ""
    with RunFile(path) as run:
        compressed = run.compression != "none"
        try:
            for event in run:
                pulse()
                last_id = event.event_id
                stream_bytes += len(event.raw)
                if compressed:
                    crc = crc32c(event.raw, crc)
                if last_id in (BEGIN_OF_RUN, END_OF_RUN):
                    dump = _dump(event)
                    if dump is not None:
                        dumps[last_id] = dump
                else:
                    events += 1
                    triggers += is_trigger_event(last_id)
                    slow_control.add(event)
        except RunFileError as error:
            damage = f"byte {error.byte}, event {error.event_index}: {error.reason}"
    return RunScan(
        events=events,
        trigger_events=triggers,
        begin=dumps.get(BEGIN_OF_RUN),
        end=dumps.get(END_OF_RUN),
        has_end=last_id == END_OF_RUN,
        damage=damage,
        stream_crc32c=crc if compressed else None,
        stream_bytes=stream_bytes,
        slow_control=slow_control,
    )


def _dump(event: Event) -> dict[str, Any] | None:
    try:
        return parse_dump(event.text)
    except OdbDumpError:
        return None  # XML or ODB text: its run can be stored, its run log row stays thin
