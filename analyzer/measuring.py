"""What the kernels are to know to measure the clusters of a run's frames."""

from typing import Any

import numpy as np
import numpy.typing as npt

from analyzer.dtypes import ClusterFlag, EventFlag
from analyzer.kernels.measuring import MEASURING
from analyzer.kernels.residual import SCALE
from analyzer.levels import Levels
from analyzer.settings import AnalyzerSettings

Rows = npt.NDArray[Any]


def make_setup(levels: Levels, settings: AnalyzerSettings) -> Rows:
    """Return the row of `MEASURING` for the frames of a run."""
    xmin, xmax, ymin, ymax = settings.acceptance(*levels.shape)
    content = {
        "cimax": settings.cimax,
        "clip": levels.clip,
        "rebin": levels.rebin,
        "shift_limit": round(settings.row_limit_adu * SCALE),
        "rim": settings.margin_macro * levels.rebin,
        "nsigma": settings.nsigma,
        "adu_per_kev": settings.adu_per_kev,
        "pixel_noise": levels.clip / (settings.clip_sigma * SCALE),
        "spot_reach": settings.spot_reach,
        "spot_window": settings.spot_window,
        "track_elongation": settings.track_elongation,
        "spot_length": settings.spot_length,
        "spark_adu": settings.spark_adu,
        "fe55_window": settings.fe55_window,
        "alpha_density": settings.alpha_density,
        "alpha_length": settings.alpha_length,
        "muon_density": settings.muon_density,
        "muon_length": settings.muon_length,
        "xmin": xmin,
        "xmax": xmax,
        "ymin": ymin,
        "ymax": ymax,
        "outside": ClusterFlag.OUTSIDE,
        "at_edge": ClusterFlag.AT_EDGE,
        "spot": ClusterFlag.SPOT,
        "fe55": ClusterFlag.FE55,
        "alpha": ClusterFlag.ALPHA,
        "muon": ClusterFlag.MUON,
        "spark": ClusterFlag.SPARK,
        "saturated": EventFlag.SATURATED,
    }
    setup = np.zeros(1, MEASURING)
    for name, value in content.items():
        setup[name] = value
    return setup
