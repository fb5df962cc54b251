"""Run files that the tests make."""

import os
import struct
from pathlib import Path

from rawdata.runwriter import RunWriter

EVENT_BYTES = 1 << 20


def event(serial_number: int, size_bytes: int) -> memoryview:
    """Return a trigger event with one bank of bytes that nothing can compress."""
    padded = os.urandom(size_bytes) + bytes(-size_bytes % 8)
    bank = struct.pack("<4sII", b"CAM0", 1, size_bytes) + padded
    body = struct.pack("<II", len(bank), 0x11) + bank
    header = struct.pack("<HHIII", 1, 0, serial_number, 1_700_000_000, len(body))
    return memoryview(header + body)


def write_run(
    folder: Path,
    number: int,
    events: int,
    *,
    size_bytes: int = EVENT_BYTES,
    compress: str = "none",
    end: bool = True,
    odb: dict[str, object] | None = None,
) -> Path:
    """Write a run as the logger does; without `end` as one that was killed between two events."""
    begin = {"Runinfo": {"Run number": number, "Start time": "Sun Nov 22 07:42:18 2026"}}
    path = folder / f"run{number:05d}.mid"
    writer = RunWriter(path, compress=compress, checksum=end)
    writer.write_odb_dump(number, {**begin, **(odb or {})}, begin=True)
    for serial in range(events):
        writer.write(event(serial, size_bytes))
    if end:
        writer.write_odb_dump(number, {**begin, **(odb or {})}, begin=False)
    return Path(writer.close().path)
