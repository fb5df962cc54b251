"""Received events with the attributes of MIDAS's own ``midas.event.Event``."""

from dataclasses import dataclass, field
from typing import Any

from rawdata.event import parse_event
from rawdata.tid import Tid


@dataclass(frozen=True)
class EventHeader:
    """Header of an event, as ``midas.event.EventHeader``."""

    event_id: int
    trigger_mask: int
    serial_number: int
    timestamp: int
    event_data_size_bytes: int


@dataclass(frozen=True)
class Bank:
    """A bank, as ``midas.event.Bank``.

    :param data: tuple, or array if numpy was asked for; text banks are arrays of bytes.
    """

    name: str
    type: int
    size_bytes: int
    data: Any


@dataclass(frozen=True)
class ReceivedEvent:
    """An event, as ``midas.event.Event``."""

    header: EventHeader
    banks: dict[str, Bank] = field(default_factory=dict)
    non_bank_data: bytes | None = None
    raw: bytes = b""

    def pack(self) -> bytes:
        """Return the event's bytes, so that it can be sent on."""
        return self.raw


def unpack_event(raw: bytes, use_numpy: bool) -> ReceivedEvent:
    """Return the event in these bytes.

    :param use_numpy: give arrays, not tuples.
    """
    event = parse_event(memoryview(raw))
    header = EventHeader(
        event.event_id, event.trigger_mask, event.serial_number, event.timestamp, event.data_size
    )
    banks = {}
    for name, bank in event.banks.items():
        data = bank.data.astype(bool) if bank.tid is Tid.BOOL else bank.data
        shown = data if use_numpy else tuple(data.tolist())
        banks[name] = Bank(name, int(bank.tid), bank.size_bytes, shown)
    without_banks = bytes(event.raw[16:]) if event.bank_format is None else None
    return ReceivedEvent(header, banks, without_banks, raw)
