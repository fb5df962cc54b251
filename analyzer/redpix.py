"""The pixels of clusters, for those who look at them one by one."""

from typing import Any

import numpy as np
import numpy.typing as npt

from analyzer.dtypes import REDPIX
from analyzer.finding import Finding
from analyzer.kernels.pixels import NONE
from analyzer.kernels.residual import SCALE

Seen = tuple[npt.NDArray[np.int32], Finding, npt.NDArray[np.intp]]
"""Residuals of the pixels of clusters, what was found, and the order of the clusters."""


def collect_pixels(
    residuals: npt.NDArray[np.int32],
    finding: Finding,
    order: npt.NDArray[np.intp],
    is_kept: npt.NDArray[np.bool_],
) -> npt.NDArray[Any]:
    """Return rows of `REDPIX`, cluster after cluster, each from its first row on.

    :param residuals: (macro-pixels, rebin, rebin) int32 of ``gather_residuals`` [1/32 ADU].
    :param order: label - 1 of each cluster, brightest first.
    :param is_kept: (clusters,) which of them, brightest first.
    """
    rank = np.empty(len(order), np.intp)
    rank[order] = np.arange(len(order))
    ys, xs = finding.ys[: finding.n], finding.xs[: finding.n]
    cluster = rank[finding.labels[ys, xs] - 1]
    chosen = is_kept[cluster]
    ys, xs, cluster = ys[chosen], xs[chosen], cluster[chosen]
    values = residuals[chosen]
    rebin = residuals.shape[1]
    inner = np.arange(rebin)
    rows = np.broadcast_to((ys[:, None] * rebin + inner)[:, :, None], values.shape)
    columns = np.broadcast_to((xs[:, None] * rebin + inner)[:, None, :], values.shape)
    owner = np.broadcast_to(cluster[:, None, None], values.shape)
    good = values != NONE
    pixels = np.zeros(int(good.sum()), REDPIX)
    sequence = np.lexsort((columns[good], rows[good], owner[good]))
    pixels["cluster"] = owner[good][sequence]
    pixels["redpix_ix"] = columns[good][sequence]
    pixels["redpix_iy"] = rows[good][sequence]
    pixels["redpix_iz"] = values[good][sequence] / SCALE
    return pixels
