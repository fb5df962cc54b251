"""Compile the kernels before data come: a first frame must not be late."""

from functools import cache

import numpy as np

from sim.detector.event import Run, View, make_event
from sim.detector.light import draw_frame
from sim.detector.sensor import make_sensor, sensor_model
from sim.detector.tracks import Rates
from sim.detector.waveforms import BOARDS, Recording, record


@cache
def compile_kernels() -> None:
    """Draw one small frame and record its triggers on every board; once in a process."""
    model = sensor_model("16x16")
    view = View(0, model, Rates(iron=5, dark=5))
    run = Run(0, 0, (view,), exposure_ns=10_000_000, period_ns=10_000_000)
    event = make_event(run, 0)
    pixels = np.empty(model.shape, np.uint16)
    draw_frame(pixels, make_sensor(model, 0), run, 0, 0, event.tracks[0])
    for board in BOARDS.values():
        recording = Recording(board, 0, 64, 4.0, 60, (0.0,) * board.channels, board.has_drs4)
        for trigger in event.triggers:
            record(np.empty((board.channels, 64), np.uint16), recording, run, 0, trigger)
