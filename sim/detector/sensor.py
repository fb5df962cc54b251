"""The camera sensor: its shape, its pedestal, its noise and what the optics let through."""

import re
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from sim.detector.randomness import key_of, normal_quantiles, normal_table, stream
from sim.kernels.frame import MAP_SCALE, fill_with_noise

MM_PER_PIXEL = 0.152
"""LIME's ORCA Fusion: 346 mm on 2304 pixels, as its reconstruction has it [mm]."""
ROW_NOISE_ADU = 0.4
"""Level that the pixels of a row share in a frame; seen as faint stripes in LNGS images."""
HOT_FRACTION = 0.0015
_GLOW_ADU, _GLOW_ROWS = 7.0, 0.03
_LARGEST_PEDESTAL_ADU = 900.0
_VIGNETTING_RADIUS = (0, 50, 250, 450, 650, 850, 1050, 1200, 1350, 1550, 1630)
_VIGNETTING = (1.0, 0.998, 0.973, 0.931, 0.870, 0.787, 0.677, 0.582, 0.475, 0.316, 0.224)
"""LIME's response against radius on 2304 pixels (map normmap_lime of runs 3930 to 3932)."""
_HALF_DIAGONAL = 1629.2


@dataclass(frozen=True, slots=True)
class SensorModel:
    """A type of camera.

    :param counts: ADU for one photon that reaches the sensor.
    """

    name: str
    rows: int
    columns: int
    counts: float = 4.0

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.rows, self.columns


# Counts a photon: piacent/digitizationpp, src/DigitizationRunner.cxx.
MODELS = {
    "fusion": SensorModel("ORCA Fusion", 2304, 2304),
    "quest": SensorModel("ORCA Quest", 2304, 4096, counts=8.98),
    "flash": SensorModel("ORCA Flash", 2048, 2048),
}


def sensor_model(address: str) -> SensorModel:
    """Return the model of an address: a name, or ROWSxCOLS for any size.

    >>> sensor_model("256x512").shape
    (256, 512)

    :raises ValueError: with what is allowed.
    """
    if address.lower() in MODELS:
        return MODELS[address.lower()]
    size = re.fullmatch(r"(\d{2,5})x(\d{2,5})", address)
    rows, columns = (int(size[1]), int(size[2])) if size else (0, 0)
    if not (16 <= rows <= 10000 and 16 <= columns <= 10000):
        raise ValueError(
            f"address is {address!r}; allowed: {', '.join(MODELS)}, or ROWSxCOLS such as 512x512, "
            "each 16 to 10000"
        )
    return SensorModel(f"{rows}x{columns}", rows, columns)


@dataclass(frozen=True, eq=False)
class Sensor:
    """One camera's sensor, with what differs from pixel to pixel.

    :param pedestal_map: (rows, columns) uint16 in `MAP_SCALE`.
    :param sigma_map: (rows, columns) uint16 in `MAP_SCALE`.
    """

    model: SensorModel
    pedestal_map: npt.NDArray[np.uint16]
    sigma_map: npt.NDArray[np.uint16]

    @property
    def pedestal_adu(self) -> npt.NDArray[np.float64]:
        """Mean of each pixel in the dark, (rows, columns) [ADU]."""
        return self.pedestal_map / MAP_SCALE

    @property
    def sigma_adu(self) -> npt.NDArray[np.float64]:
        """Noise of each pixel, (rows, columns) [ADU]; rows share `ROW_NOISE_ADU` besides."""
        return self.sigma_map / MAP_SCALE

    def fill_dark(self, frame: npt.NDArray[np.uint16], key: np.uint64) -> None:
        """Write a dark frame, (rows, columns) uint16."""
        fill_with_noise(
            frame,
            self.pedestal_map,
            self.sigma_map,
            normal_table(),
            normal_quantiles(),
            ROW_NOISE_ADU,
            key,
        )


@lru_cache(maxsize=8)
def make_sensor(model: SensorModel, specimen: int) -> Sensor:
    """Build a sensor; the same specimen is the same sensor in every run, whatever its seed.

    Numbers: mean near 100 ADU, glow of 6 to 8 ADU at the top and bottom edges, noise 2.6 ADU with
    12 % spread, 0.15 % of hot pixels with sigma 6 to 40 ADU (LNGS run 42901 and the pedestal maps
    of 2048 pixels at 100 ms).
    """
    random = stream("sensor", model.name, specimen)
    rows, columns = model.shape
    pedestal = random.standard_normal(model.shape, np.float32) * np.float32(0.45)
    pedestal += random.normal(0.0, 0.25, (rows, 1)).astype(np.float32)
    pedestal += random.normal(0.0, 0.15, (1, columns)).astype(np.float32)
    row = np.arange(rows)
    from_edge = np.minimum(row, rows - 1 - row) / (rows * _GLOW_ROWS)
    pedestal += (99.5 + _GLOW_ADU * np.exp(-from_edge)).astype(np.float32)[:, np.newaxis]
    sigma = random.standard_normal(model.shape, np.float32)
    sigma *= np.float32(0.12)
    np.exp(sigma, out=sigma)
    sigma *= np.float32(2.6)
    count = round(HOT_FRACTION * rows * columns)
    hot = random.choice(rows * columns, count, replace=False)
    sigma.reshape(-1)[hot] = 6.0 * (40.0 / 6.0) ** (random.random(count) ** 2)
    pedestal.reshape(-1)[hot] += random.exponential(60.0, count)
    np.clip(pedestal, 0.0, _LARGEST_PEDESTAL_ADU, out=pedestal)
    scaled = [np.rint(part * MAP_SCALE).astype(np.uint16) for part in (pedestal, sigma)]
    for part in scaled:
        part.flags.writeable = False
    return Sensor(model, *scaled)


@lru_cache(maxsize=2)
def prepared_frames(
    model: SensorModel, specimen: int, seed: int, count: int
) -> npt.NDArray[np.uint16]:
    """Return dark frames, (count, rows, columns) uint16; those of the same seed are the same."""
    frames = np.empty((count, *model.shape), np.uint16)
    for number, frame in enumerate(frames):
        make_sensor(model, specimen).fill_dark(frame, key_of(seed, "prepared frame", number))
    frames.flags.writeable = False
    return frames


@lru_cache(maxsize=8)
def vignetting(model: SensorModel) -> tuple[npt.NDArray[np.float64], float]:
    """Return response against radius in 512 bins, and the bins for one pixel of radius.

    The corner of any sensor has the response of LIME's corner.
    """
    bins = np.linspace(0.0, _HALF_DIAGONAL, 512)
    half_diagonal = float(np.hypot(model.rows, model.columns)) / 2
    return np.interp(bins, _VIGNETTING_RADIUS, _VIGNETTING), 511 / half_diagonal


@lru_cache(maxsize=8)
def stuck_pixels(
    model: SensorModel, specimen: int, count: int
) -> tuple[tuple[npt.NDArray[np.intp], ...], npt.NDArray[np.uint16]]:
    """Return rows and columns of pixels that never change, and what they show: 0 or 65535."""
    random = stream("stuck pixels", model.name, specimen)
    size = model.rows * model.columns
    places = random.choice(size, min(count, size), replace=False)
    values = random.choice(np.array([0, 65535], np.uint16), places.size)
    return np.unravel_index(places, model.shape), values


def frame_key(seed: int, run: int, view: int, frame: int) -> np.uint64:
    """Return the key of one frame's noise."""
    return key_of(seed, "frame noise", run, view, frame)
