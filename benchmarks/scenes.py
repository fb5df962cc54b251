"""Frames whose light is known: noise of a simulated sensor, with spots and tracks."""

import math
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from sim.detector.randomness import key_of, normal_quantiles, normal_table
from sim.detector.sensor import Sensor, make_sensor, sensor_model
from sim.kernels.frame import fill_with_noise

PHOTON_ADU = 4
"""Light of one photon; Fusion (`sim.detector.sensor.MODELS`) [ADU]."""
SENSOR_NOISE_ADU = 2.6
"""Median noise of a pixel of the simulated sensor (`sim.detector.sensor.make_sensor`) [ADU]."""
SPREAD_PIXELS = 4.0
"""Sigma of a spot, and of a track across its axis [pixel]."""
MARGIN_PIXELS = 60.0
"""Objects keep that far from the frame's edge; spots likewise from each other's cells."""
TOP, BOTTOM = 330.0, 2030.0
"""Rows for objects: within the acceptance of profile LNGS, 304 to 2054."""

Frame = npt.NDArray[np.uint16]
Points = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Placed:
    """One object as it was placed.

    :param light_adu: sum of what the pixels got [ADU]: photons times `PHOTON_ADU`.
    :param row: mean row of that light [pixel]; `column` likewise.
    :param length: along its axis [pixel]; 0 for a spot.
    :param angle: of its axis from +x to +y [rad].
    """

    light_adu: float
    row: float
    column: float
    length: float = 0.0
    angle: float = 0.0

    def distances(self, rows: Points, columns: Points) -> Points:
        """Return how far points are from its axis, or from it if it is a spot [pixel]."""
        along = (columns - self.column) * math.cos(self.angle)
        along += (rows - self.row) * math.sin(self.angle)
        beyond = along - np.clip(along, -self.length / 2, self.length / 2)
        across = (rows - self.row) * math.cos(self.angle)
        across -= (columns - self.column) * math.sin(self.angle)
        return np.hypot(beyond, across)


@dataclass
class Scene:
    """One frame under construction.

    :param pixels: (rows, columns) uint16 [ADU].
    """

    pixels: Frame
    random: np.random.Generator
    placed: list[Placed] = field(default_factory=list)

    def add(
        self, row: float, column: float, light_adu: float, length: float = 0.0, angle: float = 0.0
    ) -> None:
        """Place a spot, or a track of even light, with a Poisson number of photons."""
        random = self.random
        photons = int(random.poisson(light_adu / PHOTON_ADU))
        along = random.uniform(-length / 2, length / 2, photons)
        rows = row + along * math.sin(angle) + random.normal(0, SPREAD_PIXELS, photons)
        columns = column + along * math.cos(angle) + random.normal(0, SPREAD_PIXELS, photons)
        y, x = np.rint(rows).astype(np.intp), np.rint(columns).astype(np.intp)
        height, width = self.pixels.shape
        inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
        light = np.bincount(y[inside] * width + x[inside], minlength=height * width)
        lit = np.flatnonzero(light)
        pixels = self.pixels.reshape(-1)
        total = pixels[lit].astype(np.int64) + PHOTON_ADU * light[lit]
        pixels[lit] = np.minimum(total, np.iinfo(np.uint16).max)
        count = int(inside.sum())
        middle = (float(y[inside].mean()), float(x[inside].mean())) if count else (row, column)
        self.placed.append(Placed(float(PHOTON_ADU * count), *middle, length, angle))


class Camera:
    """Gives dark frames of one sensor: fixed pattern, glow at the edges, hot pixels, noise.

    :param seed: of the noise and of what is placed.
    :param noise_adu: median noise of its pixels, which differ by 12 % [ADU]; hot ones have more.
    """

    def __init__(
        self, seed: int = 1, address: str = "fusion", noise_adu: float = SENSOR_NOISE_ADU
    ) -> None:
        sensor = make_sensor(sensor_model(address), specimen=0)
        sigma = np.rint(sensor.sigma_map * (noise_adu / SENSOR_NOISE_ADU)).astype(np.uint16)
        self.sensor: Sensor = replace(sensor, sigma_map=sigma)
        self.random = np.random.default_rng(seed)
        self._seed, self._frames = seed, 0

    def dark(self, row_noise_adu: float = 0.0, drift_adu: int = 0) -> Scene:
        """Return the next frame without light.

        :param row_noise_adu: sigma of the level that the pixels of a row share [ADU].
        :param drift_adu: what all pixels have more than in the pedestal run [ADU].
        """
        pixels = np.empty(self.sensor.model.shape, np.uint16)
        self._frames += 1
        fill_with_noise(
            pixels,
            self.sensor.pedestal_map,
            self.sensor.sigma_map,
            normal_table(),
            normal_quantiles(),
            row_noise_adu,
            key_of(self._seed, "benchmark", self._frames),
        )
        pixels += np.uint16(drift_adu)
        return Scene(pixels, self.random)

    def spots(self, light_adu: float, scene: Scene, down: int = 4, across: int = 6) -> Scene:
        """Place spots, each somewhere in a cell of its own."""
        width = scene.pixels.shape[1]
        for i in range(down):
            for j in range(across):
                cell_height, cell_width = (BOTTOM - TOP) / down, (width - MARGIN_PIXELS) / across
                row = TOP + cell_height * i + self.random.uniform(50, cell_height - 50)
                column = MARGIN_PIXELS / 2 + cell_width * j
                column += self.random.uniform(50, cell_width - 50)
                scene.add(row, column, light_adu)
        return scene

    def track(self, light_adu: float, length: float, scene: Scene) -> Scene:
        """Place one straight track of any direction, all of it inside the acceptance."""
        angle = self.random.uniform(-math.pi / 2, math.pi / 2)
        half_y, half_x = abs(math.sin(angle)) * length / 2, abs(math.cos(angle)) * length / 2
        row = self.random.uniform(TOP + half_y, BOTTOM - half_y)
        width = scene.pixels.shape[1]
        column = self.random.uniform(MARGIN_PIXELS + half_x, width - MARGIN_PIXELS - half_x)
        scene.add(row, column, light_adu, length, angle)
        return scene
