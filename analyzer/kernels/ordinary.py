"""Rows of macro-pixels whose pixels are all ordinary: near their pedestal, so that 16 bits do.

A processor adds twice as many 16-bit words at once as 32-bit ones. Sums are of whole numbers, so
they do not depend on how many are added at once.
"""

import numpy as np

from analyzer.kernels.arrays import I16, I32, I64, U16
from analyzer.kernels.fetch import LINE, fetch
from analyzer.kernels.lean import lean
from analyzer.kernels.residual import (
    DEFECT,
    ROW_MAX,
    ROW_RAW,
    ROW_RAW_SQUARES,
    ROW_SATURATED,
    ROW_SQUARES,
    ROW_SUM,
    ROW_USED,
    SAMPLED,
)

WIDEST = 4096
"""Most pixels of a row that is done at once."""
ORDINARY = 1792
"""Pixels below this [ADU] may be ordinary: with `MAX_LEVEL`, their residuals modulo 2**16 tell
whether they are within `_NEAR`."""
_NEAR = 8192
"""Ordinary residuals are below this [1/32 ADU]: four of them fit into 16 bits."""
_STRETCH = 384
"""Pixels that are done while as many are asked for, `_AHEAD` of them."""
_AHEAD = 6144
"""Bytes from a pixel to those that are asked for: a row and a third."""
_SHORT = 1024
"""Squares of that many pixels below `ORDINARY` fit into 32 bits."""
_OFFSETS = np.uint64(0x8000800080008000)
_EVEN = np.uint64(0x0000FFFF0000FFFF)
_LOW = np.uint64(0xFFFFFFFF)
_HALF, _WHOLE = np.uint64(16), np.uint64(32)
_i2 = np.int16  # numba widens sums to 64 bits unless told
_u2 = np.uint16
_i4 = np.int32
_u4 = np.uint32


@lean
def _subtract(
    values: U16, pedestals: U16, clip: int, near: int, is_first: bool, strip: I16
) -> tuple[int, int, int, int]:
    """Add the residuals of up to 512 pixels to a strip.

    All is done in 16-bit words: a wider sum would have fewer pixels done at once. Sums of what is
    within the clip are taken modulo 2**16, and of their bits from the 7th on, which do not reach
    2**16; the lower bits of 512 pixels do not either, so both together tell the sum.

    :returns: pixels within the clip; highest pixel; highest residual plus `near`, modulo 2**16;
        sum of the residuals within the clip.
    """
    high = _u2(clip)
    both = _u2(2 * clip)
    offset = _u2(near)
    used = _u2(0)
    highest = _u2(0)
    farthest = _u2(0)
    fine = _u2(0)
    coarse = _u2(0)
    for column in range(strip.shape[0]):
        value = values[column]
        pedestal = pedestals[column]
        highest = max(highest, value)
        valid = pedestal != _u2(DEFECT)
        residual = _u2(_u2(value << _u2(5)) - pedestal) if valid else _u2(0)
        farthest = max(farthest, _u2(residual + offset))
        strip[column] = _i2(residual) if is_first else _i2(strip[column] + _i2(residual))
        raised = _u2(residual + high)
        inside = (raised <= both) & valid  # one comparison for both sides
        used = _u2(used + _u2(inside))
        fine = _u2(fine + (raised if inside else _u2(0)))
        coarse = _u2(coarse + (_u2(raised >> _u2(7)) if inside else _u2(0)))
    least = int(coarse) << 7
    total = least + ((int(fine) - least) & 0xFFFF)
    return int(used), int(highest), int(farthest), total - int(used) * clip


@lean
def _subtract_row(
    values: U16, pedestals: U16, clip: int, near: int, is_first: bool, strip: I16
) -> tuple[int, int, int, int]:
    """Do what `_subtract` does, and ask in time for what comes next: mostly the rows below."""
    used, highest, farthest, total = 0, 0, 0, 0
    for begin in range(0, strip.shape[0], _STRETCH):
        end = begin + _STRETCH
        some, their = values[begin:end], pedestals[begin:end]
        for line in range(_AHEAD, _AHEAD + 2 * _STRETCH, LINE):
            fetch(some, line)
            fetch(their, line)
        counts = _subtract(some, their, clip, near, is_first, strip[begin:end])
        used += counts[0]
        highest = max(highest, counts[1])
        farthest = max(farthest, counts[2])
        total += counts[3]
    return used, highest, farthest, total


@lean
def _keep(values: U16, pedestals: U16, clip: int, kept: I16) -> None:
    """Write down the residuals of a row that are within the clip, 0 for the others."""
    high = _u2(clip)
    both = _u2(2 * clip)
    for column in range(kept.shape[0]):
        pedestal = pedestals[column]
        residual = _u2(_u2(values[column] << _u2(5)) - pedestal)
        inside = (_u2(residual + high) <= both) & (pedestal != _u2(DEFECT))
        kept[column] = _i2(residual) if inside else _i2(0)


@lean
def _sum_fours(strip: I16, sums: I32) -> None:
    """Sum four neighbours each: those of a 64-bit word, two and two of them at once.

    Plain sums would have to bring neighbours into different lanes of a vector, in twice the time.
    """
    words = strip.view(np.uint64)
    for macro in range(sums.shape[0]):
        word = words[macro] ^ _OFFSETS  # adds 0x8000 to each: none is negative
        pairs = (word & _EVEN) + ((word >> _HALF) & _EVEN)
        both = (pairs & _LOW) + (pairs >> _WHOLE)
        sums[macro] = _i4(np.int64(both) - 4 * 0x8000)


@lean
def _sum_squares(kept: I16, values: U16) -> tuple[int, int, int]:
    """Return the sum of squares of what is kept, then sum and sum of squares of raw values."""
    squares = 0
    raw = 0
    raw_squares = 0
    for start in range(0, kept.shape[0], _SHORT):
        kept_part = kept[start : start + _SHORT]
        part = values[start : start + _SHORT]
        square_sum = _u4(0)
        for column in range(kept_part.shape[0]):
            residual = _i4(kept_part[column])
            square_sum = _u4(square_sum + _u4(_i4(residual * residual)))
        raw_sum = _u4(0)
        raw_square_sum = _u4(0)
        for column in range(part.shape[0]):
            value = _u4(part[column])
            raw_sum = _u4(raw_sum + value)
            raw_square_sum = _u4(raw_square_sum + _u4(value * value))
        squares += int(square_sum)
        raw += int(raw_sum)
        raw_squares += int(raw_square_sum)
    return squares, raw, raw_squares


@lean
def add_ordinary(
    frame: U16,
    level: U16,
    first: int,
    end: int,
    start: int,
    stop: int,
    limit: int,
    clip: int,
    rebin: int,
    strips: I16,
    sums: I32,
    rows: I64,
) -> bool:
    """Do a row of macro-pixels, or a part of it, if all its pixels are ordinary.

    :returns: False if it has others; `sums` and `rows` are of no use then.
    """
    near = min(_NEAR, 0x8000 // rebin)
    strip = strips[0, : stop - start]
    kept = strips[1, : stop - start]
    for row in range(first, end):
        # Slices, not offsets: only from range(n) is an index known not to be negative, and a loop
        # that must look for negative ones is not vectorized.
        values, pedestals = frame[row, start:stop], level[row, start:stop]
        used, highest, farthest, total = _subtract_row(
            values, pedestals, clip, near, row == first, strip
        )
        if highest >= limit or farthest >= 2 * near:
            return False
        statistics = rows[row - first]
        statistics[ROW_USED] = used
        statistics[ROW_SATURATED] = 0
        statistics[ROW_MAX] = highest
        statistics[ROW_SUM] = total
        if row % (SAMPLED * rebin) == 0:
            _keep(values, pedestals, clip, kept)
            squares, raw, raw_squares = _sum_squares(kept, values)
            statistics[ROW_SQUARES] = squares
            statistics[ROW_RAW] = raw
            statistics[ROW_RAW_SQUARES] = raw_squares
    full = strip.shape[0] // rebin
    if rebin == 4:
        _sum_fours(strip[: 4 * full], sums[:full])
    else:
        for macro in range(full):
            sums[macro] = strip[macro * rebin : (macro + 1) * rebin].sum()
    if full < sums.shape[0]:
        sums[full] = strip[full * rebin :].sum()
    return True
