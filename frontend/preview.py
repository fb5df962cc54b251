"""What a preview shows of an event: small images, and the waveforms of one trigger.

Costs 6 ms for a Fusion frame on one core (docs/decisions/0009), once or twice a second.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from rawdata.build import EventBuilder
from rawdata.event import Event
from rawdata.layouts import camera, digitizer, preview, times
from rawdata.layouts.preview import PreviewHeader, PreviewImage, PreviewWaveform

MAX_COLUMNS = 576
"""Fusion frames become 576x576 pixels by means of 4x4."""
MAX_POINTS = 1024
CHANNELS = 4
"""Waveforms of the first channels are shown, of each board."""
DARKEST_PERCENT, BRIGHTEST_PERCENT = 1.0, 99.9
"""What a scale spans: a hot pixel shall not take it all. Of 576x576 pixels 332 are brighter."""
_EVERY = 2
"""Percentiles are of each second row and column: 1 ms instead of 6."""


def write_preview(
    builder: EventBuilder, event: Event, shapes: Mapping[int, tuple[int, int]], run_number: int
) -> None:
    """Append the banks of a preview.

    :param event: with frames as the cameras gave them.
    :param shapes: (rows, columns) of each camera's frames, by its number in the names of banks.
    """
    cameras = camera.camera_indices(event)
    facts = (run_number, event.event_id, event.serial_number, event.timestamp)
    preview.encode_header(builder, PreviewHeader(preview.VERSION, *facts, len(cameras)))
    for index in cameras:
        frame = camera.decode_frame(event, index, shapes[index])
        image = shrink(frame, times.decode_fid(event, index))
        preview.encode_image(builder, image, index)
    waveforms = first_waveforms(event)
    if waveforms:
        preview.encode_waveforms(builder, waveforms)


def image_shape(shape: tuple[int, int]) -> tuple[int, int]:
    """Return rows and columns of the image of a frame of this shape.

    >>> image_shape((2304, 4096)), image_shape((64, 64))
    ((288, 512), (64, 64))
    """
    rows, columns = shape
    return rows // _factor(shape), columns // _factor(shape)


def _factor(shape: tuple[int, int]) -> int:
    rows, columns = shape
    return min(-(-columns // MAX_COLUMNS), rows)


def shrink(frame: npt.NDArray[np.uint16], frame_counter: int = 0) -> PreviewImage:
    """Return a frame as an image of at most `MAX_COLUMNS` columns (more of one with few rows).

    Rows and columns at the end that do not fill a square of the factor are left out.

    :param frame: (rows, columns) uint16 [ADU].
    """
    factor = _factor((frame.shape[0], frame.shape[1]))
    rows, columns = (length - length % factor for length in frame.shape)
    # Row after row of each square, then columns: 3 ms, where a mean over two axes takes 40.
    sums = frame[0:rows:factor, :columns].astype(np.uint32)
    for row in range(1, factor):
        sums += frame[row:rows:factor, :columns]
    means = sums[:, 0::factor].astype(np.float32)
    for column in range(1, factor):
        means += sums[:, column::factor]
    means /= factor * factor
    sample = means[::_EVERY, ::_EVERY]
    low, high = (float(v) for v in np.percentile(sample, (DARKEST_PERCENT, BRIGHTEST_PERCENT)))
    high = max(high, low + 1.0)  # ADU: a frame without any noise has a scale too
    scaled = (means - low) * (255 / (high - low)) + 0.5
    pixels = np.clip(scaled, 0, 255).astype(np.uint8)
    return PreviewImage(pixels, factor, low, high, frame_counter)


def first_waveforms(event: Event) -> list[PreviewWaveform]:
    """Return the waveforms of each board's first trigger in its first channels."""
    if digitizer.HEADER_BANK not in event:
        return []
    _, boards = digitizer.decode(event)
    return [
        PreviewWaveform(number, channel, *shorten(waveforms[0, channel]))
        for number, waveforms in enumerate(boards)
        if len(waveforms)
        for channel in range(min(CHANNELS, waveforms.shape[1]))
    ]


def shorten(samples: npt.NDArray[np.uint16]) -> tuple[int, npt.NDArray[np.uint16]]:
    """Return a waveform of at most `MAX_POINTS` points, and how many samples each stands for.

    A point is the sample farthest from the median among those it stands for; samples at the end
    that do not fill a point are left out.

    >>> shorten(np.array([5] * 1025 + [9] + [5] * 1022, np.uint16))[1].max()
    np.uint16(9)
    """
    step = -(-len(samples) // MAX_POINTS)
    groups = samples[: len(samples) - len(samples) % step].reshape(-1, step)
    distance = np.abs(groups - np.median(samples))
    farthest = distance.argmax(axis=1, keepdims=True)
    return step, np.take_along_axis(groups, farthest, axis=1)[:, 0]
