"""One run's acquisition: devices, reader threads, ring and assembly. No MIDAS here."""

import os
import time
from collections.abc import Sequence
from functools import partial

import numpy as np

from frontend.assembly import EventAssembler, ReadyEvent, Rules
from frontend.crop import crop_of, cropped
from frontend.devices import Devices
from frontend.layout import EventLayout
from frontend.memory import allocate_slots
from frontend.outbox import MEMORIES_A_WORKER, Outbox
from frontend.readers import CameraReader, DigitizerReader, Reader
from frontend.ring import FrameRing
from frontend.setup import RunSetup
from frontend.triggers import TriggerStore
from rawdata import codec

STORE_FRAMES = 4
"""Frames with the largest number of triggers that a store holds; assembly empties it at once."""
_TOUCHED_TRIGGERS = 8
_PART_WAITING: dict[codec.Method, float] = {"dense": 0.5, "fast": 1.0}
"""This part of the ring may wait for compression; the rest is for what cannot be sent. A raw frame
costs more to copy, thrice, and to write than its compression would have taken, so that going raw
early makes a short burst last. The fast method takes less than a raw frame in any case."""
_JOIN_S = 2.0


class Acquisition:
    """Takes the frames of one run.

    Life: constructed ready, then `start`, `next_event` again and again, `stop_cameras`, more
    `next_event` until `is_drained`, `stop_digitizers`, the last `next_event`, `disarm`.

    :param devices: ready for this run.
    :raises SettingsError: if the ring may not take the memory it needs.
    :raises MemoryError: if the system does not have it.
    """

    def __init__(self, setup: RunSetup, devices: Devices, layout: EventLayout) -> None:
        self.setup = setup
        self.layout = layout
        self._devices = devices
        slot_bytes = self.layout.max_bytes
        slots = setup.ring_slots(slot_bytes) + (1 if len(self.layout.cameras) > 1 else 0)
        touched_bytes = self.layout.typical_bytes(_TOUCHED_TRIGGERS)
        memories = allocate_slots(slots, slot_bytes, touched_bytes)
        self.ring = FrameRing(
            [self.layout.prepare(memory) for memory in memories],
            period_ns=setup.period_ns,
            window_ns=round(setup.trigger.match_window_ms * 1e6),
        )
        capacity = STORE_FRAMES * self.layout.max_triggers
        self.stores = [TriggerStore(board.info, capacity) for board in self.layout.boards]
        rules = Rules(
            mode=setup.mode,
            period_ns=setup.period_ns,
            wait_s=setup.trigger.event_wait_ms / 1000,
            max_events=setup.max_events,
        )
        self.assembler = EventAssembler(self.ring, self.stores, self.layout, rules)
        self.camera_readers = [
            CameraReader(
                f"camera {setup.trigger.first_camera + i} ({name.driver})",
                camera,
                i,
                self.ring,
                waits=setup.period_ns is None,
                crop=crop_of(setup.configurations, camera.info),
            )
            for i, (name, camera) in enumerate(zip(setup.cameras, devices.cameras, strict=True))
        ]
        self.digitizer_readers = [
            DigitizerReader(f"digitizer {i} ({name.driver})", board, store, self.ring)
            for i, (name, board, store) in enumerate(
                zip(setup.digitizers, devices.digitizers, self.stores, strict=True)
            )
        ]
        self._digitizers_stopped = False
        self.outbox = self._make_outbox()

    def _make_outbox(self) -> Outbox:
        give_back, wake = self.ring.give_back, self.ring.wake
        if not self.setup.trigger.compress_frames:
            return Outbox(give_back, wake)
        workers = self.setup.trigger.compress_workers or len(os.sched_getaffinity(0))
        layout = self.layout
        method = self.setup.trigger.compression_method
        codec.encode(np.zeros((64, 64), np.uint16), method)  # imports now, not in the first frame
        count = MEMORIES_A_WORKER * workers
        return Outbox(
            give_back,
            wake,
            shapes=layout.shapes,
            memories=allocate_slots(count, layout.max_bytes, layout.typical_bytes()),
            workers=workers,
            max_waiting=max(1, int(self.ring.size * _PART_WAITING[method])),
            encode=partial(codec.encode_into, method=method),
        )

    @property
    def readers(self) -> Sequence[Reader]:
        """All reader threads."""
        return [*self.camera_readers, *self.digitizer_readers]

    def start(self) -> None:
        """Let the boards accept triggers, then start exposures and read.

        :raises DeviceError: naming the device that does not start.
        """
        for board in self._devices.digitizers:
            board.start_acquiring()
        for camera in self._devices.cameras:
            camera.start_acquiring()
        self.assembler.begin(time.time_ns())
        self.outbox.start()
        for reader in self.readers:
            reader.last_data_s = reader.last_return_s = time.monotonic()
            reader.start()

    def next_event(self) -> ReadyEvent | None:
        """Return the next whole event; None if there is none yet."""
        return self.assembler.next_event(is_final=self._digitizers_stopped)

    def wait(self, timeout_s: float) -> bool:
        """Wait for news from a reader."""
        return self.ring.wait(timeout_s)

    @property
    def is_drained(self) -> bool:
        """True if, after `stop_cameras`, all frames came out of the ring."""
        return not any(r.is_alive() for r in self.camera_readers) and self.ring.oldest() is None

    def failure(self) -> str | None:
        """Return what failed: device and reason of the first reader that died."""
        for reader in self.readers:
            if reader.error is not None:
                return f"{reader.device}: {reader.error}"
        return None

    def silence(self) -> str | None:
        """Return which device is silent for too long, if one is; None if all is well."""
        now = time.monotonic()
        keys, limit_s = self.setup.configurations, self.setup.trigger.silence_s
        period_s = (self.setup.period_ns or 0) / 1e9
        for reader in self.readers:
            quiet_s = now - reader.last_return_s
            if reader.is_alive() and quiet_s > limit_s:
                return f"{reader.device}: its driver does not return since {quiet_s:.0f} s"
        for reader in self.camera_readers:
            quiet_s = now - reader.last_data_s
            if reader.is_alive() and quiet_s > limit_s + max(keys.exposure_s, period_s):
                return f"{reader.device}: no frame since {quiet_s:.0f} s"
        return None

    def halt_cameras(self) -> None:
        """Read no more frames: as many events as were asked for are here."""
        for reader in self.camera_readers:
            reader.halt()

    def stop_cameras(self, timeout_s: float) -> None:
        """Start no new exposure, and let the readers end when what is under way is read."""
        self.assembler.end(time.time_ns())
        for camera in self._devices.cameras:
            camera.wait_for_idle(timeout_s)
        for reader in self.camera_readers:
            reader.drain()

    def stop_digitizers(self, timeout_s: float) -> None:
        """Accept no new triggers, and wait until the readers have ended."""
        for board in self._devices.digitizers:
            board.wait_for_idle(timeout_s)
        for board_reader in self.digitizer_readers:
            board_reader.drain()
        end = time.monotonic() + timeout_s
        for reader in self.readers:
            if reader.ident is not None:
                reader.join(max(0.0, end - time.monotonic()))
        self._digitizers_stopped = True

    def disarm(self) -> None:
        """Stop everything at once, from any state."""
        for reader in self.readers:
            reader.halt()
        self._devices.ensure_stopped()
        for reader in self.readers:
            if reader.ident is not None:
                reader.join(_JOIN_S)
        self.outbox.stop(_JOIN_S)
        for store in self.stores:
            store.drop_all()


def make_layout(setup: RunSetup, devices: Devices) -> EventLayout:
    """Return the layout of the events that these devices give.

    :raises SettingsError: if a part of the sensor is asked for that is not there.
    """
    infos = [camera.info for camera in devices.cameras]
    return EventLayout(
        cameras=tuple(cropped(info, crop_of(setup.configurations, info)) for info in infos),
        boards=tuple(devices.boards),
        max_triggers=setup.configurations.max_triggers,
        generation=setup.generation,
        first_camera=setup.trigger.first_camera,
    )
