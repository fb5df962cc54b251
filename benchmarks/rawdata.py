"""Measure building, parsing and reading of full events: ``python -m benchmarks.rawdata [--json]``.

An event has a frame of 2304x2304 pixels, its counter and time, and two triggers of both digitizers.
Repeats of all that is compared are interleaved in one run; the figures are medians.
Stock MIDAS is measured beside where its Python package is installed or MIDASSYS names its folder.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from rawdata.build import EventBuilder
from rawdata.event import parse_event
from rawdata.layouts import camera, digitizer, times
from rawdata.layouts.digitizer import BoardHeader, DigitizerHeader
from rawdata.runfile import RunFile
from rawdata.tid import Tid

SHAPE = (2304, 2304)
FILE_EVENTS = 24
READ_BYTES = 1 << 22


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--repeats", type=int, default=25, help="interleaved repeats")
    arguments = parser.parse_args()
    figures = measure(arguments.repeats)
    if arguments.json:
        print(json.dumps(figures))
    else:
        _print_table(figures)


def measure(repeats: int) -> dict[str, Any]:
    """Return all figures."""
    banks = _banks()
    buffer = np.zeros(16 << 20, np.uint8)
    event = np.array(_build(buffer, banks))
    target = np.zeros_like(event)
    views = 200

    def unpack() -> None:
        for _ in range(views):
            parsed = parse_event(event)
            for name in parsed:
                _ = parsed[name]

    stock = _stock()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run00001.mid"
        with path.open("wb") as file:
            for _ in range(FILE_EVENTS):
                file.write(event)
        builds = _interleaved(
            {
                "memcpy": lambda: np.copyto(target, event),
                "pack": lambda: _build(buffer, banks),
            },
            2 * repeats,
        )
        reads = _interleaved(
            {
                "read": lambda: _read(path, target),
                "plain": lambda: _read_plainly(path, target),
            },
            repeats,
        )
        seconds = builds | reads | _interleaved({"unpack": unpack}, repeats)
        stock_seconds = _interleaved(_stock_calls(stock, banks, event, path), 3) if stock else {}
    file_bytes = FILE_EVENTS * event.nbytes
    figures: dict[str, Any] = {
        "event_bytes": event.nbytes,
        "memcpy_ms": 1e3 * seconds["memcpy"],
        "pack_ms": 1e3 * seconds["pack"],
        "pack_over_memcpy": seconds["pack"] / seconds["memcpy"],
        "unpack_us": 1e6 * seconds["unpack"] / views,
        "read_gbps": 1e-9 * file_bytes / seconds["read"],
        "plain_gbps": 1e-9 * file_bytes / seconds["plain"],
        "read_over_plain": seconds["plain"] / seconds["read"],
        "stock_pack_ms": _scaled(stock_seconds, "pack", 1e3),
        "stock_unpack_us": _scaled(stock_seconds, "unpack", 1e6),
        "stock_read_gbps": None,
        "repeats": repeats,
        "cpus": os.cpu_count(),
    }
    if stock_seconds:
        figures["stock_read_gbps"] = 1e-9 * file_bytes / stock_seconds["read"]
    return figures


def _banks() -> list[tuple[str, Tid, Any]]:
    random = np.random.default_rng(1)
    triggers = 2
    header = DigitizerHeader(
        "A",
        tuple(
            BoardHeader(
                model=model,
                samples=samples,
                channels=channels,
                resolution=4096,
                sampling=sampling,
                dc_offsets=digitizer.dc_offset_words([-0.3] * channels),
                time_tags=np.arange(triggers, dtype=np.uint32),
                start_cells=np.arange(triggers, dtype=np.uint32) if model == 1742 else None,
            )
            for model, samples, channels, sampling in ((1742, 1024, 32, 1333), (1720, 4000, 8, 250))
        ),
    )
    frame = random.normal(100, 3, SHAPE).astype(np.uint16)
    samples = random.integers(0, 4096, header.waveform_words, np.uint16)
    return [
        (camera.bank_name(), Tid.WORD, frame),
        (times.fid_name(), Tid.DWORD, np.array([1], np.uint32)),
        (times.tsp_name(), Tid.DWORD, np.array([1, 2], np.uint32)),
        (digitizer.SAMPLES_BANK, Tid.WORD, samples),
        (digitizer.HEADER_BANK, Tid.DWORD, digitizer.encode_header(header)),
    ]


def _build(buffer: Any, banks: list[tuple[str, Tid, Any]]) -> memoryview:
    builder = EventBuilder(buffer, 1)
    for name, tid, values in banks:
        builder.add(name, tid, values)
    return builder.finish(1, 1_700_000_000)


def _read(path: Path, target: Any) -> None:
    """Open, find all banks, and copy each event, so that every byte is really read."""
    with RunFile(path) as run:
        for event in run:
            for name in event:
                _ = event[name]
            np.copyto(target, np.frombuffer(event.raw, np.uint8))


def _read_plainly(path: Path, target: Any) -> None:
    with path.open("rb", buffering=0) as file:
        view = memoryview(target)[:READ_BYTES]
        while file.readinto(view):
            pass


def _interleaved(calls: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Return the median seconds of each call; the first pass warms up and is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for repeat in range(repeats + 1):
        order = list(calls.items())
        for name, call in order if repeat % 2 else reversed(order):  # none profits from its place
            begin = time.perf_counter()
            call()
            if repeat:
                seconds[name].append(time.perf_counter() - begin)
    return {name: median(values) for name, values in seconds.items()}


def _stock() -> Any:
    """Return MIDAS's module ``midas`` with its reader, or None."""
    if "MIDASSYS" in os.environ:
        sys.path.append(str(Path(os.environ["MIDASSYS"]) / "python"))
    try:
        import midas.event
        import midas.file_reader
    except ImportError:
        return None
    return midas


def _stock_calls(
    midas: Any, banks: list[tuple[str, Tid, Any]], raw: Any, path: Path
) -> dict[str, Callable[[], object]]:
    content = raw.tobytes()

    def pack() -> None:
        event = midas.event.Event()
        event.header.event_id = 1
        event.header.serial_number = 1
        event.header.timestamp = 1_700_000_000
        event.flags = 0x11
        for name, tid, values in banks:
            event.create_bank(name, int(tid), values.ravel())
        event.pack()

    def unpack() -> None:
        midas.event.Event().unpack(content, use_numpy=True)

    def read() -> None:
        reader = midas.file_reader.MidasFile(str(path), use_numpy=True)
        for _ in reader:
            pass

    return {"pack": pack, "unpack": unpack, "read": read}


def _scaled(seconds: dict[str, float], name: str, scale: float) -> float | None:
    return seconds[name] * scale if name in seconds else None


def _print_table(figures: dict[str, Any]) -> None:
    def text(name: str, unit: str) -> str:
        return "-" if figures[name] is None else f"{figures[name]:.4g} {unit}"

    table = Table("figure", "measured", "goal", "plain", "stock MIDAS")
    table.add_row(
        "build an event / memcpy",
        f"{figures['pack_over_memcpy']:.3f} ({text('pack_ms', 'ms')})",
        "<= 1.3",
        text("memcpy_ms", "ms"),
        text("stock_pack_ms", "ms"),
    )
    table.add_row(
        "parse an event, view all banks",
        text("unpack_us", "us"),
        "<= 50 us",
        "",
        text("stock_unpack_us", "us"),
    )
    table.add_row(
        "read an uncompressed file / plain reading",
        f"{figures['read_over_plain']:.3f} ({text('read_gbps', 'GB/s')})",
        ">= 0.5",
        text("plain_gbps", "GB/s"),
        text("stock_read_gbps", "GB/s"),
    )
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
