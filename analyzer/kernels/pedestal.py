"""Accumulate a pedestal in whole numbers, leaving out what is not noise.

Both kernels work on some rows of the frames, so that threads can share them.
"""

import numpy as np
from numba import njit

from analyzer.kernels.arrays import F32, I32, I64, U16, U32

MAX_CLIP = 8191
"""Largest distance from the median [ADU]: squares of `BATCH` residuals then fit into 31 bits."""

BATCH = 8
"""Frames that are summed at once: sums of 64 bits are then read and written once for all."""

_i4 = np.int32
_u4 = np.uint32


def sorting_network(n: int) -> I32:
    """Return pairs of places, (m, 2) int32, whose ordering one after the other sorts n values.

    Batcher's merge exchange (Knuth, The Art of Computer Programming 3, algorithm 5.2.2M): the
    same steps for all pixels, so that SIMD sorts many at once.

    >>> sorting_network(3).tolist()
    [[0, 2], [0, 1], [1, 2]]
    """
    pairs = []
    top = 1 << max(n - 1, 1).bit_length() - 1
    step = top
    while step > 0:
        fold, rest, distance = top, 0, step
        while True:
            pairs += [(i, i + distance) for i in range(n - distance) if i & step == rest]
            if fold == step:
                break
            distance, fold, rest = fold - step, fold // 2, step
        step //= 2
    return np.array(pairs, np.int32).reshape(-1, 2)


@njit(nogil=True, cache=True)
def _order(low: U16, high: U16) -> None:
    for column in range(low.shape[0]):
        a, b = low[column], high[column]
        low[column] = min(a, b)
        high[column] = max(a, b)


@njit(nogil=True, cache=True)
def center_and_spread(
    stack: U16, pairs: I32, first_row: int, end_row: int, center: U16, spread: U16
) -> None:
    """Find each pixel's median and median absolute deviation over a few frames.

    With an even number of frames both are the upper one of the two middle values.

    :param stack: (frames, rows, columns) uint16 [ADU].
    :param pairs: the `sorting_network` of so many frames.
    :param center: out, (rows, columns) uint16, median [ADU].
    :param spread: out, (rows, columns) uint16, median absolute deviation [ADU].
    """
    frames, _, columns = stack.shape
    middle = frames // 2
    values = np.empty((frames, columns), np.uint16)
    for row in range(first_row, end_row):
        for frame in range(frames):
            values[frame, :] = stack[frame, row]
        for pair in range(pairs.shape[0]):
            _order(values[pairs[pair, 0]], values[pairs[pair, 1]])
        medians = center[row]
        medians[:] = values[middle]
        for frame in range(frames):
            deviation, pixels = values[frame], stack[frame, row]
            for column in range(columns):
                a, b = pixels[column], medians[column]
                deviation[column] = np.uint16(max(a, b) - min(a, b))
        for pair in range(pairs.shape[0]):
            _order(values[pairs[pair, 0]], values[pairs[pair, 1]])
        spread[row, :] = values[middle]


@njit(nogil=True, cache=True)
def _add_row(pixels: U16, center: U16, clip: U16, used: I32, total: I32, squares: I32) -> None:
    for column in range(pixels.shape[0]):
        residual = _i4(_i4(pixels[column]) - _i4(center[column]))
        limit = _i4(clip[column])
        inside = _u4(residual + limit) <= _u4(limit + limit)  # one comparison for both sides
        kept = residual if inside else _i4(0)
        used[column] = _i4(used[column] + _i4(inside))
        total[column] = _i4(total[column] + kept)
        squares[column] = _i4(squares[column] + _i4(kept * kept))


@njit(nogil=True, cache=True)
def accumulate(
    frames: tuple[U16, ...],
    first_row: int,
    end_row: int,
    center: U16,
    clip: U16,
    count: U32,
    total: I64,
    squares: I64,
) -> None:
    """Add residuals of frames about `center` to the sums, where they are not beyond `clip`.

    :param frames: up to `BATCH` of (rows, columns) uint16 [ADU]; `center` and `clip` likewise,
        `clip` up to `MAX_CLIP`.
    :param count: in and out, (rows, columns) uint32, accepted values of each pixel.
    :param total: in and out, (rows, columns) int64, their sum about `center`; `squares` likewise.
    """
    columns = center.shape[1]
    # Not three rows of one array: unpacked, they are not known to lie in one piece, and loops over
    # them are not vectorized.
    used = np.empty(columns, np.int32)
    part = np.empty(columns, np.int32)
    part_squares = np.empty(columns, np.int32)
    for row in range(first_row, end_row):
        used[:] = 0
        part[:] = 0
        part_squares[:] = 0
        for frame in range(len(frames)):
            _add_row(frames[frame][row], center[row], clip[row], used, part, part_squares)
        counts, totals, all_squares = count[row], total[row], squares[row]
        for column in range(columns):
            counts[column] += _u4(used[column])
            totals[column] += part[column]
            all_squares[column] += part_squares[column]


@njit(nogil=True, cache=True)
def conclude(
    first_row: int,
    end_row: int,
    center: U16,
    count: U32,
    total: I64,
    squares: I64,
    mean: F32,
    sigma: F32,
) -> None:
    """Turn sums into mean and standard deviation of each pixel.

    :param mean: out, (rows, columns) float32 [ADU]; `sigma` likewise.
    """
    for row in range(first_row, end_row):
        for column in range(center.shape[1]):
            n = float(max(count[row, column], _u4(2)))
            part = float(total[row, column])
            mean[row, column] = center[row, column] + part / n
            variance = (squares[row, column] - part * part / n) / (n - 1)
            sigma[row, column] = np.sqrt(max(variance, 0.0))
