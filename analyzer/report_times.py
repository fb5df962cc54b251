"""The curves in time of a run's report."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from analyzer.report_panels import GREEN, GREY, RED, VIOLET

MAX_POINTS: Final = 120
"""Points of a curve in time; each is the mean of as many events."""

Rows = npt.NDArray[Any]


class TimeAxis:
    """Where events and readings stand in time: minutes since the begin of the run.

    Where time stamps say too little (a run of seconds), it is the index of the event.

    :param events: rows of `EVENT`.
    """

    def __init__(self, events: Rows, begin_time: int) -> None:
        stamps = events["timestamp"].astype(np.float64)
        if len(stamps) and stamps.max() < 1e9:  # generations B and C: ms since the first frame
            stamps = begin_time + stamps / 1000
        else:
            stamps = _spread_seconds(stamps)
        self._begin = begin_time or (float(stamps[0]) if len(stamps) else 0.0)
        late = len(stamps) > 0 and stamps.min() > self._begin - 60
        self.is_time = late and float(np.ptp(stamps)) > 20
        self.label = "time since the begin [min]" if self.is_time else "event"
        self.of_events = (stamps - self._begin) / 60 if self.is_time else events["event"] * 1.0

    def of_readings(self, slow: Rows) -> npt.NDArray[np.float64]:
        """Return where readings of slow control stand."""
        if self.is_time:
            return np.asarray((slow["time"] - self._begin) / 60)
        return slow["event"].astype(np.float64)


def _spread_seconds(stamps: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Spread the events that share a second evenly over it."""
    seconds, first, where, counts = np.unique(
        stamps, return_index=True, return_inverse=True, return_counts=True
    )
    if not len(seconds) or np.any(np.diff(stamps) < 0):
        return stamps
    order = np.arange(len(stamps)) - first[where]
    return np.asarray(stamps + (order + 0.5) / counts[where])


def draw_in_time(
    axes: Any, times: npt.NDArray[np.float64], values: npt.NDArray[np.float64], color: str,
    label: str, limits: tuple[float, float] | None = None,
) -> None:  # fmt: skip
    """Draw a quantity against time: means and spread of groups of events, and limits that count."""
    known = np.isfinite(values)
    axes.set_ylabel(label, color=color, fontsize=6.5)
    axes.tick_params(axis="y", labelsize=6)
    if not known.any():
        axes.set_yticks([])
        axes.text(0.5, 0.5, "nothing known", transform=axes.transAxes, ha="center", color=GREY)
        return
    count = int(known.sum())
    points = count if count <= MAX_POINTS else min(MAX_POINTS, count // 4)
    groups = np.array_split(np.flatnonzero(known), points)
    x = np.array([times[group].mean() for group in groups])
    y = np.array([values[group].mean() for group in groups])
    spread = np.array([values[group].std() for group in groups])
    if len(groups[0]) > 1:
        axes.fill_between(x, y - spread, y + spread, color=color, alpha=0.18, lw=0)
    axes.plot(x, y, "-", color=color, lw=1.0)
    axes.margins(x=0.01, y=0.25)
    if limits is not None:
        shown = axes.get_ylim()
        beyond = (y < limits[0]) | (y > limits[1])
        for limit in limits:
            if shown[0] < limit < shown[1] or beyond.any():
                axes.axhline(limit, color=RED, lw=0.7, ls="--")
        axes.plot(x[beyond], y[beyond], ".", color=RED, ms=3)


def draw_slow_control(
    axes: Any, slow: Rows, time_axis: TimeAxis, quantities: Mapping[str, str]
) -> None:
    """Draw two quantities of slow control in time, one to the left and one to the right.

    :param quantities: quantity -> label.
    """
    is_empty = True
    for target, color, (quantity, label) in zip(
        (axes, axes.twinx()), (GREEN, VIOLET), quantities.items(), strict=True
    ):
        readings = slow[slow["quantity"] == quantity.encode()]
        target.spines["top"].set_visible(False)
        target.tick_params(axis="y", labelsize=6, length=2.5 if len(readings) else 0)
        if not len(readings):
            target.set_yticks([])
            continue
        is_empty = False
        x = time_axis.of_readings(readings)
        target.plot(x, readings["value"], ".-", color=color, lw=0.9, ms=2.5)
        target.set_ylabel(label, color=color, fontsize=6.5)
        low, high = float(readings["value"].min()), float(readings["value"].max())
        around = max(0.3 * (high - low), 0.1)
        target.set_ylim(low - around, high + around)
    if is_empty:
        axes.text(
            0.5, 0.5, "no readings of gas pressure and temperature", transform=axes.transAxes,
            ha="center", va="center", color=GREY,
        )  # fmt: skip
