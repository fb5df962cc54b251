"""The fast method: its kernels beside NumPy, its bytes beside the page that describes them."""

import re
import struct
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from rawdata import codec, fast_chunk, fast_kernels
from rawdata.checksum import crc32c
from rawdata.errors import LayoutError
from tests.rawdata import fast_reference
from tests.rawdata.test_codec import CONTENTS, Frame, bank_of, noise

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "fast-frames.md"


@pytest.fixture(scope="module")
def documented() -> Any:
    """The reader of the reference page."""
    names: dict[str, Any] = {}
    (source,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    exec(source, names)
    return names["read_fast"]


def kernel(pixels: npt.NDArray[np.uint16], size: int, room: int | None = None) -> list[Any]:
    blocks = -(-pixels.size // size)
    tables = [np.empty(blocks, np.uint16), np.empty(blocks, np.uint16), np.empty(blocks, np.uint8)]
    words = np.empty(3 * blocks * size if room is None else room, np.uint16)
    used = fast_kernels.compress(pixels, size, *tables, words)
    return [*tables, words[:used] if used >= 0 else None]


def any_frame(rows: int, columns: int, content: str, seed: int, hot: int) -> Frame:
    """A frame of some content, with hot, dead and saturated pixels."""
    frame = CONTENTS[content]((rows, columns), seed)
    random = np.random.default_rng(seed)
    for value in (65535, 0, int(random.integers(0, 65536))):
        frame.reshape(-1)[random.integers(0, frame.size, hot)] = value
    return frame


frames = st.builds(
    any_frame,
    rows=st.integers(1, 40),
    columns=st.integers(1, 600),
    content=st.sampled_from(sorted(CONTENTS)),
    seed=st.integers(0, 2**32 - 1),
    hot=st.sampled_from([0, 1, 20]),
)


@settings(deadline=None, max_examples=150)
@given(frame=frames, lanes=st.integers(1, 150))
def test_the_kernels_are_their_numpy_twins(frame: Frame, lanes: int) -> None:
    pixels, size = frame.reshape(-1), 16 * lanes
    bases, counts, widths, words = kernel(pixels, size)
    for found, wanted in zip(
        (bases, counts, widths, words), fast_reference.compress(pixels, size), strict=True
    ):
        assert np.array_equal(found, wanted)
    back = np.empty_like(pixels)
    assert fast_kernels.uncompress(bases, counts, widths, words, size, back) == 0
    assert np.array_equal(back, pixels)


@settings(deadline=None, max_examples=150)
@given(frame=frames)
def test_what_comes_out_is_what_went_in_and_the_page_reads_it(
    documented: Any, frame: Frame
) -> None:
    compressed = codec.encode(frame, "fast")
    if compressed is None:
        return
    bank = compressed.bank
    assert bank.nbytes < frame.nbytes
    assert np.array_equal(codec.decode(bank), frame)
    assert np.array_equal(documented(bank.tobytes()), frame)


@settings(deadline=None, max_examples=100)
@given(
    frame=arrays.arrays(
        np.uint16, arrays.array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=40)
    )
)
def test_any_image_at_all(frame: Frame) -> None:
    compressed = codec.encode(frame, "fast")
    assert compressed is None or np.array_equal(codec.decode(compressed.bank), frame)


@pytest.mark.parametrize("width", range(17))
def test_each_width_is_chosen_where_it_fits(width: int) -> None:
    values = np.random.default_rng(width).integers(0, 1 << width, 2304 * 3) + (65_536 >> 1 >> 1)
    pixels = np.minimum(values, 65535).astype(np.uint16) if width < 16 else values.astype(np.uint16)
    *_, widths, words = kernel(pixels, 2304)
    assert set(widths.tolist()) <= {width, width + 1}
    assert words.size <= (width + 1) * 2304 // 16 * 3 + 2 * 64


@pytest.mark.parametrize(
    ("sigma_adu", "least"), [(0.0, 400), (1.0, 5.2), (2.5, 3.9), (6.0, 3.0), (400.0, 1.5)]
)
def test_the_width_follows_the_noise(sigma_adu: float, least: float) -> None:
    frame = noise(300, 2304, sigma_adu)
    assert frame.nbytes / bank_of(frame, "fast").nbytes > least


def test_hot_pixels_cost_four_bytes_each() -> None:
    frame = noise(100, 2304)
    plain = bank_of(frame, "fast").nbytes
    frame[::5, ::100] = 60_000
    hot = frame[::5, ::100].size
    assert bank_of(frame, "fast").nbytes <= plain + 4 * hot


def test_a_block_is_a_row_or_an_even_part_of_it() -> None:
    shapes = {
        (2304, 2304): 2304,
        (2304, 4096): 2048,
        (2048, 2048): 2048,
        (9, 521): 2304,
        (1, 1): 16,
    }
    assert {shape: fast_chunk.block_pixels(shape) for shape in shapes} == shapes


def test_the_example_of_the_page_is_what_is_written(documented: Any) -> None:
    frame = np.array([[100, 101, 102, 103] * 4], np.uint16)
    frame[0, 15] = 9000
    hexes = re.findall(r"^\| \d+ \| (`.*?`) \|", PAGE.read_text(), re.MULTILINE)
    chunk = bytes.fromhex("".join(hexes).replace("`", ""))
    start = struct.pack("<4sHHIIIII", b"CYCZ", 1, 2, 1, 16, 32, len(chunk), crc32c(frame))
    bank = start + struct.pack("<I", crc32c(chunk, crc32c(start))) + chunk
    assert np.array_equal(codec.decode(bank), frame)
    assert np.array_equal(documented(bank), frame)


def test_it_gives_up_where_there_is_no_room() -> None:
    pixels = noise(10, 160).reshape(-1)
    words = kernel(pixels, 160)[3]
    assert kernel(pixels, 160, room=words.size)[3] is not None
    assert kernel(pixels, 160, room=words.size - 1)[3] is None


def test_memory_at_odd_addresses_will_do() -> None:
    frame = noise(64, 48)
    bank = bank_of(frame, "fast")
    memory = np.zeros(bank.nbytes + 1, np.uint8)
    room = np.zeros(frame.nbytes + 1, np.uint8)
    assert codec.encode_into(frame, room[1:], "fast") == bank.nbytes
    assert np.array_equal(room[1 : bank.nbytes + 1], bank)
    memory[1:] = bank
    assert np.array_equal(codec.decode(memory[1:]), frame)
    pixels = np.zeros(frame.nbytes + 1, np.uint8)[1:].view(np.uint16).reshape(frame.shape)
    codec.decode_into(bank, pixels)
    assert np.array_equal(pixels, frame)
    pixels[...] = frame
    assert np.array_equal(bank_of(pixels, "fast"), bank)


def resealed(bank: npt.NDArray[np.uint8], place: int, form: str, value: int) -> bytes:
    changed = bytearray(bank)
    struct.pack_into(form, changed, place, value)
    struct.pack_into("<I", changed, 28, crc32c(bytes(changed[:28] + changed[32:])))
    return bytes(changed)


@pytest.mark.parametrize(
    ("place", "form", "value", "reason"),
    [
        (32, "<I", 0, "blocks of 0 pixels, allowed are multiples of 16 up to 65520"),
        (32, "<I", 17, "blocks of 17 pixels"),
        (32, "<I", 65_536, "blocks of 65536 pixels"),
        (32, "<I", 16, "bytes cannot hold 300 packed blocks"),
        (36 + 6, "<H", 1, "the packed blocks claim"),
        (36 + 6, "<H", 2305, "2305 exceptions, allowed are 16 and 2304"),
        (36 + 12, "<B", 17, "a block has 17 bits a pixel"),
        (36 + 12, "<B", 5, "the packed blocks claim"),
        (-4, "<H", 2304, "an exception's place is outside its block"),
        (-2, "<H", 5, "CRC32C of the pixels is"),
    ],
)
def test_tables_are_not_believed(place: int, form: str, value: int, reason: str) -> None:
    frame = np.full((3, 1600), 100, np.uint16)
    frame[2, 1599] = 5000
    bank = bank_of(frame, "fast")
    assert struct.unpack_from("<I", bank, 32) == (1600,)
    frame = np.full((3, 2304), 100, np.uint16)
    frame[2, 2303] = 5000
    bank = bank_of(frame[:, :1600], "fast") if value == 16 else bank_of(frame, "fast")
    with pytest.raises(LayoutError, match=reason):
        codec.decode(resealed(bank, place % bank.nbytes, form, value))
