"""The frame codec: what goes in comes out, and no damage passes."""

import struct
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import blosc2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rawdata import codec, dense_chunk, fast_kernels
from rawdata.checksum import crc32c
from rawdata.errors import LayoutError

Frame = npt.NDArray[np.uint16]


def noise(rows: int, columns: int, sigma: float = 2.5, seed: int = 1) -> Frame:
    """A dark frame."""
    random = np.random.default_rng(seed)
    return np.clip(random.normal(100, sigma, (rows, columns)), 0, 65535).astype(np.uint16)


METHODS: tuple[codec.Method, ...] = ("dense", "fast")


def bank_of(frame: Frame, method: codec.Method = "dense") -> npt.NDArray[np.uint8]:
    """The bank of a frame that does shrink."""
    compressed = codec.encode(frame, method)
    assert compressed is not None
    bank = np.empty(compressed.size_bytes, np.uint8)
    compressed.write_into(bank)
    return bank


CONTENTS = {
    "noise": lambda shape, seed: noise(*shape, 2.5, seed),
    "wide noise": lambda shape, seed: noise(*shape, 400.0, seed),
    "zeros": lambda shape, seed: np.zeros(shape, np.uint16),
    "full": lambda shape, seed: np.full(shape, 65535, np.uint16),
    "ramp": lambda shape, seed: np.arange(shape[0] * shape[1]).astype(np.uint16).reshape(shape),
    "random": lambda shape, seed: np.random.default_rng(seed).integers(0, 65536, shape, np.uint16),
    "one pixel": lambda shape, seed: np.eye(*shape, dtype=np.uint16) * np.uint16(seed % 65536),
}


# there and back ----------------------------------------------------------------------------------


@settings(deadline=None, max_examples=150)
@given(
    rows=st.integers(1, 150),
    columns=st.integers(1, 150),
    content=st.sampled_from(sorted(CONTENTS)),
    seed=st.integers(0, 2**32 - 1),
    method=st.sampled_from(METHODS),
)
def test_any_frame_comes_back_as_it_was_or_is_refused(
    rows: int, columns: int, content: str, seed: int, method: codec.Method
) -> None:
    frame = CONTENTS[content]((rows, columns), seed)
    original = frame.copy()
    compressed = codec.encode(frame, method)
    assert np.array_equal(frame, original)
    if compressed is None:
        # The fast method has room for few pixels that stand out, and a header for each block.
        may_refuse = ("random", "ramp", *(("wide noise", "one pixel") if method == "fast" else ()))
        assert content in may_refuse or frame.nbytes < 2000
        return
    assert compressed.size_bytes < frame.nbytes
    bank = bank_of(frame, method)
    assert np.array_equal(codec.decode(bank), frame)
    pixels = np.empty_like(frame)
    assert codec.decode_into(bank.tobytes(), pixels).shape == frame.shape
    assert np.array_equal(pixels, frame)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", [(2304, 2304), (2304, 4096), (513, 1021), (1, 300_000)])
def test_frames_of_more_than_one_block_come_back(
    shape: tuple[int, int], method: codec.Method
) -> None:
    frame = noise(*shape)
    frame[shape[0] // 2, :200] = 65535
    bank = bank_of(frame, method)
    assert np.array_equal(codec.decode(bank), frame)
    assert 3.8 < frame.nbytes / bank.nbytes < 6.0


@pytest.mark.parametrize("method", METHODS)
def test_what_does_not_shrink_is_left_to_the_caller(method: codec.Method) -> None:
    random = np.random.default_rng(3).integers(0, 65536, (300, 300), np.uint16)
    assert codec.encode(random, method) is None
    assert codec.encode(np.zeros((4, 4), np.uint16), method) is None  # the header is as large
    assert codec.encode(np.zeros((0, 5), np.uint16), method) is None


@pytest.mark.parametrize("method", METHODS)
def test_a_frame_is_written_into_memory_that_has_room_for_it(method: codec.Method) -> None:
    frame = noise(64, 48)
    bank = bank_of(frame, method)
    memory = np.zeros(frame.nbytes + 10, np.uint8)
    assert codec.encode_into(frame, memory, method) == bank.nbytes
    assert np.array_equal(memory[: bank.nbytes], bank)
    assert codec.encode_into(frame, memory[: bank.nbytes], method) == bank.nbytes
    assert codec.encode_into(frame, memory[: bank.nbytes - 1], method) is None


def test_a_part_of_a_larger_frame_is_compressed_alike() -> None:
    frame = noise(100, 200)
    part = frame[10:90:2, 30:170]
    assert not part.flags.c_contiguous
    assert np.array_equal(codec.decode(bank_of(part)), part)


def test_pixels_may_lie_at_odd_addresses() -> None:
    frame = noise(64, 64)
    bank = bank_of(frame)
    memory = np.zeros(frame.nbytes + 1, np.uint8)
    odd = memory[1:].view(np.uint16).reshape(64, 64)
    codec.decode_into(bank, odd)
    assert np.array_equal(odd, frame)
    shifted = np.zeros(bank.nbytes + 1, np.uint8)
    shifted[1:] = bank
    assert np.array_equal(codec.decode(shifted[1:]), frame)


def test_what_is_no_frame_is_refused() -> None:
    for wrong in (np.zeros(4, np.uint16), np.zeros((4, 4)), np.zeros((4, 4), ">u2")):
        with pytest.raises(LayoutError, match="a frame to compress is"):
            codec.encode(wrong)
    huge: Any = np.lib.stride_tricks.as_strided(np.zeros(1, np.uint16), (1 << 15, 1 << 15), (0, 0))
    with pytest.raises(LayoutError, match="is larger than"):
        codec.encode(huge)


# the format --------------------------------------------------------------------------------------


def test_a_bank_can_be_read_with_blosc2_alone() -> None:
    """As the how-to says; if this fails, files on tape cannot be read as documented."""
    frame = noise(80, 120)
    bank = bank_of(frame).tobytes()
    magic, version, kind, rows, columns, pixel_bytes, chunk_bytes, pixel_crc, bank_crc = (
        struct.unpack_from("<4sHHIIIIII", bank)
    )
    assert (magic, version, kind) == (b"CYCZ", 1, 1)
    assert (rows, columns, pixel_bytes) == (80, 120, 80 * 120 * 2)
    assert len(bank) == 32 + chunk_bytes
    pixels = np.frombuffer(blosc2.decompress2(bank[32:]), "<u2").reshape(rows, columns)
    assert np.array_equal(pixels, frame)
    assert pixel_crc == crc32c(pixels.tobytes())
    assert bank_crc == crc32c(bank[:28] + bank[32:])


@pytest.mark.parametrize("method", METHODS)
def test_the_header_says_what_the_bank_holds(method: codec.Method) -> None:
    frame = noise(80, 120)
    bank = bank_of(frame, method)
    header = codec.read_header(bank)
    assert header.method == method
    assert header.shape == (80, 120)
    assert header.pixel_bytes == frame.nbytes
    assert header.chunk_bytes == bank.nbytes - 32
    assert header.pixel_crc32c == crc32c(frame)


# damage ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_a_change_of_any_byte_is_found(method: codec.Method) -> None:
    frame = noise(20, 30)
    bank = bank_of(frame, method)
    for place in range(bank.nbytes):
        for change in (0x01, 0x80, 0xFF):
            damaged = bank.copy()
            damaged[place] ^= change
            with pytest.raises(LayoutError):
                codec.decode(damaged)


@settings(deadline=None, max_examples=60)
@given(
    part=st.floats(0, 1, exclude_max=True),
    more=st.integers(1, 50),
    method=st.sampled_from(METHODS),
)
def test_a_cut_or_a_longer_bank_is_found(part: float, more: int, method: codec.Method) -> None:
    bank = bank_of(noise(20, 30), method)
    with pytest.raises(LayoutError, match=r"claims \d+ compressed bytes|cannot hold"):
        codec.decode(bank[: int(part * bank.nbytes)])
    with pytest.raises(LayoutError, match=r"claims \d+ compressed bytes"):
        codec.decode(np.concatenate((bank, np.zeros(more, np.uint8))))


def resealed(bank: npt.NDArray[np.uint8], place: int, form: str, value: int) -> bytes:
    """A bank with one field changed and its checksum made right again, as an attacker would."""
    changed = bytearray(bank)
    struct.pack_into(form, changed, place, value)
    struct.pack_into("<I", changed, 28, crc32c(bytes(changed[:28] + changed[32:])))
    return bytes(changed)


@pytest.mark.parametrize(
    ("place", "form", "value", "reason"),
    [
        (4, "<H", 2, r"version 2 with codec 1; known is version 1 with codecs \[1, 2\]"),
        (6, "<H", 7, "version 1 with codec 7"),
        (8, "<I", 21, "claims 1200 bytes for 21x30 pixels"),
        (16, "<I", 0xFFFFFFF0, "allowed are"),
        (24, "<I", 1, "CRC32C of the pixels is"),
        (32 + 4, "<I", 1 << 30, "chunk claims"),
        (32 + 12, "<I", 40, "chunk claims 40 bytes"),
        (32 + 32, "<I", 0x7FFFFFFF, "cannot be uncompressed"),
    ],
)
def test_sizes_are_not_believed(place: int, form: str, value: int, reason: str) -> None:
    bank = bank_of(noise(20, 30))
    with pytest.raises(LayoutError, match=reason):
        codec.decode(resealed(bank, place, form, value))


def test_a_chunk_too_short_for_its_own_header_is_refused() -> None:
    start = struct.pack("<4sHHIIIII", b"CYCZ", 1, 1, 2, 2, 8, 5, 0)
    with pytest.raises(LayoutError, match="5 bytes cannot hold a Blosc2 chunk"):
        codec.decode(start + struct.pack("<I", crc32c(b"12345", crc32c(start))) + b"12345")


def test_memory_that_does_not_fit_is_refused_and_untouched() -> None:
    bank = bank_of(noise(20, 30))
    read_only = np.zeros((20, 30), np.uint16)
    read_only.flags.writeable = False
    for pixels, reason in (
        (np.zeros((30, 20), np.uint16), r"the frame is uint16 \(20, 30\), the array for it uint16"),
        (np.zeros((20, 30), np.int16), "the array for it int16"),
        (np.zeros((40, 30), np.uint16)[::2], "C-contiguous and writable"),
        (read_only, "C-contiguous and writable"),
    ):
        with pytest.raises(LayoutError, match=reason):
            codec.decode_into(bank, pixels)
        assert not pixels.any()


def test_an_empty_bank_is_refused() -> None:
    for empty in (b"", np.zeros(0, np.uint8)):
        with pytest.raises(LayoutError, match="0 bytes cannot hold the header"):
            codec.decode(empty)


# threads -----------------------------------------------------------------------------------------


COMPRESSING = ("append_data", "compress")


@pytest.mark.parametrize(
    ("method", "library", "name"),
    [
        ("dense", blosc2.SChunk, "append_data"),
        ("dense", blosc2, "decompress2"),
        ("fast", fast_kernels, "compress"),
        ("fast", fast_kernels, "uncompress"),
    ],
)
def test_other_threads_run_meanwhile(
    method: codec.Method, library: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With an endless switch interval another thread runs only where the GIL is given away."""
    frame = noise(1024, 1024)
    bank = bank_of(frame, method)
    call = getattr(library, name)
    inside, done = threading.Event(), threading.Event()
    seen = 0

    def watched(*arguments: Any, **options: Any) -> Any:
        inside.set()
        try:
            return call(*arguments, **options)
        finally:
            inside.clear()

    def watch() -> None:
        nonlocal seen
        while not done.is_set():
            seen += inside.is_set()
            time.sleep(0)

    monkeypatch.setattr(library, name, watched)
    watcher = threading.Thread(target=watch)
    interval = sys.getswitchinterval()
    watcher.start()
    try:
        sys.setswitchinterval(1000.0)
        for _ in range(300):
            codec.encode(frame, method) if name in COMPRESSING else codec.decode(bank)
            if seen:
                break
    finally:
        sys.setswitchinterval(interval)
        done.set()
        watcher.join()
    assert seen, f"{name} kept the GIL"


@pytest.mark.parametrize("method", METHODS)
def test_threads_do_not_disturb_one_another(method: codec.Method) -> None:
    frames = [noise(256, 256 + 8 * i, 2.5, i) for i in range(16)]

    def there_and_back(frame: Frame) -> bool:
        return all(np.array_equal(codec.decode(bank_of(frame, method)), frame) for _ in range(4))

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(there_and_back, frames))


def test_a_kept_context_gives_what_a_new_one_does() -> None:
    """Frames of changing sizes, one after another in one thread."""
    for shape in ((40, 60), (600, 700), (40, 60), (1, 1), (600, 700)):
        for frame in (noise(*shape), np.full(shape, 7, np.uint16), np.zeros(shape, np.uint16)):
            chunk = dense_chunk.compress(frame)
            assert blosc2.decompress2(chunk) == frame.tobytes()
            assert chunk == dense_chunk.compress(frame)


@pytest.mark.parametrize("method", METHODS)
def test_a_reader_in_a_hurry_compares_the_bank_alone(method: codec.Method) -> None:
    frame = noise(20, 30)
    bank = bank_of(frame, method)
    other = np.frombuffer(resealed(bank, 24, "<I", 1), np.uint8)  # another checksum of the pixels
    assert np.array_equal(codec.decode(other, prove=False), frame)
    with pytest.raises(LayoutError, match="CRC32C of the pixels is"):
        codec.decode(other)
    damaged = bank.copy()
    damaged[60] ^= 1
    with pytest.raises(LayoutError, match="CRC32C of the compressed frame"):
        codec.decode(damaged, prove=False)
