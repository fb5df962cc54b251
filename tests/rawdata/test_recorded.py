"""Oracle: run files that a real mlogger wrote."""

import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from rawdata.check import check_file
from rawdata.checksum import crc32c, data_path, read_sidecar, sidecar_path
from rawdata.layouts import camera, digitizer, slow
from rawdata.odbdump import format_dump, parse_dump
from rawdata.runfile import RunFile
from rawdata.runwriter import RunWriter

RUNS = {
    "run01101.mid.gz": (30, 512),
    "run01102.mid.lz4": (20, 512),
    "run01103.mid.gz": (2, 2304),
    "run01104.mid": (4, 512),
    "run01105.mid.bz2": (4, 512),
}


@pytest.fixture(params=RUNS)
def recorded_run(request: pytest.FixtureRequest, data: Path) -> Path:
    """Each recorded run; those that the project does not carry only where they are."""
    path = data / request.param
    return path if path.exists() else request.getfixturevalue("recorded") / request.param


def _hop(stream: bytes) -> Iterator[tuple[int, ...]]:
    """Walk over the headers with nothing but struct."""
    offset = 0
    while offset < len(stream):
        header = struct.unpack_from("<HHIII", stream, offset)
        yield header
        offset += 16 + header[4]
    assert offset == len(stream)


def test_byte_for_byte(recorded_run: Path) -> None:
    with RunFile(recorded_run) as run:
        events = list(run)
    stream = b"".join(event.raw for event in events)
    sidecar = read_sidecar(sidecar_path(data_path(recorded_run)))
    assert sidecar is not None
    assert (crc32c(stream), len(stream)) == (sidecar.crc32c, sidecar.size_bytes)
    assert [
        (e.event_id, e.trigger_mask, e.serial_number, e.timestamp, e.data_size) for e in events
    ] == list(_hop(stream))


def test_event_for_event(recorded_run: Path) -> None:
    expected, side = RUNS[recorded_run.name]
    with RunFile(recorded_run) as run:
        events = list(run)
        assert run.complete
        assert run.run_number == int(recorded_run.name[3:8])
        assert run.odb_begin is not None and run.odb_end is not None
        assert run.odb_begin["Runinfo"]["Run number"] == run.run_number
        free_running = run.odb_begin["Configurations"]["FreeRunning"]
    assert [events[0].event_id, events[-1].event_id] == [0x8000, 0x8001]
    triggers = [event for event in events if event.event_id == 1]
    assert [event.serial_number for event in triggers] == list(range(expected))
    for event in triggers:
        frame = camera.decode_frame(event)
        assert frame.shape == (side, side)
        assert 95 < frame.mean() < 110  # pedestal near 100 ADU
        assert ("DIG0" in event) == (not free_running)
    for event in events:
        if event.event_id == 5:
            assert slow.decode_inputs(event).shape == (24,)


def test_headers_of_waveforms_are_of_generation_a_and_come_back_unchanged(
    recorded_run: Path,
) -> None:
    for event in RunFile(recorded_run):
        if "DGH0" not in event:
            continue
        header, waveforms = digitizer.decode(event)
        assert header.generation == "A"
        assert [board.model for board in header.boards] == [1742, 1720]
        fast, slow_board = header.boards
        assert (fast.samples, fast.channels) == (1024, 32)
        assert (slow_board.samples, slow_board.channels) == (4000, 8)
        assert [board.sample_period_ns for board in header.boards] == [1.333, 4.0]
        assert fast.start_cells is not None and fast.start_cells.max() < 1024
        assert digitizer.encode_header(header).tobytes() == event["DGH0"].tobytes()
        flat = b"".join(waveform.tobytes() for waveform in waveforms)
        assert flat == event["DIG0"].tobytes()
        assert all(waveform.max() < 4096 for waveform in waveforms)


def test_odb_dumps_come_back_byte_for_byte(recorded_run: Path) -> None:
    dumps = [event for event in RunFile(recorded_run) if event.is_odb_dump]
    assert len(dumps) == 2
    for event in dumps:
        assert format_dump(parse_dump(event.text, keep_keys=True)) == event.text


def test_check_finds_nothing_wrong(recorded_run: Path) -> None:
    report = check_file(recorded_run)
    assert report.problems == []
    assert report.events[1].events == RUNS[recorded_run.name][0]
    assert report.checksums and all(item.matches for item in report.checksums)


def test_what_we_write_of_it_is_what_mlogger_wrote(recorded_run: Path, tmp_path: Path) -> None:
    name = data_path(recorded_run).name
    with RunWriter(tmp_path / name) as writer:
        for event in RunFile(recorded_run):
            writer.write(event.raw)
    written = writer.close()
    theirs = sidecar_path(data_path(recorded_run)).read_text().split(" ")
    ours = (tmp_path / f"{name}.crc32c").read_text().split(" ")
    assert ours[:2] == theirs[:2]
    assert written.path.read_bytes() == b"".join(event.raw for event in RunFile(recorded_run))
    if recorded_run.suffix == ".mid":
        assert written.path.read_bytes() == recorded_run.read_bytes()
