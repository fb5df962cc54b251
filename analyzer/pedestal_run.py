"""Make the pedestals of a pedestal run from its file."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from analyzer.conditions import RunConditions, conditions_of
from analyzer.errors import PedestalError, RunDataError
from analyzer.frames import decode_frame
from analyzer.pedestal import Pedestal
from analyzer.pedestal_builder import PedestalBuilder
from analyzer.pedestal_files import pedestal_name, write_pedestals
from analyzer.run_files import run_number_of
from analyzer.settings import AnalyzerSettings
from rawdata.datamodel import is_trigger_event
from rawdata.errors import RawDataError
from rawdata.event import Event
from rawdata.layouts import camera as camera_banks
from rawdata.layouts import slow
from rawdata.runfile import RunFile, RunFileError

CAMERA_STATUS_EVENT_ID: Final = 7
"""Event id of the CameraStatus equipment, whose bank TCAM has the sensors' temperatures."""


class PedestalRun:
    """Sums the frames of a run, for each of its cameras.

    The shape of a camera's frames is what the crop settings say, or else that of the first two in a
    row of one shape: a single frame of another size does not decide.

    :param workers: threads; 0: one a core.
    """

    def __init__(
        self, conditions: RunConditions, settings: AnalyzerSettings, workers: int = 0
    ) -> None:
        self.conditions = conditions
        self.problems: list[str] = []
        self._settings = settings
        self._workers = workers
        self._builders: dict[int, PedestalBuilder] = {}
        self._waiting: dict[int, tuple[int, npt.NDArray[np.uint16]]] = {}
        self._temperatures: list[float] = []

    def add(self, event: Event) -> None:
        """Add the frames of an event; a frame that does not fit is left out and told."""
        if event.event_id == CAMERA_STATUS_EVENT_ID:
            with suppress(RawDataError):
                self._temperatures = [float(t) for t in slow.decode_camera_temperatures(event)]
        if not is_trigger_event(event.event_id):
            return
        for camera in camera_banks.camera_indices(event):
            known = self._builders.get(camera)
            try:
                frame = decode_frame(event, camera, self._settings, known.shape if known else None)
            except RawDataError as error:
                self.problems.append(f"event {event.serial_number}: {error}")
                continue
            if known is not None:
                known.add(frame)
            else:
                self._begin(camera, event.serial_number, frame)

    def _begin(self, camera: int, serial: int, frame: npt.NDArray[np.uint16]) -> None:
        """Take a frame of a camera whose shape is not known yet."""
        crop = self.conditions.crop_shape
        if crop == frame.shape:
            self._make(camera, frame)
            return
        if crop is not None:
            self._refuse(camera, serial, frame)
            return
        last = self._waiting.pop(camera, None)
        if last is not None and last[1].shape == frame.shape:
            self._make(camera, last[1], frame)
            return
        if last is not None:
            self._refuse(camera, *last)
        self._waiting[camera] = serial, frame.copy()

    def _make(self, camera: int, *frames: npt.NDArray[np.uint16]) -> None:
        shape = (frames[0].shape[0], frames[0].shape[1])
        builder = PedestalBuilder(shape, self._settings, self._workers)
        self._builders[camera] = builder
        for frame in frames:
            builder.add(frame)

    def _refuse(self, camera: int, serial: int, frame: npt.NDArray[np.uint16]) -> None:
        crop = self.conditions.crop_shape
        size = "x".join(map(str, frame.shape))
        why = "the next one is of another size"
        if crop:
            why = f"/Configurations/CameraCropSettings/crop_size says {crop[0]}x{crop[1]}"
        self.problems.append(f"event {serial}: camera {camera} has a frame of {size} pixels: {why}")

    def build(self) -> dict[int, Pedestal]:
        """Return the pedestals: camera -> pedestal.

        :raises PedestalError: if there were no frames, or too few.
        """
        run = self.conditions.run
        for camera, (_, frame) in self._waiting.items():
            self._make(camera, frame)
        self._waiting.clear()
        if not self._builders:
            why = f" that fit ({self.problems[0]})" if self.problems else ""
            raise PedestalError(
                f"run {run} has no camera frames{why}; a pedestal cannot be made of it"
            )
        pedestals = {}
        for camera, builder in sorted(self._builders.items()):
            warm = camera < len(self._temperatures)
            pedestals[camera] = builder.build(
                exposure_s=self.conditions.exposure_s,
                temperature_c=self._temperatures[camera] if warm else float("nan"),
                source=f"run {run}",
                run=run,
                camera_name=self.conditions.camera_name(camera),
            )
        return pedestals

    def close(self) -> None:
        """End the threads; who gives up before `build` calls it."""
        for builder in self._builders.values():
            builder.close()

    def write(self, path: Path, source: Path, valid_until: int = 0) -> dict[int, Pedestal]:
        """Build the pedestals and write them to `path`.

        :param source: the run file they are made from.
        :param valid_until: the last run they are for; 0: until there are newer ones.
        :raises PedestalError: if they cannot be made or written.
        """
        pedestals = {
            camera: replace(pedestal, valid_until=valid_until)
            for camera, pedestal in self.build().items()
        }
        attributes = {
            "run": self.conditions.run,
            "begin_time": self.conditions.begin_time,
            "source_file": source.name,
            "settings": self._settings.model_dump_json(by_alias=True),
        }
        write_pedestals(path, pedestals, attributes)
        return pedestals


def make_pedestal(
    source: Path,
    output: Path | None,
    settings: AnalyzerSettings,
    progress: Callable[[int, float], object] = lambda *_: None,
    *,
    workers: int = 0,
    valid_until: int = 0,
) -> tuple[Path, dict[int, Pedestal], list[str]]:
    """Make the pedestal file of a run; a damaged run gives what its whole events give.

    :param output: the file to write, or its folder; None is ``run%05d.pedestal.h5`` beside the run
        file.
    :param progress: told the number of trigger events and what part of the file is read.
    :param workers: threads; 0: one a core.
    :param valid_until: the last run it is for; 0: until there is a newer one.
    :returns: the file, the pedestals, and what was wrong with the run.
    :raises RunDataError: if the run file cannot be read at all.
    :raises PedestalError: if there are too few frames, or the run ends before it begins to count.
    """
    events = 0
    with RunFile(source) as file:
        try:
            odb = file.odb_begin or {}
        except RawDataError as error:
            raise RunDataError(str(error)) from error
        conditions = conditions_of(odb, run_number_of(source, file))
        if 0 < valid_until <= conditions.run:
            raise PedestalError(
                f"a pedestal of run {conditions.run} counts for later runs: it cannot be valid "
                f"until run {valid_until}; give a later one"
            )
        run = PedestalRun(conditions, settings, workers)
        problems = []
        try:
            for event in file:
                run.add(event)
                events += is_trigger_event(event.event_id)
                progress(events, file.bytes_read / max(file.file_bytes, 1))
        except RunFileError as error:
            problems.append(str(error))
        except BaseException:
            run.close()
            raise
    path = output or source.with_name(pedestal_name(conditions.run))
    if path.is_dir():
        path /= pedestal_name(conditions.run)
    pedestals = run.write(path, source, valid_until)
    return path, pedestals, problems + run.problems
