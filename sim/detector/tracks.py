"""Particles in the gas: what leaves light, where, when and how much.

Numbers are LIME's (He:CF4 60:40 at 0.9 bar, 50 cm of drift, GEMs at 440 V), from CYGNO's public
reconstruction and digitization code and its run logs.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal, get_args

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from sim.detector.sensor import MM_PER_PIXEL, SensorModel

Kind = Literal["iron", "alpha", "muon", "recoil"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

DRIFT_MM: Final = 500.0
DRIFT_VELOCITY_MM_PER_NS: Final = 0.05471
"""At 800 V/cm."""
TRANSVERSE_MM2, TRANSVERSE_MM2_PER_CM = 0.1225, 0.0132
LONGITUDINAL_MM2, LONGITUDINAL_MM2_PER_CM = 0.0676, 0.00978
"""sigma**2 of the diffusion: in the GEMs, and for each cm of drift."""
LIGHT_YIELD_ADU_PER_KEV: Final = 2079.0
"""LNGS Run 2: 0.000481 keV per ADU; the 5.9 keV of 55Fe give 12 300 ADU."""
W_KEV: Final = 0.0462
"""Energy for one ionisation electron."""
IRON_KEV: Final = 5.9
MUON_KEV_PER_MM: Final = 0.24
ALPHA_HALO_MM: Final = 1.4
"""Measured alphas are 9 pixels wide (sigma) and more, far beyond diffusion (run 41525)."""
_MARGIN_PIXELS = 12.0
_GAIN_AT_MIDDLE = (1 - math.exp(-392 / 150)) * math.exp(-250 / 700)


class Rates(BaseModel):
    """Mean number of particles in one exposure, and of PMT pulses without one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    iron: float = Field(default=2.0, ge=0, le=1000, description="55Fe conversions, 5.9 keV")
    alpha: float = Field(
        default=0.1, ge=0, le=1000, description="alphas of radon and its daughters"
    )
    muon: float = Field(default=0.4, ge=0, le=1000, description="muons and other long thin tracks")
    recoil: float = Field(default=0.2, ge=0, le=1000, description="nuclear recoils, 5 to 60 keV")
    dark: float = Field(
        default=0.3, ge=0, le=1000, description="PMT triggers without light in the frame"
    )


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """One particle: a chain of segments that give light.

    :param time_ns: when its first light comes, since the start of the frame's exposure [ns].
    :param energy_kev: energy left in the gas [keV].
    :param length_mm: length in three dimensions [mm].
    :param theta: angle to the drift direction [rad].
    :param rows: (n,) place of each segment [pixel], of its middle; columns alike.
    :param z_mm: (n,) distance of each segment from the GEMs [mm].
    :param light_adu: (n,) mean light of each segment, before vignetting [ADU].
    """

    kind: Kind
    time_ns: int
    energy_kev: float
    length_mm: float
    theta: float
    rows: npt.NDArray[np.float64]
    columns: npt.NDArray[np.float64]
    z_mm: npt.NDArray[np.float64]
    light_adu: npt.NDArray[np.float64] = field(repr=False)
    halo_mm: float = 0.0
    """Sigma that dense charge gets in the GEMs besides diffusion [mm]."""

    @property
    def total_light_adu(self) -> float:
        """Mean light of the whole track, before vignetting [ADU]."""
        return float(self.light_adu.sum())

    @property
    def spreads_pixels(self) -> npt.NDArray[np.float64]:
        """Sigma of the transverse diffusion of each segment, (n,) [pixel]."""
        sigma2_mm2 = TRANSVERSE_MM2 + TRANSVERSE_MM2_PER_CM * self.z_mm / 10 + self.halo_mm**2
        spreads: npt.NDArray[np.float64] = np.sqrt(sigma2_mm2) / MM_PER_PIXEL
        return spreads

    @property
    def spreads_ns(self) -> npt.NDArray[np.float64]:
        """Sigma of the longitudinal diffusion of each segment, (n,) [ns]."""
        sigma2_mm2 = LONGITUDINAL_MM2 + LONGITUDINAL_MM2_PER_CM * self.z_mm / 10
        spreads: npt.NDArray[np.float64] = np.sqrt(sigma2_mm2) / DRIFT_VELOCITY_MM_PER_NS
        return spreads

    @property
    def delays_ns(self) -> npt.NDArray[np.float64]:
        """When the light of each segment comes after the first, (n,) [ns]."""
        delays: npt.NDArray[np.float64] = (self.z_mm - self.z_mm.min()) / DRIFT_VELOCITY_MM_PER_NS
        return delays


def gain_at(z_mm: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the relative light of charge from a distance, 1 at 250 mm.

    Charge is lost on the way; charge from close by is dense and saturates the GEMs. The form is
    that of CYGNO's scans with 55Fe: ``(1 - exp(-(z + 142) / 150)) * exp(-z / 700)``, z in mm.

    >>> gain_at(np.array([0.0, 250.0, 500.0])).round(2)
    array([0.94, 1.  , 0.74])
    """
    shape: npt.NDArray[np.float64] = (1 - np.exp(-(z_mm + 142) / 150)) * np.exp(-z_mm / 700)
    return shape / _GAIN_AT_MIDDLE


def make_track(kind: Kind, model: SensorModel, random: np.random.Generator, time_ns: int) -> Track:
    """Make one particle of a kind somewhere in what the camera sees."""
    return _MAKERS[kind](model, random, time_ns)


def _make_iron(model: SensorModel, random: np.random.Generator, time_ns: int) -> Track:
    electrons = max(random.normal(IRON_KEV / W_KEV, np.sqrt(0.2 * IRON_KEV / W_KEV)), 1.0)
    # The gain of the first GEM is exponential for each electron: their sum is Gamma distributed.
    light = random.gamma(electrons) * W_KEV * LIGHT_YIELD_ADU_PER_KEV
    return _chain("iron", model, random, time_ns, IRON_KEV, 0.3, np.array([light]))


def _make_alpha(model: SensorModel, random: np.random.Generator, time_ns: int) -> Track:
    energy_kev = 1000.0 * random.choice([4.2, 5.3, 5.5, 6.0, 7.7], p=[0.1, 0.2, 0.35, 0.25, 0.1])
    length_mm = 38.6 * (energy_kev / 5500.0) ** 1.5  # 26 to 64 mm, as measured
    # Dense charge saturates the GEMs to a twentieth: 0.3 to 1.5 million ADU.
    saturation = random.normal(0.062, 0.006)
    along = np.linspace(0.0, 1.0, 64)
    bragg = (1.0 + 1.4 * np.exp(-(((1.0 - along) * 6.0 - 0.8) ** 2))) * np.minimum(
        1.0, (1.0 - along) * 12.0 + 0.05
    )
    light = energy_kev * LIGHT_YIELD_ADU_PER_KEV * saturation * bragg / bragg.sum()
    return _chain(
        "alpha", model, random, time_ns, energy_kev, length_mm, light, halo_mm=ALPHA_HALO_MM
    )


def _make_muon(model: SensorModel, random: np.random.Generator, time_ns: int) -> Track:
    field_mm = MM_PER_PIXEL * max(model.shape)
    length_mm = field_mm * random.uniform(0.4, 1.4)
    steps = max(int(length_mm), 2)  # one segment a mm
    # Landau-like: most steps lose little, some much.
    losses = random.gamma(1.6, MUON_KEV_PER_MM * length_mm / steps / 1.6, steps)
    energy_kev = float(losses.sum())
    light = losses * LIGHT_YIELD_ADU_PER_KEV
    return _chain("muon", model, random, time_ns, energy_kev, length_mm, light, middle=0.5)


def _make_recoil(model: SensorModel, random: np.random.Generator, time_ns: int) -> Track:
    energy_kev = min(5.0 + random.exponential(15.0), 60.0)
    length_mm = 0.25 + 0.03 * energy_kev
    quenching = 0.45 + 0.005 * energy_kev  # ionisation of a nucleus is less than an electron's
    light = energy_kev * quenching * LIGHT_YIELD_ADU_PER_KEV * random.normal(0.8, 0.06)
    profile = np.linspace(1.3, 0.7, 6)  # a slow nucleus loses less and less
    profile *= max(light, 0.0) / profile.sum()
    return _chain("recoil", model, random, time_ns, energy_kev, length_mm, profile)


_MAKERS: dict[Kind, Callable[[SensorModel, np.random.Generator, int], Track]] = {
    "iron": _make_iron,
    "alpha": _make_alpha,
    "muon": _make_muon,
    "recoil": _make_recoil,
}


def _chain(
    kind: Kind,
    model: SensorModel,
    random: np.random.Generator,
    time_ns: int,
    energy_kev: float,
    length_mm: float,
    light_adu: npt.NDArray[np.float64],
    middle: float = 0.0,
    halo_mm: float = 0.0,
) -> Track:
    """Lay segments on a straight line in a random direction.

    :param middle: which part of the track lies at the random place, 0 its begin.
    """
    row, column = (
        random.uniform(_MARGIN_PIXELS / 2, size - _MARGIN_PIXELS / 2) for size in model.shape
    )
    z_mm = random.uniform(10.0, DRIFT_MM - 10.0)
    cosine, phi = random.uniform(-1.0, 1.0), random.uniform(0.0, 2 * np.pi)
    # A track that would leave the gas upwards or downwards lies flatter.
    room = (z_mm if cosine < 0 else DRIFT_MM - z_mm) / max(length_mm * (1 - middle), 1e-9)
    if middle:
        room = min(room, min(z_mm, DRIFT_MM - z_mm) / (length_mm * middle))
    cosine = float(np.clip(cosine, -room, room))
    sine = np.sqrt(1.0 - cosine**2)
    count = light_adu.size
    along = ((np.arange(count) + 0.5) / count - middle) * length_mm if count > 1 else np.zeros(1)
    depth = z_mm + along * cosine
    return Track(
        kind=kind,
        time_ns=time_ns,
        energy_kev=energy_kev,
        length_mm=length_mm,
        theta=float(np.arccos(cosine)),
        rows=row + along * sine * np.sin(phi) / MM_PER_PIXEL,
        columns=column + along * sine * np.cos(phi) / MM_PER_PIXEL,
        z_mm=depth,
        light_adu=light_adu * gain_at(depth),
        halo_mm=halo_mm,
    )
