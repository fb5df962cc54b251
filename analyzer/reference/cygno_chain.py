"""Twin of `analyzer.kernels.cygno_chain`, as CYGNO's own code has it."""

import numpy as np
import numpy.typing as npt

from analyzer.kernels.arrays import F32, F64, I32, U16
from analyzer.kernels.cygno_chain import BORDER, LEAST_LIT, NOISY_ADU
from analyzer.kernels.residual import DEFECT, SCALE


def suppress(
    frame: U16,
    level: U16,
    noise: F32,
    cimax: int,
    nsigma: float,
    acceptance: tuple[int, int, int, int],
) -> I32:
    """Return the residuals that are kept, 0 elsewhere [1/32 ADU]."""
    xmin, xmax, ymin, ymax = acceptance
    residual = frame.astype(np.int32) * SCALE - level
    kept = residual.astype(np.float32) > np.float32(nsigma * SCALE) * noise
    kept &= (frame < cimax) & (level != DEFECT)
    kept[:ymin] = kept[ymax:] = kept[:, :xmin] = kept[:, xmax:] = False
    return np.where(kept, residual, 0).astype(np.int32)


def filter_median(image: I32) -> I32:
    """Return the third smallest of each 2x2."""
    padded = np.pad(image, ((1, 0), (1, 0)), "edge")
    four = np.stack([padded[:-1, :-1], padded[:-1, 1:], padded[1:, :-1], padded[1:, 1:]])
    return np.asarray(np.sort(four, axis=0)[2], np.int32)


def rebin_mean(image: I32, rebin: int) -> F64:
    """Return the means of whole macro-pixels [ADU]."""
    rows, columns = image.shape[0] // rebin, image.shape[1] // rebin
    whole = image[: rows * rebin, : columns * rebin] / SCALE
    return np.asarray(whole.reshape(rows, rebin, columns, rebin).mean(axis=(1, 3)))


def reduce_noise(means: F64, least: float) -> F64:
    """Return what is left of macro-pixels."""
    edges: npt.NDArray[np.float64] = means.copy()
    rows, columns = edges.shape
    edges[:BORDER] = edges[max(rows - BORDER, 0) :] = 0
    edges[:, :BORDER] = edges[:, max(columns - BORDER, 0) :] = 0
    for k in range(1, rows - 2):
        for j in range(1, columns - 2):
            box = edges[k - 1 : k + 2, j - 1 : j + 2].astype(np.float32)
            order = ((0, 0), (1, 0), (2, 0), (0, 1), (2, 1), (0, 2), (1, 2), (2, 2))
            total = np.float32(0)
            for y, x in order:
                total += box[y, x]
            mean = np.float32(total / np.float64(8))
            if abs(box[1, 1] - mean) > np.float32(NOISY_ADU):
                edges[k, j] = mean
            if mean < np.float32(least) or np.count_nonzero(box) < LEAST_LIT:
                edges[k, j] = 0
    return edges


def points(reduced: F64, means: F64) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.int64]]:
    """Return rows and columns of the points, (points, 2), and their weights."""
    found = np.argwhere(np.round(reduced))
    weight = means[tuple(found.T)].astype(np.int64)
    return found, np.where(weight == 0, 1, weight)
