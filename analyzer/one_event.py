"""One event with all there is to be seen of it, from a run file or from results."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np
import numpy.typing as npt

from analyzer.analysis import RunAnalysis
from analyzer.conditions import conditions_of, settings_of
from analyzer.dtypes import DATASETS
from analyzer.errors import RunDataError
from analyzer.frames import decode_frame
from analyzer.kernels.residual import DEFECT
from analyzer.lookup import PedestalLookup, Tell
from analyzer.results import open_results
from analyzer.run_files import run_number_of
from analyzer.runs import tables_of
from analyzer.settings import AnalyzerSettings
from analyzer.view import BoardView, ImageView, view_event
from rawdata.datamodel import is_trigger_event
from rawdata.event import Event
from rawdata.runfile import RunFile, RunFileError

OF_AN_EVENT: Final = ("events", "clusters", "redpix", "waveforms", "pulses")


@dataclass(frozen=True, eq=False)
class OneEvent:
    """One event.

    :param source: the file that it was read from.
    :param rows: dataset -> rows of this event; `redpix` has the pixels of all clusters.
    :param images: camera -> image, empty where only results are there.
    :param frames: camera -> (rows, columns) float32, each pixel above its pedestal [ADU], 0 where
        it is a defect.
    :param pedestals: camera -> where its pedestal is from, in words.
    """

    run: int
    index: int
    source: Path
    settings: AnalyzerSettings
    rows: dict[str, npt.NDArray[Any]]
    images: dict[int, ImageView] = field(default_factory=dict)
    frames: dict[int, npt.NDArray[np.float32]] = field(default_factory=dict)
    boards: list[BoardView] = field(default_factory=list)
    pedestals: dict[int, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def load_event(
    source: Path,
    index: int,
    folders: Sequence[Path],
    tell: Tell,
    *,
    pedestal: Path | None = None,
    settings: AnalyzerSettings | None = None,
) -> OneEvent:
    """Return an event of a run file, analyzed on the spot, or of results.

    With results its frame is taken from the run file that they name, if that lies in a folder.

    :param index: of the trigger event in the run, from 0.
    :param folders: where pedestals and run files lie.
    :param settings: None takes those of the run.
    :raises AnalyzerError: if there is no such event, or a file cannot be read.
    """
    if not h5py.is_hdf5(source):
        return _from_run(source, index, PedestalLookup(folders, pedestal), tell, settings)
    with open_results(source) as results:
        attributes = results.attributes
        name, count = str(attributes.get("source", "")), len(results["events"])
        stored = AnalyzerSettings.model_validate_json(attributes["settings"])
        candidates = [folder / name for folder in folders if (folder / name).is_file()]
        if not candidates:
            candidates = _files_of(int(attributes["run"]), folders)
        if candidates:
            lookup = PedestalLookup(folders, pedestal)
            return _from_run(candidates[0], index, lookup, tell, settings or stored)
        rows = {}
        for dataset in OF_AN_EVENT:
            every = results[dataset] if dataset in set(results) else np.zeros(0, DATASETS[dataset])
            rows[dataset] = every[every["event"] == index]
        if not len(rows["events"]):
            raise RunDataError(f"{source} has no event {index}; it has {count} rows of events")
        places = ", ".join(map(str, folders))
        tell(f"no run file of run {attributes['run']} in {places}: the frame is not shown", False)
        return OneEvent(int(attributes["run"]), index, source, stored, rows)


def _files_of(run: int, folders: Sequence[Path]) -> list[Path]:
    found = [path for folder in folders for path in sorted(folder.glob(f"run{run:05d}*.mid*"))]
    return [path for path in found if path.suffix != ".crc32c"]


def _from_run(
    source: Path, index: int, lookup: PedestalLookup, tell: Tell, settings: AnalyzerSettings | None
) -> OneEvent:
    try:
        with RunFile(source) as file:
            odb = file.odb_begin or {}
            chosen = settings or settings_of(odb, str(source)) or AnalyzerSettings()
            # The pixels of all clusters, for their outlines.
            chosen = chosen.model_copy(update={"keep_pixels": True, "keep_least_adu": 0.0})
            conditions = conditions_of(odb, run_number_of(source, file))
            analysis = RunAnalysis(conditions, chosen, tables_of(chosen))
            event = _find(file, source, index, analysis, lookup, tell)
    except RunFileError as error:
        raise RunDataError(str(error)) from error
    result = analysis.analyze(event, index)
    view = view_event(analysis, event, result)
    frames = {}
    for camera in view.images:
        frame = decode_frame(event, camera, chosen, analysis.levels[camera].shape)
        levels = analysis.levels[camera]
        light = frame.astype(np.float32) - levels.pedestal.mean
        frames[camera] = np.where(levels.level == DEFECT, np.float32(0), light)
    return OneEvent(
        conditions.run,
        index,
        source,
        chosen,
        result.rows,
        view.images,
        frames,
        view.boards,
        {camera: used.source for camera, used in analysis.pedestals().items()},
        result.problems,
    )


def _find(
    file: RunFile,
    source: Path,
    index: int,
    analysis: RunAnalysis,
    lookup: PedestalLookup,
    tell: Tell,
) -> Event:
    """Return a trigger event; the pedestal is that of the whole run, from its first events on."""
    count = 0
    triggers = (event for event in file if is_trigger_event(event.event_id))
    numbered = ((event, number, None) for number, event in enumerate(triggers))
    for event, number, _ in lookup.equipped(analysis, numbered, tell):
        if number == index:
            return event
        count += 1
    raise RunDataError(f"{source} has no event {index}; it has {count} events, from 0")
