"""The statistics of a frame, from those of its rows."""

import math

from analyzer.kernels.arrays import I64, Records, Row
from analyzer.kernels.lean import lean
from analyzer.kernels.residual import (
    ROW_MAX,
    ROW_RAW,
    ROW_RAW_SQUARES,
    ROW_SATURATED,
    ROW_SQUARES,
    ROW_SUM,
    ROW_USED,
    SAMPLED,
    SCALE,
)


@lean
def describe_frame(
    rows: I64, n_columns: int, flags: int, setup: Row, clusters: Records, event: Row
) -> None:
    """Fill in what is said of the frame as a whole.

    :param rows: (rows, 7) int64 of ``rebin_frame``, without the pixels of clusters.
    :param n_columns: of the frame [pixel].
    :param flags: of the event, so far.
    :param setup: of `MEASURING`.
    :param clusters: fields of `dtypes.CLUSTER`.
    :param event: out, fields of `dtypes.EVENT`.
    """
    n_rows = rows.shape[0]
    step = SAMPLED * setup.rebin
    raw = raw_squares = squares = saturated = highest = 0
    used = total = 0
    sampled_used = sampled_total = 0
    means = 0.0
    for row in range(n_rows):
        used += rows[row, ROW_USED]
        total += rows[row, ROW_SUM]
        saturated += rows[row, ROW_SATURATED]
        highest = max(highest, rows[row, ROW_MAX])
        means += rows[row, ROW_SUM] / max(rows[row, ROW_USED], 1)
        if row % step == 0:
            raw += rows[row, ROW_RAW]
            raw_squares += rows[row, ROW_RAW_SQUARES]
            squares += rows[row, ROW_SQUARES]
            sampled_used += rows[row, ROW_USED]
            sampled_total += rows[row, ROW_SUM]
    means /= n_rows
    spread = 0.0
    for row in range(n_rows):
        spread += (rows[row, ROW_SUM] / max(rows[row, ROW_USED], 1) - means) ** 2
    pixels = (n_rows + step - 1) // step * n_columns
    mean = raw / pixels
    sampled_used = max(sampled_used, 1)
    residual = sampled_total / sampled_used
    event.image_mean = mean
    event.image_sigma = math.sqrt(max(raw_squares / pixels - mean * mean, 0.0))
    event.image_max = highest
    event.saturated = saturated
    event.flags = flags | setup.saturated if saturated else flags
    event.residual_mean = total / max(used, 1) / SCALE
    event.noise = math.sqrt(max(squares / sampled_used - residual * residual, 0.0)) / SCALE
    event.row_noise = math.sqrt(spread / n_rows) / SCALE
    light = 0.0
    for k in range(clusters.shape[0]):
        light += clusters[k].sc_integral
    event.n_clusters = clusters.shape[0]
    event.cluster_light = light
