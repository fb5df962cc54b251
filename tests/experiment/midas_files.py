"""Run files that mlogger wrote, read by MIDAS's own Python reader and by ours."""

from pathlib import Path
from typing import Any

from experiment.connect import midas_is_available
from rawdata.event import Event
from rawdata.runfile import RunFile

StockEvent = tuple[int, int, dict[str, Any]]
"""Event id, serial number, {bank: data}."""


def events_of(path: Path, event_id: int = 1) -> list[Event]:
    return [event for event in RunFile(path) if event.event_id == event_id]


def by_stock_reader(path: Path, event_id: int = 1) -> tuple[list[StockEvent], dict[str, Any]]:
    """Return the events of an id and the ODB at begin of run."""
    assert midas_is_available()  # and can be imported from now on
    from midas.file_reader import MidasFile

    file = MidasFile(str(path), use_numpy=True)
    odb = file.get_bor_odb_dump().data
    file.jump_to_start()
    events = []
    for event in file:
        if event.header.event_id == event_id:
            # MIDAS's reader keeps the NUL of names of three characters.
            banks = {name.rstrip("\0"): bank.data.copy() for name, bank in event.banks.items()}
            events.append((event.header.event_id, event.header.serial_number, banks))
    file.file.close()
    return events, odb


def require_same(path: Path) -> list[Event]:
    """Check that both readers find the same trigger events and ODB; return the events."""
    ours, (stock, odb) = events_of(path), by_stock_reader(path)
    assert len(ours) == len(stock)
    for event, (event_id, serial, banks) in zip(ours, stock, strict=True):
        assert (event.event_id, event.serial_number) == (event_id, serial)
        assert list(event.banks) == list(banks)
        for name, data in banks.items():
            assert (event[name] == data).all(), f"event {serial}, bank {name}"
    begin, end = RunFile(path).odb_begin, RunFile(path).odb_end
    assert begin is not None
    assert begin["Runinfo"]["Run number"] == odb["Runinfo"]["Run number"]
    assert end is not None
    return ours
