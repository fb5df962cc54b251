"""Frames with known content, small enough to look at."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from analyzer.pedestal import Pedestal

Frame = npt.NDArray[np.uint16]


@dataclass
class Scene:
    """A pedestal and frames on it."""

    pedestal: Pedestal
    random: np.random.Generator

    @property
    def shape(self) -> tuple[int, int]:
        return self.pedestal.shape

    def light(self) -> npt.NDArray[np.float64]:
        return np.zeros(self.shape)

    def frame(self, light: npt.NDArray[np.float64] | None = None) -> Frame:
        noise = self.random.normal(0, 1, self.shape) * self.pedestal.sigma
        level = self.pedestal.mean + noise + (0 if light is None else light)
        return np.clip(np.rint(level), 0, 65535).astype(np.uint16)


def make_scene(shape: tuple[int, int] = (160, 192), seed: int = 1, sigma: float = 2.4) -> Scene:
    random = np.random.default_rng(seed)
    mean = random.normal(100, 0.8, shape).astype(np.float32)
    noise = np.full(shape, sigma, np.float32)
    defects = np.zeros(shape, np.uint8)
    return Scene(Pedestal(mean, noise, defects, frames=100, run=7, source="run 7"), random)


def add_spot(
    light: npt.NDArray[np.float64], x: float, y: float, integral: float, sigma: float = 4.0
) -> None:
    """Add a round spot at column x, row y."""
    rows, columns = np.indices(light.shape)
    shape = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * sigma**2))
    light += integral * shape / (2 * np.pi * sigma**2)


def add_track(
    light: npt.NDArray[np.float64],
    x: float,
    y: float,
    angle: float,
    length: float,
    adu_per_pixel: float,
    bend: float = 0.0,
) -> None:
    """Add a track of even light; `bend` is its largest distance from its chord."""
    for along in np.arange(-length / 2, length / 2, 2.0):
        across = bend * (1 - (2 * along / length) ** 2)
        at_x = x + along * math.cos(angle) - across * math.sin(angle)
        at_y = y + along * math.sin(angle) + across * math.cos(angle)
        left, top = int(at_x) - 24, int(at_y) - 24
        add_spot(
            light[top : top + 48, left : left + 48], at_x - left, at_y - top, 2 * adu_per_pixel
        )
