"""One event, compressed: each bank ``CAM<i>`` becomes ``CZ<i>``, all else stays as it is."""

from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass

import numpy as np
import numpy.typing as npt

from rawdata import codec
from rawdata.build import EventBuilder
from rawdata.event import parse_event
from rawdata.layouts import camera as camera_banks

Encode = Callable[[npt.NDArray[np.uint16]], codec.CompressedFrame | None]
"""As `rawdata.codec.encode`: None if the frame would become no smaller."""


@dataclass(frozen=True, slots=True)
class FrameCounts:
    """In which form frames left, and how large they were."""

    compressed: int = 0
    incompressible: int = 0
    """Raw, since compressed they are no smaller."""
    busy: int = 0
    """Raw, since compression did not keep up."""
    failed: int = 0
    """Raw, since a worker had failed."""
    pixel_bytes: int = 0
    """Bytes of the pixels of all these frames."""
    bank_bytes: int = 0
    """Bytes of the banks that they left in."""

    def __add__(self, other: "FrameCounts") -> "FrameCounts":
        pairs = zip(astuple(self), astuple(other), strict=True)
        return FrameCounts(*(one + another for one, another in pairs))

    @property
    def frames(self) -> int:
        """All of them."""
        return self.compressed + self.incompressible + self.busy + self.failed

    @classmethod
    def raw(cls, content: memoryview, is_failure: bool = False) -> "FrameCounts":
        """Count the frames of an event that goes as it is, for want of workers."""
        event = parse_event(content)
        frames = [event[name] for name in event if camera_banks.is_frame_bank(name)]
        size_bytes = sum(frame.nbytes for frame in frames)
        return cls(
            busy=0 if is_failure else len(frames),
            failed=len(frames) if is_failure else 0,
            pixel_bytes=size_bytes,
            bank_bytes=size_bytes,
        )

    @property
    def ratio(self) -> float:
        """Bytes of pixels per byte of bank; 1 as long as there are no frames."""
        return self.pixel_bytes / self.bank_bytes if self.bank_bytes else 1.0


def compress_event(
    content: memoryview,
    shapes: Mapping[int, tuple[int, int]],
    memory: memoryview,
    encode: Encode = codec.encode,
) -> tuple[memoryview | None, FrameCounts]:
    """Write an event to other memory, with its frames compressed; the order of banks stays.

    :param content: the whole event; is only read.
    :param shapes: (rows, columns) of each camera's frames, by its number in the names of banks.
    :param memory: at least as large as the event.
    :returns: the whole compressed event, a view on `memory`; None if no frame becomes smaller.
    """
    event = parse_event(content)
    cameras = {camera_banks.bank_name(i): (i, shape) for i, shape in shapes.items()}
    frames = {
        name: encode(event[name].reshape(cameras[name][1])) for name in event if name in cameras
    }
    pixel_bytes = sum(event[name].nbytes for name in frames)
    compressed = sum(frame is not None for frame in frames.values())
    if not compressed:
        counts = FrameCounts(
            incompressible=len(frames), pixel_bytes=pixel_bytes, bank_bytes=pixel_bytes
        )
        return None, counts
    builder = EventBuilder(memory, event.event_id)
    bank_bytes = 0
    for name, bank in event.banks.items():
        frame = frames.get(name)
        if frame is not None:
            camera_banks.add_compressed_frame(builder, frame, cameras[name][0])
        else:
            builder.add(name, bank.tid, bank.data)
        if name in frames:
            bank_bytes += frame.size_bytes if frame is not None else bank.size_bytes
    counts = FrameCounts(
        compressed=compressed,
        incompressible=len(frames) - compressed,
        pixel_bytes=pixel_bytes,
        bank_bytes=bank_bytes,
    )
    return builder.finish(event.serial_number, event.timestamp, event.trigger_mask), counts
