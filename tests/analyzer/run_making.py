"""Run files and events made for a test."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from rawdata.build import EventBuilder
from rawdata.event import BankFormat, Event, parse_event
from rawdata.layouts import camera, digitizer, times
from rawdata.layouts.digitizer import BoardHeader, DigitizerHeader, dc_offset_words
from rawdata.runwriter import RunWriter
from rawdata.tid import Tid

TIME = 1_700_000_000


def one_board(triggers: int = 1) -> tuple[DigitizerHeader, list[np.ndarray]]:
    """A V1720 with two channels of 40 samples."""
    words = np.arange(triggers, dtype=np.uint32)
    board = BoardHeader(1720, 40, 2, 4096, 250, dc_offset_words([0.0, 0.0]), words)
    waves = np.full((triggers, 2, 40), 2000, np.uint16)
    waves[:, 1, 25] = 1900
    return DigitizerHeader("A", (board,)), [waves]


def make_event(
    serial: int,
    frames: dict[int, np.ndarray] | None = None,
    waveforms: tuple[DigitizerHeader, list[np.ndarray]] | None = None,
    other: dict[str, np.ndarray] | None = None,
    event_id: int = 1,
) -> Event:
    """An event with frames (camera -> pixels), waveforms and further banks of words."""
    size = 1000 + sum(f.nbytes + 200 for f in (frames or {}).values())
    size += sum(w.nbytes for w in waveforms[1]) if waveforms else 0
    size += sum(b.nbytes + 200 for b in (other or {}).values())
    builder = EventBuilder(memoryview(bytearray(size)), event_id, BankFormat.BANK32)
    for index, frame in (frames or {}).items():
        camera.encode_frame(builder, frame, index)
        times.encode_fid(builder, 100 + serial, index)
    if waveforms:
        digitizer.encode(builder, *waveforms)
    for name, words in (other or {}).items():
        builder.add(name, Tid.WORD if words.dtype == np.uint16 else Tid.DWORD, words)
    return parse_event(builder.finish(serial, TIME + serial))


def run_odb(run: int, **configuration: Any) -> dict[str, Any]:
    """What the analyzer looks at in an ODB."""
    return {
        "Runinfo": {"Run number": run, "Start time binary": TIME},
        "Configurations": {"Exposure": 0.3, "Pedestal": False, **configuration},
    }


def write_run(
    folder: Path,
    run: int,
    events: Iterable[Event],
    odb: dict[str, Any] | None = None,
    compress: str = "none",
) -> Path:
    """Write a run file and return its path."""
    with RunWriter(folder / f"run{run:05d}.mid", compress) as writer:
        writer.write_odb_dump(run, odb or run_odb(run), begin=True)
        for event in events:
            writer.write(event.raw)
        writer.write_odb_dump(run, odb or run_odb(run), begin=False)
    return writer.path
