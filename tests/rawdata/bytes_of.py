"""Events and runs made by hand, byte by byte, without the code that is under test."""

import struct

FLAGS = {"BANK": 0x01, "BANK32": 0x11, "BANK32A": 0x31}


def bank_bytes(form: str, name: bytes, tid: int, data: bytes) -> bytes:
    """One bank, padded to 8 bytes."""
    if form == "BANK":
        header = struct.pack("<4sHH", name, tid, len(data))
    elif form == "BANK32":
        header = struct.pack("<4sII", name, tid, len(data))
    else:
        header = struct.pack("<4sIII", name, tid, len(data), 0)
    return header + data + bytes(-len(data) % 8)


def event_bytes(
    *banks: tuple[bytes, int, bytes],
    form: str = "BANK32",
    event_id: int = 1,
    serial: int = 0,
    time: int = 1_700_000_000,
    mask: int = 0,
) -> bytes:
    """One event; banks are (name, TID, data)."""
    body = b"".join(bank_bytes(form, *bank) for bank in banks)
    return (
        struct.pack("<HHIII", event_id, mask, serial, time, len(body) + 8)
        + struct.pack("<II", len(body), FLAGS[form])
        + body
    )


def dump_bytes(
    begin: bool = True, run: int = 42, text: bytes = b'{\n  "Runinfo" : {\n  }\n}'
) -> bytes:
    """An ODB dump at begin or end of run."""
    event_id = 0x8000 if begin else 0x8001
    return struct.pack("<HHIII", event_id, 0x494D, run, 1_700_000_000, len(text)) + text


def run_bytes(events: int = 5, run: int = 42) -> bytes:
    """A whole run of small Trigger events."""
    middle = b"".join(
        event_bytes((b"CAM0", 4, bytes(range(8 * i, 8 * i + 8))), serial=i) for i in range(events)
    )
    return dump_bytes(run=run) + middle + dump_bytes(begin=False, run=run)
