"""The report of a run: one page for people, ``run00042.report.png``, made from its results alone.

Drawn by matplotlib, which is imported only here (`docs/decisions/0011-matplotlib-for-reports.md`).
Figures are objects of their own, with Agg: no window, no pyplot state, nothing stays in memory.
"""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from analyzer import report_panels as panels
from analyzer.errors import ResultsError
from analyzer.limits import Limit, default_limit, violated
from analyzer.quantities import QUANTITIES
from analyzer.replace import replaced_file
from analyzer.report_text import draw_head, draw_table
from analyzer.report_times import TimeAxis, draw_in_time, draw_slow_control
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
    draw_head(figure, attributes, values, beyond)
    shown = _camera_shown(results, camera)
    _draw_images(figure, results, settings, shown)
    _draw_spectra(figure, results, settings)
    _draw_times(figure, results, limits, shown)
    draw_table(figure, values, limits, beyond)
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
    time_axis = TimeAxis(events[good], int(results.attributes["begin_time"]))
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
        draw_in_time(axes, time_axis.of_events, values, color, label, limit)
    wanted = {"gas_pressure_mbar": "P gas\n[mbar]", "gas_temperature_c": "T gas [°C]"}
    draw_slow_control(all_axes[-1], results["slow"], time_axis, wanted)
    all_axes[-1].set_xlabel(time_axis.label, labelpad=1)
    if not time_axis.is_time:
        all_axes[-1].xaxis.get_major_locator().set_params(integer=True)
    figure.align_ylabels(all_axes)


if __name__ == "__main__":
    # Made in a process of its own after a run, so that drawing delays nobody.
    os.nice(10)
    try:
        write_report(Path(sys.argv[1]))
    except ResultsError as problem:
        sys.exit(str(problem))
