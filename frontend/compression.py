"""One event, compressed: each bank ``CAM<i>`` becomes ``CZ<i>``, all else stays as it is."""

from collections.abc import Mapping
from dataclasses import astuple, dataclass

from rawdata import codec
from rawdata.build import EventBuilder
from rawdata.event import parse_event
from rawdata.layouts import camera as camera_banks


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
    encode: camera_banks.Encode = codec.encode_into,
) -> tuple[memoryview | None, FrameCounts]:
    """Write an event to other memory, with its frames compressed; the order of banks stays.

    :param content: the whole event; is only read.
    :param shapes: (rows, columns) of each camera's frames, by its number in the names of banks.
    :param memory: at least as large as the event.
    :returns: the whole compressed event, a view on `memory`; None if no frame becomes smaller.
    """
    event = parse_event(content)
    cameras = {camera_banks.bank_name(i): (i, shape) for i, shape in shapes.items()}
    builder = EventBuilder(memory, event.event_id)
    counts = FrameCounts()
    for name, bank in event.banks.items():
        size_bytes = None
        if name in cameras:
            index, shape = cameras[name]
            pixels = event[name].reshape(shape)
            size_bytes = camera_banks.compress_frame(builder, pixels, index, encode)
            counts += FrameCounts(
                compressed=int(size_bytes is not None),
                incompressible=int(size_bytes is None),
                pixel_bytes=pixels.nbytes,
                bank_bytes=bank.size_bytes if size_bytes is None else size_bytes,
            )
        if size_bytes is None:
            builder.add(name, bank.tid, bank.data)
    if not counts.compressed:
        return None, counts
    return builder.finish(event.serial_number, event.timestamp, event.trigger_mask), counts
