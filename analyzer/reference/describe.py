"""Twin of `analyzer.kernels.describe`."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from analyzer.dtypes import EVENT, EventFlag
from analyzer.kernels import frame as fk
from analyzer.kernels.arrays import I64


def describe_frame(rows: I64, n_columns: int, rebin: int, clusters: npt.NDArray[Any]) -> Any:
    """Return a row of `EVENT` with the statistics of a frame; see the kernel."""
    event = np.zeros(1, EVENT)
    totals = [int(total) for total in rows.sum(axis=0)]
    sampled = rows[:: fk.SAMPLED * rebin]
    pixels = len(sampled) * n_columns
    mean = totals[fk.ROW_RAW] / pixels
    event["image_mean"] = mean
    event["image_sigma"] = math.sqrt(max(totals[fk.ROW_RAW_SQUARES] / pixels - mean**2, 0.0))
    event["image_max"] = rows[:, fk.ROW_MAX].max()
    event["saturated"] = totals[fk.ROW_SATURATED]
    event["flags"] = int(EventFlag.SATURATED) if totals[fk.ROW_SATURATED] else 0
    event["residual_mean"] = totals[fk.ROW_SUM] / max(totals[fk.ROW_USED], 1) / fk.SCALE
    used = max(int(sampled[:, fk.ROW_USED].sum()), 1)
    residual = int(sampled[:, fk.ROW_SUM].sum()) / used
    spread = math.sqrt(max(totals[fk.ROW_SQUARES] / used - residual**2, 0.0))
    event["noise"] = spread / fk.SCALE
    row_means = rows[:, fk.ROW_SUM] / np.maximum(rows[:, fk.ROW_USED], 1)
    event["row_noise"] = row_means.std() / fk.SCALE
    event["n_clusters"] = len(clusters)
    event["cluster_light"] = clusters["sc_integral"].sum(dtype=np.float64)
    return event
