"""What is written on a run's report: its head, and the table of figures with their limits."""

import json
import time
from collections.abc import Mapping
from typing import Any

from analyzer import report_panels as panels
from analyzer.limits import Limit
from analyzer.pedestal import same_exposure
from analyzer.quantities import QUANTITIES, Quantity


def draw_head(
    figure: Any, attributes: Mapping[str, Any], values: Mapping[str, Any], beyond: list[Quantity]
) -> None:
    """Write which run it is and how it went.

    :param values: figures of the run, None where nothing is known.
    :param beyond: quantities that are out of their limits.
    """
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
        x, y = 0.07 + 0.295 * column, 0.929 - 0.0145 * row
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
    exposure_s = float(first["exposure_s"])
    is_other = not same_exposure(exposure_s, float(attributes["exposure_s"]))
    taken = f" at {exposure_s:g} s" if is_other else ""
    return f"{source}{taken}, noise {first['noise_adu']:.2f} ADU"


def _local(unix: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(unix)) if unix else "not known"


def _rule(left: float, right: float, height: float) -> Any:
    from matplotlib.lines import Line2D

    return Line2D([left, right], [height, height], color=panels.PALE, lw=0.8)


def draw_table(
    figure: Any,
    values: Mapping[str, Any],
    limits: Mapping[str, Limit],
    beyond: list[Quantity],
) -> None:
    """Write each known figure with its limits, in red what is out of them."""
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
