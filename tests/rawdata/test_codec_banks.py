"""Compressed frames in events: read like plain ones, exchanged for them and back."""

import struct
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rawdata import codec, dense_chunk
from rawdata.build import EventBuilder
from rawdata.errors import EventError, LayoutError
from rawdata.event import Event, parse_event
from rawdata.layouts import camera
from rawdata.recode import expand_event, shrink_event
from rawdata.runfile import RunFile
from rawdata.show import bank_summary
from rawdata.tid import Tid
from sim.detector.event import Run, View, make_event
from sim.detector.light import draw_frame
from sim.detector.sensor import make_sensor, sensor_model
from sim.detector.tracks import Rates
from tests.rawdata.bytes_of import FLAGS, dump_bytes, event_bytes
from tests.rawdata.test_codec import CONTENTS, METHODS, Frame, bank_of, noise


def built(
    *frames: Frame,
    compressed: tuple[int, ...] = (),
    serial: int = 7,
    method: codec.Method = "dense",
) -> Event:
    """An event of several cameras, some with compressed frames."""
    builder = EventBuilder(np.zeros(1000 + sum(2 * f.nbytes for f in frames), np.uint8), 1)
    for index, frame in enumerate(frames):
        encode = partial(codec.encode_into, method=method)
        if index not in compressed or not camera.compress_frame(builder, frame, index, encode):
            camera.encode_frame(builder, frame, index)
    return parse_event(builder.finish(serial, 1_700_000_000))


def recorded_frames(folder: Path) -> Iterator[Frame]:
    for path in sorted(folder.glob("run*.mid*")):
        if path.suffix == ".crc32c":
            continue
        with RunFile(path) as run:
            yield from (camera.decode_frame(event) for event in run if "CAM0" in event)


# reading -----------------------------------------------------------------------------------------


def test_both_kinds_are_read_alike() -> None:
    frames = [noise(64, 64, 2.5, seed) for seed in range(3)]
    event = built(*frames, compressed=(0, 2))
    assert list(event) == ["CZ0", "CAM1", "CZ2"]
    assert event.banks["CZ0"].tid is Tid.BYTE
    assert camera.camera_indices(event) == [0, 1, 2]
    for index, frame in enumerate(frames):
        pixels = camera.decode_frame(event, index)
        assert (pixels.dtype, pixels.shape) == (frame.dtype, frame.shape)
        assert np.array_equal(pixels, frame)


def test_a_compressed_frame_knows_its_shape() -> None:
    frame = noise(40, 90)
    event = built(frame, compressed=(0,))
    assert np.array_equal(camera.decode_frame(event), frame)
    assert np.array_equal(camera.decode_frame(event, 0, (40, 90)), frame)
    with pytest.raises(LayoutError, match=r"bank CZ0 is \(40, 90\) pixels, not \(90, 40\)"):
        camera.decode_frame(event, 0, (90, 40))


def test_the_name_is_three_characters_and_a_nul_as_midas_writes_them() -> None:
    event = built(noise(64, 64), compressed=(0,))
    assert bytes(event.raw[24:36]) == struct.pack(
        "<4sII", b"CZ0\0", 1, event.banks["CZ0"].size_bytes
    )


def test_what_is_wrong_is_named_with_event_and_bank() -> None:
    event = built(noise(64, 64), compressed=(0,), serial=23)
    damaged = bytearray(event.raw)
    damaged[event.banks["CZ0"].offset + 500] ^= 4
    with pytest.raises(LayoutError, match=r"event 23 \(id 1\), bank CZ0: CRC32C .* is damaged"):
        camera.decode_frame(parse_event(damaged))
    words = parse_event(event_bytes((b"CZ0\0", 4, bytes(64)), serial=5))
    with pytest.raises(LayoutError, match=r"event 5 \(id 1\), bank CZ0: .*WORD, wanted TID_BYTE"):
        camera.decode_frame(words)


def test_people_see_shape_and_ratio() -> None:
    event = built(noise(64, 64), compressed=(0,))
    size = event.banks["CZ0"].size_bytes
    summary = bank_summary(event, "CZ0")
    assert summary.startswith(f"BYTE[{size}] 64x64 pixels, mean 99.")
    assert summary.endswith(f"compressed {64 * 64 * 2 / size:.2f} times (dense)")
    event = built(noise(64, 64), compressed=(0,), method="fast")
    assert bank_summary(event, "CZ0").endswith(" times (fast)")
    broken = parse_event(event_bytes((b"CZ0\0", 1, bytes(40))))
    assert "compressed frame begins with" in bank_summary(broken, "CZ0")


# recorded and simulated frames -------------------------------------------------------------------


def test_recorded_frames_come_back(data: Path) -> None:
    frames = list(recorded_frames(data))
    assert len(frames) == 8
    for frame in frames:
        for method, least in (("dense", 4.0), ("fast", 3.3)):
            bank = bank_of(frame, method)
            assert frame.nbytes / bank.nbytes > least
            assert np.array_equal(codec.decode(bank), frame)


def test_all_recorded_frames_come_back(recorded: Path) -> None:
    count = 0
    for frame in recorded_frames(recorded):
        for method in METHODS:
            assert np.array_equal(codec.decode(bank_of(frame, method)), frame)
        count += 1
    assert count == 60


def test_simulated_frames_with_light_come_back() -> None:
    model = sensor_model("512x768")
    rates = Rates(iron=5, alpha=1, muon=2, recoil=2)
    run = Run(3, 1, (View(0, model, rates),), exposure_ns=300_000_000, period_ns=400_000_000)
    sensor = make_sensor(model, 0)
    for number in range(4):
        frame = np.empty(model.shape, np.uint16)
        lights = draw_frame(frame, sensor, run, 0, number, make_event(run, number).tracks[0])
        assert lights
        bank = bank_of(frame)
        assert frame.nbytes / bank.nbytes > 3.5
        assert np.array_equal(codec.decode(bank), frame)


# exchanging --------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=60)
@given(
    form=st.sampled_from(sorted(FLAGS)),
    side=st.integers(1, 120),
    content=st.sampled_from(sorted(CONTENTS)),
    others=st.lists(st.binary(max_size=20), max_size=3),
    seed=st.integers(0, 1000),
    method=st.sampled_from(METHODS),
)
def test_shrinking_and_expanding_gives_the_same_bytes(
    form: str, side: int, content: str, others: list[bytes], seed: int, method: codec.Method
) -> None:
    frame = CONTENTS[content]((side, side), seed)
    banks = [(b"CAM0", 4, frame.tobytes()), (b"CAM3", 4, frame[::-1].tobytes())]
    banks += [(b"OTH%d" % i, 1, data) for i, data in enumerate(others)]
    banks = [banks[i] for i in np.random.default_rng(seed).permutation(len(banks))]
    raw = event_bytes(*banks, form=form, serial=seed, mask=5)
    shrunk = shrink_event(parse_event(raw), method=method)
    assert shrunk.frames + shrunk.kept == 2
    assert (len(shrunk.event) < len(raw)) == (shrunk.frames > 0)
    event = parse_event(shrunk.event)
    assert [name.replace("CZ", "CAM") for name in event] == [n.decode() for n, _, _ in banks]
    assert np.array_equal(camera.decode_frame(event, 0), frame)
    assert np.array_equal(camera.decode_frame(event, 3), frame[::-1])
    expanded = expand_event(event)
    assert expanded.frames == shrunk.frames
    assert bytes(expanded.event) == raw


def test_what_would_not_come_back_the_same_is_kept() -> None:
    flat = np.full((81, 81), 100, np.uint16).tobytes()
    clean = event_bytes((b"CAM0", 4, flat))
    dirty = clean[:-1] + b"\1"  # in the padding
    assert shrink_event(parse_event(clean)).frames == 1
    kept = shrink_event(parse_event(dirty))
    assert (kept.frames, kept.kept, bytes(kept.event)) == (0, 1, dirty)


@pytest.mark.parametrize(
    ("name", "tid", "size_bytes"),
    [(b"CAM0", 4, 20_002), (b"CAM0", 6, 20_000), (b"CAM9", 4, 2 * 64 * 64)],
)
def test_frames_that_cannot_be_told_are_kept(name: bytes, tid: int, size_bytes: int) -> None:
    raw = event_bytes((name, tid, bytes(size_bytes)))
    kept = shrink_event(parse_event(raw))
    assert (kept.frames, kept.kept, bytes(kept.event)) == (0, 1, raw)


def test_frames_of_any_shape_are_compressed_once_their_columns_are_said() -> None:
    frame = noise(60, 96)
    event = built(frame)
    assert shrink_event(event).kept == 1
    assert shrink_event(event, columns=97).kept == 1
    shrunk = shrink_event(event, columns=96)
    assert camera.decode_frame(parse_event(shrunk.event)).shape == (60, 96)
    assert expand_event(parse_event(shrunk.event)).event == event.raw


def test_events_without_frames_stay_as_they_are() -> None:
    for raw in (dump_bytes(), event_bytes((b"INPT", 9, bytes(8)), event_id=5), event_bytes()):
        for recode in (shrink_event, expand_event):
            recoded = recode(parse_event(raw))
            assert (bytes(recoded.event), recoded.frames, recoded.kept) == (raw, 0, 0)


def test_a_damaged_frame_is_not_expanded() -> None:
    event = built(noise(64, 64), noise(64, 64), compressed=(0, 1), serial=23)
    for place, reason in ((0, "begins with"), (40, "CRC32C of the compressed frame")):
        damaged = bytearray(event.raw)
        damaged[event.banks["CZ1"].offset + place] ^= 4
        with pytest.raises(LayoutError, match=rf"event 23 \(id 1\), bank CZ1: .*{reason}"):
            expand_event(parse_event(damaged))


def test_an_event_with_a_frame_twice_is_not_expanded() -> None:
    bank = bank_of(noise(64, 64)).tobytes()
    raw = event_bytes((b"CAM0", 4, bytes(8)), (b"CZ0\0", 1, bank), serial=2)
    with pytest.raises(EventError, match=r"event 2 \(id 1\) has CZ0 and CAM0: one frame twice"):
        expand_event(parse_event(raw))
    assert shrink_event(parse_event(raw)).kept == 1


def test_a_frame_too_large_for_its_bank_header_is_refused() -> None:
    bank = bank_of(noise(256, 256)).tobytes()
    raw = event_bytes((b"CZ0\0", 1, bank), form="BANK", serial=2)
    with pytest.raises(EventError, match="bank CAM0 of 131072 bytes does not fit a BANK header"):
        expand_event(parse_event(raw))


def test_a_frame_that_comes_out_otherwise_is_never_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As if memory had failed while the frame was compressed."""
    compress = dense_chunk.compress

    def compress_another(pixels: Frame) -> bytes:
        return compress(pixels ^ np.uint16(1))

    monkeypatch.setattr(dense_chunk, "compress", compress_another)
    event = built(noise(64, 64))
    with pytest.raises(LayoutError, match=r"event 7 \(id 1\), bank CAM0: CRC32C of the pixels is"):
        shrink_event(event)
