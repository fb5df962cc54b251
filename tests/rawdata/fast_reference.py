"""The fast method's kernels in plain NumPy: the oracle of their tests."""

from typing import Any

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint16]
SAMPLES, GROUPS = 9, 16


def level_of(block: Words) -> tuple[int, int]:
    """Twice the middle of most pixels, and the first width to try."""
    values = block.astype(np.int64)
    places = [(2 * i + 1) * block.size // (2 * SAMPLES) for i in range(SAMPLES)]
    samples = np.sort(values[places])
    median, spread = int(samples[4]), int(samples[7] - samples[1])
    reach, total = 2 * spread + 1, 0
    if reach < 1 << 14:
        total = int((np.clip(values, median - reach, median + reach) - median).sum())
    twice = 2 * median + (2 * total + block.size // 2) // block.size
    return twice, min(int(np.ceil(np.log2(3 * spread))), 16) if spread else 0


def base_of(twice: int, width: int) -> int:
    return max(0, min((twice - (1 << width) + 2) // 2, (1 << 16) - (1 << width)))


def outside(block: Words, twice: int, width: int) -> npt.NDArray[np.bool_]:
    base = base_of(twice, width)
    return np.asarray((block < base) | (block.astype(np.int64) >= base + (1 << width)))


def width_of(block: Words, twice: int, first: int) -> int:
    """Go down from the first width while that pays, then up."""
    costs = [w * block.size + 32 * int(outside(block, twice, w).sum()) for w in range(17)]
    width = first
    while width > 0 and costs[width - 1] < costs[width]:
        width -= 1
    while width < GROUPS and costs[width + 1] < costs[width]:
        width += 1
    return width


def pack(values: npt.NDArray[Any], width: int) -> Words:
    """(16 * lanes,) values of `width` bits -> (width * lanes,) words."""
    lanes = values.size // GROUPS
    bits = (values.reshape(GROUPS, lanes)[:, :, None] >> np.arange(width)) & 1
    stream = bits.transpose(1, 0, 2).reshape(lanes, width, GROUPS)  # of each lane, lowest first
    words = (stream << np.arange(GROUPS)).sum(axis=2).astype(np.uint16)
    return np.ascontiguousarray(words.T).reshape(-1)


def compress(
    pixels: Words, size: int
) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any], Words]:
    """Return bases, numbers of exceptions, widths, and all words."""
    bases, counts, widths, words = [], [], [], []
    for begin in range(0, pixels.size, size):
        block = pixels[begin : begin + size]
        block = np.pad(block, (0, size - block.size), mode="edge")
        twice, first = level_of(block)
        width = width_of(block, twice, first)
        base, is_outside = base_of(twice, width), outside(block, twice, width)
        places = np.flatnonzero(is_outside)
        above = (block.astype(np.int64) - base) % (1 << width)
        words += [pack(above, width), places.astype(np.uint16), block[places]]
        bases.append(base)
        counts.append(places.size)
        widths.append(width)
    return np.array(bases), np.array(counts), np.array(widths), np.concatenate(words)
