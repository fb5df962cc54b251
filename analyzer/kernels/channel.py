"""One waveform: from samples to its row and those of its pulses."""

from typing import NamedTuple

import numpy as np

from analyzer.kernels.arrays import F64, I32, U8, U16, Records, Row
from analyzer.kernels.lean import lean
from analyzer.kernels.over_threshold import time_over_threshold
from analyzer.kernels.pulses import SMOOTH, find_pulses, smooth
from analyzer.kernels.waveform import sum_baseline

ROOM = 16
"""Pulses of a waveform that find room in the rows; `n_pulses` counts those beyond as well."""

SETUP = np.dtype(
    [
        ("index", np.int64),  # of the board in the event
        ("model", np.int64),
        ("top", np.int64),  # highest code: samples at it or at 0 are saturated
        ("n_baseline", np.int64),  # samples at the begin that hold no pulse, 2 to all of them
        ("sigmas", np.float64),  # threshold in noises, for pulses and time over threshold
        ("prominence", np.float64),  # least prominence, part of the highest value
        ("width", np.float64),  # least width [samples]
        ("period_ns", np.float64),
        ("picocoulombs", np.float64),  # charge of one count in one sample
        ("millivolts", np.float64),  # of one count
        ("pmts", np.uint64),  # channels that hold a PMT, bit i channel i
        ("window_ns", np.float64),  # of a coincidence
        ("low_mask", np.int64),  # bits of a time tag without extension
        ("is_extended", np.bool_),  # tags have upper bits
        ("tick_ns", np.float64),  # of the time tags
        ("has_run_clock", np.bool_),  # time tags count on from the run's begin
        ("least_part", np.float64),  # of the corrected channels that show a dip of the DRS4 chip
        ("dip", np.int64),  # depth of such a dip, height of such a bump [1/32 count]
        ("saturated", np.int64),  # flags: of a waveform that is, or whose correction was made
        ("corrected", np.int64),
        ("pmt_saturated", np.int64),  # flag of a trigger
    ]
)
"""What the kernels must know of a board; the same for all events of a run."""


class Room(NamedTuple):
    """Arrays that are used again for each waveform of a board."""

    smoothed: U16
    """(samples,), S of waveforms as they are; see `smooth` and `find_pulses`."""
    smoothed_wide: I32
    """The same of others."""
    wide: I32
    """(samples,), such a waveform."""
    lows: I32
    """(blocks or more,)"""
    highs: I32
    marks: U8
    """(BLOCK,)"""
    minima: I32
    peaks: I32
    """(ROOM, 2)"""
    shapes: F64
    """(ROOM, 3)"""


_i8 = np.int64


@lean
def measure_waveform(
    values: U16 | I32,
    scanned: tuple[np.int32, np.int32, np.int64, np.int64],
    scale: int,
    setup: Row,
    smoothed: U16 | I32,
    room: Room,
    row: Row,
    pulses: Records,
    n: int,
) -> int:
    """Measure one waveform; return how many pulses there are now.

    :param values: (samples,), of which `scanned` is the result of `scan`.
    :param scale: steps of one ADC count.
    :param setup: of `SETUP`.
    :param smoothed: (samples,), of the same type, for own use; `room` as well.
    :param row: out, fields of `dtypes.WAVEFORM`; those that say whose waveform it is are there.
    :param pulses: out, fields of `dtypes.PULSE`; `n` of them are there.
    """
    samples = values.shape[0]
    n_baseline, period_ns = setup.n_baseline, setup.period_ns
    lowest, _, place, total = scanned
    sums, squares = sum_baseline(values, n_baseline)
    noise = np.sqrt(float(n_baseline * squares - sums * sums)) / n_baseline
    baseline_sum = sums + n_baseline * _i8(values[0])
    baseline = baseline_sum / n_baseline
    below = baseline * (samples - n_baseline) - (total - baseline_sum)
    picocoulombs = setup.picocoulombs / scale
    row.baseline = baseline / scale
    row.noise = noise / scale
    row.amplitude = (baseline - lowest) / scale
    row.peak_sample = place
    row.charge = below * picocoulombs
    row.n_pulses = 0
    row.tot = 0
    threshold = setup.sigmas * noise
    if baseline - lowest < threshold or baseline <= lowest or samples < SMOOTH:
        return n
    blocks = smooth(values, smoothed, room.lows, room.highs)
    limit = int(np.ceil(baseline - threshold)) - 1
    over, over_sum = time_over_threshold(values, room.lows, limit)
    row.tot = over * period_ns
    row.tot_charge = (over * baseline - over_sum) * picocoulombs
    found = find_pulses(
        smoothed,
        room.lows,
        room.highs,
        blocks,
        baseline_sum,
        n_baseline,
        noise,
        setup.sigmas,
        setup.prominence,
        setup.width,
        room.marks,
        room.minima,
        room.peaks,
        room.shapes,
    )
    row.n_pulses = found
    zero = 5 * baseline_sum
    unit = 5.0 * n_baseline * scale
    for index in range(min(found, ROOM, pulses.shape[0] - n)):
        peak, base = room.peaks[index, 0], room.peaks[index, 1]
        level = _i8(smoothed[peak])
        prominence = float(n_baseline * (_i8(base) - level))
        half, begin, end = room.shapes[index, 0], room.shapes[index, 1], room.shapes[index, 2]
        first, last = int(np.ceil(begin)), int(end)
        area = _i8(0)
        for value in values[first : last + 1]:
            area += _i8(value)
        pulse = pulses[n]
        pulse.board = row.board
        pulse.trigger = row.trigger
        pulse.channel = row.channel
        pulse.time = peak * period_ns
        pulse.height = (zero - n_baseline * level) / unit
        pulse.prominence = prominence / unit
        pulse.half_width = half * period_ns
        pulse.full_width = (end - begin) * period_ns
        pulse.charge = ((last + 1 - first) * baseline - area) * picocoulombs
        n += 1
    return n
