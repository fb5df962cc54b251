"""Measure the frontend's way from slot to buffer: ``python -m benchmarks.frontend [--json]``.

Pixels lie in a slot of the frontend's ring, as a driver leaves them there. A frame then goes its
whole way: claimed and delivered in the ring, assembled into an event, sent into an event buffer
that nobody reads. Beside it in the same run, in turns: one plain memcpy per frame between memories
as large (both leave the caches), and stock MIDAS, ``midas.event`` packing the same frame and
sending it. Figures are medians over rounds.

``over_stock``, goal >= 150, and ``of_memcpy``, goal >= 0.5, are of Fusion frames;
``of_cached_memcpy`` is beside a memcpy of one and the same frame, which may stay in the caches.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, TextIO

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.experiments import WORLDS, open_experiment, own_output, temporary_folder
from experiment.client import Client
from frontend.assembly import EventAssembler, Rules
from frontend.layout import EventLayout
from frontend.memory import allocate_slots
from frontend.ring import FrameRing
from frontend.setup import Mode
from hardware.camera import CameraInfo, FrameInfo
from rawdata.layouts import camera as camera_banks
from rawdata.tid import Tid

CAMERAS = {"fusion": camera_banks.FUSION_SHAPE, "quest": camera_banks.QUEST_SHAPE}
SLOTS = 16
PERIOD_NS = 11_223_345  # 89.1 Hz
TIMEOUT_MS = 1000

Shape = tuple[int, int]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--experiment", choices=WORLDS, default="standalone")
    parser.add_argument("--rounds", type=int, default=15, help="rounds of all that is compared")
    parser.add_argument("--frames", type=int, default=40, help="frames of each in a round")
    parser.add_argument("--stock-frames", type=int, default=5, help="frames by stock MIDAS in all")
    arguments, output = parser.parse_args(), own_output()
    with temporary_folder() as folder, open_experiment(arguments.experiment, folder) as bench:
        cameras = {
            name: measure(
                bench.client, shape, arguments.rounds, arguments.frames, arguments.stock_frames
            )
            for name, shape in CAMERAS.items()
        }
    figures = {
        "over_stock": cameras["fusion"]["over_stock"],
        "of_memcpy": cameras["fusion"]["of_memcpy"],
        **{f"{name}_frames_per_s": values["frames_per_s"] for name, values in cameras.items()},
        "cameras": cameras,
        "experiment": arguments.experiment,
        "rounds": arguments.rounds,
        "frames": arguments.frames,
        "cpus": os.cpu_count(),
        "load": os.getloadavg()[0],
    }
    if arguments.json:
        print(json.dumps(figures), file=output, flush=True)
    else:
        _print_table(figures, output)


def measure(
    client: Client, shape: Shape, rounds: int, frames: int, stock_frames: int
) -> dict[str, Any]:
    """Return the figures of frames of one shape.

    :param stock_frames: frames that stock MIDAS sends, spread over the rounds.
    """
    ours = _OurPath(client, shape)
    pack = _stock_packer(ours.pixels[0])
    copies = _copier(ours.pixels, len(ours.pixels) * ours.event_bytes)
    cached = _copier(ours.pixels[:1], ours.event_bytes)
    calls = {"ours": ours.send, "memcpy": copies, "cached": cached}
    seconds: dict[str, list[float]] = {"ours": [], "memcpy": [], "cached": [], "stock": []}
    for number in range(rounds + 1):  # the first round warms up
        for name in list(calls)[:: 1 if number % 2 else -1]:
            begin_s = time.perf_counter()
            calls[name](frames)
            seconds[name].append((time.perf_counter() - begin_s) / frames)
        if pack is not None and number * stock_frames // rounds > len(seconds["stock"]):
            begin_s = time.perf_counter()
            client.send_event(ours.buffer, pack())
            seconds["stock"].append(time.perf_counter() - begin_s)
    frame_s, memcpy_s = median(seconds["ours"][1:]), median(seconds["memcpy"][1:])
    stock_s = median(seconds["stock"]) if seconds["stock"] else None
    return {
        "frames_per_s": 1 / frame_s,
        "gb_per_s": 1e-9 * ours.event_bytes / frame_s,
        "frame_ms": 1e3 * frame_s,
        "memcpy_ms": 1e3 * memcpy_s,
        "of_memcpy": memcpy_s / frame_s,
        "of_cached_memcpy": median(seconds["cached"][1:]) / frame_s,
        "stock_frames_per_s": 1 / stock_s if stock_s else None,
        "over_stock": stock_s / frame_s if stock_s else None,
        "event_bytes": ours.event_bytes,
        "shape": list(shape),
        "spread": [1 / max(seconds["ours"][1:]), 1 / min(seconds["ours"][1:])],
    }


class _OurPath:
    """The frontend without camera and threads: ring, assembly, sending."""

    def __init__(self, client: Client, shape: Shape) -> None:
        rows, columns = shape
        info = CameraInfo("benchmark", "0", rows, columns, 16)
        layout = EventLayout((info,), (), max_triggers=1)
        memories = [
            layout.prepare(memory)
            for memory in allocate_slots(SLOTS, layout.max_bytes, layout.max_bytes)
        ]
        self.pixels = [memory.pixels[0] for memory in memories]
        noise = np.random.default_rng(1).normal(100, 2.5, shape).astype(np.uint16)
        for pixels in self.pixels:
            pixels[...] = noise
        self.event_bytes = layout.typical_bytes()
        self._client = client
        name = f"B{rows}X{columns}"
        self.buffer = client.open_event_buffer(name, buf_size=SLOTS * (self.event_bytes + 4096))
        self._ring = FrameRing(memories)
        self._assembler = EventAssembler(
            self._ring, [], layout, Rules(Mode.FREE, PERIOD_NS, wait_s=1.0)
        )
        self._counter = 0

    def send(self, frames: int) -> None:
        """Bring this many frames from their slots into the buffer."""
        for _ in range(frames):
            claim = self._ring.claim(0)
            start_ns = self._counter * PERIOD_NS
            info = FrameInfo(self._counter, start_ns, start_ns + PERIOD_NS, time.time_ns(), 0)
            assert self._ring.deliver(0, claim, info), "the ring has no room"
            event = self._assembler.next_event()
            assert event is not None, "the event is not whole"
            assert self._client.send_buffer(self.buffer, event.content, TIMEOUT_MS), "no room"
            self._ring.give_back(event.slot)
            self._counter += 1


def _copier(sources: list[Any], target_bytes: int) -> Callable[[int], None]:
    """Return what copies frames, each from another slot to another place."""
    size = sources[0].nbytes
    target = np.zeros(target_bytes, np.uint8)
    places = [target[i * size : (i + 1) * size] for i in range(target.size // size)]
    flat = [source.reshape(-1).view(np.uint8) for source in sources]
    place = 0

    def copy(frames: int) -> None:
        nonlocal place
        for _ in range(frames):
            np.copyto(places[place % len(places)], flat[place % len(flat)])
            place += 1

    return copy


def _stock_packer(pixels: Any) -> Callable[[], Any] | None:
    """Return what makes the event with MIDAS's own Python, ready to be sent; None without it."""
    if "MIDASSYS" in os.environ:
        sys.path.append(str(Path(os.environ["MIDASSYS"]) / "python"))
    try:
        import midas.event
    except ImportError:
        return None

    def make() -> Any:
        event = midas.event.Event()
        event.header.event_id = 1
        event.header.serial_number = 1
        event.create_bank("CAM0", int(Tid.WORD), pixels.reshape(-1))
        return event

    return make


def _print_table(figures: dict[str, Any], output: TextIO) -> None:
    def text(value: float | None, unit: str = "") -> str:
        return "-" if value is None else f"{value:.4g}{unit}"

    table = Table("frames", "to buffer", "of memcpy (>= 0.5)", "stock MIDAS", "over (>= 150)")
    for name, values in figures["cameras"].items():
        table.add_row(
            f"{name} {values['shape'][0]}x{values['shape'][1]}",
            f"{text(values['frames_per_s'])} /s, {text(values['gb_per_s'])} GB/s",
            f"{text(values['of_memcpy'])} ({text(values['memcpy_ms'], ' ms')})",
            text(values["stock_frames_per_s"], " /s"),
            text(values["over_stock"]),
        )
    table.caption = f"{figures['experiment']}, load {figures['load']:.1f}"
    Console(width=110, file=output).print(table)


if __name__ == "__main__":
    main()
