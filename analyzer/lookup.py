"""Which pedestal a run is analyzed with.

The nearest earlier pedestal file of the data folder that fits (camera, shape, exposure); else one
that fits but for the exposure; else an estimate from the run's own first frame of that camera. All
are the same online and from file.

What shape a run's frames have is not up to its first frame alone: the pedestal that was given says
it, else the crop settings in the ODB, else the nearest earlier pedestal of the camera. An event
with a frame of another shape waits for the next one: a second frame of that shape in a row shows
that it is the run's, and both are analyzed; else the first is left out.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from analyzer.analysis import RunAnalysis
from analyzer.errors import PedestalError
from analyzer.frames import as_frame
from analyzer.levels import Levels, prepare_levels
from analyzer.pedestal import Pedestal, estimate_pedestal
from analyzer.pedestal_files import Wanted, find_pedestal, nearest_shape, read_pedestals
from analyzer.settings import AnalyzerSettings
from rawdata.event import Event

Tell = Callable[[str, bool], object]
"""``tell(text, is_error)``: say something to a person."""

More = TypeVar("More")


class PedestalLookup:
    """Finds pedestals and keeps the last one ready, since runs in a row share it.

    :param folders: where pedestal files lie.
    :param given: a pedestal file to use instead, whatever its run.
    """

    def __init__(self, folders: Sequence[Path], given: Path | None = None) -> None:
        self.folders = list(folders)
        self._given = None if given is None else (given, read_pedestals(given))
        self._ready: dict[int, tuple[Pedestal, AnalyzerSettings, Levels]] = {}
        self._doubtful: dict[int, tuple[int, tuple[int, int]]] = {}

    def equipped(
        self, analysis: RunAnalysis, events: Iterable[tuple[Event, int, More]], tell: Tell
    ) -> Iterator[tuple[Event, int, More]]:
        """Yield the trigger events of a run in their order, once each can be analyzed.

        :param events: event, its index in the run, and what else goes with it.
        :raises PedestalError: if the pedestal file that was given does not fit.
        """
        held: tuple[Event, int, More] | None = None
        for item in events:
            if held is not None:
                self.equip(analysis, held[0], held[1], tell, following=item[0])
                yield held
                held = None
            if self.equip(analysis, item[0], item[1], tell, may_wait=True):
                yield item
            else:
                held = item
        if held is not None:
            self.equip(analysis, held[0], held[1], tell)
            yield held

    def equip(
        self,
        analysis: RunAnalysis,
        event: Event,
        index: int,
        tell: Tell,
        *,
        following: Event | None = None,
        may_wait: bool = False,
    ) -> bool:
        """Give a pedestal to each camera of an event that has none yet.

        :param index: the event's index in the run, which an estimate names as its source.
        :param following: the event after it.
        :param may_wait: leave what only `following` can settle until it is there.
        :returns: False if that is to be waited for; call again with `following`, or with neither
            where there is none.
        :raises PedestalError: if the pedestal file that was given does not fit.
        """
        run, is_settled = analysis.conditions.run, True
        for camera, frame in analysis.cameras_without_pedestal(event).items():
            shape = (frame.shape[0], frame.shape[1])
            doubt = self._doubt(analysis, camera, shape)
            if doubt and following is not None:
                after = analysis.cameras_without_pedestal(following).get(camera)
                doubt = "" if after is not None and after.shape == shape else doubt
            elif doubt and may_wait:
                is_settled = False
                continue
            self._doubtful.pop(camera, None)
            if doubt:
                self._doubtful[camera] = run, shape
                tell(f"run {run}, event {index}: {doubt}", True)
                continue
            pedestal = self._pedestal(analysis, camera, frame, index, tell)
            levels = self._levels(camera, pedestal, analysis.settings)
            if levels.vignetting.unusable:
                tell(
                    f"run {run}: vignetting map {levels.vignetting.source}: "
                    f"{levels.vignetting.unusable} blocks are not finite or have no response: "
                    "energies there are not corrected",
                    True,
                )
            analysis.set_pedestal(camera, levels)
        return is_settled

    def require_use(self, analysis: RunAnalysis) -> None:
        """Make sure that a pedestal that was given fitted a frame of the run, if it had any.

        :raises PedestalError: if it did not.
        """
        if self._given is None:
            return
        for camera, (run, shape) in self._doubtful.items():
            if run == analysis.conditions.run and camera not in analysis.levels:
                self._fitting(camera, shape)

    def _doubt(self, analysis: RunAnalysis, camera: int, shape: tuple[int, int]) -> str:
        """Return why a frame may not be one of the run's; empty if nothing speaks against it."""
        last = self._doubtful.get(camera)
        expected, who = self._expected_shape(analysis, camera, shape)
        if expected is None or expected == shape or last == (analysis.conditions.run, shape):
            return ""
        return (
            f"camera {camera} has a frame of {shape[0]}x{shape[1]} pixels, not "
            f"{expected[0]}x{expected[1]} as {who}, and no second one like it follows: it is "
            "left out"
        )

    def _expected_shape(
        self, analysis: RunAnalysis, camera: int, shape: tuple[int, int]
    ) -> tuple[tuple[int, int] | None, str]:
        """Return the shape that a camera's frames should have, and what says so."""
        conditions = analysis.conditions
        if self._given is not None:
            path, pedestals = self._given
            known = pedestals.get(camera)
            return (known.shape if known else None), f"the pedestal in {path.name}"
        if conditions.crop_shape:
            return conditions.crop_shape, "/Configurations/CameraCropSettings/crop_size says"
        name = conditions.camera_name(camera)
        wanted = Wanted(conditions.run, camera, shape, conditions.exposure_s, name)
        nearest = nearest_shape(self.folders, wanted)
        if nearest is None:
            return None, ""
        return nearest[1], f"the pedestal of run {nearest[0]}"

    def _pedestal(
        self,
        analysis: RunAnalysis,
        camera: int,
        frame: npt.NDArray[np.uint16],
        index: int,
        tell: Tell,
    ) -> Pedestal:
        conditions = analysis.conditions
        shape = (frame.shape[0], frame.shape[1])
        if self._given is not None:
            return self._fitting(camera, shape)
        name = conditions.camera_name(camera)
        wanted = Wanted(conditions.run, camera, shape, conditions.exposure_s, name)
        search = find_pedestal(self.folders, wanted)
        for trouble in search.troubles:
            tell(trouble, True)
        what = f"camera {camera} ({shape[0]}x{shape[1]}, {conditions.exposure_s} s)"
        advice = "" if conditions.is_pedestal else "; take a pedestal run"
        if search.pedestal is not None:
            if search.has_other_exposure:
                tell(
                    f"run {conditions.run}: no earlier pedestal of {what} has that exposure: that "
                    f"of {search.pedestal.source}, {search.pedestal.exposure_s} s, is used{advice}",
                    False,
                )
            return search.pedestal
        source = f"estimated from event {index} of run {conditions.run}"
        tell(
            f"run {conditions.run}: no earlier pedestal fits {what} in "
            f"{', '.join(map(str, self.folders))}: {source}{advice}",
            False,
        )
        return estimate_pedestal(
            as_frame(frame), analysis.settings, exposure_s=conditions.exposure_s, source=source
        )

    def _fitting(self, camera: int, shape: tuple[int, int]) -> Pedestal:
        path, pedestals = self._given or (Path(), {})
        pedestal = pedestals.get(camera)
        if pedestal is None:
            known = ", ".join(map(str, pedestals)) or "none"
            raise PedestalError(f"{path} has no pedestal of camera {camera}; it has: {known}")
        if pedestal.shape != shape:
            raise PedestalError(
                f"{path}: the pedestal of camera {camera} has {pedestal.shape[0]}x"
                f"{pedestal.shape[1]} pixels, the run's frames {shape[0]}x{shape[1]}; "
                "give a pedestal of the same camera and crop"
            )
        return pedestal

    def _levels(self, camera: int, pedestal: Pedestal, settings: AnalyzerSettings) -> Levels:
        last = self._ready.get(camera)
        if last and last[0].run == pedestal.run != 0 and last[1] == settings:
            if np.array_equal(last[0].mean, pedestal.mean):
                return last[2]
        levels = prepare_levels(pedestal, settings)
        self._ready[camera] = (pedestal, settings, levels)
        return levels
