"""The report of a run: one page for people, ``run00042.report.png``, made from its results alone.

Drawn by matplotlib, which is imported only here (`docs/decisions/0010-matplotlib-for-reports.md`).
Figures are objects of their own, with Agg: no window, no pyplot state, nothing stays in memory.
"""

import json
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from analyzer import report_panels as panels
from analyzer.errors import ResultsError
from analyzer.limits import Limit, default_limit, violated
from analyzer.quantities import QUANTITIES, Quantity
from analyzer.replace import replaced_file
from analyzer.results import Results, open_results
from analyzer.settings import AnalyzerSettings
from analyzer.spectrum import Spectrum

PAGE_INCHES: Final = (8.27, 11.69)
"""A4, upright."""
DPI: Final = 170

FORMATS: Final = ("png", "pdf", "svg")

_NEEDED: Final = ("events", "clusters", "waveforms", "quality", "slow", "mean_image", "figures")
STYLE: Final[dict[Any, Any]] = {
    "font.size": 7,
    "axes.linewidth": 0.6,
    "axes.edgecolor": panels.GREY,
    "axes.labelcolor": panels.INK,
    "axes.labelsize": 6.5,
    "axes.formatter.useoffset": False,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "xtick.labelsize": 6,
    "ytick.labelsize": 6,
    "xtick.color": panels.GREY,
    "ytick.color": panels.GREY,
    "xtick.labelcolor": panels.INK,
    "ytick.labelcolor": panels.INK,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
}


def report_path(results: Path) -> Path:
    """Return where the report of a results file stands.

    >>> report_path(Path("/data/run00042.reco.h5")).name
    'run00042.report.png'
    """
    name = results.name.removesuffix(results.suffix).removesuffix(".reco")
    return results.with_name(f"{name}.report.png")


def write_report(source: Path, output: Path | None = None, camera: int | None = None) -> Path:
    """Draw the report of a results file; it appears when it is whole.

    :param camera: whose image and clusters are drawn; None is the first.
    :param output: the picture, .png, .pdf or .svg; None is ``run%05d.report.png`` beside `source`.
    :raises ResultsError: if the results cannot be read or have no quality, the picture cannot be
        written, or matplotlib is not installed.
    """
    path = output or report_path(source)
    form = path.suffix.removeprefix(".").lower()
    if form not in FORMATS:
        raise ResultsError(f"{path}: a report is one of {', '.join(FORMATS)}")
    try:
        import matplotlib
    except ImportError as error:
        raise ResultsError(
            f"no report of {source}: matplotlib is not installed; install this project again"
        ) from error
    with open_results(source) as results, matplotlib.rc_context(STYLE):
        figure = draw_report(results, camera)
        try:
            with replaced_file(path) as temporary:
                figure.savefig(temporary, format=form, dpi=DPI)
        except OSError as error:
            raise ResultsError(f"report {path} cannot be written: {error}") from error
    return path


def draw_report(results: Results, camera: int | None = None) -> Any:
    """Return the page as a matplotlib Figure.

    :raises ResultsError: if the results have no quality, or no such camera.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    missing = [name for name in _NEEDED if name not in results or name not in set(results)]
    if missing or not len(results["figures"]):
        raise ResultsError(
            f"{results.path} has no {', '.join(missing) or 'figures of the run'}: it was written by"
            " an earlier version, or the run was cut off; analyze the run again"
        )
    figure = Figure(figsize=PAGE_INCHES)
    FigureCanvasAgg(figure)
    attributes = results.attributes
    settings = AnalyzerSettings.model_validate_json(attributes["settings"])
    values = _figures(results)
    limits = _limits(attributes)
    beyond = violated(values, limits)
    _draw_head(figure, attributes, values, beyond)
    shown = _camera_shown(results, camera)
    _draw_images(figure, results, settings, shown)
    _draw_spectra(figure, results, settings)
    _draw_times(figure, results, limits, shown)
    _draw_table(figure, values, limits, beyond)
    figure.text(
        0.07, 0.012, f"cygno-daq {attributes['software_version']}, {results.path.name}",
        fontsize=6, color=panels.GREY,
    )  # fmt: skip
    return figure


def _camera_shown(results: Results, chosen: int | None) -> int:
    """Return the camera whose images are drawn: the one that was chosen, or the first.

    :raises ResultsError: if there is no such camera.
    """
    cameras: list[int] = np.unique(results["mean_image"]["camera"]).tolist() or [0]
    if chosen is not None and chosen not in cameras:
        known = ", ".join(map(str, cameras))
        raise ResultsError(f"{results.path} has no frames of camera {chosen}; it has: {known}")
    return cameras[0] if chosen is None else chosen


def _figures(results: Results) -> dict[str, Any]:
    row = results["figures"][0]
    values = {name: float(row[name]) for name in row.dtype.names}
    return {name: value if np.isfinite(value) else None for name, value in values.items()}


def _limits(attributes: Mapping[str, Any]) -> dict[str, Limit]:
    stored = json.loads(attributes.get("limits") or "{}")
    return {
        quantity.key: Limit.model_validate(stored[quantity.key])
        if quantity.key in stored
        else default_limit(quantity)
        for quantity in QUANTITIES
    }


# the head ----------------------------------------------------------------------------------------


def _draw_head(
    figure: Any, attributes: Mapping[str, Any], values: Mapping[str, Any], beyond: list[Quantity]
) -> None:
    run, is_whole = attributes["run"], bool(attributes["complete"])
    figure.text(0.07, 0.953, f"Run {run}", fontsize=22, fontweight="bold", color=panels.INK)
    kind = "pedestal run" if attributes["pedestal_run"] else attributes.get("description", "")
    if kind:
        figure.text(0.93, 0.978, str(kind)[:90], fontsize=8, ha="right", color=panels.GREY)
    state, color = "within limits", panels.GREEN
    if beyond:
        state, color = f"{len(beyond)} beyond limits", panels.RED
    elif not is_whole:
        state, color = "not whole", panels.ORANGE
    figure.text(
        0.93, 0.955, state, fontsize=10, fontweight="bold", ha="right", color="white",
        bbox={"boxstyle": "round,pad=0.35", "facecolor": color, "edgecolor": "none"},
    )  # fmt: skip
    lines = _head_lines(attributes, values)
    for number, (name, text) in enumerate(lines):
        column, row = divmod(number, 3)
        x, y = 0.07 + 0.31 * column, 0.929 - 0.0145 * row
        figure.text(x, y, name, fontsize=7, color=panels.GREY)
        figure.text(x + 0.07, y, text, fontsize=7, color=panels.INK)
    if attributes["trouble"]:
        text = f"not whole: {attributes['trouble']}"[:150]
        figure.text(0.07, 0.886, text, fontsize=7, color=panels.RED)
    figure.add_artist(_rule(0.07, 0.93, 0.882))


def _head_lines(attributes: Mapping[str, Any], values: Mapping[str, Any]) -> list[tuple[str, str]]:
    begin, end = int(attributes["begin_time"]), int(attributes["end_time"])
    lost, troubled = attributes["events_lost"], attributes["events_troubled"]
    events = f"{attributes['events_analyzed']} analyzed, {lost} lost"
    events += f", {troubled} with problems" if troubled else ""
    live = values["live_percent"]
    frames = f"{values['frames']:.0f}, {attributes['exposure_s']:g} s exposure"
    triggers = f"{values['triggers']:.0f}"
    if values["trigger_rate_hz"] is not None:
        triggers += f", {values['trigger_rate_hz']:.2f} Hz"
    volts = [values[f"hv_gem{number}_v"] for number in (1, 2, 3)]
    gems = "not known"
    if any(volt is not None for volt in volts):
        gems = " / ".join("-" if volt is None else f"{volt:.0f}" for volt in volts) + " V"
    defects = "not known" if values["defects"] is None else f"{values['defects']:.0f} pixels"
    alive = "not known"
    if live is not None:
        alive = f"{live:.1f} %, dead {values['dead_time_s']:.1f} s"
    return [
        ("begin", _local(begin)),
        ("end", _local(end)),
        ("events", events),
        ("frames", frames),
        ("triggers", triggers),
        ("live", alive),
        ("pedestal", _pedestal(attributes)),
        ("defects", defects),
        ("GEMs", gems),
    ]


def _pedestal(attributes: Mapping[str, Any]) -> str:
    pedestals = json.loads(attributes.get("pedestals") or "{}")
    if not pedestals:
        return "none"
    first = pedestals[min(pedestals, key=int)]
    source = f"run {first['run']}" if first["run"] else "estimated"
    return f"{source}, noise {first['noise_adu']:.2f} ADU"


def _local(unix: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(unix)) if unix else "not known"


def _rule(left: float, right: float, height: float) -> Any:
    from matplotlib.lines import Line2D

    return Line2D([left, right], [height, height], color=panels.PALE, lw=0.8)


# the panels --------------------------------------------------------------------------------------


def _draw_images(figure: Any, results: Results, settings: AnalyzerSettings, camera: int) -> None:
    cells = results["mean_image"]
    panels.draw_mean_image(figure.add_axes((0.085, 0.66, 0.385, 0.2)), cells, camera)
    used = json.loads(results.attributes.get("pedestals") or "{}").get(str(camera))
    axes = figure.add_axes((0.585, 0.66, 0.345, 0.2))
    if used is None:
        panels.title(axes, "Clusters")
        panels.nothing(axes, "no frames")
        return
    shape = (int(used["rows"]), int(used["columns"]))
    panels.draw_cluster_map(axes, results["clusters"], shape, settings, camera)


def _draw_spectra(figure: Any, results: Results, settings: AnalyzerSettings) -> None:
    spectrum = Spectrum(settings)
    spectrum.add(results["clusters"])
    axes = figure.add_axes((0.085, 0.44, 0.5, 0.145))
    panels.draw_spectrum(axes, spectrum, spectrum.fit(), settings.adu_per_kev)
    axes = figure.add_axes((0.665, 0.44, 0.265, 0.145))
    panels.draw_pmt_charge(axes, results["waveforms"], settings)


def _draw_times(figure: Any, results: Results, limits: Mapping[str, Limit], camera: int) -> None:
    events, quality = results["events"], results["quality"]
    good = panels.is_image(events) & (events["camera"] == camera)
    time_axis = panels.TimeAxis(events[good], int(results.attributes["begin_time"]))
    rows = quality[good]
    watched = {key: (one.low, one.high) for key, one in limits.items() if one.enabled}
    curves = (
        ("noise", "noise\n[ADU]", panels.BLUE, watched.get("Noise")),
        ("pedestal_drift", "drift\n[ADU]", panels.ORANGE, watched.get("Pedestal drift ADU")),
        ("n_clusters", "clusters\n/frame", panels.GREEN, watched.get("Clusters per frame")),
        ("pmt_noise", "PMT noise\n[counts]", panels.VIOLET, watched.get("PMT noise")),
    )
    left, width, height, step = 0.085, 0.4, 0.052, 0.063
    all_axes: list[Any] = []
    for number in range(len(curves) + 1):
        box = (left, 0.314 - step * number, width, height)
        shared = all_axes[0] if all_axes else None
        all_axes.append(figure.add_axes(box, sharex=shared))
        all_axes[-1].tick_params(labelbottom=number == len(curves))
    panels.title(all_axes[0], "In time", f"camera {camera}")
    for axes, (column, label, color, limit) in zip(all_axes, curves, strict=False):
        values = rows[column].astype(np.float64)
        panels.draw_in_time(axes, time_axis.of_events, values, color, label, limit)
    wanted = {"gas_pressure_mbar": "P gas\n[mbar]", "gas_temperature_c": "T gas [°C]"}
    panels.draw_slow_control(all_axes[-1], results["slow"], time_axis, wanted)
    all_axes[-1].set_xlabel(time_axis.label, labelpad=1)
    figure.align_ylabels(all_axes)


# the table ---------------------------------------------------------------------------------------


def _draw_table(
    figure: Any,
    values: Mapping[str, Any],
    limits: Mapping[str, Limit],
    beyond: list[Quantity],
) -> None:
    axes = figure.add_axes((0.585, 0.06, 0.345, 0.307))
    axes.set_axis_off()
    panels.title(axes, "Figures and limits", "grey: not watched")
    known = [one for one in QUANTITIES if values.get(one.figure) is not None]
    height = 1 / max(len(QUANTITIES), 1)
    for number, quantity in enumerate(known):
        limit = limits[quantity.key]
        y = 1 - height * (number + 0.6)
        is_beyond = quantity in beyond
        if is_beyond:
            axes.axhspan(y - height / 2, y + height / 2, color=panels.RED, alpha=0.12, lw=0)
        elif number % 2 == 0:
            axes.axhspan(y - height / 2, y + height / 2, color=panels.PALE, alpha=0.25, lw=0)
        ink = panels.RED if is_beyond else panels.INK
        weight = "bold" if is_beyond else "normal"
        style = {"transform": axes.transAxes, "va": "center", "fontsize": 6.8}
        axes.text(0.01, y, quantity.name, color=ink, fontweight=weight, **style)
        value = f"{_rounded(values[quantity.figure])} {quantity.unit}".strip()
        axes.text(0.66, y, value, color=ink, ha="right", fontweight=weight, **style)
        color = ink if limit.enabled else panels.GREY
        axes.text(0.99, y, f"{limit.low:g} to {limit.high:g}", color=color, ha="right", **style)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)


def _rounded(value: float) -> str:
    """Write a value with four digits, small ones with two."""
    return f"{value:.4g}" if abs(value) >= 0.1 or not value else f"{value:.2g}"


if __name__ == "__main__":
    # Made in a process of its own after a run, so that drawing delays nobody.
    os.nice(10)
    try:
        write_report(Path(sys.argv[1]))
    except ResultsError as problem:
        sys.exit(str(problem))
