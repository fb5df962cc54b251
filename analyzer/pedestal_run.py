"""Make the pedestals of a pedestal run from its file."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from analyzer.conditions import RunConditions, conditions_of
from analyzer.errors import PedestalError, RunDataError
from analyzer.frames import decode_frame
from analyzer.pedestal import Pedestal, PedestalBuilder
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
    """Sums the frames of a run, for each of its cameras."""

    def __init__(self, conditions: RunConditions, settings: AnalyzerSettings) -> None:
        self.conditions = conditions
        self.problems: list[str] = []
        self._settings = settings
        self._builders: dict[int, PedestalBuilder] = {}
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
                if known is None:
                    shape = (frame.shape[0], frame.shape[1])
                    known = self._builders[camera] = PedestalBuilder(shape, self._settings)
                known.add(frame)
            except RawDataError as error:
                self.problems.append(f"event {event.serial_number}: {error}")

    def build(self) -> dict[int, Pedestal]:
        """Return the pedestals: camera -> pedestal.

        :raises PedestalError: if there were no frames, or too few.
        """
        run = self.conditions.run
        if not self._builders:
            raise PedestalError(f"run {run} has no camera frames; a pedestal cannot be made of it")
        pedestals = {}
        for camera, builder in sorted(self._builders.items()):
            warm = camera < len(self._temperatures)
            pedestals[camera] = builder.build(
                exposure_s=self.conditions.exposure_s,
                temperature_c=self._temperatures[camera] if warm else float("nan"),
                source=f"run {run}",
                run=run,
            )
        return pedestals

    def write(self, path: Path, source: Path) -> dict[int, Pedestal]:
        """Build the pedestals and write them to `path`.

        :param source: the run file they are made from.
        :raises PedestalError: if they cannot be made or written.
        """
        pedestals = self.build()
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
) -> tuple[Path, dict[int, Pedestal], list[str]]:
    """Make the pedestal file of a run; a damaged run gives what its whole events give.

    :param output: the file to write; None is ``run%05d.pedestal.h5`` beside the run file.
    :param progress: told the number of trigger events and what part of the file is read.
    :returns: the file, the pedestals, and what was wrong with the run.
    :raises RunDataError: if the run file cannot be read at all.
    :raises PedestalError: if there are too few frames.
    """
    events = 0
    with RunFile(source) as file:
        try:
            odb = file.odb_begin or {}
        except RawDataError as error:
            raise RunDataError(str(error)) from error
        run = PedestalRun(conditions_of(odb, run_number_of(source, file)), settings)
        problems = []
        try:
            for event in file:
                run.add(event)
                events += is_trigger_event(event.event_id)
                progress(events, file.bytes_read / max(file.file_bytes, 1))
        except RunFileError as error:
            problems.append(str(error))
    path = output or source.with_name(pedestal_name(run.conditions.run))
    pedestals = run.write(path, source)
    return path, pedestals, problems + run.problems
