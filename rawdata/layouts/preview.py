"""Previews: an image small enough for pages, and one trigger's waveforms, with what they show.

Banks of a preview, all little-endian::

    PVH0  DWORD [6]  version (1), run, event's id, its serial number, its time, number of images
    PVI<i>  BYTE [rows * columns]  camera i's frame: means over factor x factor pixels, scaled to
                                   8 bits: 0 is `low` and less, 255 is `high` and more
    PVS<i>  DOUBLE [6]  rows and columns of the image, factor, low, high [ADU], frame count FID<i>
    PVD0  DWORD [4 * n]  of each of n waveforms: board, channel, points, samples that a point is of
    PVW0  WORD [sum of points]  waveform after waveform [ADC counts]

PVD0 and PVW0 are there only if the event has a trigger. Where a point stands for several samples it
is the one of them that is farthest from the waveform's median, so that no pulse is lost.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from rawdata.build import EventBuilder
from rawdata.errors import LayoutError
from rawdata.event import Event
from rawdata.tid import Tid

VERSION: Final = 1
HEADER_BANK: Final = "PVH0"
WAVEFORM_HEADER_BANK: Final = "PVD0"
WAVEFORM_BANK: Final = "PVW0"

_FIELDS: Final = 6
_SCALE_VALUES: Final = 6
_WAVEFORM_WORDS: Final = 4


class PreviewHeader(NamedTuple):
    """Which event a preview shows."""

    version: int
    run_number: int
    event_id: int
    serial_number: int
    timestamp: int
    images: int


@dataclass(frozen=True, eq=False)
class PreviewImage:
    """A frame, made small.

    :param pixels: (rows, columns) uint8.
    :param factor: side of the square of camera pixels that one of these is the mean of.
    :param low_adu: what 0 means; also all that is darker.
    :param high_adu: what 255 means; also all that is brighter.
    :param frame_counter: FID<i> of the frame.
    """

    pixels: npt.NDArray[np.uint8]
    factor: int
    low_adu: float
    high_adu: float
    frame_counter: int


class PreviewWaveform(NamedTuple):
    """A waveform, made short.

    :param points: (n,) uint16 [ADC counts].
    :param samples_a_point: how many samples a point stands for.
    """

    board: int
    channel: int
    samples_a_point: int
    points: npt.NDArray[np.uint16]


def image_bank(index: int) -> str:
    """Return the name of camera `index`'s image.

    >>> image_bank(0), scale_bank(0)
    ('PVI0', 'PVS0')
    """
    return f"PVI{index}"


def scale_bank(index: int) -> str:
    """Return the name of the bank that says what the image of camera `index` means."""
    return f"PVS{index}"


def encode_header(builder: EventBuilder, header: PreviewHeader) -> None:
    """Append which event is shown."""
    builder.add(HEADER_BANK, Tid.DWORD, [value & 0xFFFFFFFF for value in header])


def decode_header(event: Event) -> PreviewHeader:
    """Return which event is shown. :raises LayoutError: if the preview is of another version."""
    words = _checked(event, HEADER_BANK, Tid.DWORD)
    if len(words) != _FIELDS or words[0] != VERSION:
        raise LayoutError(f"bank {HEADER_BANK} is {words[:1].tolist()}, known is version {VERSION}")
    return PreviewHeader(*words.tolist())


def encode_image(builder: EventBuilder, image: PreviewImage, index: int) -> None:
    """Append the image of camera `index`."""
    rows, columns = image.pixels.shape
    builder.add(image_bank(index), Tid.BYTE, image.pixels)
    scale = [rows, columns, image.factor, image.low_adu, image.high_adu, image.frame_counter]
    builder.add(scale_bank(index), Tid.DOUBLE, scale)


def decode_image(event: Event, index: int = 0) -> PreviewImage:
    """Return the image of camera `index`, as a view.

    :raises BankMissingError: if there is none.
    :raises LayoutError: if its banks do not fit each other.
    """
    scale = _checked(event, scale_bank(index), Tid.DOUBLE)
    pixels = _checked(event, image_bank(index), Tid.BYTE)
    if len(scale) != _SCALE_VALUES or scale[0] * scale[1] != len(pixels):
        raise LayoutError(f"{scale_bank(index)} {scale.tolist()} is not of {len(pixels)} pixels")
    rows, columns, factor, low, high, counter = scale.tolist()
    shape = int(rows), int(columns)
    return PreviewImage(pixels.reshape(shape), int(factor), low, high, int(counter))


def encode_waveforms(builder: EventBuilder, waveforms: Sequence[PreviewWaveform]) -> None:
    """Append the waveforms of one trigger."""
    words = [(w.board, w.channel, len(w.points), w.samples_a_point) for w in waveforms]
    builder.add(WAVEFORM_HEADER_BANK, Tid.DWORD, np.array(words, "<u4").ravel())
    builder.add(WAVEFORM_BANK, Tid.WORD, np.concatenate([w.points for w in waveforms]))


def decode_waveforms(event: Event) -> list[PreviewWaveform]:
    """Return the waveforms, as views; none if the event that is shown has no trigger.

    :raises LayoutError: if their banks do not fit each other.
    """
    if WAVEFORM_HEADER_BANK not in event:
        return []
    words = _checked(event, WAVEFORM_HEADER_BANK, Tid.DWORD)
    points = _checked(event, WAVEFORM_BANK, Tid.WORD)
    if len(words) % _WAVEFORM_WORDS or words[2::_WAVEFORM_WORDS].sum() != len(points):
        raise LayoutError(f"{WAVEFORM_HEADER_BANK} {words.tolist()} is not of {len(points)} points")
    waveforms, begin = [], 0
    for board, channel, length, samples in words.reshape(-1, _WAVEFORM_WORDS).tolist():
        waveforms.append(PreviewWaveform(board, channel, samples, points[begin : begin + length]))
        begin += length
    return waveforms


def _checked(event: Event, name: str, tid: Tid) -> npt.NDArray[Any]:
    values = event[name]
    if event.banks[name].tid is not tid:
        raise LayoutError(f"bank {name} is TID_{event.banks[name].tid.name}, wanted TID_{tid.name}")
    return values
