"""The picture of one event: image with clusters, projections, clusters near by, waveforms, a table.

Drawn by matplotlib (`docs/decisions/0011-matplotlib-for-reports.md`), as the report of a run.
"""

import time
from pathlib import Path
from typing import Any, Final

import numpy as np

from analyzer import event_panels as panels
from analyzer.dtypes import CLUSTER, PULSE, REDPIX, WAVEFORM, EventFlag
from analyzer.errors import ResultsError
from analyzer.one_event import OneEvent
from analyzer.replace import replaced_file
from analyzer.report import FORMATS, STYLE
from analyzer.report_panels import GREY, INK, RED, nothing
from analyzer.view import ImageView

PAGE_INCHES: Final = (13.6, 8.4)
DPI: Final = 130
ZOOMS: Final = 4
TABLE_ROWS: Final = 8


def write_event(
    event: OneEvent,
    path: Path,
    camera: int | None = None,
    trigger: int = 0,
    limits: tuple[float | None, float | None] = (None, None),
) -> Path:
    """Draw an event; the picture appears when it is whole.

    :param camera: None is the first.
    :param trigger: whose waveforms are drawn.
    :param limits: light of the darkest and the brightest colour [ADU above the pedestal]; None
        chooses.
    :raises ResultsError: if it cannot be written, or matplotlib is not installed.
    """
    form = path.suffix.removeprefix(".").lower()
    if form not in FORMATS:
        raise ResultsError(f"{path}: a picture is one of {', '.join(FORMATS)}")
    try:
        import matplotlib
    except ImportError as error:
        raise ResultsError(
            f"no picture of {event.source}: matplotlib is not installed; install this project again"
        ) from error
    with matplotlib.rc_context(STYLE):
        figure = draw_event(event, camera, trigger, limits)
        try:
            with replaced_file(path) as temporary:
                figure.savefig(temporary, format=form, dpi=DPI)
        except OSError as error:
            raise ResultsError(f"picture {path} cannot be written: {error}") from error
    return path


def draw_event(
    event: OneEvent,
    camera: int | None,
    trigger: int,
    limits: tuple[float | None, float | None],
) -> Any:
    """Return the picture as a matplotlib Figure.

    :raises ResultsError: if there is no such camera or trigger.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    known = sorted({int(row["camera"]) for row in event.rows["events"]})
    camera = known[0] if camera is None else camera
    if camera not in known:
        text = ", ".join(map(str, known))
        raise ResultsError(f"event {event.index} has no camera {camera}; it has: {text}")
    triggers = max((board.triggers for board in event.boards), default=0)
    if trigger and trigger >= triggers:
        raise ResultsError(f"event {event.index} has no trigger {trigger}; it has {triggers}")
    figure = Figure(figsize=PAGE_INCHES)
    FigureCanvasAgg(figure)
    clusters = _of_camera(event, "clusters", camera, CLUSTER)
    _draw_head(figure, event, camera)
    _draw_frame(figure, event, camera, clusters, limits)
    side = figure.add_gridspec(3, 1, left=0.66, right=0.96, top=0.895, bottom=0.04,
                               height_ratios=(1.05, 2.2, 1.7), hspace=0.33)  # fmt: skip
    _draw_zooms(figure, side[0], event, camera, clusters)
    _draw_boards(figure, side[1], event, trigger)
    panels.draw_table(figure.add_subplot(side[2]), clusters, event.settings, TABLE_ROWS)
    return figure


def _of_camera(event: OneEvent, dataset: str, camera: int, dtype: Any) -> Any:
    rows = event.rows.get(dataset, np.zeros(0, dtype))
    return rows[rows["camera"] == camera]


def _draw_head(figure: Any, event: OneEvent, camera: int) -> None:
    row = event.rows["events"][event.rows["events"]["camera"] == camera][0]
    stamp = int(row["timestamp"])
    when = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(stamp)) if stamp > 1e9 else ""
    figure.text(0.05, 0.955, f"Run {event.run}, event {event.index}", fontsize=15,
                fontweight="bold", color=INK)  # fmt: skip
    flags = [str(flag.name) for flag in EventFlag if int(row["flags"]) & flag]
    facts = [when, f"camera {camera}", f"noise {row['noise']:.2f} ADU"]
    if camera in event.pedestals:
        facts.append(f"pedestal {event.pedestals[camera]}")
    figure.text(0.05, 0.932, "   ·   ".join(fact for fact in facts if fact), fontsize=8, color=GREY)
    figure.text(0.96, 0.955, ", ".join(flags), fontsize=8, color=RED, ha="right")
    figure.text(0.96, 0.012, event.source.name, fontsize=6, color=GREY, ha="right")


def _draw_frame(
    figure: Any,
    event: OneEvent,
    camera: int,
    clusters: Any,
    limits: tuple[float | None, float | None],
) -> None:
    """Draw the image, with the light of columns above and of rows beside it."""
    pixels = _of_camera(event, "redpix", camera, REDPIX)
    image = event.images.get(camera) or _image_of(pixels, clusters, event.settings.rebin)
    grid = figure.add_gridspec(2, 3, left=0.05, right=0.58, top=0.905, bottom=0.11,
                               width_ratios=(7, 1.15, 0.17), height_ratios=(1.0, 7),
                               hspace=0.04, wspace=0.05)  # fmt: skip
    main = figure.add_subplot(grid[1, 0])
    above = figure.add_subplot(grid[0, 0])
    beside = figure.add_subplot(grid[1, 1])
    if image is None:
        nothing(main, "\n".join(event.problems) or "no frame, and no pixels of clusters")
        above.set_axis_off()
        beside.set_axis_off()
        return
    chosen = panels.color_range(image.light, *limits)
    shown = panels.draw_image(main, image, clusters, pixels, event.settings, chosen)
    panels.draw_projections(above, beside, image)
    bar = figure.colorbar(shown, cax=figure.add_subplot(grid[1, 2]), extend="both")
    bar.set_label("light above the pedestal [ADU / px]", fontsize=7)
    bar.outline.set_visible(False)
    main.set_anchor("SW")
    figure.canvas.draw()
    _follow(main, above, beside, bar.ax)
    if event.settings.pixel_mm:
        size = event.settings.pixel_mm
        scale = main.secondary_xaxis(-0.075, functions=(lambda px: px * size, lambda mm: mm / size))
        scale.set_xlabel("mm", labelpad=2)
    if not event.images:
        main.set_title("pixels of clusters only: the run file is not there", fontsize=7, color=GREY)


def _follow(main: Any, above: Any, beside: Any, bar: Any) -> None:
    """Give the panels around the image its width and height, which its shape decides."""
    box = main.get_position()
    above.set_position([box.x0, box.y1 + 0.008, box.width, above.get_position().height])
    beside.set_position([box.x1 + 0.006, box.y0, beside.get_position().width, box.height])
    right = beside.get_position().x1
    bar.set_position([right + 0.008, box.y0, bar.get_position().width, box.height])


def _image_of(pixels: Any, clusters: Any, rebin: int) -> ImageView | None:
    """Return what the kept pixels of clusters say of the image, None if there are no clusters."""
    if not len(clusters):
        return None
    far = [int(clusters["sc_ymax"].max()), int(clusters["sc_xmax"].max())]
    if len(pixels):
        far[0] = max(far[0], int(pixels["redpix_iy"].max()))
        far[1] = max(far[1], int(pixels["redpix_ix"].max()))
    rows, columns = (-(-(last + 1) // 256) * 256 for last in far)
    light = np.zeros((rows // rebin, columns // rebin), np.float32)
    np.add.at(
        light,
        (pixels["redpix_iy"] // rebin, pixels["redpix_ix"] // rebin),
        pixels["redpix_iz"] / rebin**2,
    )
    return ImageView(light, rebin, (rows, columns))


def _draw_zooms(figure: Any, place: Any, event: OneEvent, camera: int, clusters: Any) -> None:
    grid = place.subgridspec(1, ZOOMS, wspace=0.08)
    frame = event.frames.get(camera)
    for number in range(ZOOMS):
        axes = figure.add_subplot(grid[number])
        if frame is None or number >= len(clusters):
            axes.set_axis_off()
            continue
        chosen = panels.color_range(event.images[camera].light)
        panels.draw_zoom(axes, frame, clusters[number], number, event.settings, chosen)


def _draw_boards(figure: Any, place: Any, event: OneEvent, trigger: int) -> None:
    boards = event.boards[:2]
    if not boards:
        nothing(figure.add_subplot(place), "no waveforms")
        return
    grid = place.subgridspec(1, len(boards), wspace=0.5)
    waves = event.rows.get("waveforms", np.zeros(0, WAVEFORM))
    pulses = event.rows.get("pulses", np.zeros(0, PULSE))
    for index, board in enumerate(boards):
        own_waves = waves[(waves["board"] == index) & (waves["trigger"] == trigger)]
        own_pulses = pulses[(pulses["board"] == index) & (pulses["trigger"] == trigger)]
        axes = figure.add_subplot(grid[index])
        panels.draw_waveforms(axes, board, own_waves, own_pulses, event.settings.pmt_channels)
        if board.triggers > 1:
            axes.text(0.99, 0.985, f"trigger {trigger + 1} of {board.triggers}", ha="right",
                      va="top", transform=axes.transAxes, fontsize=6, color=GREY)  # fmt: skip
