"""Drive simulated devices as a frontend does: a thread for each, reading until told to stop."""

import threading
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hardware.camera import CameraConfig, FrameInfo
from hardware.digitizer import TRIGGER_DTYPE, DigitizerConfig
from sim.devices.camera import SimulatedCamera
from sim.devices.digitizer import SimulatedDigitizer

SAMPLES = {"V1742": 1024, "V1720E": 4000}


@dataclass
class Taken:
    """What a run brought: frames with their facts, and for each board triggers and waveforms."""

    frames: list[np.ndarray] = field(default_factory=list)
    infos: list[FrameInfo] = field(default_factory=list)
    triggers: dict[str, np.ndarray] = field(default_factory=dict)
    waveforms: dict[str, np.ndarray] = field(default_factory=dict)
    lost_triggers: dict[str, int] = field(default_factory=dict)


def digitizer_config(model: str, **changes: Any) -> DigitizerConfig:
    return DigitizerConfig(**{"samples": SAMPLES[model], "run_number": 1, **changes})


def take_run(
    frames: int,
    *,
    address: str = "64x96",
    run: int = 1,
    rate_hz: float = 0.0,
    exposure_s: float = 0.01,
    boards: tuple[str, ...] = (),
    faults: Any = None,
    batch: int = 8,
    clock: str,
    **options: Any,
) -> Taken:
    """Take a run of `frames` frames and all triggers of their time."""
    # A busy machine must not lose frames: the reader may be late as long as it likes.
    options = {"clock": clock, "faults": faults, "frames": frames, "buffer_frames": 4096, **options}
    camera = SimulatedCamera(address, **options)
    camera.ensure_ready(CameraConfig(exposure_s=exposure_s, rate_hz=rate_hz, run_number=run))
    digitizers = {m: SimulatedDigitizer(m, clock=clock, faults=faults) for m in boards}
    for model, board in digitizers.items():
        board.ensure_ready(digitizer_config(model))
        board.start_acquiring()
    taken = Taken()
    period_ns = round(1e9 / rate_hz) if rate_hz else 10_000_000
    readers = [
        threading.Thread(
            target=_read_board, args=(taken, model, board, frames * period_ns, batch), daemon=True
        )
        for model, board in digitizers.items()
    ]
    for reader in readers:
        reader.start()
    camera.start_acquiring()
    try:
        pixels = np.empty((camera.info.rows, camera.info.columns), np.uint16)
        while True:
            info = camera.read_into(pixels, timeout_s=max(2 * period_ns * 1e-9, 0.05))
            if info is None:
                break
            taken.infos.append(info)
            taken.frames.append(pixels.copy())
        for reader in readers:
            reader.join(20)
            assert not reader.is_alive(), "a digitizer never came to the end of the run"
    finally:
        camera.ensure_stopped()
        for board in digitizers.values():
            board.ensure_stopped()
    return taken


def _read_board(
    taken: Taken, model: str, board: SimulatedDigitizer, until_ns: int, batch: int
) -> None:
    info = board.info
    waveforms = np.empty((batch, info.channels, info.samples), np.uint16)
    triggers = np.empty(batch, TRIGGER_DTYPE)
    all_triggers, all_waveforms, lost = [triggers[:0].copy()], [waveforms[:0].copy()], 0
    while True:
        readout = board.read_into(waveforms, triggers, 0.05)
        all_triggers.append(triggers[: readout.triggers].copy())
        all_waveforms.append(waveforms[: readout.triggers].copy())
        lost += readout.lost
        if readout.complete_until_ns >= until_ns:
            break
    taken.triggers[model] = np.concatenate(all_triggers)
    taken.waveforms[model] = np.concatenate(all_waveforms)
    # Time goes on while the last triggers are read.
    count = int(np.searchsorted(taken.triggers[model]["time_ns"], until_ns))
    taken.triggers[model] = taken.triggers[model][:count]
    taken.waveforms[model] = taken.waveforms[model][:count]
    taken.lost_triggers[model] = lost
