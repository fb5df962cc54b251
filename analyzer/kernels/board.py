"""All waveforms of one board in one event: from samples to rows, in one call."""

import numpy as np
from numba import njit

from analyzer.kernels.arrays import F64, I32, U8, U16, U64, Bools, Records, Row
from analyzer.kernels.lean import lean
from analyzer.kernels.pulses import (
    BLOCK,
    SMOOTH,
    find_pulses,
    smooth,
    time_over_threshold,
)
from analyzer.kernels.triggers import place_triggers, sum_pmts
from analyzer.kernels.waveform import (
    SCALE,
    correct_cells,
    remove_bumps,
    remove_dips,
    scan,
    sum_baseline,
)

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

_i4 = np.int32
_i8 = np.int64


@lean
def _measure(
    values: U16 | I32,
    scanned: tuple[np.int32, np.int32, np.int64, np.int64],
    scale: int,
    setup: Row,
    smoothed: U16 | I32,
    lows: I32,
    highs: I32,
    marks: U8,
    minima: I32,
    peaks: I32,
    shapes: F64,
    row: Row,
    pulses: Records,
    n: int,
) -> int:
    """Measure one waveform of `scale` steps a count; return how many pulses there are now."""
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
    blocks = smooth(values, smoothed, lows, highs)
    limit = int(np.ceil(baseline - threshold)) - 1
    over, over_sum = time_over_threshold(values, lows, limit)
    row.tot = over * period_ns
    row.tot_charge = (over * baseline - over_sum) * picocoulombs
    found = find_pulses(
        smoothed,
        lows,
        highs,
        blocks,
        baseline_sum,
        n_baseline,
        noise,
        setup.sigmas,
        setup.prominence,
        setup.width,
        marks,
        minima,
        peaks,
        shapes,
    )
    row.n_pulses = found
    zero = 5 * baseline_sum
    unit = 5.0 * n_baseline * scale
    for index in range(min(found, peaks.shape[0], pulses.shape[0] - n)):
        peak, base = peaks[index, 0], peaks[index, 1]
        level = _i8(smoothed[peak])
        prominence = float(n_baseline * (_i8(base) - level))
        half, begin, end = shapes[index, 0], shapes[index, 1], shapes[index, 2]
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


@njit(nogil=True, cache=True)
def _is_quieter(fixed: I32, raw: U16, chosen: Bools, n_baseline: int) -> bool:
    """Tell whether the baselines of corrected waveforms have less noise than those of raw ones."""
    before, after = 0.0, 0.0
    for channel in range(raw.shape[0]):
        if chosen[channel]:
            total, squares = sum_baseline(raw[channel], n_baseline)
            before += n_baseline * squares - total * total
            total, squares = sum_baseline(fixed[channel], n_baseline)
            after += n_baseline * squares - total * total
    return after < before * SCALE * SCALE


@njit(nogil=True, cache=True)
def correct_trigger(
    raw: U16,
    start_cell: int,
    chosen: Bools,
    cell_table: I32,
    sample_table: I32,
    n_baseline: int,
    least_channels: int,
    dip: int,
    fixed: I32,
) -> bool:
    """Take the DRS4's patterns out of the waveforms of a trigger, if that makes them quieter.

    :param raw: (channels, samples) uint16 [ADC counts].
    :param start_cell: and the tables: see `correct_cells`.
    :param chosen: (channels,) bool, channels to correct.
    :param n_baseline: samples at the begin that tell the noise.
    :param least_channels: and `dip` [1/32 ADC count]: see `remove_dips`.
    :param fixed: out, (channels, samples) int32 [1/32 ADC count], of the chosen channels.
    :returns: whether `fixed` is to be used.
    """
    correct_cells(raw, start_cell, cell_table, sample_table, chosen, fixed)
    if not _is_quieter(fixed, raw, chosen, n_baseline):
        return False
    remove_dips(fixed, chosen, least_channels, dip)
    remove_bumps(fixed, chosen, least_channels, dip)
    return True


@njit(nogil=True, cache=True)
def least_of(chosen: Bools, least_part: float) -> int:
    """Return in how many channels a dip must be."""
    return max(2, int(np.ceil(least_part * np.count_nonzero(chosen))))


@njit(nogil=True, cache=True)
def analyze_board(
    waveforms: U16,
    setups: Records,
    tags: U64,
    expected_ns: float,
    begin_ns: float,
    start_cells: I32,
    chosen: Bools,
    cell_table: I32,
    sample_table: I32,
    rows: Records,
    first_row: int,
    pulses: Records,
    n_pulses: int,
    triggers: Records,
    n_triggers: int,
) -> tuple[int, int]:
    """Fill the rows of a board's waveforms, of their pulses, which go down, and of its triggers.

    :param waveforms: (triggers, channels, samples) uint16 [ADC counts].
    :param setups: (1,) of `SETUP`.
    :param tags: (triggers,) uint64, time tags; see `place_triggers`, also for the two times.
    :param start_cells: (triggers,) int32; `chosen` (channels,) tells which channels are corrected
        with the tables; see `correct_cells` and `remove_dips`.
    :param rows: in and out, zeros with the fields of `dtypes.WAVEFORM`; filled from `first_row` on,
        and the last one is used for sums.
    :param pulses: out, fields of `dtypes.PULSE`, from `n_pulses` on.
    :param triggers: in and out, zeros with the fields of `dtypes.TRIGGER`, of which `n_triggers`
        are filled by the boards before.
    :returns: numbers of pulses and of triggers that are there now.
    """
    count, channels, samples = waveforms.shape
    setup = setups[0]
    is_wide = 5 * setup.top > 0xFFFF
    any_chosen = chosen.any()
    least_channels = least_of(chosen, setup.least_part)
    smoothed = np.empty(samples, np.uint16)
    fixed = np.empty((channels if any_chosen else 0, samples), np.int32)
    summed, smoothed_wide = np.empty(samples, np.int32), np.empty(samples, np.int32)
    lows, highs = np.empty(samples // BLOCK + 1, np.int32), np.empty(samples // BLOCK + 1, np.int32)
    marks, minima = np.empty(BLOCK, np.uint8), np.empty(BLOCK, np.int32)
    peaks, shapes = np.empty((ROOM, 2), np.int32), np.empty((ROOM, 3))
    places = np.empty(count, np.int32)
    n_triggers = place_triggers(
        tags,
        setup.low_mask,
        setup.is_extended,
        setup.tick_ns,
        setup.has_run_clock,
        expected_ns,
        begin_ns,
        setup.index,
        triggers,
        n_triggers,
        places,
    )
    for trigger in range(count):
        is_better = False
        if any_chosen:
            is_better = correct_trigger(
                waveforms[trigger],
                start_cells[trigger],
                chosen,
                cell_table,
                sample_table,
                setup.n_baseline,
                least_channels,
                setup.dip,
                fixed,
            )
        row_of_first = first_row + trigger * channels
        pulse_of_first = n_pulses
        for channel in range(channels):
            values = waveforms[trigger, channel]
            row = rows[row_of_first + channel]
            row.board = setup.index
            row.model = setup.model
            row.trigger = places[trigger]
            row.channel = channel
            row.time_tag = tags[trigger]
            row.sampling_ns = setup.period_ns
            # Whether a sample is saturated is seen before the correction, the rest after it.
            scanned = scan(values)
            if scanned[0] <= 0 or scanned[1] >= setup.top:
                row.flags |= setup.saturated
            if is_better and chosen[channel]:
                row.flags |= setup.corrected
                n_pulses = _measure(
                    fixed[channel],
                    scan(fixed[channel]),
                    SCALE,
                    setup,
                    smoothed_wide,
                    lows,
                    highs,
                    marks,
                    minima,
                    peaks,
                    shapes,
                    row,
                    pulses,
                    n_pulses,
                )
            elif is_wide:
                wide = values.astype(np.int32)
                n_pulses = _measure(
                    wide,
                    scanned,
                    1,
                    setup,
                    smoothed_wide,
                    lows,
                    highs,
                    marks,
                    minima,
                    peaks,
                    shapes,
                    row,
                    pulses,
                    n_pulses,
                )
            else:
                n_pulses = _measure(
                    values,
                    scanned,
                    1,
                    setup,
                    smoothed,
                    lows,
                    highs,
                    marks,
                    minima,
                    peaks,
                    shapes,
                    row,
                    pulses,
                    n_pulses,
                )
        if triggers[places[trigger]].board == setup.index:
            sum_pmts(
                rows,
                row_of_first,
                channels,
                setup.pmts,
                pulses,
                pulse_of_first,
                n_pulses,
                setup.window_ns,
                setup.millivolts,
                setup.saturated,
                setup.pmt_saturated,
                triggers[places[trigger]],
            )
            scale = 1 if is_wide else SCALE
            if _add_pmts(waveforms[trigger], fixed, is_better, chosen, setup.pmts, scale, summed):
                row = rows[len(rows) - 1]
                _measure(
                    summed,
                    scan(summed),
                    scale,
                    setup,
                    smoothed_wide,
                    lows,
                    highs,
                    marks,
                    minima,
                    peaks,
                    shapes,
                    row,
                    pulses,
                    len(pulses),
                )
                found = triggers[places[trigger]]
                found.sum_noise = row.noise * setup.millivolts
                found.sum_amplitude = row.amplitude * setup.millivolts
                found.sum_pulses = row.n_pulses
                found.sum_tot = row.tot
    return n_pulses, n_triggers


@lean
def _add_pmts(
    raw: U16,
    fixed: I32,
    is_better: bool,
    chosen: Bools,
    pmts: np.uint64,
    scale: int,
    summed: I32,
) -> bool:
    """Sum the waveforms of the PMTs, corrected where they are; False if there are none."""
    summed[:] = 0
    is_any = False
    factor = _i4(scale)
    for channel in range(min(raw.shape[0], 64)):
        if (pmts >> np.uint64(channel)) & np.uint64(1):
            is_any = True
            if is_better and chosen[channel]:
                part = fixed[channel]
                for sample in range(summed.shape[0]):
                    summed[sample] = _i4(summed[sample] + part[sample])
            else:
                values = raw[channel]
                for sample in range(summed.shape[0]):
                    summed[sample] = _i4(summed[sample] + _i4(_i4(values[sample]) * factor))
    return is_any
