"""Events, banks and ODB trees as text and as plain data."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from rawdata.errors import LayoutError
from rawdata.event import BEGIN_OF_RUN, END_OF_RUN, MESSAGE, Event
from rawdata.layouts import camera, digitizer

_NAMES: Final = {BEGIN_OF_RUN: "begin of run", END_OF_RUN: "end of run", MESSAGE: "message"}
_FEW: Final = 6


def event_name(event: Event) -> str:
    """Return what kind of event it is, in two words.

    :returns: such as ``id 1`` or ``begin of run``.
    """
    return _NAMES.get(event.event_id, f"id {event.event_id}")


def event_as_dict(index: int, event: Event) -> dict[str, Any]:
    """Return header and bank list for JSON."""
    return {
        "index": index,
        "id": event.event_id,
        "trigger_mask": event.trigger_mask,
        "serial_number": event.serial_number,
        "time": event.timestamp,
        "size_bytes": len(event.raw),
        "banks": {name: bank_as_dict(event, name, values=False) for name in event.banks},
    }


def bank_as_dict(event: Event, name: str, *, values: bool) -> dict[str, Any]:
    """Return a bank for JSON, with all its values or without."""
    bank = event.banks[name]
    content: dict[str, Any] = {
        "type": bank.tid.name,
        "count": bank.size_bytes // bank.tid.size,
        "size_bytes": bank.size_bytes,
    }
    if values:
        content["values"] = bank.data.tolist()
    return content


def bank_summary(event: Event, name: str) -> str:
    """Return type, size and sense of a bank in one line."""
    bank, data = event.banks[name], event[name]
    text = f"{bank.tid.name}[{data.size}]"
    if not data.size:
        return text
    try:
        if camera.is_frame_bank(name):
            pixels = camera.decode_frame(event, int(name[-1]))
            rows, columns = pixels.shape
            text += f" {rows}x{columns} pixels, mean {pixels.mean():.2f}, max {pixels.max()} ADU"
            ratio = pixels.nbytes / data.nbytes
            is_compressed = camera.is_compressed_bank(name)
            if is_compressed:
                method = camera.read_compressed_header(event, name).method
                text += f", compressed {ratio:.2f} times ({method})"
            return text
        if name == digitizer.HEADER_BANK:
            header = digitizer.decode_header(data)
            boards = ", ".join(
                f"{board.model}: {board.triggers} triggers x {board.channels} channels x "
                f"{board.samples} samples"
                for board in header.boards
            )
            return f"{text} generation {header.generation}; {boards}"
    except (LayoutError, ValueError) as error:
        return f"{text} ({error})"
    few = " ".join(f"{value:.6g}" for value in data[:_FEW].tolist())
    return f"{text} {few}" + (" ..." if data.size > _FEW else "")


def odb_lines(odb: Mapping[str, Any], path: str) -> Iterator[str]:
    """Yield ``/path/to/key = value`` for each key below `path`."""
    for name, value in odb.items():
        if isinstance(value, Mapping):
            yield from odb_lines(value, f"{path}/{name}")
        else:
            yield f"{path}/{name} = {json.dumps(value, ensure_ascii=False)}"
