"""From a raw frame to its statistics and clusters: the kernels, bound to pedestal and settings."""

import math
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from analyzer.dtypes import CLUSTER, EVENT, ClusterFlag, EventFlag
from analyzer.frames import as_frame
from analyzer.kernels import frame as fk
from analyzer.kernels import measure as mk
from analyzer.kernels.detect import correct_macro, flatten_spikes, mark_lit
from analyzer.kernels.label import add_rim, clear_labels, label_clusters
from analyzer.levels import Levels
from analyzer.settings import AnalyzerSettings

Rows = npt.NDArray[Any]

SPARK_MEAN_ADU: Final = 100.0
SPARK_SUM_ADU: Final = 9e6
"""A frame whose light exceeds 100 ADU a pixel + 9e6 ADU is a spark (CYGNO's ``2*100*npix**2+9e6``
for the raw sum, with a pedestal of 100 ADU)."""


class ImageAnalysis:
    """Analyzes frames of one shape, one after the other; each thread has its own.

    :param levels: the pedestal, shared between threads.
    """

    def __init__(self, levels: Levels, settings: AnalyzerSettings) -> None:
        self.levels = levels
        self.settings = settings
        rows, columns = levels.shape
        macro = levels.macro_shape
        rim = (macro[0] + 2, macro[1] + 2)
        self._acceptance = settings.acceptance(rows, columns)
        self._sums = np.zeros(macro, np.int32)
        self._rows = np.zeros((rows, 7), np.int64)
        self._value = np.zeros(rim, np.float32)
        self._flat = np.zeros(rim, np.float32)
        self._mark = np.zeros(macro, np.uint8)
        self._labels = np.zeros(macro, np.int32)
        self._ys = np.zeros(macro[0] * macro[1], np.int32)
        self._xs = np.zeros(macro[0] * macro[1], np.int32)

    def analyze(self, pixels: npt.NDArray[np.uint16]) -> tuple[Rows, Rows]:
        """Return one row of `EVENT` and the rows of `CLUSTER` of a frame, brightest first.

        :param pixels: (rows, columns) uint16 [ADU], of the pedestal's shape.
        """
        frame = as_frame(pixels)
        settings, levels = self.settings, self.levels
        fk.rebin_frame(
            frame,
            levels.level,
            settings.cimax,
            levels.clip,
            levels.rebin,
            self._sums,
            self._rows,
        )
        flags = EventFlag(0)
        light = float(self._sums.sum(dtype=np.int64)) / fk.SCALE
        if light > SPARK_MEAN_ADU * frame.size + SPARK_SUM_ADU:
            flags |= EventFlag.SPARK
            found, n_core, n = 0, 0, 0
        else:
            found, n_core, n, complete = self._find(_row_shift(self._rows, settings))
            if not complete:
                flags |= EventFlag.CUT_SHORT
        clusters = np.zeros(found, CLUSTER)
        if found:
            mk.exclude_clusters(
                frame,
                levels.level,
                settings.cimax,
                levels.clip,
                levels.rebin,
                self._ys,
                self._xs,
                n,
                self._rows,
            )
            clusters = self._measure(frame, _row_shift(self._rows, settings), found, n_core, n)
            clear_labels(self._labels, self._ys, self._xs, n)
        return self._describe(frame, flags, light, clusters), clusters

    def _find(self, shift: npt.NDArray[np.int64]) -> tuple[int, int, int, bool]:
        """Label clusters.

        :returns: their number, their macro-pixels without and with rim, and whether all were found.
        """
        settings, levels = self.settings, self.levels
        rows = np.pad(shift, (0, -len(shift) % levels.rebin), mode="edge")
        macro_shift = (rows.reshape(-1, levels.rebin).mean(axis=1) / fk.SCALE).astype(np.float32)
        correct_macro(self._sums, levels.scale, macro_shift, self._value)
        flatten_spikes(self._value, settings.spike_adu, self._flat)
        lit = mark_lit(
            self._flat,
            levels.smooth_noise,
            settings.grow_sigma,
            settings.seed_sigma,
            settings.min_neighbors_average,
            self._mark,
        )
        if lit > settings.max_occupancy * self._mark.size:
            return 0, 0, 0, False
        found, n_core, dropped = label_clusters(
            self._mark,
            settings.link_macro,
            settings.min_macro,
            settings.max_clusters,
            self._ys,
            self._xs,
            self._labels,
        )
        n = add_rim(self._labels, settings.margin_macro, self._ys, self._xs, n_core)
        return found, n_core, n, not dropped

    def _measure(
        self,
        frame: npt.NDArray[np.uint16],
        shift: npt.NDArray[np.int64],
        found: int,
        n_core: int,
        n: int,
    ) -> Rows:
        levels = self.levels
        sums = np.zeros((found, mk.N_SUMS), np.int64)
        mk.sum_clusters(
            frame,
            levels.level,
            levels.noise,
            shift,
            self.settings.cimax,
            self.settings.nsigma,
            levels.rebin,
            self._labels,
            self._ys,
            self._xs,
            n_core,
            n,
            sums,
        )
        x, y, theta, long_rms, lat_rms = principal_axes(sums)
        extent = np.empty((found, 4))
        mk.extend_along_axes(
            self._labels, self._ys, self._xs, n_core, levels.rebin, x, y, theta, extent
        )
        clusters = np.zeros(found, CLUSTER)
        clusters["sc_size"] = sums[:, mk.SIZE]
        clusters["sc_nhits"] = sums[:, mk.HITS]
        clusters["sc_nmacro"] = sums[:, mk.MACRO]
        clusters["sc_integral"] = sums[:, mk.LIGHT] / fk.SCALE
        size = np.maximum(sums[:, mk.CORE_SIZE], 1)
        mean = sums[:, mk.CORE_LIGHT] / size
        variance = np.maximum(sums[:, mk.CORE_SQUARES] / size - mean**2, 0)
        clusters["sc_rms"] = np.sqrt(variance) / fk.SCALE
        clusters["sc_xmean"], clusters["sc_ymean"] = x, y
        clusters["sc_xmin"], clusters["sc_xmax"] = sums[:, mk.X_MIN], sums[:, mk.X_MAX]
        clusters["sc_ymin"], clusters["sc_ymax"] = sums[:, mk.Y_MIN], sums[:, mk.Y_MAX]
        clusters["sc_length"] = extent[:, 1] - extent[:, 0] + levels.rebin
        clusters["sc_width"] = extent[:, 3] - extent[:, 2] + levels.rebin
        clusters["sc_theta"] = theta
        clusters["sc_longrms"], clusters["sc_latrms"] = long_rms, lat_rms
        self._flag(clusters)
        return clusters[np.argsort(-clusters["sc_integral"], kind="stable")]

    def _flag(self, clusters: Rows) -> None:
        rows, columns = self.levels.shape
        xmin, xmax, ymin, ymax = self._acceptance
        x, y = clusters["sc_xmean"], clusters["sc_ymean"]
        outside = (x < xmin) | (x >= xmax) | (y < ymin) | (y >= ymax)
        at_edge = (clusters["sc_xmin"] == 0) | (clusters["sc_xmax"] == columns - 1)
        at_edge |= (clusters["sc_ymin"] == 0) | (clusters["sc_ymax"] == rows - 1)
        clusters["flags"] = outside * np.uint16(ClusterFlag.OUTSIDE)
        clusters["flags"] |= at_edge * np.uint16(ClusterFlag.AT_EDGE)

    def _describe(
        self, frame: npt.NDArray[np.uint16], flags: EventFlag, light: float, clusters: Rows
    ) -> Rows:
        rows = self._rows
        event = np.zeros(1, EVENT)
        totals = [int(total) for total in rows.sum(axis=0)]
        mean = totals[fk.ROW_RAW] / frame.size
        event["image_mean"] = mean
        variance = totals[fk.ROW_RAW_SQUARES] / frame.size - mean**2
        event["image_sigma"] = math.sqrt(max(variance, 0.0))
        event["image_max"] = rows[:, fk.ROW_MAX].max()
        event["saturated"] = totals[fk.ROW_SATURATED]
        if totals[fk.ROW_SATURATED]:
            flags |= EventFlag.SATURATED
        if self.levels.pedestal.is_estimate:
            flags |= EventFlag.FALLBACK_PEDESTAL
        event["flags"] = int(flags)
        used = max(totals[fk.ROW_USED], 1)
        residual = totals[fk.ROW_SUM] / used
        event["residual_mean"] = residual / fk.SCALE
        spread = math.sqrt(max(totals[fk.ROW_SQUARES] / used - residual**2, 0.0))
        event["noise"] = spread / fk.SCALE
        row_means = rows[:, fk.ROW_SUM] / np.maximum(rows[:, fk.ROW_USED], 1)
        event["row_noise"] = row_means.std() / fk.SCALE
        event["light"] = light
        event["n_clusters"] = len(clusters)
        event["cluster_light"] = clusters["sc_integral"].sum(dtype=np.float64)
        return event


def _row_shift(rows: npt.NDArray[np.int64], settings: AnalyzerSettings) -> npt.NDArray[np.int64]:
    """Return the common shift of each row [1/32 ADU], whole numbers.

    A row of which less than a quarter is dark says nothing of itself: it takes the frame's shift.
    """
    limit = round(settings.row_limit_adu * fk.SCALE)
    used = rows[:, fk.ROW_USED]
    total = rows[:, fk.ROW_SUM]
    frame_shift = total.sum() / max(int(used.sum()), 1)
    is_dark = used > 0.25 * max(int(used.max()), 1)
    shift = np.where(is_dark, total / np.maximum(used, 1), frame_shift)
    return np.clip(np.rint(shift), -limit, limit).astype(np.int64)


def principal_axes(sums: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.float64], ...]:
    """Return mean x, mean y, angle of the main axis, rms along and across it.

    :param sums: (clusters, N_SUMS) int64 of ``sum_clusters``.
    :returns: five (clusters,) float64 arrays: pixel, pixel, rad in (-pi/2, pi/2], pixel, pixel.
        A cluster whose light sums to nothing has the middle of its box and no extent.
    """
    light = sums[:, mk.CORE_LIGHT].astype(np.float64)
    is_lit = light > 0
    weight = np.where(is_lit, light, 1.0)
    x = np.where(is_lit, sums[:, mk.SUM_X] / weight, (sums[:, mk.X_MIN] + sums[:, mk.X_MAX]) / 2)
    y = np.where(is_lit, sums[:, mk.SUM_Y] / weight, (sums[:, mk.Y_MIN] + sums[:, mk.Y_MAX]) / 2)
    xx = np.where(is_lit, sums[:, mk.SUM_XX] / weight - x**2, 0.0)
    yy = np.where(is_lit, sums[:, mk.SUM_YY] / weight - y**2, 0.0)
    xy = np.where(is_lit, sums[:, mk.SUM_XY] / weight - x * y, 0.0)
    theta = 0.5 * np.arctan2(2 * xy, xx - yy)
    middle = (xx + yy) / 2
    half = np.hypot((xx - yy) / 2, xy)
    long_rms = np.sqrt(np.maximum(middle + half, 0.0))
    lat_rms = np.sqrt(np.maximum(middle - half, 0.0))
    return x, y, theta, long_rms, lat_rms
