"""Previews come back as they were written, and damage is refused."""

import numpy as np
import pytest

from rawdata.build import EventBuilder
from rawdata.errors import LayoutError
from rawdata.event import Event, parse_event
from rawdata.layouts import preview
from rawdata.layouts.preview import PreviewHeader, PreviewImage, PreviewWaveform
from rawdata.tid import Tid


def builder() -> EventBuilder:
    return EventBuilder(bytearray(4096), 10)


def finished(built: EventBuilder) -> Event:
    return parse_event(built.finish(0, 0))


def test_there_and_back() -> None:
    built = builder()
    header = PreviewHeader(1, 42, 1, 7, 1_700_000_000, 1)
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    waveforms = [
        PreviewWaveform(0, 3, 1, np.array([1, 2, 3], np.uint16)),
        PreviewWaveform(1, 0, 4, np.array([9], np.uint16)),
    ]
    preview.encode_header(built, header)
    preview.encode_image(built, PreviewImage(pixels, 8, 95.5, 120.25, 1 << 31), 2)
    preview.encode_waveforms(built, waveforms)
    event = finished(built)
    assert list(event) == ["PVH0", "PVI2", "PVS2", "PVD0", "PVW0"]
    assert preview.decode_header(event) == header
    image = preview.decode_image(event, 2)
    assert image.pixels.tolist() == pixels.tolist()
    scale = (image.factor, image.low_adu, image.high_adu, image.frame_counter)
    assert scale == (8, 95.5, 120.25, 1 << 31)
    found = preview.decode_waveforms(event)
    assert [(w.board, w.channel, w.samples_a_point, w.points.tolist()) for w in found] == [
        (0, 3, 1, [1, 2, 3]),
        (1, 0, 4, [9]),
    ]


def test_an_event_without_trigger_has_no_waveforms() -> None:
    built = builder()
    preview.encode_header(built, PreviewHeader(1, 1, 1, 1, 1, 0))
    assert preview.decode_waveforms(finished(built)) == []


def test_banks_that_do_not_fit_are_refused() -> None:
    built = builder()
    preview.encode_header(built, PreviewHeader(2, 1, 1, 1, 1, 0))
    built.add("PVI0", Tid.BYTE, np.zeros(11, np.uint8))
    built.add("PVS0", Tid.DOUBLE, [3, 4, 1, 0, 1, 0])
    built.add("PVI1", Tid.WORD, np.zeros(12, np.uint16))
    built.add("PVS1", Tid.DOUBLE, [3, 4, 1, 0, 1, 0])
    built.add("PVD0", Tid.DWORD, [0, 0, 5, 1])
    built.add("PVW0", Tid.WORD, [1, 2])
    event = finished(built)
    with pytest.raises(LayoutError, match="known is version 1"):
        preview.decode_header(event)
    with pytest.raises(LayoutError, match="is not of 11 pixels"):
        preview.decode_image(event)
    with pytest.raises(LayoutError, match="PVI1 is TID_WORD, wanted TID_BYTE"):
        preview.decode_image(event, 1)
    with pytest.raises(LayoutError, match="is not of 2 points"):
        preview.decode_waveforms(event)
