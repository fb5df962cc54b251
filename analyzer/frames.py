"""Raw frames as the kernels take them."""

from typing import Any

import numpy as np
import numpy.typing as npt

from analyzer.settings import AnalyzerSettings
from rawdata.errors import LayoutError
from rawdata.event import Event
from rawdata.layouts import camera as camera_banks


def as_frame(pixels: npt.NDArray[Any]) -> npt.NDArray[np.uint16]:
    """Return pixels as the one array type that kernels are compiled for.

    That is uint16, C-contiguous, aligned, read-only. No copy is made where the bytes allow it; an
    event in a run file may lie at an odd address, which does not.

    >>> as_frame(np.zeros((2, 3), np.uint16)).flags.writeable
    False
    """
    flags = pixels.flags
    if pixels.dtype == np.uint16 and flags.c_contiguous and flags.aligned and not flags.writeable:
        return pixels
    frame = np.require(pixels, np.uint16, ("C_CONTIGUOUS", "ALIGNED")).view()
    frame.flags.writeable = False
    return frame


def decode_frame(
    event: Event, camera: int, settings: AnalyzerSettings, shape: tuple[int, int] | None = None
) -> npt.NDArray[np.uint16]:
    """Return a camera's pixels, (rows, columns) uint16; a view, unless they are compressed.

    A compressed frame must agree with the checksum of its bytes; that of its pixels is compared by
    `cygno-rawdata check` and when files are rewritten.

    :param shape: where it is known; else it is that of a known camera, square, or has the columns
        that the settings say.
    :raises RawDataError: if there is no such frame, or its shape is not known.
    """
    columns, name = settings.frame_columns, camera_banks.bank_name(camera)
    if name not in event:  # compressed frames say their shape
        return camera_banks.decode_frame(event, camera, shape, prove=False)
    if shape is None and columns:
        shape = (event[name].size // columns, columns)
    try:
        return camera_banks.decode_frame(event, camera, shape)
    except LayoutError as error:
        if shape is not None:
            raise
        raise LayoutError(f"{error} (setting Frame columns)") from error
