"""Images for people: light as colours or grey, shrunk where needed, as PNG or JPEG."""

from typing import Final, Literal

import cv2
import numpy as np
import numpy.typing as npt

Colors = Literal["gray", "viridis", "inferno", "magma", "plasma", "turbo"]
Format = Literal["png", "jpeg"]

_MAPS: Final = {
    "viridis": cv2.COLORMAP_VIRIDIS,
    "inferno": cv2.COLORMAP_INFERNO,
    "magma": cv2.COLORMAP_MAGMA,
    "plasma": cv2.COLORMAP_PLASMA,
    "turbo": cv2.COLORMAP_TURBO,
}
_JPEG_QUALITY: Final = 85


def as_bytes(
    light: npt.NDArray[np.float32], low_adu: float, high_adu: float
) -> npt.NDArray[np.uint8]:
    """Return light as 8 bit, `low_adu` as 0 and `high_adu` as 255.

    >>> as_bytes(np.array([[-5.0, 0.0, 10.0, 20.0]], np.float32), 0.0, 10.0).tolist()
    [[0, 0, 255, 255]]
    """
    scale = 255.0 / max(high_adu - low_adu, 1e-6)
    scaled = np.clip(np.rint((light - low_adu) * scale), 0, 255)
    return np.asarray(scaled, np.uint8)


def shrink(light: npt.NDArray[np.float32], side: int) -> npt.NDArray[np.float32]:
    """Return an image whose longer side has at most `side` pixels, by means of areas."""
    rows, columns = light.shape
    if max(rows, columns) <= side:
        return light
    scale = side / max(rows, columns)
    size = max(1, round(columns * scale)), max(1, round(rows * scale))
    return np.asarray(cv2.resize(light, size, interpolation=cv2.INTER_AREA), np.float32)


def paint(grey: npt.NDArray[np.uint8], colors: Colors) -> npt.NDArray[np.uint8]:
    """Return (rows, columns, 3) blue, green and red of an 8-bit image, or itself for grey."""
    if colors == "gray":
        return grey
    return np.asarray(cv2.applyColorMap(grey, _MAPS[colors]), np.uint8)


def encode(pixels: npt.NDArray[np.uint8], form: Format) -> bytes:
    """Return a picture's file."""
    options = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY] if form == "jpeg" else []
    _, content = cv2.imencode(f".{form}", pixels, options)
    return bytes(content)
