"""What the analyzer must know of a run; the same from the ODB and from the dump in its file."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import ValidationError

from analyzer.errors import AnalyzerError
from analyzer.settings import SETTINGS_PATH, AnalyzerSettings
from rawdata import odbdump

ODB_FOLDERS: Final = (
    "/Configurations",
    "/Runinfo",
    "/Experiment/Run Parameters",
    "/Equipment/Trigger/Settings/CameraSN",
    "/Equipment/Trigger/Settings/Cameras",
    "/Equipment/Environment/Settings/Names Input",
    "/Equipment/Environment/Variables",
    "/Equipment/HV/Settings/Names",
    "/Equipment/HV/Variables",
    "/Equipment/CATHODE/Variables",
    "/Equipment/CameraStatus/Variables",
    "/Equipment/TriggerModule/Variables",
    "/Equipment/Analyzer/Limits",
)
"""What is looked at of the ODB."""


@dataclass(frozen=True)
class RunConditions:
    """The conditions of one run.

    :param is_pedestal: the run makes a pedestal (``/Configurations/Pedestal``).
    :param drs4_on_board: the digitizer itself corrects the DRS4
        (``/Configurations/DRS4Correction``).
    :param begin_time: unix time of its begin [s], 0 if it is not known.
    :param odb: the ODB at begin of run, or the part of it that has `ODB_FOLDERS`.
    """

    run: int
    exposure_s: float = 0.0
    is_pedestal: bool = False
    drs4_on_board: bool = False
    begin_time: int = 0
    odb: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def camera_name(self, camera: int) -> str:
        """Return which camera it is, and from where on it is cropped; empty if that is not known.

        That is ``/Equipment/Trigger/Settings/CameraSN`` of CYGNO's frontends, or ``Cameras`` of
        ours, with ``/Configurations/CameraCropSettings``.
        """
        name = ""
        for key in ("CameraSN", "Cameras"):
            path = f"/Equipment/Trigger/Settings/{key}[{camera}]"
            name = name or str(odbdump.get(self.odb, path, "") or "").strip()
        crop = self._crop()
        if crop:
            x, y = (odbdump.get(crop, f"crop_origin_{axis}", 0) for axis in "xy")
            name += f" from column {x}, row {y}"
        return name.strip()

    @property
    def crop_shape(self) -> tuple[int, int] | None:
        """Rows and columns that frames are cropped to; None if they are not, or it is not known."""
        size = int(odbdump.get(self._crop(), "crop_size", 0) or 0)
        return (size, size) if size > 0 else None

    def _crop(self) -> Mapping[str, Any]:
        """Return ``/Configurations/CameraCropSettings`` if frames are cropped, else nothing."""
        crop = odbdump.get(self.odb, "/Configurations/CameraCropSettings")
        is_cropped = isinstance(crop, Mapping) and odbdump.get(crop, "crop_enable", False)
        return crop if is_cropped else {}


def conditions_of(odb: Mapping[str, Any], run: int) -> RunConditions:
    """Return a run's conditions from an ODB, or from the part of it that has the keys.

    >>> conditions_of({"Configurations": {"Exposure": 0.3, "Pedestal": True}}, 7)
    RunConditions(run=7, exposure_s=0.3, is_pedestal=True, drs4_on_board=False, begin_time=0)
    """
    begin = odbdump.get(odb, "/Runinfo/Start time binary", 0)
    return RunConditions(
        run,
        exposure_s=float(odbdump.get(odb, "/Configurations/Exposure", 0.0) or 0.0),
        is_pedestal=bool(odbdump.get(odb, "/Configurations/Pedestal", False)),
        drs4_on_board=bool(odbdump.get(odb, "/Configurations/DRS4Correction", False)),
        begin_time=int(begin or 0),
        odb=odb,
    )


def settings_of(odb: Mapping[str, Any], where: str) -> AnalyzerSettings | None:
    """Return the analyzer's settings as they stood in an ODB, None if it had none.

    :param where: for the error message.
    :raises AnalyzerError: if they are out of bounds.
    """
    content = odbdump.get(odb, SETTINGS_PATH)
    if not isinstance(content, Mapping):
        return None
    try:
        return AnalyzerSettings.model_validate(dict(content))
    except ValidationError as error:
        first = error.errors()[0]
        key = "/".join(str(part) for part in first["loc"])
        raise AnalyzerError(
            f"{where}: {SETTINGS_PATH}/{key} is {first['input']!r}: {first['msg']}"
        ) from error
