"""Small stand-ins: frames, devices that give what a test writes down, and the ring's memory."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from frontend.layout import Board, EventLayout
from frontend.memory import allocate_slots
from frontend.ring import FrameRing
from hardware.camera import CameraConfig, CameraInfo, FrameInfo
from hardware.digitizer import TRIGGER_DTYPE, DigitizerConfig, DigitizerInfo, Readout

PERIOD_NS = 1_000_000
EXPOSURE_NS = 600_000
ROWS, COLUMNS = 4, 6


def camera_info(rows: int = ROWS, columns: int = COLUMNS) -> CameraInfo:
    return CameraInfo("Fake", "007", rows, columns)


def board_info(model: str = "V1742", channels: int = 3, samples: int = 5) -> DigitizerInfo:
    is_drs4 = model == "V1742"
    return DigitizerInfo(
        model=model,
        serial_number=11 if is_drs4 else 22,
        channels=channels,
        samples=samples,
        bits=12,
        sampling_word=1333 if is_drs4 else 250,
        sample_period_ns=1.333 if is_drs4 else 4.0,
        time_tag_ns=8.5,
    )


def frame(number: int, host_time_ns: int = 1_700_000_000_000_000_000) -> FrameInfo:
    """Frame `number` of a camera with a period of 1 ms and an exposure of 0.6 ms."""
    start = number * PERIOD_NS
    return FrameInfo(number & 0xFFFFFFFF, start, start + EXPOSURE_NS, host_time_ns)


def make_layout(
    cameras: int = 1, boards: Sequence[DigitizerInfo] = (), max_triggers: int = 4, **options: Any
) -> EventLayout:
    return EventLayout(
        cameras=tuple(camera_info() for _ in range(cameras)),
        boards=tuple(Board(info, (-0.3,)) for info in boards),
        max_triggers=max_triggers,
        **options,
    )


def make_ring(layout: EventLayout, slots: int = 4) -> FrameRing:
    """A ring of `slots` slots, and one in reserve where there are several cameras."""
    count = slots + (1 if len(layout.cameras) > 1 else 0)
    memories = allocate_slots(count, layout.max_bytes, layout.max_bytes)
    return FrameRing([layout.prepare(memory) for memory in memories])


def deliver(ring: FrameRing, number: int, camera: int = 0, **info: Any) -> bool:
    """Let a camera write and deliver frame `number`; all its pixels are 100 * number + camera."""
    claim = ring.claim(camera)
    claim.pixels[...] = 100 * number + camera
    return ring.deliver(camera, claim, frame(number, **info))


def triggers_at(*times_ns: int) -> npt.NDArray[Any]:
    """Triggers at these times; their counter counts up, their tag is the time in us."""
    records = np.zeros(len(times_ns), TRIGGER_DTYPE)
    for number, time_ns in enumerate(times_ns):
        records[number] = (number, time_ns // 1000, 7, number % 1024, time_ns)
    return records


@dataclass
class FakeCamera:
    """Gives the frames it was told to, then none; may fail or hang instead."""

    numbers: list[int] = field(default_factory=list)
    error: Exception | None = None
    info: CameraInfo = field(default_factory=camera_info)
    sensor_temperature_c: float = -18.5
    is_stopped: bool = False
    gate: threading.Event = field(default_factory=threading.Event)
    """Frames come only while it is set."""

    def __post_init__(self) -> None:
        self.gate.set()
        self.configs: list[CameraConfig] = []

    def ensure_ready(self, config: CameraConfig) -> None:
        self.configs.append(config)

    def start_acquiring(self) -> None:
        self.is_stopped = False

    def read_into(self, pixels: npt.NDArray[np.uint16], timeout_s: float) -> FrameInfo | None:
        if not self.gate.wait(timeout_s) or not self.numbers:
            if self.error is not None:
                raise self.error
            time.sleep(0.001)
            return None
        number = self.numbers.pop(0)
        pixels[...] = number % 60_000
        return frame(number, host_time_ns=time.time_ns())

    def wait_for_idle(self, timeout_s: float) -> bool:
        return True

    def ensure_stopped(self) -> None:
        self.is_stopped = True


@dataclass
class FakeDigitizer:
    """Gives triggers at the times it was told, all at once; then says that no more will come."""

    times_ns: list[int] = field(default_factory=list)
    info: DigitizerInfo = field(default_factory=board_info)
    complete_until_ns: int = 1 << 62
    error: Exception | None = None
    is_stopped: bool = False

    def __post_init__(self) -> None:
        self.configs: list[DigitizerConfig] = []

    def ensure_ready(self, config: DigitizerConfig) -> None:
        self.configs.append(config)

    def start_acquiring(self) -> None:
        self.is_stopped = False

    def read_into(
        self, waveforms: npt.NDArray[np.uint16], triggers: npt.NDArray[Any], timeout_s: float
    ) -> Readout:
        if self.error is not None:
            raise self.error
        count = min(len(self.times_ns), len(triggers))
        triggers[:count] = triggers_at(*self.times_ns[:count])
        for number in range(count):
            waveforms[number] = self.times_ns[number] // 1000
        del self.times_ns[:count]
        if not count:
            time.sleep(0.001)
        until = self.complete_until_ns if not self.times_ns else 0
        return Readout(count, until)

    def wait_for_idle(self, timeout_s: float) -> bool:
        return True

    def ensure_stopped(self) -> None:
        self.is_stopped = True
