"""Triggers of an event: their time on one clock, and what the PMTs saw together."""

import numpy as np
from numba import njit

from analyzer.kernels.arrays import I32, U64, Records, Row
from analyzer.kernels.lean import lean

MATCH_NS = 5000.0
"""Boards whose numbers of triggers differ: tags this near are of one trigger. Triggers come no
closer than the veto, 10 us and more at LNGS (``cygno.md`` 7.2)."""


@lean
def unwrap(ticks: np.int64, tick_ns: float, wrap_ns: float, expected_ns: float) -> float:
    """Return the time of a tag whose counter may have rolled over [ns].

    :param wrap_ns: time in which it rolls over; 0: it does not.
    :param expected_ns: about when it was, to less than half of that; nan if it is not known.
    """
    time_ns = ticks * tick_ns
    if wrap_ns > 0 and expected_ns > time_ns:
        time_ns += wrap_ns * np.rint((expected_ns - time_ns) / wrap_ns)
    return time_ns


@lean
def place_triggers(
    tags: U64,
    low_mask: int,
    is_extended: bool,
    tick_ns: float,
    has_run_clock: bool,
    expected_ns: float,
    begin_ns: float,
    board: int,
    triggers: Records,
    n: int,
    places: I32,
) -> int:
    """Give each trigger of a board its row: that of boards before, or a new one.

    If a board has as many triggers as are known, they are the same ones; else those within
    `MATCH_NS` are.

    :param tags: (triggers of the board,) uint64, upper bits included where there are any.
    :param low_mask: bits of the tag without extension; after them it rolls over.
    :param is_extended: whether tags have upper bits; zeros there may mean that they have not.
    :param has_run_clock: tags count on from the run's begin; else from the frame's.
    :param expected_ns: about when the event was, on the clock of the run; nan if unknown.
    :param begin_ns: begin of the frame's exposure on that clock; nan if unknown.
    :param triggers: fields of `dtypes.TRIGGER`; `n` of them are known.
    :param places: out, (triggers of the board,) int32, the row of each.
    :returns: number of rows now known.
    """
    before = n
    is_same = len(tags) == before
    for index in range(len(tags)):
        tag = np.int64(tags[index]) if is_extended else np.int64(tags[index]) & low_mask
        is_sure = not has_run_clock or tag > low_mask
        wrap_ns = 0.0 if is_sure else (low_mask + 1.0) * tick_ns
        time_ns = unwrap(tag, tick_ns, wrap_ns, expected_ns)
        frame_ns = time_ns - begin_ns if has_run_clock else time_ns
        place = index if is_same else -1
        if not is_same:
            nearest = MATCH_NS
            for other in range(before):
                known = triggers[other].time if has_run_clock else triggers[other].frame_time
                distance = abs(known - (time_ns if has_run_clock else frame_ns))
                if distance <= nearest and not (triggers[other].boards >> board) & 1:
                    place, nearest = other, distance
        if place < 0:
            place = n
            n += 1
            row = triggers[place]
            row.trigger = place
            row.board = board
            row.time = time_ns if has_run_clock else np.nan
            row.frame_time = frame_ns
            row.pulse_time = np.nan
        row = triggers[place]
        row.boards |= 1 << board
        if board == 0:
            row.time_tag_0 = tag
        elif board == 1:
            row.time_tag_1 = tag
        places[index] = place
    return n


@lean
def sum_pmts(
    rows: Records,
    first_row: int,
    channels: int,
    pmts: np.uint64,
    pulses: Records,
    first_pulse: int,
    n_pulses: int,
    window_ns: float,
    millivolts: float,
    saturated: int,
    pmt_saturated: int,
    trigger: Row,
) -> None:
    """Sum what the PMTs of a board saw of one trigger, and count those in coincidence.

    :param rows: fields of `dtypes.WAVEFORM`; channel 0 of the trigger is at `first_row`.
    :param channels: of the board; those with a PMT have their bit set in `pmts`.
    :param pulses: fields of `dtypes.PULSE`; those from `first_pulse` to `n_pulses` are the
        trigger's.
    :param window_ns: pulses that begin to be in coincidence with the first of them.
    :param millivolts: of one count.
    :param saturated: flag of a row; `pmt_saturated` that of a trigger.
    :param trigger: in and out, a row of `dtypes.TRIGGER`.
    """
    for channel in range(min(channels, 64)):
        if not (pmts >> np.uint64(channel)) & np.uint64(1):
            continue
        row = rows[first_row + channel]
        trigger.charge += row.charge
        trigger.amplitude = max(trigger.amplitude, row.amplitude * millivolts)
        trigger.tot = max(trigger.tot, row.tot)
        if row.flags & saturated:
            trigger.flags |= pmt_saturated
    for index in range(first_pulse, n_pulses):
        if not (pmts >> np.uint64(pulses[index].channel)) & np.uint64(1):
            continue
        trigger.pulse_charge += pulses[index].charge
        begin = pulses[index].time
        seen = np.uint64(0)
        for other in range(first_pulse, n_pulses):
            behind = pulses[other].time - begin
            if 0 <= behind <= window_ns:
                seen |= np.uint64(1) << np.uint64(pulses[other].channel)
        seen &= pmts
        count = 0
        while seen:
            seen &= seen - np.uint64(1)
            count += 1
        is_earlier = count == trigger.pmts and begin < trigger.pulse_time
        if count > trigger.pmts or is_earlier:
            trigger.pmts = count
            trigger.pulse_time = begin


@njit(nogil=True, cache=True)
def conclude_triggers(
    triggers: Records,
    n: int,
    all_boards: int,
    exposure_ns: float,
    readout_ns: float,
    inside: int,
    partly: int,
    incomplete: int,
) -> int:
    """Flag triggers by what was exposed and recorded; turn their times into s and ms.

    The rows of a rolling shutter begin and end their exposure one after the other, in the time of
    a readout: all are exposed from its end to the end of the exposure (``cygno.md`` 6.3).

    :param inside: flag of a trigger while all rows were exposed, `partly` while some were.
    :param incomplete: flag of a trigger that not `all_boards` have, one bit each.
    :returns: number of triggers inside.
    """
    counted = 0
    for index in range(n):
        row = triggers[index]
        if row.boards != all_boards:
            row.flags |= incomplete
        since_ns = row.frame_time
        if readout_ns <= since_ns <= exposure_ns:
            row.flags |= inside
            counted += 1
        elif 0 <= since_ns <= exposure_ns + readout_ns:
            row.flags |= partly
        row.time *= 1e-9
        row.frame_time *= 1e-6
    return counted
