"""The pixels of clusters, for those who look at them one by one."""

from typing import Any

import numpy as np
import numpy.typing as npt

from analyzer.dtypes import REDPIX
from analyzer.finding import Finding
from analyzer.kernels.frame import DEFECT, SCALE
from analyzer.levels import Levels

Seen = tuple[npt.NDArray[np.uint16], npt.NDArray[np.int64], Finding, npt.NDArray[np.intp]]
"""Frame, common shift of its rows [1/32 ADU], what was found, and the order of the clusters."""


def collect_pixels(
    levels: Levels,
    cimax: int,
    frame: npt.NDArray[np.uint16],
    shift: npt.NDArray[np.int64],
    finding: Finding,
    order: npt.NDArray[np.intp],
    is_kept: npt.NDArray[np.bool_],
) -> npt.NDArray[Any]:
    """Return rows of `REDPIX`, cluster after cluster, each from its first row on.

    :param order: label - 1 of each cluster, brightest first.
    :param is_kept: (clusters,) which of them, brightest first.
    """
    rank = np.empty(len(order), np.intp)
    rank[order] = np.arange(len(order))
    ys, xs = finding.ys[: finding.n], finding.xs[: finding.n]
    cluster = rank[finding.labels[ys, xs] - 1]
    chosen = is_kept[cluster]
    ys, xs, cluster = ys[chosen], xs[chosen], cluster[chosen]
    inner = np.arange(levels.rebin)
    rows = (ys[:, None, None] * levels.rebin + inner[None, :, None]) + 0 * inner
    columns = (xs[:, None, None] * levels.rebin + inner[None, None, :]) + 0 * inner[:, None]
    owner = np.broadcast_to(cluster[:, None, None], rows.shape)
    inside = (rows < frame.shape[0]) & (columns < frame.shape[1])
    rows, columns, owner = rows[inside], columns[inside], owner[inside]
    values = frame[rows, columns].astype(np.int64)
    level = levels.level[rows, columns]
    good = (level != DEFECT) & (values < cimax)
    light = (values * SCALE - level - shift[rows]) / SCALE
    pixels = np.zeros(int(good.sum()), REDPIX)
    sequence = np.lexsort((columns[good], rows[good], owner[good]))
    pixels["cluster"] = owner[good][sequence]
    pixels["redpix_ix"] = columns[good][sequence]
    pixels["redpix_iy"] = rows[good][sequence]
    pixels["redpix_iz"] = light[good][sequence]
    return pixels
