"""Tracks to pixels: photons, diffusion, vignetting, saturation."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sim.detector.event import Run
from sim.detector.randomness import key_of, normal_quantiles, stream
from sim.detector.sensor import Sensor, frame_key, vignetting
from sim.detector.tracks import Track
from sim.kernels.frame import add_photons


class TrackLight(NamedTuple):
    """What a track left in a frame.

    :param light_adu: all its light, before vignetting [ADU].
    :param integral_adu: what the pixels have of it; light outside the frame and beyond the
        range of a pixel is not in it [ADU].
    :param row: mean row of that light [pixel]; nan if there is none.
    :param column: alike.
    """

    light_adu: float
    integral_adu: float
    row: float
    column: float


def draw_frame(
    frame: npt.NDArray[np.uint16],
    sensor: Sensor,
    run: Run,
    view: int,
    number: int,
    tracks: tuple[Track, ...],
    bits: int = 16,
    dark: npt.NDArray[np.uint16] | None = None,
) -> list[TrackLight]:
    """Write frame `number` of a view, (rows, columns) uint16, and tell what light is in it.

    :param dark: copied for want of noise of its own.
    """
    if dark is None:
        sensor.fill_dark(frame, frame_key(run.seed, run.number, view, number))
    else:
        np.copyto(frame, dark)
    return [
        _draw_track(frame, sensor, run, (view, number, i), track, bits)
        for i, track in enumerate(tracks)
    ]


def _draw_track(
    frame: npt.NDArray[np.uint16],
    sensor: Sensor,
    run: Run,
    place: tuple[int, int, int],
    track: Track,
    bits: int,
) -> TrackLight:
    counts = sensor.model.counts
    photons = stream(run.seed, "photons", run.number, *place).poisson(track.light_adu / counts)
    response, radius_scale = vignetting(sensor.model)
    light, integral, sum_row, sum_column = add_photons(
        frame,
        track.rows,
        track.columns,
        track.spreads_pixels,
        photons,
        counts,
        response,
        radius_scale,
        2**bits - 1,
        normal_quantiles(),
        key_of(run.seed, "light", run.number, *place),
    )
    if not integral:
        return TrackLight(light, 0.0, float("nan"), float("nan"))
    return TrackLight(light, integral, sum_row / integral, sum_column / integral)
