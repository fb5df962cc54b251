"""The part of the sensor that events hold, if not all of it.

CYGNO's generation C keeps a pixel if origin < x <= origin + size, and the same for y: strict on the
low side, with pixels counted from 0, so that an origin of -1 begins with the first pixel. What is
kept is a square, whose shape readers know from its size as they do for whole frames.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from experiment.settings import refusal
from frontend.settings import Configurations, CropSettings
from hardware.camera import CameraInfo


@dataclass(frozen=True, slots=True)
class Crop:
    """A square window on a sensor of known size.

    :param sensor: (rows, columns) of what the driver gives.
    :param window: rows and columns that are kept.
    """

    sensor: tuple[int, int]
    window: tuple[slice, slice]

    def copy(self, frame: npt.NDArray[np.uint16], kept: npt.NDArray[np.uint16]) -> None:
        """Copy what is kept of a whole frame to its place."""
        kept[...] = frame[self.window]


def crop_of(keys: Configurations, camera: CameraInfo) -> Crop | None:
    """Return the crop that the settings ask for on this camera; None for whole frames.

    :raises SettingsError: if it is not inside the sensor.
    """
    crop = keys.crop
    if not crop.enable:
        return None
    path = f"{keys.odb_path}/{CropSettings.folder}"
    sides = (
        ("crop_origin_y", crop.origin_y, camera.rows, "rows"),
        ("crop_origin_x", crop.origin_x, camera.columns, "columns"),
    )
    for key, origin, length, what in sides:
        where = f"the sensor of camera {camera.model} S/N {camera.serial_number}: {length} {what}"
        if crop.size > length:
            raise refusal(path, "crop_size", crop.size, f"at most {length}, inside {where}")
        if origin + crop.size >= length:
            allowed = f"-1 to {length - crop.size - 1} with crop_size {crop.size}, inside {where}"
            raise refusal(path, key, origin, allowed)
    rows, columns = (slice(origin + 1, origin + 1 + crop.size) for _, origin, _, _ in sides)
    return Crop((camera.rows, camera.columns), (rows, columns))


def cropped(camera: CameraInfo, crop: Crop | None) -> CameraInfo:
    """Return the camera as events show it."""
    if crop is None:
        return camera
    rows, columns = crop.window
    return replace(camera, rows=rows.stop - rows.start, columns=columns.stop - columns.start)
