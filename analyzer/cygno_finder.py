"""Find the points of clusters by the steps of CYGNO's reconstruction, setting Finder = cygno."""

import numpy as np
import numpy.typing as npt

from analyzer.kernels import cygno_chain as ck
from analyzer.levels import Levels
from analyzer.settings import AnalyzerSettings


class CygnoFinder:
    """Goes from frame to points; each thread has its own, of two frames' size.

    :param levels: the pedestal, shared between threads.
    """

    def __init__(self, levels: Levels, settings: AnalyzerSettings) -> None:
        self._levels = levels
        self._settings = settings
        rows, columns = levels.shape
        self._kept, self._filtered = np.zeros((2, rows, columns), np.int32)
        macro = rows // levels.rebin, columns // levels.rebin
        self._means, self._reduced = np.zeros((2, *macro))

    def list_points(
        self,
        frame: npt.NDArray[np.uint16],
        ys: npt.NDArray[np.int32],
        xs: npt.NDArray[np.int32],
        marks: npt.NDArray[np.uint16],
    ) -> int:
        """List the points of a frame; return their number.

        :param ys: out, as of ``find_lit``; `xs` and `marks`, with CYGNO's weights, likewise.
        """
        settings, levels = self._settings, self._levels
        ck.suppress(
            frame,
            levels.level,
            levels.noise,
            settings.cimax,
            settings.nsigma,
            *settings.acceptance(*levels.shape),
            self._kept,
        )
        ck.rebin_mean(self._kept, levels.rebin, self._means)
        ck.filter_median(self._kept, self._filtered)
        ck.rebin_mean(self._filtered, levels.rebin, self._reduced)
        ck.reduce_noise(self._reduced, settings.min_neighbors_average)
        return ck.list_points(self._reduced, self._means, ys, xs, marks)
