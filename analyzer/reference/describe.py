"""Twin of `analyzer.kernels.describe`."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from analyzer.dtypes import EVENT, EventFlag
from analyzer.kernels.arrays import I64
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


def describe_frame(rows: I64, n_columns: int, rebin: int, clusters: npt.NDArray[Any]) -> Any:
    """Return a row of `EVENT` with the statistics of a frame; see the kernel."""
    event = np.zeros(1, EVENT)
    totals = [int(total) for total in rows.sum(axis=0)]
    sampled = rows[:: SAMPLED * rebin]
    pixels = len(sampled) * n_columns
    mean = totals[ROW_RAW] / pixels
    event["image_mean"] = mean
    event["image_sigma"] = math.sqrt(max(totals[ROW_RAW_SQUARES] / pixels - mean**2, 0.0))
    event["image_max"] = rows[:, ROW_MAX].max()
    event["saturated"] = totals[ROW_SATURATED]
    event["flags"] = int(EventFlag.SATURATED) if totals[ROW_SATURATED] else 0
    event["residual_mean"] = totals[ROW_SUM] / max(totals[ROW_USED], 1) / SCALE
    used = max(int(sampled[:, ROW_USED].sum()), 1)
    residual = int(sampled[:, ROW_SUM].sum()) / used
    spread = math.sqrt(max(totals[ROW_SQUARES] / used - residual**2, 0.0))
    event["noise"] = spread / SCALE
    row_means = rows[:, ROW_SUM] / np.maximum(rows[:, ROW_USED], 1)
    event["row_noise"] = row_means.std() / SCALE
    event["n_clusters"] = len(clusters)
    event["cluster_light"] = clusters["sc_integral"].sum(dtype=np.float64)
    return event
