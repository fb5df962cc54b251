"""Where everything stands in a Trigger event.

Cameras come first, so that their place never depends on the number of triggers and the driver can
write pixels there: ``CAM0 CAM1 ...``, then ``FID0 TSP0 FID1 TSP1 ...``, then ``DIG0 DGH0`` unless
the run is free-running. Generation C adds ``TIME`` to the first event. See docs/decisions/0001.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from frontend.triggers import TriggerBatch
from hardware.camera import CameraInfo, FrameInfo
from hardware.digitizer import DigitizerInfo
from rawdata.build import EventBuilder, event_bytes
from rawdata.datamodel import TRIGGER_EVENT_ID
from rawdata.datamodel import EventFlag as EventFlag
from rawdata.layouts import camera as camera_banks
from rawdata.layouts import digitizer as digitizer_banks
from rawdata.layouts import times
from rawdata.layouts.digitizer import BoardHeader, DigitizerHeader
from rawdata.tid import Tid

_LOW_TAG_MASK = 0x3FFFFFFF  # generation C keeps 30 bits of the V1742's low word


@dataclass(frozen=True)
class EventMemory:
    """Memory of one event, with its camera banks at their final place.

    :param pixels: per camera, (rows, columns) uint16 views.
    """

    builder: EventBuilder
    pixels: list[npt.NDArray[np.uint16]]
    after_cameras: int


@dataclass(frozen=True)
class Board:
    """One digitizer, as events describe it.

    :param offsets: DC offset per channel, fraction of the range; missing ones are 0.
    """

    info: DigitizerInfo
    offsets: tuple[float, ...]

    @property
    def model(self) -> int:
        """Model as CYGNO's DGH0 has it: the digits of the name, V1720E is 1720."""
        digits = re.search(r"\d+", self.info.model)
        return int(digits.group()) if digits else 0

    def header(self, batch: TriggerBatch, generation: Literal["A", "C"]) -> BoardHeader:
        """Return what DGH0 says of these triggers."""
        channels = self.info.channels
        offsets = (self.offsets + (0.0,) * channels)[:channels]
        is_drs4 = self.model == digitizer_banks.DRS4_MODEL
        time_tags = batch.field("time_tag")
        if is_drs4 and generation == "C":
            time_tags = time_tags & np.uint32(_LOW_TAG_MASK)
        return BoardHeader(
            model=self.model,
            samples=self.info.samples,
            channels=channels,
            resolution=1 << self.info.bits,
            sampling=self.info.sampling_word,
            dc_offsets=digitizer_banks.dc_offset_words(offsets),
            time_tags=time_tags,
            high_time_tags=batch.field("time_tag_high") if generation == "C" else None,
            start_cells=batch.field("start_cell") if is_drs4 else None,
        )


@dataclass(frozen=True)
class EventLayout:
    """What the events of one run hold.

    :param boards: none in mode `free`.
    :param max_triggers: triggers that one event holds, per board.
    :param event_id: of the equipment that sends them.
    :param first_camera: number of the first camera in the names of banks: another process may have
        those before it.
    """

    cameras: tuple[CameraInfo, ...]
    boards: tuple[Board, ...]
    max_triggers: int
    generation: Literal["A", "C"] = "A"
    event_id: int = TRIGGER_EVENT_ID
    first_camera: int = 0

    @property
    def shapes(self) -> dict[int, tuple[int, int]]:
        """Rows and columns of each camera's frames, by its number in the names of banks."""
        return {
            number: (camera.rows, camera.columns)
            for number, camera in enumerate(self.cameras, self.first_camera)
        }

    @property
    def max_bytes(self) -> int:
        """Size of the largest event."""
        return self._bytes(self.max_triggers)

    def typical_bytes(self, triggers: int = 1) -> int:
        """Size of an event with this many triggers a board."""
        return self._bytes(min(triggers, self.max_triggers))

    def _bytes(self, triggers: int) -> int:
        banks = [(Tid.WORD, camera.rows * camera.columns) for camera in self.cameras]
        banks += [(Tid.DWORD, 1), (Tid.DWORD, 2)] * len(self.cameras)
        if self.generation == "C":
            banks.append((Tid.DWORD, 1))
        if self.boards:
            infos = [board.info for board in self.boards]
            banks.append((Tid.WORD, sum(triggers * i.channels * i.samples for i in infos)))
            # 6 fixed words, at most 3 words a trigger; 2 words for version and number of boards
            words = 2 + sum(6 + info.channels + 3 * triggers for info in infos)
            banks.append((Tid.DWORD, words))
        return event_bytes(banks)

    def prepare(self, memory: memoryview) -> EventMemory:
        """Give the camera banks their place in memory of at least `max_bytes`."""
        builder = EventBuilder(memory, self.event_id)
        pixels = [
            camera_banks.reserve_frame(builder, shape, number)
            for number, shape in self.shapes.items()
        ]
        return EventMemory(builder, pixels, builder.mark)

    def copy_cameras(
        self, frames: Sequence[FrameInfo | None], source: EventMemory, target: EventMemory
    ) -> None:
        """Copy the frames that are there to the memory of an event that has these alone.

        `target` is then no place for a driver to write to.
        """
        target.builder.rewind(event_bytes([]))
        pictures = zip(frames, source.pixels, strict=True)
        for number, (frame, pixels) in enumerate(pictures, self.first_camera):
            if frame is not None:
                camera_banks.encode_frame(target.builder, pixels, number)

    def complete(
        self,
        memory: EventMemory,
        frames: Sequence[FrameInfo | None],
        batches: Sequence[TriggerBatch],
        time_zero_s: int | None = None,
    ) -> None:
        """Append everything but the pixels.

        :param time_zero_s: for bank TIME, in the first event of generation C.
        """
        builder = memory.builder
        for number, frame in enumerate(frames, self.first_camera):
            if frame is not None:
                times.encode_fid(builder, frame.counter, number)
                times.encode_tsp(builder, frame.exposure_start_ns, number)
        if time_zero_s is not None:
            times.encode_time(builder, time_zero_s)
        if self.boards:
            headers = tuple(
                board.header(batch, self.generation)
                for board, batch in zip(self.boards, batches, strict=True)
            )
            header = DigitizerHeader(self.generation, headers)
            views = digitizer_banks.reserve_waveforms(builder, header)
            for view, batch in zip(views, batches, strict=True):
                batch.copy_waveforms(view.reshape(-1))
            builder.add(
                digitizer_banks.HEADER_BANK, Tid.DWORD, digitizer_banks.encode_header(header)
            )
