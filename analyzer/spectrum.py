"""The spectrum of spots, and the line of 55Fe in it: place and width, with errors.

The line is fitted by maximum likelihood to the counts of the bins (Poisson): a Gaussian on a
background that falls or rises linearly. Parameters are found by Fisher scoring, Newton's method
with the expected second derivatives, whose inverse is also their covariance (Cowan, Statistical
Data Analysis, 6). 40 lines of NumPy; a minimizer would be one more library for one curve.
"""

import math
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from analyzer.dtypes import ClusterFlag
from analyzer.settings import AnalyzerSettings

FitStatus = Literal["ok", "too few", "no line", "not converged"]

MIN_ENTRIES: Final = 50
"""Fewer spots in the window give no fit: a width of 10 entries in the line has an error of 25 %."""

MIN_SIGNIFICANCE: Final = 5.0
"""Least number of entries in the line, over its error."""

BINS_IN_WINDOW: Final = 280
"""50 ADU wide in CYGNO's window of 4000 to 18000 ADU (``reco2sql.py``), where a line has a sigma of
100 ADU (simulated, noise alone) to 2000 ADU (LNGS). CYGNO takes 60 bins."""

_NOT_A_SPOT: Final = ClusterFlag.OUTSIDE | ClusterFlag.AT_EDGE | ClusterFlag.SPARK
_MAX_STEPS: Final = 100
_ENOUGH: Final = 1e-7

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class PeakFit:
    """A line in a spectrum; all but status and entries nan unless it is "ok".

    :param entries: spots in the window.
    :param mean: place of the line [ADU].
    :param sigma: width of the line [ADU].
    :param area: entries in the line.
    :param edges: (bins + 1,) of the bins that were fitted [ADU]; empty if none were.
    :param expected: (bins,) entries that the fit expects in them.
    """

    status: FitStatus
    entries: int
    mean: float = math.nan
    mean_error: float = math.nan
    sigma: float = math.nan
    sigma_error: float = math.nan
    area: float = math.nan
    area_error: float = math.nan
    resolution: float = math.nan
    resolution_error: float = math.nan
    chi2: float = math.nan
    degrees: int = 0
    edges: Floats = field(default_factory=lambda: np.empty(0))
    expected: Floats = field(default_factory=lambda: np.empty(0))


class Spectrum:
    """Counts of spots by their light, from 0 to twice the window's end; more is `beyond`.

    Spots are what `ClusterFlag.SPOT` says, within the acceptance and not at the frame's edge; their
    light is `sc_corrintegral` [ADU].
    """

    def __init__(self, settings: AnalyzerSettings) -> None:
        self.low = settings.fe55_low_adu
        self.high = settings.fe55_high_adu
        self.width = (self.high - self.low) / BINS_IN_WINDOW
        self.counts = np.zeros(math.ceil(2 * self.high / self.width), np.int64)
        self.beyond = 0

    def add(self, clusters: npt.NDArray[Any]) -> None:
        """Count the spots among rows of `CLUSTER`."""
        flags = clusters["flags"]
        is_spot = flags & np.uint16(ClusterFlag.SPOT | _NOT_A_SPOT) == np.uint16(ClusterFlag.SPOT)
        light = clusters["sc_corrintegral"][is_spot].astype(np.float64)
        bins = np.floor(light / self.width)
        inside = (bins >= 0) & (bins < len(self.counts))
        self.beyond += int(np.count_nonzero(~inside))
        np.add.at(self.counts, bins[inside].astype(np.intp), 1)

    def merge(self, other: "Spectrum") -> None:
        """Add the counts of another of the same settings."""
        self.counts += other.counts
        self.beyond += other.beyond

    @property
    def edges(self) -> Floats:
        """Edges of all bins, (bins + 1,) [ADU]."""
        return np.asarray(np.arange(len(self.counts) + 1) * self.width)

    def fit(self) -> PeakFit:
        """Look for the line in the window and fit it."""
        edges = self.edges
        window = (edges[:-1] >= self.low - self.width / 2) & (edges[1:] <= self.high + self.width)
        counts = self.counts[window].astype(np.float64)
        begin = edges[:-1][window][0]
        return fit_peak(counts, begin + np.arange(len(counts) + 1) * self.width)


def fit_peak(counts: Floats, edges: Floats) -> PeakFit:
    """Fit a Gaussian on a linear background to counts.

    :param counts: (bins,) entries.
    :param edges: (bins + 1,) of the bins, equally wide.
    """
    entries = int(counts.sum())
    if entries < MIN_ENTRIES:
        return PeakFit("too few", entries)
    mean, sigma = _first_guess(counts, edges)
    fit: tuple[Floats, Floats, Floats] | None = None
    for reach in (math.inf, 4.0, 4.0):
        # First the whole window, then what is near: the background is linear only there.
        near = (edges[1:] > mean - reach * sigma) & (edges[:-1] < mean + reach * sigma)
        first, last = int(near.argmax()), len(near) - int(near[::-1].argmax())
        if last - first < 6:
            return PeakFit("no line", entries)
        used, limits = counts[first:last], edges[first : last + 1]
        fit = _score(used, limits, mean, sigma)
        if fit is None:
            return PeakFit("not converged", entries)
        mean, sigma = float(fit[0][1]), float(fit[0][2])
    if fit is None:
        return PeakFit("not converged", entries)
    parameters, covariance, expected = fit
    errors = np.sqrt(np.maximum(np.diag(covariance), 0))
    area = float(parameters[0])
    is_line = area > MIN_SIGNIFICANCE * errors[0] and min(errors[:3]) > 0
    is_line &= edges[0] < mean < edges[-1] and 3 * sigma < edges[-1] - edges[0]
    if not is_line:
        return PeakFit("no line", entries)
    resolution = sigma / mean
    slopes = np.array([0.0, -sigma / mean**2, 1 / mean, 0.0, 0.0])
    return PeakFit(
        "ok",
        entries,
        mean,
        float(errors[1]),
        sigma,
        float(errors[2]),
        area,
        float(errors[0]),
        resolution,
        math.sqrt(max(float(slopes @ covariance @ slopes), 0.0)),
        _chi2(used, expected),
        len(used) - 5,
        limits,
        expected,
    )


def _first_guess(counts: Floats, edges: Floats) -> tuple[float, float]:
    """Return place and width of the highest peak, of what is left over a straight line."""
    centres, width = (edges[:-1] + edges[1:]) / 2, edges[1] - edges[0]
    best, mean, sigma = -1.0, float(centres.mean()), float(edges[-1] - edges[0]) / 8
    n = len(counts)
    sums = np.concatenate([[0.0], np.cumsum(counts)])
    half = 2
    while 6 * half < n:
        # The sum of a box against boxes of half its width on both sides, in its standard error.
        i = np.arange(2 * half, n - 2 * half)
        inner = sums[i + half + 1] - sums[i - half]
        outer = sums[i + 2 * half + 1] - sums[i + half + 1] + sums[i - half] - sums[i - 2 * half]
        outer *= (2 * half + 1) / (2 * half)
        excess = (inner - outer) / np.sqrt(inner + outer + 1)
        at = int(excess.argmax())
        if excess[at] > best:
            best, mean, sigma = float(excess[at]), float(centres[i[at]]), float(half * width / 1.4)
        half = math.ceil(1.3 * half)
    return mean, sigma


def _score(
    counts: Floats, edges: Floats, mean: float, sigma: float
) -> tuple[Floats, Floats, Floats] | None:
    """Return parameters (area, mean, sigma, background left, right), covariance, expectation.

    None if there is no maximum.
    """
    width = edges[1] - edges[0]
    ramp = (np.arange(len(counts)) + 0.5) / len(counts)
    level = max(float(np.minimum(counts[:3].mean(), counts[-3:].mean())), 0.01)
    area = max(float(counts.sum()) - level * len(counts), 1.0)
    parameters = np.array([area, mean, sigma, level, level])
    floor = np.array([1e-3, edges[0] - sigma, width / 5, 1e-6, 1e-6])
    ceiling = np.array([2 * counts.sum() + 1, edges[-1] + sigma, edges[-1] - edges[0], 1e9, 1e9])
    expected, slopes = _model(parameters, edges, ramp)
    likelihood = _log_likelihood(counts, expected)
    damping = 1e-3
    for _ in range(_MAX_STEPS):
        gradient = slopes.T @ (counts / expected - 1)
        free = ~((parameters <= floor) & (gradient < 0) | (parameters >= ceiling) & (gradient > 0))
        try:
            step = _step((slopes.T / expected) @ slopes, gradient, free, damping)
        except np.linalg.LinAlgError:
            return None
        tried = np.clip(parameters + step, floor, ceiling)
        new, new_slopes = _model(tried, edges, ramp)
        gain = _log_likelihood(counts, new) - likelihood
        if gain >= 0:
            parameters, expected, slopes = tried, new, new_slopes
            likelihood += gain
            damping = max(damping / 10, 1e-9)
        else:
            damping *= 10
        if abs(gain) < _ENOUGH:
            free = (parameters > floor) & (parameters < ceiling)
            return parameters, _covariance(slopes, expected, free), expected
    return None


def _step(
    information: Floats, gradient: Floats, free: npt.NDArray[np.bool_], damping: float
) -> Floats:
    """Return the damped scoring step of the parameters that may move (Levenberg, Marquardt)."""
    step = np.zeros_like(gradient)
    part = information[np.ix_(free, free)]
    damped = part + damping * np.diag(np.diag(part) + 1e-12)
    step[free] = np.linalg.solve(damped, gradient[free])
    return step


def _covariance(slopes: Floats, expected: Floats, free: npt.NDArray[np.bool_]) -> Floats:
    """Return the covariance of the parameters; those at a bound count as known."""
    information = (slopes.T / expected) @ slopes
    covariance = np.zeros_like(information)
    covariance[np.ix_(free, free)] = np.linalg.pinv(information[np.ix_(free, free)])
    return covariance


def _model(parameters: Floats, edges: Floats, ramp: Floats) -> tuple[Floats, Floats]:
    """Return the expected entries of each bin, and their derivatives by the parameters."""
    area, mean, sigma, left, right = parameters
    z = (edges - mean) / sigma
    below = 0.5 * np.array([math.erfc(value) for value in (z * -math.sqrt(0.5)).tolist()])
    density = np.exp(-0.5 * z**2) / math.sqrt(2 * math.pi)
    part = np.diff(below)
    slopes = np.stack(
        [
            part,
            -area * np.diff(density) / sigma,
            -area * np.diff(density * z) / sigma,
            1 - ramp,
            ramp,
        ],
        axis=1,
    )
    return np.maximum(area * part + left * (1 - ramp) + right * ramp, 1e-9), slopes


def _log_likelihood(counts: Floats, expected: Floats) -> float:
    return float(np.sum(counts * np.log(expected) - expected))


def _chi2(counts: Floats, expected: Floats) -> float:
    """Return the likelihood-ratio chi square (Baker and Cousins, NIM 221 (1984) 437)."""
    lit = counts > 0
    logs = np.zeros_like(counts)
    logs[lit] = counts[lit] * np.log(counts[lit] / expected[lit])
    return float(2 * np.sum(expected - counts + logs))
