"""Pedestals: mean, noise and defects of each pixel; estimated from one frame where need be."""

from dataclasses import dataclass
from enum import IntFlag
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from analyzer.settings import AnalyzerSettings

FloatImage = npt.NDArray[np.float32]
Image = npt.NDArray[np.uint16]

MAD_TO_SIGMA: Final = 1.4826
"""Standard deviation over median absolute deviation of a normal distribution."""
DEAD_FRACTION: Final = 0.2
"""A pixel with less than that part of the usual noise does not react."""
OUTLIER_SIGMA: Final = 5.0
"""In a single frame a pixel that far from its pedestal is hot, noisy or lit: good ones without
light are so once in 3 million."""
CUT_SIGMA: Final = 3.5
ALONE: Final = (2, 1)
AROUND: Final = (15, 5)
DARK_SIGMA: Final = 0.1
"""Light and hot pixels look alike, but hot ones are alone. Bright ones (`Hot pixel`) have, among
the 5x5 pixels around them, at most one that is 3.5 times the noise above its pedestal. Others may
be of a track of which one pixel in a hundred is lit: around them 31x31 pixels hold at most five
other outliers, and their mean, each cut at 3.5 times the noise, is below 0.1 times the noise, which
is 3 times its own."""

CLIPPED_3_SIGMA: Final = 0.98658
"""Standard deviation of a normal distribution cut at 3 sigma, over the uncut one."""

LEAST_SIGMA_ADU: Final = 0.1
"""Noise of a frame whose pixels are all alike."""

EXPOSURE_TOLERANCE: Final = 1e-3
"""Relative difference of exposure times up to which a pedestal fits."""


class Defect(IntFlag):
    """Why a pixel is ignored."""

    HOT = 1
    NOISY = 2
    DEAD = 4
    UNSTABLE = 8


@dataclass(frozen=True)
class Pedestal:
    """The pedestal of one camera.

    :param mean: (rows, columns) float32 [ADU].
    :param sigma: (rows, columns) float32 [ADU].
    :param defects: (rows, columns) uint8, `Defect` flags, 0 for good pixels.
    :param frames: how many frames it was made from.
    :param source: where it comes from, for people: ``run 1101``, or ``estimated from event 0``.
    :param run: the pedestal run, whose later runs it is valid for; 0 if it was estimated.
    :param camera_name: which camera of that index it was, empty if that is not known.
    :param valid_until: the last run it is valid for; 0: until there is a newer one.
    """

    mean: FloatImage
    sigma: FloatImage
    defects: npt.NDArray[np.uint8]
    frames: int
    exposure_s: float = 0.0
    temperature_c: float = float("nan")
    source: str = ""
    run: int = 0
    camera_name: str = ""
    valid_until: int = 0

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.mean.shape[0], self.mean.shape[1]

    @property
    def is_estimate(self) -> bool:
        """True if no pedestal run fitted and one frame had to do."""
        return self.run == 0

    def typical_sigma(self) -> float:
        """Return the median noise of the good pixels [ADU]."""
        good = self.sigma[self.defects == 0]
        return float(np.median(good)) if good.size else 0.0

    def rms_noise(self) -> float:
        """Return the root mean square noise of the good pixels [ADU]."""
        good = self.sigma[self.defects == 0].astype(np.float64)
        return float(np.sqrt(np.mean(good**2))) if good.size else 0.0

    def summary(self) -> dict[str, Any]:
        """Return what is worth telling of it."""
        good = self.mean[self.defects == 0]
        low, high = np.percentile(good, (1, 99)) if good.size else (0.0, 0.0)
        warm = self.temperature_c
        return {
            "source": self.source,
            "run": self.run,
            "camera_name": self.camera_name,
            "frames": self.frames,
            "rows": self.shape[0],
            "columns": self.shape[1],
            "exposure_s": self.exposure_s,
            "temperature_c": round(warm, 2) if np.isfinite(warm) else None,
            "mean_adu": round(float(self.mean.mean(dtype=np.float64)), 3),
            "mean_range_adu": [round(float(low), 2), round(float(high), 2)],
            "noise_adu": round(self.typical_sigma(), 3),
            "defects": int(np.count_nonzero(self.defects)),
            "defect_kinds": {
                (kind.name or "").lower(): int(np.count_nonzero(self.defects & np.uint8(kind)))
                for kind in Defect
            },
            "valid_until": self.valid_until,
        }


def same_exposure(pedestal_s: float, frames_s: float) -> bool:
    """Tell whether a pedestal's exposure is that of frames; 0 is one that is not known."""
    is_known = pedestal_s > 0 and frames_s > 0
    return not is_known or abs(pedestal_s - frames_s) <= EXPOSURE_TOLERANCE * frames_s


def find_defects(
    mean: FloatImage, sigma: FloatImage, settings: AnalyzerSettings
) -> npt.NDArray[np.uint8]:
    """Flag pixels that are hot for their row, noisy or dead; return `Defect` flags as uint8.

    >>> mean, sigma = np.full((4, 4), 100, np.float32), np.full((4, 4), 2.4, np.float32)
    >>> mean[1, 2], sigma[3, 0] = 400, 40
    >>> flags = find_defects(mean, sigma, AnalyzerSettings())
    >>> Defect(int(flags[1, 2])).name, Defect(int(flags[3, 0])).name, int((flags == 0).sum())
    ('HOT', 'NOISY', 14)
    """
    few = max(1, sigma.shape[0] // 512), max(1, mean.shape[1] // 512)  # enough, and quicker
    usual = float(np.median(sigma[:: few[0]]))
    level = np.median(mean[:, :: few[1]], axis=1, keepdims=True)
    defects = np.zeros(mean.shape, np.uint8)
    defects[mean - level > settings.hot_adu] |= np.uint8(Defect.HOT)
    defects[sigma > settings.noisy_factor * usual] |= np.uint8(Defect.NOISY)
    defects[(sigma < DEAD_FRACTION * usual) | ~np.isfinite(mean + sigma)] |= np.uint8(Defect.DEAD)
    return defects


def estimate_pedestal(
    frame: Image, settings: AnalyzerSettings, *, exposure_s: float = 0.0, source: str = ""
) -> Pedestal:
    """Estimate a pedestal from one frame that may hold light: the fallback without pedestal run.

    The mean is the level of the row plus the level of the column, each without outliers; the noise
    is one number for all pixels; defects are pixels that stand out alone, with no light around.
    Pixel-to-pixel differences and the noise of single pixels stay unknown, and noisy pixels that
    happen to be quiet in that frame.
    """
    values = frame.astype(np.float32)
    model = _robust_level(values, 1) + np.float32(0)
    model = np.broadcast_to(model, values.shape) + _robust_level(values - model, 0)
    residual = values - model
    sigma = max(_robust_sigma(residual), LEAST_SIGMA_ADU)
    defects = np.zeros(frame.shape, np.uint8)
    defects[residual < -OUTLIER_SIGMA * sigma] = Defect.NOISY
    is_outlier = residual > OUTLIER_SIGMA * sigma
    significance = np.clip(residual / sigma, -CUT_SIGMA, CUT_SIGMA)
    is_alone = _sum_around(is_outlier, AROUND[0]) < AROUND[1] + 0.5
    is_alone &= _sum_around(significance, AROUND[0]) < DARK_SIGMA * (2 * AROUND[0] + 1) ** 2
    is_hot = residual > settings.hot_adu
    is_hot &= _sum_around(significance >= CUT_SIGMA, ALONE[0]) < ALONE[1] + 0.5
    defects[(is_outlier & is_alone) | is_hot] = Defect.HOT
    return Pedestal(
        model.astype(np.float32),
        np.full(frame.shape, sigma, np.float32),
        defects,
        frames=1,
        exposure_s=exposure_s,
        source=source or "estimated from one frame",
    )


def _sum_around(values: npt.NDArray[Any], reach: int) -> npt.NDArray[np.float64]:
    """Return the sum of the pixels around each, up to `reach` away, without itself."""
    side = 2 * reach + 1
    padded = np.pad(values, reach)
    return np.asarray(_sums_down(_sums_down(padded, side).T, side).T - values)


def _sums_down(values: npt.NDArray[Any], side: int) -> npt.NDArray[np.float64]:
    """Return the sums of each `side` values down the columns."""
    summed = np.cumsum(np.pad(values, ((1, 0), (0, 0))), axis=0, dtype=np.float64)
    return np.asarray(summed[side:] - summed[:-side])


def _robust_level(values: FloatImage, axis: int) -> FloatImage:
    """Return the mean along an axis of what is within 3 sigma of the median; that axis has 1."""
    middle = np.median(values, axis=axis, keepdims=True)
    residual = values - middle
    spread = MAD_TO_SIGMA * np.median(np.abs(residual), axis=axis, keepdims=True)
    inside = np.abs(residual) <= 3 * np.maximum(spread, 0.5)
    kept = np.where(inside, residual, 0).sum(axis=axis, keepdims=True)
    level = middle + kept / inside.sum(axis=axis, keepdims=True)
    return np.asarray(level, np.float32)


def _robust_sigma(residual: FloatImage) -> float:
    sigma = MAD_TO_SIGMA * float(np.median(np.abs(residual)))
    for _ in range(3):
        inside = residual[np.abs(residual) <= 3 * max(sigma, LEAST_SIGMA_ADU)]
        sigma = float(inside.std(dtype=np.float64)) / CLIPPED_3_SIGMA
    return sigma
