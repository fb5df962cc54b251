"""Twin of `analyzer.kernels.round_spots`: the same in NumPy, on what a kernel weighs."""

from typing import Any

import numpy as np
import numpy.typing as npt

from analyzer.finding import Finding
from analyzer.kernels import spot as sk
from analyzer.kernels.residual import SCALE
from analyzer.kernels.round_spots import BRIGHT, NOISES, PART
from analyzer.levels import Levels
from analyzer.settings import AnalyzerSettings


def weigh_round_spots(
    clusters: npt.NDArray[Any],
    source: tuple[npt.NDArray[np.uint16], npt.NDArray[np.int64]],
    levels: Levels,
    settings: AnalyzerSettings,
    finding: Finding,
) -> None:
    """Give round spots their integral, and what follows from it.

    :param clusters: rows of `CLUSTER` with sums and shapes, in the order of the labels.
    :param source: the frame, (rows, columns) uint16 [ADU], and the common shift of each of its
        rows, (rows,) int64 [1/32 ADU].
    """
    frame, shift = source
    plain = clusters["sc_sum"].astype(np.float64)
    noise = levels.clip / (settings.clip_sigma * SCALE) * np.sqrt(clusters["sc_size"])
    is_round = clusters["sc_longrms"] < settings.track_elongation * clusters["sc_latrms"]
    is_round &= (clusters["sc_length"] <= settings.spot_length) & (plain > 0)
    is_round &= noise > BRIGHT * plain
    spots = np.empty((len(clusters), 2))
    sk.weigh_spots(
        frame,
        levels.level,
        shift,
        settings.cimax,
        finding.labels,
        levels.rebin,
        is_round.astype(np.uint8),
        clusters["sc_xmean"].astype(np.float64),
        clusters["sc_ymean"].astype(np.float64),
        settings.spot_window,
        settings.spot_reach,
        spots,
    )
    light = spots[:, sk.LIGHT]
    agrees = np.abs(light - plain) < NOISES * noise + PART * plain  # false for nan
    factor = np.divide(light, plain, where=agrees, out=np.ones_like(plain))
    for name in ("sc_integral", "sc_corrintegral", "sc_energy"):
        clusters[name] *= factor
