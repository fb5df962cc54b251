"""Options of simulated devices: keyword arguments with JSON types, checked in one place."""

import secrets
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from hardware.errors import DeviceError
from sim.detector.tracks import Rates
from sim.devices.faults import Faults

Model = TypeVar("Model", bound=BaseModel)

FaultsOption = Annotated[Faults, BeforeValidator(Faults.parse)]


class DeviceOptions(BaseModel):
    """What all simulated devices understand."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int | None = Field(
        default=None,
        ge=0,
        description="the same seed gives the same run; null: another one each time",
    )
    index: int = Field(default=0, ge=0, le=63, description="number of the device among its kind")
    faults: FaultsOption = Field(default=Faults(), description="what goes wrong")

    @property
    def settled_seed(self) -> int:
        """The seed, or that of this process if none is given."""
        return process_seed() if self.seed is None else self.seed


class CameraOptions(DeviceOptions):
    """Options of the simulated camera."""

    clock: str = Field(default="", description="devices with one name here share one time")
    pedestal: bool = Field(default=False, description="no light: HV and PMTs are off")

    rates: Rates = Field(default=Rates(), description="particles in one exposure")
    truth_dir: str = Field(default="", description="folder for the truth; empty: none is written")
    frames: int = Field(
        default=0, ge=0, description="frames after which it stops by itself; 0: never"
    )
    buffer_frames: int = Field(
        default=16, ge=1, le=4096, description="frames that the driver keeps for a late reader"
    )
    prepared_frames: int = Field(
        default=0,
        ge=0,
        le=64,
        description="dark frames drawn beforehand; a frame is then a copy of one of them, with "
        "light of its own, and costs what a driver's copy costs; 0: each is drawn anew",
    )
    bits: int = Field(
        default=16, ge=12, le=16, description="bits of a pixel: it stops at 2**bits - 1"
    )
    specimen: int = Field(default=0, ge=0, description="which camera: it has its own pedestals")
    veto_us: float = Field(default=10.0, ge=0, description="time between triggers at least [us]")


class DigitizerOptions(DeviceOptions):
    """Options of the simulated digitizer.

    Which triggers there are, the camera says; what it says goes before seed, pedestal, exposure
    and rate here.
    """

    clock: str = Field(default="", description="devices with one name here share one time")
    pedestal: bool = Field(default=False, description="of the cameras; known from their clock")
    exposure_s: float = Field(
        default=0.0, ge=0, description="of the cameras; known from their clock"
    )
    rate_hz: float = Field(default=0.0, ge=0, description="of the cameras; known from their clock")
    buffer_triggers: int = Field(
        default=1024, ge=1, description="triggers that the board keeps for a late reader"
    )
    specimen: int = Field(default=0, ge=0, description="which board: it has its own baselines")


@cache
def process_seed() -> int:
    """Return the seed of devices that were given none; one for all of the process."""
    return secrets.randbits(31)


def check_options(model: type[Model], device: str, *given: Mapping[str, Any]) -> Model:
    """Return the options; later mappings win.

    :param device: how an operator knows the device.
    :raises DeviceError: naming the option, the value seen and what is allowed.
    """
    merged = {key: value for options in given for key, value in options.items()}
    unknown = sorted(set(merged) - set(model.model_fields))
    if unknown:
        raise DeviceError(
            f"{device} knows no option {', '.join(unknown)}; "
            f"known are: {', '.join(sorted(model.model_fields))}. Correct the device's options."
        )
    try:
        return model.model_validate(merged)
    except ValidationError as error:
        raise DeviceError(f"{device}: {'; '.join(_explain(error))}") from error


def _explain(error: ValidationError) -> list[str]:
    lines = []
    for problem in error.errors():
        place = ".".join(str(part) for part in problem["loc"]) or "options"
        message = problem["msg"].removeprefix("Input should be ")
        if problem["type"] == "extra_forbidden":
            message = "no such option"
        lines.append(f"option {place} is {problem['input']!r}; allowed: {message}")
    return lines
