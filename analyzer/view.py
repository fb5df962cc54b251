"""One event made small for people to look at: images, clusters and waveforms of the same event."""

from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from analyzer.analysis import EventResult, RunAnalysis
from analyzer.frames import as_frame, decode_frame
from analyzer.kernels.frame import rebin_frame
from analyzer.levels import Levels
from analyzer.settings import AnalyzerSettings
from rawdata.errors import RawDataError
from rawdata.event import Event
from rawdata.layouts import digitizer

MAX_TRIGGERS = 8
"""Triggers of an event whose waveforms are kept to be looked at."""


@dataclass(frozen=True, eq=False)
class ImageView:
    """A frame in macro-pixels.

    :param light: (macro rows, macro columns) float32, mean light above the pedestal [ADU a pixel];
        saturated pixels and defects count nothing.
    :param rebin: side of a macro-pixel [pixel].
    :param shape: rows and columns of the raw frame.
    """

    light: npt.NDArray[np.float32]
    rebin: int
    shape: tuple[int, int]


@dataclass(frozen=True, eq=False)
class BoardView:
    """Waveforms of a digitizer board.

    :param samples: (triggers, channels, samples) uint16 [ADC counts], as they are measured: without
        the patterns of the DRS4 chip, where they were corrected.
    :param triggers: triggers in the event, perhaps more than are kept here.
    """

    model: int
    sampling_ns: float
    samples: npt.NDArray[np.uint16]
    triggers: int


@dataclass(frozen=True, eq=False)
class EventView:
    """An event with its results.

    :param images: camera -> image, of cameras whose frame could be analyzed.
    """

    run: int
    result: EventResult
    images: dict[int, ImageView] = field(default_factory=dict)
    boards: list[BoardView] = field(default_factory=list)


def view_event(analysis: RunAnalysis, event: Event, result: EventResult) -> EventView:
    """Return what is to be seen of an event; what cannot be read is left out.

    Nothing of it lies in the event's memory, so that may be used again.
    """
    view = EventView(analysis.conditions.run, result)
    for camera, levels in list(analysis.levels.items()):
        with suppress(RawDataError):
            frame = decode_frame(event, camera, analysis.settings, levels.shape)
            view.images[camera] = view_frame(frame, levels, analysis.settings)
    if digitizer.SAMPLES_BANK in event:
        with suppress(RawDataError):
            header, samples = digitizer.decode(event)
            view.boards.extend(
                BoardView(
                    board.model,
                    board.sample_period_ns,
                    analysis.waveforms.correct(board, waves[:MAX_TRIGGERS]),
                    board.triggers,
                )
                for board, waves in zip(header.boards, samples, strict=True)
            )
    return view


def view_frame(
    frame: npt.NDArray[np.uint16], levels: Levels, settings: AnalyzerSettings
) -> ImageView:
    """Return a frame's light in macro-pixels."""
    sums = np.empty(levels.macro_shape, np.int32)
    rows = np.empty((levels.shape[0], 7), np.int64)
    level, rebin = levels.level, levels.rebin
    rebin_frame(as_frame(frame), level, settings.cimax, levels.clip, rebin, sums, rows)
    return ImageView((sums * levels.scale).astype(np.float32), rebin, levels.shape)
