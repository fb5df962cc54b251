"""All waveforms of one board in one event: from samples to rows, in one call."""

import numpy as np
from numba import njit

from analyzer.kernels.arrays import I32, U16, U64, Bools, Records, Row
from analyzer.kernels.channel import ROOM, Room, measure_waveform
from analyzer.kernels.lean import lean
from analyzer.kernels.pulses import BLOCK
from analyzer.kernels.triggers import place_triggers, sum_pmts
from analyzer.kernels.waveform import (
    SCALE,
    correct_cells,
    remove_bumps,
    remove_dips,
    scan,
    sum_baseline,
)

_i4 = np.int32


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
    any_chosen = chosen.any()
    least_channels = least_of(chosen, setup.least_part)
    fixed = np.empty((channels if any_chosen else 0, samples), np.int32)
    blocks = samples // BLOCK + 1
    room = Room(
        np.empty(samples, np.uint16),
        np.empty(samples, np.int32),
        np.empty(samples, np.int32),
        np.empty(blocks, np.int32),
        np.empty(blocks, np.int32),
        np.empty(BLOCK, np.uint8),
        np.empty(BLOCK, np.int32),
        np.empty((ROOM, 2), np.int32),
        np.empty((ROOM, 3)),
    )
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
        n_pulses = _analyze_trigger(
            waveforms[trigger],
            fixed,
            is_better,
            chosen,
            setup,
            tags[trigger],
            places[trigger],
            rows,
            first_row + trigger * channels,
            pulses,
            n_pulses,
            triggers,
            room,
        )
    return n_pulses, n_triggers


@lean
def _analyze_trigger(
    raw: U16,
    fixed: I32,
    is_better: bool,
    chosen: Bools,
    setup: Row,
    tag: np.uint64,
    place: int,
    rows: Records,
    first_row: int,
    pulses: Records,
    n_pulses: int,
    triggers: Records,
    room: Room,
) -> int:
    """Fill the rows of one trigger's waveforms and pulses, and what its own, at `place`, sums.

    :param raw: (channels, samples) uint16; of the chosen ones `fixed` counts if it `is_better`.
    :returns: number of pulses that are there now.
    """
    first_pulse = n_pulses
    is_wide = 5 * setup.top > 0xFFFF
    for channel in range(raw.shape[0]):
        values = raw[channel]
        row = rows[first_row + channel]
        row.board = setup.index
        row.model = setup.model
        row.trigger = place
        row.channel = channel
        row.time_tag = tag
        row.sampling_ns = setup.period_ns
        # Whether a sample is saturated is seen before the correction, the rest after it.
        seen = scan(values)
        if seen[0] <= 0 or seen[1] >= setup.top:
            row.flags |= setup.saturated
        if is_better and chosen[channel]:
            row.flags |= setup.corrected
            wide, smoothed = fixed[channel], room.smoothed_wide
            n_pulses = measure_waveform(
                wide, scan(wide), SCALE, setup, smoothed, room, row, pulses, n_pulses
            )
        elif is_wide:
            wide, smoothed = room.wide, room.smoothed_wide
            for sample in range(values.shape[0]):
                wide[sample] = values[sample]
            n_pulses = measure_waveform(wide, seen, 1, setup, smoothed, room, row, pulses, n_pulses)
        else:
            n_pulses = measure_waveform(
                values, seen, 1, setup, room.smoothed, room, row, pulses, n_pulses
            )
    found = triggers[place]
    if found.board != setup.index:
        return n_pulses
    sum_pmts(
        rows,
        first_row,
        raw.shape[0],
        setup.pmts,
        pulses,
        first_pulse,
        n_pulses,
        setup.window_ns,
        setup.millivolts,
        setup.saturated,
        setup.pmt_saturated,
        found,
    )
    scale = 1 if is_wide else SCALE
    wide, smoothed = room.wide, room.smoothed_wide
    if _add_pmts(raw, fixed, is_better, chosen, setup.pmts, scale, wide):
        row = rows[len(rows) - 1]
        measure_waveform(wide, scan(wide), scale, setup, smoothed, room, row, pulses, len(pulses))
        found.sum_noise = row.noise * setup.millivolts
        found.sum_amplitude = row.amplitude * setup.millivolts
        found.sum_pulses = row.n_pulses
        found.sum_tot = row.tot
    return n_pulses


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
