"""The 55Fe line: found where it was put, with errors that hold; refused where there is none."""

import numpy as np
import pytest

from analyzer.dtypes import CLUSTER, ClusterFlag
from analyzer.settings import AnalyzerSettings
from analyzer.spectrum import Spectrum, fit_peak

EDGES = np.linspace(4000, 18000, 281)


def spectrum(random, line, mean, sigma, background=0):
    """Entries in bins: a line, and a background that falls to nothing at the window's end."""
    light = random.normal(mean, sigma, line)
    below = 4000 + 14000 * (1 - np.sqrt(random.random(background)))
    return np.histogram(np.concatenate([light, below]), EDGES)[0].astype(np.float64)


@pytest.mark.parametrize(
    ("line", "mean", "sigma", "background"),
    [
        (200, 12_300, 1500, 0),
        (100, 12_300, 100, 0),
        (300, 12_300, 120, 100),
        (1000, 12_300, 1500, 500),
        (500, 7900, 900, 300),
        (20_000, 12_300, 1700, 20_000),
    ],
)
def test_place_and_width_are_found_and_their_errors_are_true(line, mean, sigma, background):
    random = np.random.default_rng(1)
    pulls = []
    for _ in range(40):
        fit = fit_peak(spectrum(random, line, mean, sigma, background), EDGES)
        if fit.status == "ok":
            pulls.append(
                ((fit.mean - mean) / fit.mean_error, (fit.sigma - sigma) / fit.sigma_error)
            )
    assert len(pulls) >= 36
    place, width = np.array(pulls).T
    # The mean of 40 pulls is within 4/sqrt(40); widths of few entries are biased by half an error.
    assert abs(place.mean()) < 0.65
    assert abs(width.mean()) < 1.1
    assert 0.6 < place.std() < 1.5
    assert fit.resolution == pytest.approx(fit.sigma / fit.mean)


def test_the_fit_is_that_of_scipy():
    optimize = pytest.importorskip("scipy.optimize")
    counts = spectrum(np.random.default_rng(3), 30_000, 12_300, 1500, 20_000)
    fit = fit_peak(counts, EDGES)
    used = (EDGES[:-1] >= fit.edges[0] - 1) & (EDGES[1:] <= fit.edges[-1] + 1)
    x = ((EDGES[:-1] + EDGES[1:]) / 2)[used]

    def line(x, height, mean, sigma, level, slope):
        return height * np.exp(-((x - mean) ** 2) / (2 * sigma**2)) + level + slope * (x - 11_000)

    found, covariance = optimize.curve_fit(
        line, x, counts[used], (100, 12_000, 1000, 50, 0), np.sqrt(counts[used] + 1)
    )
    errors = np.sqrt(np.diag(covariance))
    assert fit.mean == pytest.approx(found[1], abs=errors[1])
    assert fit.sigma == pytest.approx(found[2], abs=errors[2])
    assert fit.mean_error == pytest.approx(errors[1], rel=0.2)
    assert fit.sigma_error == pytest.approx(errors[2], rel=0.2)
    assert fit.chi2 / fit.degrees == pytest.approx(1, abs=0.3)
    assert fit.expected.sum() == pytest.approx(counts[used].sum(), rel=0.01)


@pytest.mark.parametrize(
    ("line", "background", "status"),
    [(0, 0, {"too few"}), (49, 0, {"too few"}), (0, 200, {"no line", "not converged"}),
     (0, 5000, {"no line", "not converged"}), (20, 1000, {"no line", "not converged"})],
)  # fmt: skip
def test_no_line_is_found_where_there_is_none(line, background, status):
    random = np.random.default_rng(2)
    for _ in range(5):
        fit = fit_peak(spectrum(random, line, 12_300, 1500, background), EDGES)
        assert fit.status in status
        assert np.isnan(fit.mean)
        assert np.isnan(fit.resolution_error)


def test_only_whole_spots_are_counted():
    clusters = np.zeros(6, CLUSTER)
    clusters["sc_corrintegral"] = (12_345, 12_345, 12_345, 12_345, 1e6, -5)
    spot = ClusterFlag.SPOT
    clusters["flags"] = (
        spot,
        spot | ClusterFlag.AT_EDGE,
        spot | ClusterFlag.OUTSIDE,
        0,
        spot,
        spot,
    )
    made = Spectrum(AnalyzerSettings())
    made.add(clusters)
    assert made.counts.sum() == 1
    (at,) = np.flatnonzero(made.counts)
    assert made.edges[at] <= 12_345 < made.edges[at + 1]
    assert made.beyond == 2


def test_the_window_is_a_setting():
    made = Spectrum(AnalyzerSettings(fe55_low_adu=1000, fe55_high_adu=5000))
    clusters = np.zeros(300, CLUSTER)
    clusters["flags"] = ClusterFlag.SPOT
    clusters["sc_corrintegral"] = np.random.default_rng(4).normal(3200, 400, 300)
    made.add(clusters)
    fit = made.fit()
    assert fit.status == "ok"
    assert fit.mean == pytest.approx(3200, abs=3 * fit.mean_error)
    assert fit.sigma == pytest.approx(400, abs=3 * fit.sigma_error)
