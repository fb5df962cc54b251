"""The panels of a run's report: each draws one thing into the axes it is given."""

import math
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from analyzer.dtypes import ClusterFlag, EventFlag
from analyzer.quality import pmt_waveforms
from analyzer.settings import AnalyzerSettings
from analyzer.spectrum import PeakFit, Spectrum

BLUE: Final = "#24588f"
ORANGE: Final = "#d9772b"
GREEN: Final = "#2f7d4f"
RED: Final = "#c0282d"
VIOLET: Final = "#7a4a9c"
INK: Final = "#22262b"
GREY: Final = "#8a9099"
PALE: Final = "#d5d9de"
DEFECT: Final = "#5fd0e0"

MAX_CLUSTERS: Final = 4000
"""Clusters that are drawn; more would hide one another."""

_KINDS: Final = (
    ("other", 0, GREY),
    ("spot", ClusterFlag.SPOT, GREEN),
    ("⁵⁵Fe-like", ClusterFlag.FE55, ORANGE),
    ("muon", ClusterFlag.MUON, BLUE),
    ("alpha", ClusterFlag.ALPHA, RED),
    ("spark", ClusterFlag.SPARK, VIOLET),
)

Rows = npt.NDArray[Any]


def title(axes: Any, text: str, note: str = "") -> None:
    """Write the title of a panel above its left edge, and a note above its right one."""
    axes.set_title(text, loc="left", fontsize=8, fontweight="bold", color=INK, pad=4)
    if note:
        axes.set_title(note, loc="right", fontsize=6.5, color=GREY, pad=4)


def nothing(axes: Any, text: str) -> None:
    """Say in a panel why it is empty."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=GREY)


def draw_mean_image(axes: Any, cells: Rows, camera: int) -> None:
    """Draw the mean image of a camera, and its defects as rings."""
    cells = cells[cells["camera"] == camera]
    title(axes, "Mean image", f"camera {camera}, above pedestal [ADU]")
    if not len(cells):
        nothing(axes, "no frames")
        return
    columns, rows = np.unique(cells["x"]), np.unique(cells["y"])
    side = int(columns[1] - columns[0]) if len(columns) > 1 else 1
    image = np.full((len(rows), len(columns)), np.nan)
    image[cells["y"] // side, cells["x"] // side] = cells["light"]
    known = image[np.isfinite(image)]
    low, high = np.percentile(known, (1, 99.5)) if known.size else (0.0, 1.0)
    width, height = side * len(columns), side * len(rows)
    shown = axes.imshow(
        image,
        cmap="magma",
        vmin=low,
        vmax=max(high, low + 0.1),
        extent=(-0.5, width - 0.5, height - 0.5, -0.5),
        interpolation="nearest",
    )
    axes.set_anchor("NW")
    bar = axes.figure.colorbar(shown, ax=axes, fraction=0.046, pad=0.02)
    bar.ax.tick_params(labelsize=6, color=GREY)
    bar.outline.set_visible(False)
    defects = cells[cells["defects"] > 0]
    if len(defects):
        is_few = len(defects) < 500
        axes.scatter(
            defects["x"] + side / 2,
            defects["y"] + side / 2,
            s=np.clip(2 + defects["defects"], 2, 14) if is_few else 0.5,
            facecolors="none" if is_few else DEFECT,
            edgecolors=DEFECT,
            linewidths=0.35 if is_few else 0,
            alpha=1 if is_few else 0.7,
        )
    notes = [f"blue: {defects['defects'].sum()} defects"] if len(defects) else []
    hot = cells[cells["hot"] > 0]
    if len(hot):
        place = hot["x"] + side / 2, hot["y"] + side / 2
        axes.scatter(*place, s=14, marker="s", facecolors="none", edgecolors=RED, linewidths=0.6)
        notes.append(f"red: {hot['hot'].sum()} turned hot")
    axes.set_xlabel(f"column [px]   ({', '.join(notes)})" if notes else "column [px]")
    axes.set_ylabel("row [px]")


def draw_cluster_map(
    axes: Any, clusters: Rows, shape: tuple[int, int], settings: AnalyzerSettings, camera: int
) -> None:
    """Draw the clusters of a camera where they were, as long as they are, in the colour of kinds.

    :param shape: rows and columns of its frames.
    """
    from matplotlib.collections import LineCollection

    clusters = clusters[clusters["camera"] == camera]
    drawn = clusters[:: max(1, math.ceil(len(clusters) / MAX_CLUSTERS))]
    part = "" if len(drawn) == len(clusters) else f", {len(drawn)} drawn"
    title(axes, "Clusters", f"camera {camera}, {len(clusters)} in the run{part}")
    axes.set_xlim(-0.5, shape[1] - 0.5)
    axes.set_ylim(shape[0] - 0.5, -0.5)
    axes.set_aspect("equal")
    axes.set_xlabel("column [px]")
    axes.set_ylabel("row [px]")
    flags = drawn["flags"]
    kind = np.zeros(len(drawn), np.intp)
    for number, (_, flag, _) in enumerate(_KINDS):
        kind[flags & np.uint16(flag) != 0] = number
    for number, (name, _, color) in enumerate(_KINDS):
        those = drawn[kind == number]
        if not len(those):
            continue
        half = np.stack([np.cos(those["sc_theta"]), np.sin(those["sc_theta"])], 1)
        half *= those["sc_length"][:, np.newaxis] / 2
        middle = np.stack([those["sc_xmean"], those["sc_ymean"]], 1)
        lines = LineCollection(
            list(np.stack([middle - half, middle + half], 1)),
            colors=color,
            linewidths=0.9,
            alpha=0.7,
            capstyle="round",
        )
        axes.add_collection(lines)
        axes.plot([], [], color=color, lw=2, label=f"{name} {np.count_nonzero(kind == number)}")
    if len(drawn):
        axes.legend(
            loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=6, frameon=False, fontsize=6,
            handlelength=1.0, columnspacing=1.0,
        )  # fmt: skip
    xmin, xmax, ymin, ymax = settings.acceptance(*shape)
    if (xmin, xmax, ymin, ymax) != (0, shape[1], 0, shape[0]):
        x = np.array([xmin, xmax, xmax, xmin, xmin]) - 0.5
        y = np.array([ymin, ymin, ymax, ymax, ymin]) - 0.5
        axes.plot(x, y, ":", color=INK, lw=0.8)


def draw_spectrum(axes: Any, spectrum: Spectrum, fit: PeakFit, adu_per_kev: float) -> None:
    """Draw the light of spots, and the 55Fe line where it was found."""
    title(axes, "Light of spots, ⁵⁵Fe line", f"{int(spectrum.counts.sum())} spots")
    per_bin = 6
    if fit.status == "ok":
        per_bin = int(np.clip(fit.sigma / (3 * spectrum.width), 1, 8))
    bins = len(spectrum.counts) // per_bin
    counts = spectrum.counts[: bins * per_bin].reshape(bins, per_bin).sum(axis=1)
    edges = spectrum.edges[::per_bin][: bins + 1]
    end = 1.25 * spectrum.high
    axes.axvspan(spectrum.low, spectrum.high, color=PALE, alpha=0.25, lw=0)
    axes.stairs(counts, edges, color=BLUE, fill=True, alpha=0.18, lw=0)
    axes.stairs(counts, edges, color=BLUE, lw=0.9)
    if fit.status == "ok":
        x = (fit.edges[:-1] + fit.edges[1:]) / 2
        axes.plot(x, fit.expected * per_bin, color=RED, lw=1.4)
        text = (
            f"peak {fit.mean:.0f} ± {fit.mean_error:.0f} ADU\n"
            f"resolution {100 * fit.resolution:.1f} ± {100 * fit.resolution_error:.1f} %\n"
            f"{fit.area:.0f} ± {fit.area_error:.0f} in the line\n"
            f"χ²/n = {fit.chi2:.0f}/{fit.degrees}"
        )
    else:
        text = f"no fit: {fit.status} ({fit.entries} spots in the window)"
    axes.text(
        0.985, 0.95, text, transform=axes.transAxes, ha="right", va="top", fontsize=7, color=INK,
        linespacing=1.35,
    )  # fmt: skip
    axes.set_xlim(0, end)
    shown = counts[(edges[:-1] >= spectrum.low) & (edges[:-1] < end)].max(initial=0)
    axes.set_ylim(0, max(1.5, 1.45 * float(shown)))
    axes.set_xlabel("sc_corrintegral [ADU]")
    axes.yaxis.get_major_locator().set_params(integer=True)
    axes.set_ylabel(f"spots / {per_bin * spectrum.width:.0f} ADU")
    energy = axes.secondary_xaxis(
        "top", functions=(lambda adu: adu / adu_per_kev, lambda kev: kev * adu_per_kev)
    )
    energy.tick_params(labelsize=6, pad=0, length=2)
    energy.set_xlabel("keV", fontsize=6, labelpad=1, loc="right")


def draw_pmt_charge(axes: Any, waveforms: Rows, settings: AnalyzerSettings) -> None:
    """Draw the charges of the PMTs of the first board that has any."""
    pmts = pmt_waveforms(waveforms, settings)
    if not len(pmts):
        title(axes, "Charge of PMTs")
        nothing(axes, "no waveforms of PMT channels")
        return
    board = int(pmts["board"].min())
    pmts = pmts[pmts["board"] == board]
    title(axes, "Charge of PMTs", f"board {board}, V{int(pmts['model'][0])}")
    low, high = np.percentile(pmts["charge"], (0.2, 99.5))
    edges = np.linspace(low, max(high, low + 1), 61)
    most = 0
    for number, channel in enumerate(np.unique(pmts["channel"])):
        charges = np.clip(pmts["charge"][pmts["channel"] == channel], edges[0], edges[-1])
        counts = np.histogram(charges, edges)[0]
        color = (BLUE, ORANGE, GREEN, VIOLET, RED, GREY)[number % 6]
        axes.stairs(counts, edges, color=color, lw=0.9, label=f"ch {channel}", baseline=None)
        most = max(most, int(counts.max()))
    if most > 30:
        axes.set_yscale("log")
        axes.set_ylim(bottom=0.7)
    else:
        axes.yaxis.get_major_locator().set_params(integer=True)
    axes.set_xlim(edges[0], edges[-1])
    axes.set_xlabel("charge [pC], what is beyond at the ends")
    axes.set_ylabel("waveforms")
    axes.legend(loc="upper right", frameon=False, fontsize=6, handlelength=1.2, labelspacing=0.25)


def is_image(events: Rows) -> npt.NDArray[np.bool_]:
    """Tell which rows are of frames that were analyzed."""
    bad = EventFlag.NO_CAMERA | EventFlag.BAD_FRAME | EventFlag.FAILED
    return np.asarray(events["flags"] & np.uint16(bad) == 0)
