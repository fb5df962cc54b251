"""Loops of the fast method of the frame codec; `rawdata.fast_chunk` says what the words mean.

All arithmetic is on 16 bits and wraps around, so that compilers make 16 or 32 pixels of it at a
time. The NumPy twin is ``tests/rawdata/fast_reference.py``.
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt
from numba import int64, njit, types, uint8, uint16

U16 = npt.NDArray[np.uint16]
U8 = npt.NDArray[np.uint8]

GROUPS: Final = 16
"""A word has 16 bits, so 16 pixels of w bits are w words: lanes of them lie side by side."""
MAX_WIDTH: Final = 16
SAMPLES: Final = 9
EXCEPTION_BITS: Final = 32
"""Place and pixel, a word each."""
TOO_LARGE: Final = -1
BAD_PLACE: Final = -1
_WORD_BYTES: Final = 8
_LOW: Final = 1
_HIGH: Final = 7
_SPREADS: Final = 3
"""From the second lowest to the second highest of 9 are 1.9 sigma, so this is some 6 sigma."""
_MAX_REACH: Final = 1 << 14
"""2^16 pixels by that are still 32 bits; wider blocks have no middle worth looking for."""


@njit(nogil=True, cache=True)
def _level(block: U16, samples: Any) -> tuple[int, int]:
    """Return twice the middle of most of a block's pixels, and the width that they may need.

    The median and the spread of a few pixels, then the mean of all, each drawn to within 4 sigma
    of that median: hot pixels and tracks hardly move it.
    """
    for i in range(SAMPLES):  # insertion sort
        value = np.int32(block[(2 * i + 1) * block.size // (2 * SAMPLES)])
        j = i
        while j > 0 and samples[j - 1] > value:
            samples[j] = samples[j - 1]
            j -= 1
        samples[j] = value
    median = np.int32(samples[SAMPLES // 2])
    spread = np.int32(samples[_HIGH] - samples[_LOW])
    reach = np.int32(2 * spread + 1)
    low, high = np.int32(median - reach), np.int32(median + reach)
    total = np.int32(0)
    if reach < _MAX_REACH:
        for i in range(block.size):
            total = np.int32(total + (min(max(np.int32(block[i]), low), high) - median))
    twice = 2 * median + (2 * total + block.size // 2) // block.size
    width = 0
    while width < MAX_WIDTH and (1 << width) < _SPREADS * spread:
        width += 1
    return int(twice), width


@njit(nogil=True, cache=True)
def _base(twice: int, width: int) -> int:
    """Return where 2^width values around the middle begin."""
    first = (twice - (1 << width) + 2) >> 1
    return min(max(first, 0), (1 << MAX_WIDTH) - (1 << width))


@njit(nogil=True, cache=True)
def _outside(block: U16, base: int, width: int) -> int:
    """Count the pixels below `base` and from base + 2^width on."""
    first, last = np.uint16(base), np.uint16((1 << width) - 1)
    count = np.uint16(0)
    for i in range(block.size):
        count = np.uint16(count + np.uint16(np.uint16(block[i] - first) > last))
    return int(count)


@njit(nogil=True, cache=True)
def _cost(block: U16, twice: int, width: int) -> tuple[int, int]:
    """Return the bits of a block at this width, and how many of its pixels are outside."""
    outside = 0
    if width < MAX_WIDTH:
        outside = _outside(block, _base(twice, width), width)
    return width * block.size + EXCEPTION_BITS * outside, outside


@njit(nogil=True, cache=True)
def _choose_width(block: U16, twice: int, width: int) -> tuple[int, int]:
    """Return the width from which no step makes the block smaller, and the pixels outside."""
    cost, outside = _cost(block, twice, width)
    for step in (-1, 1):
        while 0 <= width + step <= MAX_WIDTH:
            if step > 0 and EXCEPTION_BITS * outside <= block.size:
                break  # a bit more for each pixel is more than there is to save
            other, other_outside = _cost(block, twice, width + step)
            if other >= cost:
                break
            width, cost, outside = width + step, other, other_outside
    return width, outside


@njit(nogil=True, cache=True)
def _split(block: U16, base: int, width: int, low: U16, marks: U8) -> None:
    """Write what of each pixel is packed, and mark those that are outside."""
    first, last = np.uint16(base), np.uint16((1 << width) - 1)
    for i in range(block.size):
        above = np.uint16(block[i] - first)
        low[i] = np.uint16(above & last)
        marks[i] = np.uint8(above > last)


@njit(nogil=True, cache=True)
def _pack(low: U16, width: int, words: U16) -> None:
    """Write w words for each lane: its 16 pixels one behind the other, lowest bit first."""
    lanes = np.uint64(low.size // GROUPS)
    for group in range(GROUPS if width else 0):
        shift = np.uint16(group * width % GROUPS)
        word = np.uint64(group * width // GROUPS) * lanes
        pixel = np.uint64(group) * lanes
        if shift == 0:
            for i in range(lanes):
                words[word + i] = low[pixel + i]
        else:
            for i in range(lanes):
                words[word + i] = np.uint16(words[word + i] | np.uint16(low[pixel + i] << shift))
        if shift + width > GROUPS:
            rest = np.uint16(GROUPS - shift)
            for i in range(lanes):
                words[word + lanes + i] = np.uint16(low[pixel + i] >> rest)


@njit(nogil=True, cache=True)
def _unpack(words: U16, base: int, width: int, pixels: U16) -> None:
    """Undo `_pack` and add the base."""
    lanes = np.uint64(pixels.size // GROUPS)
    first, last = np.uint16(base), np.uint16((1 << width) - 1)
    for group in range(GROUPS):
        shift = np.uint16(group * width % GROUPS)
        word = np.uint64(group * width // GROUPS) * lanes
        pixel = np.uint64(group) * lanes
        if width == 0:
            for i in range(lanes):
                pixels[pixel + i] = first
        elif shift + width <= GROUPS:
            for i in range(lanes):
                bits = np.uint16(words[word + i] >> shift)
                pixels[pixel + i] = np.uint16(np.uint16(bits & last) + first)
        else:
            rest = np.uint16(GROUPS - shift)
            for i in range(lanes):
                high = np.uint16(words[word + lanes + i] << rest)
                bits = np.uint16(np.uint16(words[word + i] >> shift) | high)
                pixels[pixel + i] = np.uint16(np.uint16(bits & last) + first)


@njit(nogil=True, cache=True)
def _write_exceptions(block: U16, marks: U8, words: U16, at: int, count: int) -> None:
    """Write the places of marked pixels, then the pixels; eight marks are one word."""
    eights = marks.view(np.uint64)
    found = 0
    for i in range(eights.size):
        if eights[i] != 0:
            for place in range(_WORD_BYTES * i, _WORD_BYTES * i + _WORD_BYTES):
                if marks[place]:
                    words[at + found] = np.uint16(place)
                    words[at + count + found] = block[place]
                    found += 1


_READ_16: Final = types.Array(uint16, 1, "C", readonly=True)
_READ_8: Final = types.Array(uint8, 1, "C", readonly=True)
"""Read-only arrays are taken and writable ones, too: no second compilation in mid-run."""


@njit(
    int64(_READ_16, int64, uint16[::1], uint16[::1], uint8[::1], uint16[::1]),
    nogil=True,
    cache=True,
)
def compress(pixels: U16, size: int, bases: U16, counts: U16, widths: U8, words: U16) -> int:
    """Pack all blocks.

    :param pixels: (n,) uint16.
    :param size: pixels of a block, a multiple of 16.
    :param bases: (blocks,), filled here, as are `counts` and `widths`.
    :param words: what is packed.
    :returns: the words written; `TOO_LARGE` if they do not fit.
    """
    low, marks = np.empty(size, np.uint16), np.empty(size, np.uint8)
    last = np.empty(size, np.uint16)
    samples = np.empty(SAMPLES, np.int32)
    at = 0
    for number in range(bases.size):
        block = pixels[number * size : (number + 1) * size]
        if block.size < size:
            last[: block.size] = block
            last[block.size :] = block[-1]
            block = last
        twice, width = _level(block, samples)
        width, count = _choose_width(block, twice, width)
        base = _base(twice, width)
        packed = width * (size // GROUPS)
        if at + packed + 2 * count > words.size:
            return TOO_LARGE
        _split(block, base, width, low, marks)
        _pack(low, width, words[at : at + packed])
        at += packed
        if count:
            _write_exceptions(block, marks, words, at, count)
            at += 2 * count
        bases[number], counts[number], widths[number] = base, count, width
    return at


@njit(int64(_READ_16, _READ_16, _READ_8, _READ_16, int64, uint16[::1]), nogil=True, cache=True)
def uncompress(bases: U16, counts: U16, widths: U8, words: U16, size: int, pixels: U16) -> int:
    """Unpack all blocks; `words` must be as long as `widths` and `counts` say.

    :returns: 0, or `BAD_PLACE` where an exception is none of its block's pixels.
    """
    lanes = size // GROUPS
    last = np.empty(size, np.uint16)
    at = 0
    for number in range(bases.size):
        begin = number * size
        part = min(size, pixels.size - begin)
        block = pixels[begin : begin + size] if part == size else last
        packed = int(widths[number]) * lanes
        _unpack(words[at : at + packed], int(bases[number]), int(widths[number]), block)
        at += packed
        count = int(counts[number])
        for i in range(count):
            place = words[at + i]
            if place >= size:
                return BAD_PLACE
            block[place] = words[at + count + i]
        at += 2 * count
        if part < size:
            pixels[begin : begin + part] = block[:part]
    return 0
