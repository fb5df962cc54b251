"""The devices of the trigger frontend: opened by name, kept between runs."""

from dataclasses import dataclass, field
from typing import Any

from frontend.layout import Board
from frontend.setup import DeviceName, RunSetup
from hardware.camera import Camera
from hardware.digitizer import Digitizer
from hardware.errors import DeviceError
from hardware.registry import open_device


@dataclass
class Devices:
    """Cameras and digitizers, in bank order.

    A driver is opened when it is first asked for, and again when its name or options changed.
    """

    cameras: list[Camera] = field(default_factory=list)
    digitizers: list[Digitizer] = field(default_factory=list)
    boards: list[Board] = field(default_factory=list)
    """What `ensure_ready` found out of the digitizers of the coming run."""
    _opened: dict[tuple[str, int], tuple[DeviceName, Any]] = field(default_factory=dict)

    def ensure_ready(self, setup: RunSetup, run_number: int) -> None:
        """Open the devices of a run and set them up.

        :raises DeviceError: naming the device and what it refuses.
        """
        names = setup.cameras
        self.cameras = [self._open("cameras", i, name, setup) for i, name in enumerate(names)]
        for index, camera in enumerate(self.cameras):
            self._ensure_ready("cameras", index, camera, setup.camera_config(run_number, index))
        names = setup.digitizers
        self.digitizers = [self._open("digitizers", i, name, setup) for i, name in enumerate(names)]
        self.boards = []
        channels = 0
        for index, board in enumerate(self.digitizers):
            config = setup.digitizer_config(run_number, index, channels)
            self._ensure_ready("digitizers", index, board, config)
            offsets = tuple(config.offsets)[: board.info.channels]
            self.boards.append(Board(board.info, offsets))
            channels += board.info.channels

    def ensure_stopped(self) -> None:
        """Stop all devices, in any state."""
        devices: list[Camera | Digitizer] = [*self.cameras, *self.digitizers]
        for device in devices:
            device.ensure_stopped()

    def _open(self, kind: str, index: int, name: DeviceName, setup: RunSetup) -> Any:
        if (kind, index) in self._opened:
            known, opened = self._opened[kind, index]
            if known == name:
                return opened
            opened.ensure_stopped()
        try:
            device = open_device(kind, name.driver, **name.keywords())
        except (TypeError, ValueError) as error:
            raise DeviceError(
                f"{kind} {index} ({name.driver}) refuses its options {name.keywords()}: {error}. "
                f"Correct them in {setup.path}"
            ) from error
        self._opened[kind, index] = (name, device)
        return device

    def _ensure_ready(self, kind: str, index: int, device: Any, config: Any) -> None:
        try:
            device.ensure_ready(config)
        except DeviceError as error:
            # A device that went away may need to be opened anew; the next try does so.
            self._opened.pop((kind, index), None)
            device.ensure_stopped()
            raise DeviceError(f"{kind.removesuffix('s')} {index}: {error}") from error
