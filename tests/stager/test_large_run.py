"""A run of 20 GB: the same memory as for a small one."""

import struct
from pathlib import Path

import pytest

from rawdata.runfile import RunFile
from stager.models import State
from tests.stager.runs import write_run
from tests.stager.sink import serve_sink
from tests.stager.staging import Folder

SIZE_BYTES = 20_000_000_000
EVENT_BYTES = 250_000_000
LIMIT_KIB = 200 * 1024


def make_sparse(path: Path) -> int:
    """Make a run of a few large events of zeros, which take no room on the disk; return events."""
    begin, end = (bytes(event.raw) for event in RunFile(path))
    events = SIZE_BYTES // EVENT_BYTES
    with path.open("wb") as file:
        file.write(begin)
        for serial in range(events):
            head = struct.pack("<HHIII", 1, 0, serial, 1_700_000_000, EVENT_BYTES - 16)
            bank_bytes = EVENT_BYTES - 16 - 8 - 16
            banks = struct.pack("<II4sIII", bank_bytes + 16, 0x31, b"CAM0", 1, bank_bytes, 0)
            file.write(head + banks)
            file.seek(bank_bytes, 1)
        file.write(end)
    return events


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_memory_does_not_grow_with_a_run_of_20_gb(folder: Folder) -> None:
    path = write_run(folder.data, 1, events=0)
    path.with_name(f"{path.name}.crc32c").unlink()
    events = make_sparse(path)
    assert path.stat().st_size > SIZE_BYTES > 1000 * path.stat().st_blocks * 512
    with serve_sink() as sink:
        process = folder.start(CYGNO_S3_ENDPOINT=sink.endpoint)
        process.join(500)
        assert process.exitcode == 0
        ((size, _),) = sink.objects.values()
        assert (size, sink.refused) == (path.stat().st_size, 0)
    file = folder.file(path.name)
    assert (file.state, file.events, file.truncated) == (State.CATALOGUED, events, False)
    assert folder.replica(path.name).verified_by == "server checksum"
    assert folder.answer()["peak_kib"] < LIMIT_KIB
