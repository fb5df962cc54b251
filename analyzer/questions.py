"""What the operator page may ask of the analyzer, and what it is answered.

A question is a JRPC call of the client ``cygno-analyzer``: `cmd` is the verb, `args` a JSON object
of the fields below, or empty. `analyzer.answers` makes the answer's text.
"""

import base64
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from analyzer.dtypes import CLUSTER
from analyzer.picture import Colors, Format, as_bytes, encode, paint, shrink
from analyzer.spectra import Spectra
from analyzer.view import EventView

CLUSTER_COLUMNS: Final = (
    "camera",
    "flags",
    "sc_integral",
    "sc_energy",
    "sc_xmean",
    "sc_ymean",
    "sc_xmin",
    "sc_xmax",
    "sc_ymin",
    "sc_ymax",
    "sc_length",
    "sc_width",
    "sc_theta",
)
"""Columns of clusters that are answered where none are asked for."""

_LEAST_SIDE: Final = 32
_LEAST_POINTS: Final = 16

Answer = dict[str, Any]


class Refusal(Exception):  # noqa: N818 - it is an answer, not an error
    """Why a question has no answer now."""


@dataclass
class Shown:
    """What there is to be told.

    :param status: facts for the verb ``status``.
    :param view: the latest event, None before the first.
    :param spectra: of the run that goes on, or of the last one.
    """

    status: Mapping[str, Any] = field(default_factory=dict)
    view: EventView | None = None
    spectra: Spectra | None = None

    def event(self) -> tuple[EventView, Answer]:
        """Return the latest event, and what each answer says of it."""
        if self.view is None:
            raise Refusal("no event was analyzed yet")
        row = self.view.result.rows["events"][0]
        facts = {
            "run": self.view.run,
            "event": self.view.result.index,
            "timestamp": int(row["timestamp"]),
            "flags": int(row["flags"]),
        }
        return self.view, facts


class Question(BaseModel):
    """Arguments of a verb."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def answer(self, shown: Shown) -> Answer:
        """Return what is answered. :raises Refusal: if there is nothing to answer."""
        raise NotImplementedError

    def smaller(self) -> "Question | None":
        """Return a question whose answer is shorter, None if this is the shortest."""
        return None


class Status(Question):
    """What the analyzer does.

    `state`: ``running`` or ``no run``; of this run, or of the last one that is done, `run`, `seen`,
    `analyzed` and `missed` (why not all came in); while it is running `fraction_seen` and
    `missed_by_reason`; of the latest event `event`, `cameras`, `boards` (models); `stream` (its
    address), `ready`, `workers`, `verbs`.
    """

    def answer(self, shown: Shown) -> Answer:
        """Return facts on run, event and verbs."""
        view = shown.view
        return {
            **shown.status,
            "event": view.result.index if view else None,
            "cameras": sorted(view.images) if view else [],
            "boards": [board.model for board in view.boards] if view else [],
            "verbs": list(QUESTIONS),
        }


class Image(Question):
    """The latest image.

    `picture` (base64), `format`, `colors`, `low`, `high` and, of the raw frame, `rows` and
    `columns`.
    """

    camera: int = Field(0, ge=0, description="index of the camera")
    side: int = Field(576, ge=_LEAST_SIDE, le=4096, description="pixels of the longer side at most")
    low: float = Field(-2.0, description="light of the darkest colour [ADU above the pedestal]")
    high: float = Field(20.0, description="light of the brightest colour [ADU above the pedestal]")
    colors: Colors = Field("viridis", description="colour map")
    format: Format = Field("jpeg", description="of the picture; png is exact and larger")

    def answer(self, shown: Shown) -> Answer:
        """Return the picture."""
        view, facts = shown.event()
        image = view.images.get(self.camera)
        if image is None:
            known = ", ".join(map(str, sorted(view.images))) or "none"
            text = f"camera {self.camera} is not in event {facts['event']}; it has: {known}"
            raise Refusal(text)
        grey = as_bytes(shrink(image.light, self.side), self.low, self.high)
        picture = encode(paint(grey, self.colors), self.format)
        rows, columns = image.shape
        return {
            **facts,
            **self.model_dump(exclude={"side"}),
            "rows": rows,
            "columns": columns,
            "picture": base64.b64encode(picture).decode(),
        }

    def smaller(self) -> Question | None:
        """Ask for a smaller image."""
        side = round(0.75 * self.side)
        return self.model_copy(update={"side": side}) if side >= _LEAST_SIDE else None


class Clusters(Question):
    """The clusters of the latest event, brightest first.

    `columns` (name -> array) and `left_out`, how many clusters are not among them.
    """

    camera: int | None = Field(None, description="index of the camera; null: all")
    most: int = Field(200, ge=0, description="clusters at most")
    columns: list[str] | None = Field(
        None, description="columns of the dataset `clusters`; null: place, size, light, kind"
    )

    def answer(self, shown: Shown) -> Answer:
        """Return columns of clusters."""
        view, facts = shown.event()
        rows = view.result.rows.get("clusters", np.zeros(0, CLUSTER))
        if self.camera is not None:
            rows = rows[rows["camera"] == self.camera]
        names = CLUSTER_COLUMNS if self.columns is None else self.columns
        unknown = [name for name in names if name not in (CLUSTER.names or ())]
        if unknown:
            raise Refusal(f"{unknown[0]!r} is no column of clusters")
        order = np.argsort(-rows["sc_integral"], kind="stable")[: self.most]
        columns = {name: _numbers(rows[name][order]) for name in names}
        return {**facts, "columns": columns, "left_out": len(rows) - len(order)}

    def smaller(self) -> Question | None:
        """Ask for fewer clusters."""
        return self.model_copy(update={"most": self.most // 2}) if self.most else None


class Waveforms(Question):
    """Waveforms of one trigger of the latest event.

    `triggers` (of each board) and `traces`, an array of objects with `board`, `model`, `channel`,
    `sampling_ns`, `step` (samples in a point), `low` and `high` [ADC counts] of each point.
    """

    board: int | None = Field(None, description="index of the board; null: all")
    trigger: int = Field(0, ge=0, description="index of the trigger in the event")
    channels: list[int] | None = Field(None, description="channels; null: all")
    points: int = Field(256, ge=_LEAST_POINTS, le=8192, description="points of a trace at most")

    def answer(self, shown: Shown) -> Answer:
        """Return traces."""
        view, facts = shown.event()
        traces = []
        for index, board in enumerate(view.boards):
            if self.board not in (None, index) or self.trigger >= len(board.samples):
                continue
            for channel, samples in enumerate(board.samples[self.trigger]):
                if self.channels is None or channel in self.channels:
                    step, low, high = envelope(samples, self.points)
                    trace = {
                        "board": index,
                        "model": board.model,
                        "channel": channel,
                        "sampling_ns": board.sampling_ns,
                        "step": step,
                        "low": low.tolist(),
                        "high": high.tolist(),
                    }
                    traces.append(trace)
        triggers = [board.triggers for board in view.boards]
        return {**facts, "trigger": self.trigger, "triggers": triggers, "traces": traces}

    def smaller(self) -> Question | None:
        """Ask for fewer points."""
        points = self.points // 2
        return self.model_copy(update={"points": points}) if points >= _LEAST_POINTS else None


class SpectraOfRun(Question):
    """Histograms of the run.

    `events` and `spectra`: name -> object with `title`, `unit`, `edges`, `counts`, `outside`.
    """

    names: list[str] | None = Field(None, description="which; null: all")

    def answer(self, shown: Shown) -> Answer:
        """Return histograms."""
        source = shown.spectra
        if source is None:
            raise Refusal("no run was analyzed yet")
        names = list(source.spectra) if self.names is None else self.names
        unknown = [name for name in names if name not in source.spectra]
        if unknown:
            raise Refusal(f"{unknown[0]!r} is no spectrum; there are: {', '.join(source.spectra)}")
        spectra = {}
        for name in names:
            spectrum = source.spectra[name]
            spectra[name] = {
                "title": spectrum.title,
                "unit": spectrum.unit,
                "edges": _numbers(spectrum.edges),
                "counts": spectrum.counts.tolist(),
                "outside": spectrum.outside,
            }
        run = source.analysis.conditions.run
        return {"run": run, "events": source.events, "spectra": spectra}


QUESTIONS: Final[dict[str, type[Question]]] = {
    "status": Status,
    "image": Image,
    "clusters": Clusters,
    "waveforms": Waveforms,
    "spectra": SpectraOfRun,
}
"""The verbs and their questions."""


def envelope(
    samples: npt.NDArray[np.uint16], points: int
) -> tuple[int, npt.NDArray[np.uint16], npt.NDArray[np.uint16]]:
    """Return samples in a point, and the lowest and highest sample of each point.

    >>> envelope(np.array([5, 6, 7, 1, 2], np.uint16), 3)
    (2, array([5, 1, 2], dtype=uint16), array([6, 7, 2], dtype=uint16))
    """
    step = max(1, math.ceil(len(samples) / points))
    begins = np.arange(0, len(samples), step)
    return step, np.minimum.reduceat(samples, begins), np.maximum.reduceat(samples, begins)


def _numbers(values: npt.NDArray[Any]) -> list[Any]:
    """Return numbers for JSON: floats with five digits, null where they are not finite."""
    if values.dtype.kind != "f":
        return list(values.tolist())
    return [float(f"{value:.5g}") if math.isfinite(value) else None for value in values.tolist()]
