"""The panels of an event's picture: each draws one thing into the axes it is given."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from analyzer.dtypes import ClusterFlag
from analyzer.report_panels import BLUE, GREEN, GREY, INK, ORANGE, RED, VIOLET, nothing, title
from analyzer.settings import AnalyzerSettings
from analyzer.view import BoardView, ImageView

KINDS: Final = (
    (ClusterFlag.SPARK, "spark", "#ff6ad5"),
    (ClusterFlag.MUON, "muon", "#5fd0e0"),
    (ClusterFlag.ALPHA, "alpha", "#ff6b5e"),
    (ClusterFlag.FE55, "⁵⁵Fe", "#ffc14d"),
    (ClusterFlag.SPOT, "spot", "#b6f09c"),
)
_WHITE: Final = "#ffffff"

ZOOM_CELLS: Final = 100
"""Cells on a side of what is drawn of a cluster near by."""

Rows = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]


def kind_of(cluster: Rows, settings: AnalyzerSettings) -> tuple[str, str]:
    """Return the name and the colour of a cluster's kind, a row of `CLUSTER`."""
    flags = int(cluster["flags"])
    for flag, name, color in KINDS:
        if flags & flag:
            return name, color
    return ("track" if cluster["sc_length"] > settings.spot_length else "other"), _WHITE


def color_range(
    image: Floats, low: float | None = None, high: float | None = None
) -> tuple[float, float]:
    """Return the light of the darkest and of the brightest colour [ADU above the pedestal].

    It shows the noise and leaves spots bright: CYGNO's 95 to 130 ADU of raw pixels at the most.
    """
    noise = 1.4826 * float(np.median(np.abs(image - np.median(image)))) if image.size else 1.0
    bright = float(np.percentile(image, 99.98)) if image.size else 1.0
    top = float(np.clip(bright, max(10 * noise, 4.0), 30.0))
    return (-3 * noise if low is None else low), (top if high is None else high)


def draw_image(
    axes: Any,
    image: ImageView,
    clusters: Rows,
    pixels: Rows,
    settings: AnalyzerSettings,
    limits: tuple[float, float],
) -> Any:
    """Draw light and the outlines of clusters; return what a colour bar is made of."""
    rows, columns = image.shape
    shown = axes.imshow(
        image.light,
        cmap="inferno",
        vmin=limits[0],
        vmax=limits[1],
        extent=(-0.5, columns - 0.5, rows - 0.5, -0.5),
        interpolation="nearest",
        aspect="equal",
    )
    draw_outlines(axes, clusters, pixels, image, settings)
    xmin, xmax, ymin, ymax = settings.acceptance(rows, columns)
    if (xmin, xmax, ymin, ymax) != (0, columns, 0, rows):
        x = np.array([xmin, xmax, xmax, xmin, xmin]) - 0.5
        y = np.array([ymin, ymin, ymax, ymax, ymin]) - 0.5
        axes.plot(x, y, ":", color="#ffffff", lw=0.7, alpha=0.7)
    axes.set_xlim(-0.5, columns - 0.5)
    axes.set_ylim(rows - 0.5, -0.5)
    axes.set_xlabel("column [px]")
    axes.set_ylabel("row [px]")
    return shown


def draw_outlines(
    axes: Any, clusters: Rows, pixels: Rows, image: ImageView, settings: AnalyzerSettings
) -> None:
    """Draw the outline and the label of each cluster, brightest first, in the colour of its kind.

    :param pixels: rows of `REDPIX`; a cluster without any gets a box.
    """
    shape, rebin = image.shape, image.rebin
    margin = 2 * rebin
    for number, cluster in enumerate(clusters):
        name, color = kind_of(cluster, settings)
        own = pixels[pixels["cluster"] == number]
        left, top = int(cluster["sc_xmin"]) - margin, int(cluster["sc_ymin"]) - margin
        right, bottom = int(cluster["sc_xmax"]) + margin, int(cluster["sc_ymax"]) + margin
        if len(own):
            xs, ys = own["redpix_ix"].astype(np.int64), own["redpix_iy"].astype(np.int64)
            left = min(left, int(xs.min()) - margin) // rebin * rebin
            top = min(top, int(ys.min()) - margin) // rebin * rebin
            right, bottom = max(right, int(xs.max()) + margin), max(bottom, int(ys.max()) + margin)
            mask = np.zeros(((bottom - top) // rebin + 1, (right - left) // rebin + 1))
            mask[(ys - top) // rebin, (xs - left) // rebin] = 1
            x = left - 0.5 + rebin * (np.arange(mask.shape[1]) + 0.5)
            y = top - 0.5 + rebin * (np.arange(mask.shape[0]) + 0.5)
            axes.contour(x, y, mask, [0.5], colors=[color], linewidths=0.9)
        else:
            x = np.array([left, right, right, left, left])
            axes.plot(x, np.array([top, top, bottom, bottom, top]), color=color, lw=0.9)
        is_low = top < 0.04 * shape[0]
        axes.annotate(
            f"{number + 1} {name}",
            (np.clip(left, 0, shape[1] * 0.94), bottom if is_low else top),
            xytext=(0, -2 if is_low else 2),
            textcoords="offset points",
            va="top" if is_low else "bottom",
            fontsize=7,
            fontweight="bold",
            color=color,
            clip_on=True,
        )


def draw_projections(above: Any, beside: Any, image: ImageView) -> None:
    """Draw the light of each column above the image, and of each row beside it."""
    rows, columns = image.shape
    of_columns = image.light.sum(axis=0, dtype=np.float64) * image.rebin
    of_rows = image.light.sum(axis=1, dtype=np.float64) * image.rebin
    x = image.rebin * (np.arange(len(of_columns)) + 0.5) - 0.5
    y = image.rebin * (np.arange(len(of_rows)) + 0.5) - 0.5
    above.fill_between(x, of_columns, 0, color=BLUE, alpha=0.25, lw=0)
    above.plot(x, of_columns, color=BLUE, lw=0.6)
    above.set_xlim(-0.5, columns - 0.5)
    above.set_ylabel("ADU / column")
    above.tick_params(axis="x", labelbottom=False)
    beside.fill_betweenx(y, of_rows, 0, color=BLUE, alpha=0.25, lw=0)
    beside.plot(of_rows, y, color=BLUE, lw=0.6)
    beside.set_ylim(rows - 0.5, -0.5)
    beside.set_xlabel("ADU / row")
    beside.tick_params(axis="y", labelleft=False)


def draw_zoom(
    axes: Any,
    frame: Floats,
    cluster: Rows,
    number: int,
    settings: AnalyzerSettings,
    limits: tuple[float, float],
) -> None:
    """Draw a cluster's surroundings pixel by pixel; those of a long one in cells of several.

    Noise hides a faint track where each pixel is smaller than what the picture has room for.
    """
    name, color = kind_of(cluster, settings)
    half = max(
        24,
        (int(cluster["sc_xmax"]) - int(cluster["sc_xmin"])) // 2 + 12,
        (int(cluster["sc_ymax"]) - int(cluster["sc_ymin"])) // 2 + 12,
    )
    x = (int(cluster["sc_xmin"]) + int(cluster["sc_xmax"])) // 2
    y = (int(cluster["sc_ymin"]) + int(cluster["sc_ymax"])) // 2
    left, top = max(0, x - half), max(0, y - half)
    part = frame[top : y + half, left : x + half]
    side = max(1, round(max(part.shape) / ZOOM_CELLS))
    cells = mean_of_cells(part, side)
    bright = float(np.percentile(cells, 99.8)) if cells.size else limits[1]
    axes.imshow(
        cells,
        cmap="inferno",
        vmin=3 * limits[0] if side == 1 else limits[0],
        vmax=max(bright, limits[1]) if side == 1 else bright,
        extent=(left - 0.5, left + part.shape[1] - 0.5, top + part.shape[0] - 0.5, top - 0.5),
        interpolation="nearest",
    )
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set(visible=True, color=GREY if color == _WHITE else color, linewidth=1.4)
    axes.set_title(f"{number + 1} {name}", loc="left", fontsize=7, fontweight="bold", pad=2)
    light = f"to {bright:.0f} ADU" if side == 1 else f"to {bright:.1f} ADU / px"
    axes.set_xlabel(f"{part.shape[1]}×{part.shape[0]} px\n{light}", fontsize=6, labelpad=2)


def mean_of_cells(image: Floats, side: int) -> Floats:
    """Return the mean of cells of side x side pixels; those beyond the last whole cell are cut off.

    >>> mean_of_cells(np.float32([[1, 3, 9], [1, 3, 9]]), 2).tolist()
    [[2.0]]
    """
    rows, columns = image.shape[0] // side, image.shape[1] // side
    whole = image[: rows * side, : columns * side]
    cells = whole.reshape(rows, side, columns, side)
    return np.asarray(cells.mean(axis=(1, 3), dtype=np.float32))


def draw_waveforms(axes: Any, board: BoardView, waves: Rows, pulses: Rows, channels: Any) -> None:
    """Draw the channels of one trigger of a board one below the other, and their pulses.

    :param waves: rows of `WAVEFORM` of this board and trigger.
    :param pulses: rows of `PULSE` of this board and trigger.
    """
    samples = board.samples[int(waves["trigger"][0])] if len(waves) else board.samples[:0]
    chosen = [int(channel) for channel in channels if channel < len(samples)]
    title(axes, f"V{board.model}", f"{1000 / board.sampling_ns:.0f} MS/s")
    if not chosen:
        nothing(axes, "no waveforms of PMT channels")
        return
    is_long = samples.shape[1] * board.sampling_ns > 3000
    unit, scale = ("µs", 1e-3) if is_long else ("ns", 1.0)
    times = np.arange(samples.shape[1]) * board.sampling_ns * scale
    level = {int(row["channel"]): float(row["baseline"]) for row in waves}
    curves = [samples[channel].astype(np.float64) - level[channel] for channel in chosen]
    step = 1.15 * max(max(float(np.ptp(curve)) for curve in curves), 1.0)
    for place, (channel, curve) in enumerate(zip(chosen, curves, strict=True)):
        color = (BLUE, ORANGE, GREEN, VIOLET, RED, GREY)[place % 6]
        axes.plot(times, curve - place * step, color=color, lw=0.6)
        axes.axhline(-place * step, color=GREY, lw=0.3, ls=":")
        axes.text(
            1.01, -place * step, f"ch {channel}", transform=axes.get_yaxis_transform(),
            color=color, fontsize=6.5, va="center",
        )  # fmt: skip
        own = pulses[pulses["channel"] == channel]
        if len(own):
            axes.plot(
                own["time"] * scale, -own["height"] - place * step, "v", color=INK, ms=2.5, mew=0
            )
    axes.set_xlim(times[0], times[-1])
    axes.set_xlabel(f"time [{unit}]")
    axes.set_ylabel("ADC counts")


def draw_table(axes: Any, clusters: Rows, settings: AnalyzerSettings, most: int) -> None:
    """Write the brightest clusters: kind, light, energy, extent and place."""
    axes.set_axis_off()
    count = f"{len(clusters)} cluster" + ("" if len(clusters) == 1 else "s")
    note = f"the {most} brightest" if len(clusters) > most else ""
    title(axes, count, note)
    heads = ("", "kind", "light [ADU]", "E [keV]", "length × width", "x, y [px]")
    places = (0.0, 0.06, 0.34, 0.47, 0.76, 1.0)
    sides = ("left", "left", "right", "right", "right", "right")
    millimetres = settings.pixel_mm
    for place, side, head in zip(places, sides, heads, strict=True):
        text = head + (" [mm]" if millimetres else " [px]") if "×" in head else head
        axes.text(place, 0.97, text, ha=side, va="top", fontsize=6.5, color=GREY)
    factor = millimetres or 1.0
    for number, cluster in enumerate(clusters[:most]):
        name, _ = kind_of(cluster, settings)
        digits = 1 if millimetres else 0
        cells = (
            f"{number + 1}",
            name,
            f"{cluster['sc_integral']:,.0f}".replace(",", " "),
            f"{cluster['sc_energy']:.1f}",
            " × ".join(f"{cluster[key] * factor:.{digits}f}" for key in ("sc_length", "sc_width")),
            f"{cluster['sc_xmean']:.0f}, {cluster['sc_ymean']:.0f}",
        )
        y = 0.97 - (number + 1) * 0.95 / (most + 1)
        for place, side, cell in zip(places, sides, cells, strict=True):
            axes.text(place, y, cell, ha=side, va="top", fontsize=7, color=INK)
