"""The one pass over a raw frame: pedestal subtraction, statistics and rebinning together.

A frame of 2304x2304 pixels is 10.6 MB, far more than a core's own cache, so the time of this pass
is close to the time to read memory. Frame and pedestal are read once, both as 16-bit words, and all
sums are integers: the result is exact, whatever the compiler or the number of threads does.

Residuals are in units of 1/32 ADU (`SCALE`), since the pedestal is stored as ``round(32 * mean)``
in a uint16. The rounding adds 0.009 ADU rms a pixel, against a readout noise of 2.4 ADU.

Nearly all pixels lie so near to their pedestal that 16 bits hold the sum of a macro-pixel's rows. A
processor adds twice as many 16-bit words at once as 32-bit ones, so rows of macro-pixels are first
taken to be such; where one is not, it is done again in parts, and a part with bright pixels in wide
words.
"""

import numpy as np
from numba import njit

from analyzer.kernels.arrays import I16, I32, I64, U16
from analyzer.kernels.fetch import LINE, fetch
from analyzer.kernels.lean import lean

SCALE = 32
"""Steps of one ADU in fixed-point residuals."""

DEFECT = 0xFFFF
"""Fixed-point pedestal of a pixel that is to be ignored."""

MAX_LEVEL = 1791 * SCALE
"""Highest fixed-point pedestal of a pixel that is not ignored."""

MAX_CLIP = 1023
"""Largest clip [1/32 ADU]: squares of `_WIDEST` residuals then fit into 32 bits."""

SAMPLED = 2
"""Sums of squares and of raw values are taken of one row in so many rows of macro-pixels: they are
for the frame as a whole, of which an eighth says enough, its noise to 0.1 %."""

ROW_USED, ROW_SUM, ROW_SQUARES, ROW_RAW, ROW_RAW_SQUARES, ROW_SATURATED, ROW_MAX = range(7)
"""Columns of the row statistics; see `rebin_frame`."""

_WIDEST = 4096
_PART = 256
_STRETCH = 384
"""Pixels that are done while as many are asked for, `_AHEAD` of them."""
_AHEAD = 6144
"""Bytes from a pixel to those that are asked for: a row and a third."""
_SHORT = 1024
"""Squares of that many pixels below `_ORDINARY` fit into 32 bits."""
_ORDINARY = 1792
"""Pixels below this [ADU] may be ordinary: with `MAX_LEVEL`, their residuals modulo 2**16 tell
whether they are within `_NEAR`."""
_NEAR = 8192
"""Ordinary residuals are below this [1/32 ADU]: four of them fit into 16 bits."""
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
def _add_ordinary(
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


@lean
def _add_bright(
    frame: U16,
    level: U16,
    first: int,
    end: int,
    start: int,
    stop: int,
    cimax: int,
    clip: int,
    rebin: int,
    sums: I32,
    rows: I64,
) -> None:
    """Do a part with bright pixels, some of them perhaps saturated."""
    sums[:] = 0
    for row in range(first, end):
        statistics = rows[row - first]
        statistics[:] = 0
        is_sampled = row % (SAMPLED * rebin) == 0
        for column in range(start, stop):
            value = np.int64(frame[row, column])
            pedestal = np.int64(level[row, column])
            statistics[ROW_MAX] = max(statistics[ROW_MAX], value)
            if is_sampled:
                statistics[ROW_RAW] += value
                statistics[ROW_RAW_SQUARES] += value * value
            if value >= cimax:
                statistics[ROW_SATURATED] += 1
            elif pedestal != DEFECT:
                residual = value * SCALE - pedestal
                sums[(column - start) // rebin] += residual
                if -clip <= residual <= clip:
                    statistics[ROW_USED] += 1
                    statistics[ROW_SUM] += residual
                    if is_sampled:
                        statistics[ROW_SQUARES] += residual * residual


@lean
def _add_in_parts(
    frame: U16,
    level: U16,
    first: int,
    end: int,
    limit: int,
    cimax: int,
    clip: int,
    rebin: int,
    strips: I16,
    part: I64,
    sums: I32,
    rows: I64,
) -> None:
    """Do a row of macro-pixels with others than ordinary pixels."""
    rows[:] = 0
    for start in range(0, frame.shape[1], _PART):
        stop = min(start + _PART, frame.shape[1])
        part_sums = sums[start // rebin : -(-stop // rebin)]
        part[:] = 0
        if not _add_ordinary(
            frame, level, first, end, start, stop, limit, clip, rebin, strips, part_sums, part
        ):
            _add_bright(frame, level, first, end, start, stop, cimax, clip, rebin, part_sums, part)
        for row in range(end - first):
            highest = max(rows[row, ROW_MAX], part[row, ROW_MAX])
            for column in range(rows.shape[1]):
                rows[row, column] += part[row, column]
            rows[row, ROW_MAX] = highest


@lean
def _sum(values: I32) -> int:
    """Sum what may not fit into 32 bits."""
    total = 0
    for index in range(values.shape[0]):
        total += values[index]
    return total


@lean
def _rebin(
    frame: U16,
    level: U16,
    cimax: int,
    clip: int,
    rebin: int,
    strips: I16,
    part: I64,
    sums: I32,
    rows: I64,
) -> int:
    """Do what `rebin_frame` does; `strips` and `part` are room to work."""
    n_rows, n_columns = frame.shape
    limit = min(cimax, _ORDINARY)
    high = min(clip, MAX_CLIP)
    rows[:] = 0
    light = 0
    for macro_row in range(sums.shape[0]):
        first = macro_row * rebin
        end = min(first + rebin, n_rows)
        line, target = sums[macro_row], rows[first:end]
        if n_columns > _WIDEST or not _add_ordinary(
            frame, level, first, end, 0, n_columns, limit, high, rebin, strips, line, target
        ):
            _add_in_parts(
                frame, level, first, end, limit, cimax, high, rebin, strips, part, line, target
            )
        light += _sum(line)
    return light


@njit(nogil=True, cache=True)
def rebin_frame(
    frame: U16, level: U16, cimax: int, clip: int, rebin: int, sums: I32, rows: I64
) -> int:
    """Subtract the pedestal, sum ``rebin x rebin`` pixels and gather statistics of each row.

    :param frame: (rows, columns) uint16 [ADU].
    :param level: (rows, columns) uint16, the pedestal mean [1/32 ADU] up to `MAX_LEVEL`, `DEFECT`
        where ignored.
    :param cimax: pixels of at least this [ADU] are saturated: counted and then ignored.
    :param clip: residuals of at most this size [1/32 ADU] enter the clipped row statistics; at
        most `MAX_CLIP`.
    :param rebin: side of a macro-pixel, up to 8; macro-pixels at the far edges may be smaller.
    :param sums: out, (macro rows, macro columns) int32, sums of residuals [1/32 ADU].
    :param rows: out, (rows, 7) int64: pixels within the clip, their sum [1/32 ADU] and sum of
        squares, raw sum [ADU] and sum of squares of all pixels, saturated pixels, highest pixel.
        Sums of squares and raw sums are taken of the first row of each second row of macro-pixels
        (`SAMPLED`), and are 0 in the others.
    :returns: sum of all macro-pixels [1/32 ADU].
    """
    strips = np.empty((2, min(frame.shape[1], _WIDEST)), np.int16)
    part = np.empty((rebin, rows.shape[1]), np.int64)
    return _rebin(frame, level, cimax, clip, rebin, strips, part, sums, rows)


@lean
def find_shifts(rows: I64, limit: int, shift: I64) -> None:
    """Find the common shift of each row: the mean of what is within the clip.

    A row of which less than a quarter is dark says nothing of itself: it takes the frame's shift.

    :param rows: (rows, 7) int64 of ``rebin_frame``.
    :param limit: largest shift [1/32 ADU].
    :param shift: out, (rows,) int64, whole numbers [1/32 ADU].
    """
    used = 0
    total = 0
    most = 1
    for row in range(rows.shape[0]):
        used += rows[row, ROW_USED]
        total += rows[row, ROW_SUM]
        most = max(most, rows[row, ROW_USED])
    common = total / max(used, 1)
    for row in range(rows.shape[0]):
        own = rows[row, ROW_USED]
        mean = rows[row, ROW_SUM] / own if own > 0.25 * most else common
        shift[row] = min(max(int(np.rint(mean)), -limit), limit)
