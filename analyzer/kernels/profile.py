"""Profiles of clusters along and across their main axis, and Gaussians fitted to them."""

import math

import numpy as np
from numba import njit

from analyzer.kernels.arrays import F32, F64, I32, I64
from analyzer.kernels.pixels import NONE
from analyzer.kernels.residual import SCALE

STEP_PIXELS = 16
"""Length of the steps along a track in which its path is followed [pixel]."""

FWHM = 2.3548
"""Full width at half height of a Gaussian, in sigmas."""

MAX_STEPS = 30
"""Steps of a fit; one that has not converged by then is given up."""

AMPLITUDE, MEAN, SIGMA, CHI2, STATUS = range(5)
"""Columns of a fit; see `fit_gaussians`."""

PEAK_AMPLITUDE, PEAK_PROMINENCE, PEAK_WIDTH, PEAK_MEAN, FULL_RMS = range(5)
"""Columns of a shape; see `describe_profiles`."""


@njit(nogil=True, cache=True)
def project_clusters(
    residuals: I32,
    noise: F32,
    gain: F32,
    labels: I32,
    ys: I32,
    xs: I32,
    x: F64,
    y: F64,
    theta: F64,
    low: F64,
    begin: I64,
    bin_pixels: float,
    light: F64,
    variance: F64,
    corrected: F64,
) -> None:
    """Sum the light of each cluster in bins along and across its axis.

    :param residuals: (macro-pixels, rebin, rebin) int32 of ``gather_residuals`` [1/32 ADU].
    :param noise: (rows, columns) float32, noise of each pixel [ADU].
    :param gain: (macro rows, macro columns) float32, what light is multiplied with for energies.
    :param ys: rows of the macro-pixels; `xs` their columns.
    :param x: (clusters,) float64, centre [pixel]; `y` likewise, `theta` [rad].
    :param low: (clusters, 2) float64, where the profiles along and across begin, from the centre
        [pixel].
    :param begin: (2 * clusters + 1,) int64: first bin of each profile, along and across in turn.
    :param light: in and out, (bins,) float64, of zeros [ADU].
    :param variance: in and out, (bins,) float64, of zeros: of the noise in a bin [ADU**2].
    :param corrected: in and out, (clusters,) float64, of zeros: light times gain [ADU].
    """
    rebin = residuals.shape[1]
    for index in range(residuals.shape[0]):
        macro_row = ys[index]
        macro_column = xs[index]
        k = labels[macro_row, macro_column] - 1
        cosine = math.cos(theta[k]) / bin_pixels
        sine = math.sin(theta[k]) / bin_pixels
        dx = macro_column * rebin - x[k]
        dy = macro_row * rebin - y[k]
        along = dx * cosine + dy * sine - low[k, 0] / bin_pixels
        across = dy * cosine - dx * sine - low[k, 1] / bin_pixels
        first = begin[2 * k]
        middle = begin[2 * k + 1]
        end = begin[2 * k + 2]
        total = 0
        for row in range(rebin):
            for column in range(rebin):
                residual = residuals[index, row, column]
                if residual == NONE:
                    continue
                total += residual
                value = residual / SCALE
                sigma = noise[macro_row * rebin + row, macro_column * rebin + column]
                # Not below the first bin, for which profiles begin low enough; rounding aside.
                place = first + int(max(along + column * cosine + row * sine, 0.0))
                place = min(place, middle - 1)
                light[place] += value
                variance[place] += sigma * sigma
                place = middle + int(max(across + row * cosine - column * sine, 0.0))
                place = min(place, end - 1)
                light[place] += value
                variance[place] += sigma * sigma
        corrected[k] += total / SCALE * gain[macro_row, macro_column]


@njit(nogil=True, cache=True)
def follow_paths(
    residuals: I32,
    labels: I32,
    ys: I32,
    xs: I32,
    x: F64,
    y: F64,
    theta: F64,
    low: F64,
    length: F64,
    path: F64,
) -> None:
    """Measure the length of each cluster along its own, perhaps bent, path.

    In steps of `STEP_PIXELS` along the main axis the light-weighted place across is taken; the path
    is the sum of the distances between them, and half a step at both ends. A macro-pixel belongs to
    the step in which its middle lies.

    :param residuals: (macro-pixels, rebin, rebin) int32 of ``gather_residuals`` [1/32 ADU].
    :param low: (clusters, 2) float64 as for `project_clusters`.
    :param length: (clusters,) float64, extent along the axis [pixel]; what a cluster too short for
        two steps gets.
    :param path: out, (clusters,) float64 [pixel].
    """
    rebin = residuals.shape[1]
    half = 0.5 * (rebin - 1)
    clusters = length.shape[0]
    begin = np.zeros(clusters + 1, np.int64)
    for k in range(clusters):
        begin[k + 1] = begin[k] + int(length[k] / STEP_PIXELS) + 1
    weight = np.zeros(begin[clusters])
    across = np.zeros(begin[clusters])
    for index in range(residuals.shape[0]):
        k = labels[ys[index], xs[index]] - 1
        cosine = math.cos(theta[k])
        sine = math.sin(theta[k])
        total = 0
        for row in range(rebin):
            for column in range(rebin):
                if residuals[index, row, column] != NONE:
                    total += residuals[index, row, column]
        dx = xs[index] * rebin + half - x[k]
        dy = ys[index] * rebin + half - y[k]
        step = begin[k] + int((dx * cosine + dy * sine - low[k, 0]) / STEP_PIXELS)
        step = min(max(step, begin[k]), begin[k + 1] - 1)
        weight[step] += total
        across[step] += total * (dy * cosine - dx * sine)
    for k in range(clusters):
        way = 0.0
        known = 0
        before = -1
        for step in range(begin[k], begin[k + 1]):
            if weight[step] <= 0.0:
                continue
            known += 1
            if before >= 0:
                da = (step - before) * float(STEP_PIXELS)
                db = across[step] / weight[step] - across[before] / weight[before]
                way += math.sqrt(da * da + db * db)
            before = step
        path[k] = max(way + STEP_PIXELS, length[k]) if known > 1 else length[k]


@njit(nogil=True, cache=True)
def describe_profiles(light: F64, begin: I64, low: F64, bin_pixels: float, shapes: F64) -> None:
    """Describe the highest peak of each profile, and its spread.

    :param low: (profiles,) float64, where each begins, from the centre of its cluster [pixel].
    :param shapes: out, (profiles, 5) float64: height of the highest bin [ADU a pixel], its height
        above the higher of the two valleys beside it [ADU a pixel], full width at half its height
        [pixel], its place from the centre [pixel], rms of the profile [pixel].
    """
    for profile in range(shapes.shape[0]):
        first = begin[profile]
        last = begin[profile + 1]
        values = light[first:last]
        top = 0
        total = 0.0
        moment = 0.0
        square = 0.0
        for i in range(values.shape[0]):
            if values[i] > values[top]:
                top = i
            place = (i + 0.5) * bin_pixels
            total += values[i]
            moment += values[i] * place
            square += values[i] * place * place
        height = values[top]
        left_valley = height
        for i in range(top):
            left_valley = min(left_valley, values[i])
        right_valley = height
        for i in range(top + 1, values.shape[0]):
            right_valley = min(right_valley, values[i])
        valley = max(left_valley if top > 0 else 0.0, 0.0)
        valley = max(valley, right_valley if top + 1 < values.shape[0] else 0.0)
        half = 0.5 * height
        left = top
        while left > 0 and values[left - 1] >= half:
            left -= 1
        right = top
        while right + 1 < values.shape[0] and values[right + 1] >= half:
            right += 1
        width = float(right - left)
        for edge, beyond in ((left, left - 1), (right, right + 1)):
            outside = values[beyond] if 0 <= beyond < values.shape[0] else 0.0
            if values[edge] > outside:
                width += min((values[edge] - half) / (values[edge] - outside), 1.0)
        shapes[profile, PEAK_AMPLITUDE] = height / bin_pixels
        shapes[profile, PEAK_PROMINENCE] = max(height - valley, 0.0) / bin_pixels
        shapes[profile, PEAK_WIDTH] = width * bin_pixels
        shapes[profile, PEAK_MEAN] = low[profile] + (top + 0.5) * bin_pixels
        spread = square / total - (moment / total) ** 2 if total > 0.0 else 0.0
        shapes[profile, FULL_RMS] = math.sqrt(max(spread, 0.0))


@njit(nogil=True, cache=True)
def fit_gaussians(
    light: F64, variance: F64, begin: I64, low: F64, bin_pixels: float, fits: F64
) -> None:
    """Fit a Gaussian to each profile: least squares by Levenberg's and Marquardt's steps.

    :param light: (bins,) float64 [ADU]; `variance` of its noise [ADU**2].
    :param low: (profiles,) float64, where each begins, from the centre of its cluster [pixel].
    :param fits: out, (profiles, 5) float64: amplitude [ADU a pixel], mean from the centre [pixel],
        sigma [pixel], chi square per degree of freedom, status: 0 converged, 1 too few bins or no
        light, 2 not converged.
    """
    normal = np.zeros((3, 3))
    gradient = np.zeros(3)
    for profile in range(fits.shape[0]):
        first = begin[profile]
        bins = begin[profile + 1] - first
        fits[profile, :] = 0.0
        total = 0.0
        top = 0
        for i in range(bins):
            total += light[first + i]
            if light[first + i] > light[first + top]:
                top = i
        if bins < 4 or total <= 0.0:
            fits[profile, STATUS] = 1.0
            continue
        # From the highest peak on: moments of a long profile would be those of its noise.
        amplitude = light[first + top]
        mean = low[profile] + (top + 0.5) * bin_pixels
        left = top
        while left > 0 and light[first + left - 1] >= 0.5 * amplitude:
            left -= 1
        right = top
        while right + 1 < bins and light[first + right + 1] >= 0.5 * amplitude:
            right += 1
        sigma = (right - left + 1) * bin_pixels / FWHM
        damping = 1e-3
        chi2 = _sum_gaussian(
            light, variance, first, bins, low[profile], bin_pixels, amplitude, mean, sigma,
            normal, gradient,
        )  # fmt: skip
        status = 2.0
        for _ in range(MAX_STEPS):
            a00 = normal[0, 0] * (1.0 + damping)
            a11 = normal[1, 1] * (1.0 + damping)
            a22 = normal[2, 2] * (1.0 + damping)
            a01, a02, a12 = normal[0, 1], normal[0, 2], normal[1, 2]
            c00 = a11 * a22 - a12 * a12
            c01 = a02 * a12 - a01 * a22
            c02 = a01 * a12 - a02 * a11
            determinant = a00 * c00 + a01 * c01 + a02 * c02
            if determinant == 0.0 or not math.isfinite(determinant):
                break
            c11 = a00 * a22 - a02 * a02
            c12 = a01 * a02 - a00 * a12
            c22 = a00 * a11 - a01 * a01
            g0, g1, g2 = gradient
            d0 = (c00 * g0 + c01 * g1 + c02 * g2) / determinant
            d1 = (c01 * g0 + c11 * g1 + c12 * g2) / determinant
            d2 = (c02 * g0 + c12 * g1 + c22 * g2) / determinant
            tried_sigma = abs(sigma + d2)
            if tried_sigma < 0.1 * bin_pixels:
                damping *= 10.0
                continue
            tried = _sum_gaussian(
                light, variance, first, bins, low[profile], bin_pixels, amplitude + d0, mean + d1,
                tried_sigma, normal, gradient,
            )  # fmt: skip
            if tried <= chi2:
                amplitude += d0
                mean += d1
                sigma = tried_sigma
                is_near = chi2 - tried <= 1e-9 * chi2 + 1e-12
                chi2 = tried
                damping = max(0.1 * damping, 1e-9)
                if is_near:
                    status = 0.0
                    break
            else:
                damping *= 10.0
                _sum_gaussian(
                    light, variance, first, bins, low[profile], bin_pixels, amplitude, mean, sigma,
                    normal, gradient,
                )  # fmt: skip
                if damping > 1e12:
                    status = 0.0
                    break
        fits[profile, AMPLITUDE] = amplitude / bin_pixels
        fits[profile, MEAN] = mean
        fits[profile, SIGMA] = sigma
        fits[profile, CHI2] = chi2 / (bins - 3)
        fits[profile, STATUS] = status


@njit(nogil=True, cache=True)
def _sum_gaussian(
    light: F64,
    variance: F64,
    first: int,
    bins: int,
    low: float,
    bin_pixels: float,
    amplitude: float,
    mean: float,
    sigma: float,
    normal: F64,
    gradient: F64,
) -> float:
    """Return chi square; fill the normal matrix and the gradient for the next step."""
    normal[:] = 0.0
    gradient[:] = 0.0
    chi2 = 0.0
    for i in range(bins):
        if variance[first + i] <= 0.0:
            continue
        place = low + (i + 0.5) * bin_pixels
        pull = (place - mean) / sigma
        shape = math.exp(-0.5 * pull * pull)
        difference = light[first + i] - amplitude * shape
        weight = 1.0 / variance[first + i]
        d0 = shape
        d1 = amplitude * shape * pull / sigma
        d2 = amplitude * shape * pull * pull / sigma
        chi2 += weight * difference * difference
        normal[0, 0] += weight * d0 * d0
        normal[0, 1] += weight * d0 * d1
        normal[0, 2] += weight * d0 * d2
        normal[1, 1] += weight * d1 * d1
        normal[1, 2] += weight * d1 * d2
        normal[2, 2] += weight * d2 * d2
        gradient[0] += weight * difference * d0
        gradient[1] += weight * difference * d1
        gradient[2] += weight * difference * d2
    return chi2
