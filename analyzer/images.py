"""From a raw frame to its statistics and clusters: the kernels, bound to pedestal and settings."""

import time
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from analyzer.cygno_finder import CygnoFinder
from analyzer.dtypes import CLUSTER, EVENT, REDPIX, TILE, ClusterFlag, EventFlag
from analyzer.finding import Finding
from analyzer.frames import as_frame
from analyzer.kernels.clusters import measure_frame
from analyzer.kernels.dbscan import clear_labels
from analyzer.kernels.label import label_clusters
from analyzer.kernels.residual import SCALE
from analyzer.kernels.search import search_frame
from analyzer.kernels.tiles import average_tiles
from analyzer.levels import Levels
from analyzer.measuring import make_setup
from analyzer.redpix import Seen, collect_pixels
from analyzer.rows import zeros
from analyzer.settings import AnalyzerSettings

Rows = npt.NDArray[Any]

SPARK_MEAN_ADU: Final = 100.0
SPARK_SUM_ADU: Final = 9e6
"""A frame whose light exceeds 100 ADU a pixel + 9e6 ADU is a spark (CYGNO's ``2*100*npix**2+9e6``
for the raw sum, with a pedestal of 100 ADU)."""

EMPTY_ADU: Final = 12.0
"""Macro-pixels farther from the pedestal hold light, whatever the drift."""

EMPTY_SIGMA: Final = 4.0
"""So do those farther from the mean of their part of the frame."""


class ImageAnalysis:
    """Analyzes frames of one shape, one after the other; each thread has its own.

    :param levels: the pedestal, shared between threads.
    """

    def __init__(self, levels: Levels, settings: AnalyzerSettings) -> None:
        self.levels = levels
        self.settings = settings
        self._setup = make_setup(levels, settings)
        self._flags = EventFlag(0)
        if levels.pedestal.is_estimate:
            self._flags |= EventFlag.FALLBACK_PEDESTAL
        if levels.vignetting.unusable:
            self._flags |= EventFlag.MAP_WITH_HOLES
        rows = levels.shape[0]
        macro = levels.macro_shape
        self._shift_limit = round(settings.row_limit_adu * SCALE)
        self._sums = np.zeros(macro, np.int32)
        self._rows = np.zeros((rows, 7), np.int64)
        self._shift = np.zeros(rows, np.int64)
        room = macro[0] * macro[1]
        self._lit = (
            np.zeros(room, np.int32),
            np.zeros(room, np.int32),
            np.zeros(room, np.uint16),
        )
        self._labels = np.zeros(macro, np.int32)
        self._labelled = 0
        self._seen: Seen | None = None
        self._is_mess = False
        self.steps_s = (0.0, 0.0, 0.0)
        """Time of the last frame's search for lit macro-pixels, its clusters, their variables."""
        self._cygno = CygnoFinder(levels, settings) if settings.finder == "cygno" else None

    def analyze(self, pixels: npt.NDArray[np.uint16]) -> tuple[Rows, Rows]:
        """Return one row of `EVENT` and the rows of `CLUSTER` of a frame, brightest first.

        :param pixels: (rows, columns) uint16 [ADU], of the pedestal's shape.
        """
        frame = as_frame(pixels)
        finding, levels = self.find(frame), self.levels
        began_s = time.perf_counter()
        residuals = np.empty((finding.n, levels.rebin, levels.rebin), np.int32)
        order = np.empty(finding.found, np.int64)
        clusters, event = zeros(CLUSTER, finding.found), zeros(EVENT, 1)
        measure_frame(
            frame,
            levels.level,
            levels.noise,
            levels.vignetting.gain,
            self._setup,
            finding.labels,
            finding.ys,
            finding.xs,
            finding.n_core,
            finding.n,
            self._flags_of(finding),
            self._rows,
            self._shift,
            residuals,
            order,
            clusters,
            event,
        )
        event["light"] = finding.light
        self._seen = residuals, finding, order
        self.steps_s = (*self.steps_s[:2], time.perf_counter() - began_s)
        return event, clusters

    @property
    def macro_sums(self) -> npt.NDArray[np.int32]:
        """Light of the last frame: (macro rows, macro columns) int32, sums [1/32 ADU]."""
        return self._sums

    def pixels_of(self, clusters: Rows) -> Rows:
        """Return rows of `REDPIX`: the pixels of the clusters that were found last.

        :param clusters: as `analyze` returned them; faint ones and sparks are left out.
        """
        settings = self.settings
        is_kept = clusters["sc_integral"] > settings.keep_least_adu
        is_kept &= clusters["flags"] & np.uint16(ClusterFlag.SPARK) == 0
        if self._seen is None or not is_kept.any():
            return np.zeros(0, REDPIX)
        return collect_pixels(*self._seen, is_kept)

    def tiles(self) -> Rows:
        """Return a row of `TILE`: the level of the parts of the frame that was searched last."""
        row = np.zeros(1, TILE)
        level = row["level"][0]
        level[:] = np.nan
        if self._is_mess:
            return row
        levels = self.levels
        unit = SCALE * levels.rebin**2
        noise = levels.clip / self.settings.clip_sigma * levels.rebin
        average_tiles(
            self._sums,
            levels.scale,
            1 / unit,
            self._labels,
            round(EMPTY_ADU * unit),
            round(EMPTY_SIGMA * noise),
            level,
        )
        level /= np.float32(unit)
        return row

    def find(self, pixels: npt.NDArray[np.uint16]) -> Finding:
        """Find the clusters of a frame: from the raw pixels to labelled macro-pixels.

        :param pixels: (rows, columns) uint16 [ADU], of the pedestal's shape.
        :returns: what was found; its arrays hold until the next call.
        """
        frame = as_frame(pixels)
        settings, levels = self.settings, self.levels
        began_s = time.perf_counter()
        clear_labels(self._labels, *self._lit[:2], self._labelled)
        self._labelled = 0
        n_lit, total = search_frame(
            frame,
            levels.level,
            settings.cimax,
            levels.clip,
            levels.rebin,
            self._shift_limit,
            *levels.grid,
            settings.spike_adu,
            settings.grow_sigma,
            settings.min_neighbors_average,
            self._sums,
            self._rows,
            self._shift,
            *self._lit,
        )
        if self._cygno:
            n_lit = self._cygno.list_points(frame, *self._lit)
        light = total / SCALE
        is_spark = light > SPARK_MEAN_ADU * frame.size + SPARK_SUM_ADU
        searched_s = time.perf_counter()
        found, n_core, n, complete = 0, 0, 0, True
        if not is_spark:
            found, n_core, n, complete = self._label(n_lit)
        self._labelled = n
        self._is_mess = is_spark or not (complete or found)
        self.steps_s = (searched_s - began_s, time.perf_counter() - searched_s, 0.0)
        return Finding(
            self._labels,
            *self._lit[:2],
            n_core,
            n,
            found,
            complete,
            is_spark,
            light,
        )

    def _label(self, n_lit: int) -> tuple[int, int, int, bool]:
        """Label clusters.

        :returns: their number, their macro-pixels without and with rim, and whether all were found.
        """
        settings = self.settings
        if n_lit > settings.max_occupancy * self._labels.size:
            return 0, 0, 0, False
        ys, xs, marks = self._lit
        points, seed, edge = (
            (settings.eps, settings.min_samples),
            settings.seed_weight,
            settings.spot_edge,
        )
        if self._cygno:
            points, seed, edge = (settings.dbscan_eps, settings.dbscan_minsamples), 1, 0.0
        found, n_core, n, dropped = label_clusters(
            marks,
            ys,
            xs,
            n_lit,
            self._sums,
            *points,
            self._cygno is not None,
            settings.link_macro,
            seed,
            settings.min_macro,
            settings.max_clusters,
            settings.track_macro,
            settings.track_elongation,
            settings.gap_macro,
            edge,
            settings.margin_macro,
            self._labels,
        )
        return found, n_core, n, not dropped

    def _flags_of(self, finding: Finding) -> int:
        """Return what is to be known of the event before its pixels are looked at."""
        flags = self._flags
        if finding.is_spark:
            flags |= EventFlag.SPARK
        if not finding.complete:
            flags |= EventFlag.CUT_SHORT
        return int(flags)
