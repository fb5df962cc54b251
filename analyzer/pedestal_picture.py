"""A pedestal as a picture: maps of mean and noise with the defects, and the noise of its pixels.

Drawn by matplotlib, as the report of a run is; figures are objects of their own, with no window.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from analyzer.errors import PedestalError
from analyzer.pedestal import Defect, Pedestal
from analyzer.picture import shrink
from analyzer.replace import replaced_file

MAP_SIDE: Final = 576
"""Cells of a map along its longer side: 4x4 pixels of 2304x2304."""

MAX_MARKS: Final = 5000
"""Defects that are marked; more would hide the map."""

_COLORS: Final = {
    Defect.HOT: "#39ff14",
    Defect.NOISY: "#ff7f0e",
    Defect.DEAD: "#ffffff",
    Defect.UNSTABLE: "#00e5ff",
}
_BINS: Final = 120


def draw_pedestals(path: Path, pedestals: Mapping[int, Pedestal]) -> None:
    """Write a picture of a run's pedestals, a row for each camera; PNG, PDF or SVG by its ending.

    :raises PedestalError: if it cannot be written.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15, 5.2 * len(pedestals)), layout="constrained")
    axes = figure.subplots(len(pedestals), 3, squeeze=False)
    for row, (camera, pedestal) in zip(axes, sorted(pedestals.items()), strict=True):
        _draw_map(row[0], pedestal, pedestal.mean, f"camera {camera}: mean [ADU]", "viridis")
        _draw_map(row[1], pedestal, pedestal.sigma, "noise [ADU]", "magma")
        _mark_defects(row[1], pedestal)
        _draw_histogram(row[2], pedestal)
    first = next(iter(pedestals.values()))
    figure.suptitle(f"Pedestal of {first.source}, {first.frames} frames of {first.exposure_s:g} s")
    try:
        with replaced_file(path) as temporary:
            figure.savefig(temporary, format=path.suffix.lstrip(".") or "png", dpi=110)
    except (OSError, ValueError) as error:
        raise PedestalError(f"{path}: the picture cannot be written: {error}") from error


def _draw_map(
    axes: Any, pedestal: Pedestal, values: npt.NDArray[np.float32], title: str, colors: str
) -> None:
    good = pedestal.defects == 0
    low, high = np.percentile(values[good], (0.5, 99.5)) if good.any() else (0.0, 1.0)
    usual = float(np.median(values[good])) if good.any() else 0.0
    shown = shrink(np.where(good, values, np.float32(usual)).astype(np.float32), MAP_SIDE)
    rows, columns = pedestal.shape
    image = axes.imshow(
        shown, cmap=colors, vmin=low, vmax=max(high, low + 0.1), extent=(0, columns, rows, 0)
    )
    axes.set(title=title, xlabel="column", ylabel="row")
    axes.figure.colorbar(image, ax=axes, shrink=0.85)


def _mark_defects(axes: Any, pedestal: Pedestal) -> None:
    for kind, color in _COLORS.items():
        rows, columns = np.nonzero(pedestal.defects & np.uint8(kind))
        if len(rows):
            step = -(-len(rows) // MAX_MARKS)
            label = f"{len(rows)} {(kind.name or '').lower()}"
            axes.plot(
                columns[::step], rows[::step], "s", ms=2.5, mfc="none", mec=color, label=label
            )
    if pedestal.defects.any():
        axes.legend(loc="upper right", fontsize=8, title="defects")


def _draw_histogram(axes: Any, pedestal: Pedestal) -> None:
    known = pedestal.sigma[np.isfinite(pedestal.sigma)]
    top = max(4 * pedestal.typical_sigma(), 1.0)
    edges = np.linspace(0, top, _BINS + 1)
    good = pedestal.defects == 0
    axes.hist(np.clip(known, 0, top), edges, color="#bbbbbb", label="all pixels")
    axes.hist(np.clip(pedestal.sigma[good], 0, top), edges, color="#24588f", label="good pixels")
    axes.axvline(pedestal.typical_sigma(), color="k", lw=0.8, ls="--")
    axes.set(
        title=f"noise of a pixel: median {pedestal.typical_sigma():.2f} ADU",
        xlabel="standard deviation [ADU]; beyond the end in the last bin",
        ylabel="pixels",
        yscale="log",
        xlim=(0, top),
    )
    axes.legend(fontsize=8)
