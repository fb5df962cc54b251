"""What the simulation knows and an analysis has to find: one HDF5 file beside each run.

Datasets ``frames``, ``tracks`` and ``triggers`` grow while the run goes on. The file is written in
HDF5's SWMR mode: what was flushed can be read at any time, also after the writer was killed.
"""

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np
import numpy.typing as npt

from sim.detector.event import FrameEvent, Run
from sim.detector.light import TrackLight
from sim.detector.tracks import KINDS, Track
from sim.detector.waveforms import PMTS, expected_photoelectrons

FLUSH_S: Final = 1.0
KIND_NUMBERS: Final = {kind: number for number, kind in enumerate(KINDS)} | {"dark": 255}
_KIND_DTYPE = h5py.enum_dtype(KIND_NUMBERS, "u1")

FRAME_DTYPE: Final = np.dtype(
    [
        (("number of the frame in the run, from 0", "frame"), "u4"),
        (("the camera's counter", "counter"), "u4"),
        (("start of exposure since start of acquisition [ns]", "exposure_start_ns"), "i8"),
        (("end of exposure [ns]", "exposure_end_ns"), "i8"),
        (("1 if the camera lost it", "lost"), "u1"),
        (("tracks with light in the frame; none if it was lost", "tracks"), "u2"),
        (("triggers until the next exposure", "triggers"), "u2"),
    ]
)
TRACK_DTYPE: Final = np.dtype(
    [
        (("number of the frame", "frame"), "u4"),
        (("number of the track in the frame", "track"), "u2"),
        (("kind of particle", "kind"), _KIND_DTYPE),
        (("mean row of the light in the raw frame [pixel]", "row"), "f8"),
        (("mean column of the light in the raw frame [pixel]", "column"), "f8"),
        (("distance of its middle from the GEMs [mm]", "z_mm"), "f4"),
        (("energy left in the gas [keV]", "energy_kev"), "f4"),
        (("all light before vignetting [ADU]", "light_adu"), "f8"),
        (("light in the frame's pixels [ADU]", "integral_adu"), "f8"),
        (("length in three dimensions [mm]", "length_mm"), "f4"),
        (("angle to the drift direction [rad]", "theta"), "f4"),
        (("row of its first segment [pixel]", "first_row"), "f4"),
        (("column of its first segment [pixel]", "first_column"), "f4"),
        (("row of its last segment [pixel]", "last_row"), "f4"),
        (("column of its last segment [pixel]", "last_column"), "f4"),
        (("time since start of acquisition [ns]", "time_ns"), "i8"),
    ]
)
TRIGGER_DTYPE: Final = np.dtype(
    [
        (("number of the frame", "frame"), "u4"),
        (("number of the trigger in the frame", "trigger"), "u2"),
        (("time since start of acquisition [ns]", "time_ns"), "i8"),
        (("what made it", "kind"), _KIND_DTYPE),
        (("number of its track in the frame; -1: no light there", "track"), "i4"),
        (("its light [ADU]", "light_adu"), "f8"),
        (("mean photoelectrons on each PMT", "photoelectrons"), "f4", (PMTS,)),
    ]
)
# Written in this order: a frame that is listed has all its tracks and triggers.
_DATASETS: Final = {"tracks": TRACK_DTYPE, "triggers": TRIGGER_DTYPE, "frames": FRAME_DTYPE}


def truth_path(folder: Path, run_number: int, view: int = 0) -> Path:
    """Return where the truth of a run is; cameras after the first have files of their own."""
    camera = f".cam{view}" if view else ""
    return folder / f"run{run_number:05d}{camera}.truth.h5"


def read_truth(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Read ``frames``, ``tracks`` and ``triggers``, also of a run that goes on or was killed.

    Tracks and triggers are those of the frames that are there.

    :raises OSError: if the file is missing or no truth file.
    """
    with h5py.File(path, "r", swmr=True) as file:
        truth = {name: file[name][:] for name in reversed(_DATASETS)}
    frames = len(truth["frames"])  # of a camera, every one from 0 on, lost or not
    return {name: rows[rows["frame"] < frames] for name, rows in truth.items()}


class TruthWriter:
    """Writes the truth of one camera's run.

    :param view: position of the camera in `Run.views`.
    :raises OSError: if the file cannot be made.
    """

    def __init__(self, folder: Path, run: Run, view: int) -> None:
        self.path = truth_path(folder, run.number, run.views[view].index)
        self._run, self._view = run, view
        folder.mkdir(parents=True, exist_ok=True)
        self._file = h5py.File(self.path, "w", libver="latest")
        for name, dtype in _DATASETS.items():
            self._file.create_dataset(name, (0,), dtype, maxshape=(None,), chunks=(1024,))
            titles = [descr[0][0] for descr in dtype.descr]
            self._file[name].attrs["titles"] = titles
        model = run.views[view].model
        facts = {
            "run": run.number,
            "seed": run.seed,
            "camera": model.name,
            "rows": model.rows,
            "columns": model.columns,
            "exposure_ns": run.exposure_ns,
            "period_ns": run.period_ns,
        }
        self._file.attrs.update(facts)
        self._file.swmr_mode = True
        self._rows: dict[str, list[tuple[Any, ...]]] = {name: [] for name in _DATASETS}
        self._flushed_s = time.monotonic()

    def add(self, event: FrameEvent, counter: int, lights: Iterable[TrackLight] | None) -> None:
        """Add one frame.

        :param lights: what its tracks left in it; None if the camera lost the frame.
        """
        start_ns = event.frame * self._run.period_ns
        tracks = event.tracks[self._view]
        triggers = [trigger for trigger in event.triggers if trigger.view == self._view]
        lost = lights is None
        self._rows["frames"].append(
            (
                event.frame,
                counter,
                start_ns,
                start_ns + self._run.exposure_ns,
                lost,
                0 if lost else len(tracks),
                len(triggers),
            )
        )
        for i, (track, light) in enumerate(zip(tracks, lights or (), strict=False)):
            self._rows["tracks"].append(_track_row(event.frame, i, track, light, start_ns))
        numbers = {id(track): i for i, track in enumerate(tracks)}
        model = self._run.views[self._view].model
        for trigger in triggers:
            kind = trigger.track.kind if trigger.track else "dark"
            self._rows["triggers"].append(
                (
                    event.frame,
                    trigger.number,
                    start_ns + trigger.time_ns,
                    KIND_NUMBERS[kind],
                    numbers.get(id(trigger.track), -1),
                    trigger.light_adu,
                    tuple(expected_photoelectrons(trigger, model)),
                )
            )
        if time.monotonic() - self._flushed_s > FLUSH_S:
            self.flush()

    def flush(self) -> None:
        """Bring what was added to the file."""
        for name, rows in self._rows.items():
            if rows:
                dataset = self._file[name]
                begin = len(dataset)
                dataset.resize((begin + len(rows),))
                dataset[begin:] = np.array(rows, _DATASETS[name])
                dataset.flush()
                rows.clear()
        self._flushed_s = time.monotonic()

    def close(self) -> None:
        """Write the rest and close the file."""
        self.flush()
        self._file.close()


def _track_row(
    frame: int, number: int, track: Track, light: TrackLight, start_ns: int
) -> tuple[Any, ...]:
    return (
        frame,
        number,
        KIND_NUMBERS[track.kind],
        light.row,
        light.column,
        float(track.z_mm.mean()),
        track.energy_kev,
        light.light_adu,
        light.integral_adu,
        track.length_mm,
        track.theta,
        track.rows[0],
        track.columns[0],
        track.rows[-1],
        track.columns[-1],
        start_ns + track.time_ns,
    )
