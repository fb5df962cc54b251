"""Reader threads: each waits in the driver of one device and hands on what it brings.

They make no MIDAS call. One that fails stores its exception for the main loop and ends.
"""

import threading
import time
from abc import ABC, abstractmethod

import numpy as np

from frontend.crop import Crop
from frontend.ring import FrameRing
from frontend.triggers import TriggerStore
from hardware.camera import Camera
from hardware.digitizer import Digitizer

POLL_S = 0.1
"""How long a reader waits in the driver before it looks whether it shall end."""
TEMPERATURE_PERIOD_S = 5.0


class Reader(threading.Thread, ABC):
    """What readers share: how they end, and what the main loop may know of them.

    :param device: how operators call the device, e.g. ``camera 0 (sim:fusion)``.
    """

    def __init__(self, device: str) -> None:
        # A driver that never returns must not keep the program from ending.
        super().__init__(name=f"reader of {device}", daemon=True)
        self.device = device
        self.error: Exception | None = None
        self.last_data_s = time.monotonic()
        """When the device last gave data."""
        self.last_return_s = self.last_data_s
        """When the driver last returned, with or without data."""
        self._drains = threading.Event()
        self._halts = threading.Event()

    def drain(self) -> None:
        """End when the device has nothing more to give."""
        self._drains.set()

    def halt(self) -> None:
        """End at once."""
        self._halts.set()

    def run(self) -> None:
        """Read until told to end or the device fails."""
        try:
            while not self._halts.is_set():
                # Asked before the read: what comes after the device is idle is then surely read.
                ends_if_empty = self._drains.is_set()
                has_data = self._read()
                self.last_return_s = time.monotonic()
                if has_data:
                    self.last_data_s = self.last_return_s
                elif ends_if_empty:
                    break
        except Exception as error:  # whatever a driver raises must reach the main loop
            self.error = error
        finally:
            self._end()

    @abstractmethod
    def _read(self) -> bool:
        """Read once, waiting `POLL_S` at most; tell whether the device gave data."""

    @abstractmethod
    def _end(self) -> None:
        """Tell the receiver of the data that no more comes."""


class CameraReader(Reader):
    """Reads one camera into the ring.

    :param waits: do not ask for a frame while the ring is full, for a camera that goes as fast as
        it is read; else what finds no room is lost, so that the driver never backs up.
    :param crop: what is kept of each frame; the driver then writes to memory of the reader's own.
    """

    def __init__(
        self,
        device: str,
        camera: Camera,
        number: int,
        ring: FrameRing,
        waits: bool = False,
        crop: Crop | None = None,
    ) -> None:
        super().__init__(device)
        self._camera = camera
        self._number = number
        self._ring = ring
        self._waits = waits
        self._crop = crop
        self._whole = None if crop is None else np.zeros(crop.sensor, np.uint16)
        self.temperature_c: float | None = None
        """Last sensor temperature; read here because a driver may wait for its device."""
        self._temperature_due_s = 0.0

    def _read(self) -> bool:
        claim = self._ring.claim(self._number)
        if claim.slot is None and self._waits and not self._drains.is_set():
            self._ring.wait_for_room(POLL_S)
            self.last_data_s = time.monotonic()  # the silence is ours, not the camera's
            return False
        target = claim.pixels if self._whole is None else self._whole
        info = self._camera.read_into(target, POLL_S)
        if info is not None:
            if self._crop is not None:
                self._crop.copy(target, claim.pixels)
            self._ring.deliver(self._number, claim, info)
        else:
            self._ring.give_up(self._number, claim)
        if time.monotonic() >= self._temperature_due_s:
            self._temperature_due_s = time.monotonic() + TEMPERATURE_PERIOD_S
            self.temperature_c = self._camera.sensor_temperature_c
        return info is not None

    def _end(self) -> None:
        self._ring.wake()


class DigitizerReader(Reader):
    """Reads one board into its store, and tells the ring's waiter."""

    def __init__(self, device: str, board: Digitizer, store: TriggerStore, ring: FrameRing) -> None:
        super().__init__(device)
        self._board = board
        self._store = store
        self._ring = ring

    def _read(self) -> bool:
        span = self._store.free_span()
        waveforms, triggers = span or self._store.spare_span
        readout = self._board.read_into(waveforms, triggers, POLL_S)
        self._store.add(readout, is_stored=span is not None)
        self._ring.wake()
        return readout.triggers > 0

    def _end(self) -> None:
        if self.error is None:  # else triggers may be missing, and events shall say so
            self._store.end()
        self._ring.wake()
