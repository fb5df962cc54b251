"""The consumers of a run, made and called in one place for both ways, from buffer and from file."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np

from analyzer.analysis import EventResult, RunAnalysis
from analyzer.consumer import Consumer, Rows
from analyzer.drift_consumer import DriftConsumer
from analyzer.lookup import Tell
from analyzer.quality_consumer import QualityConsumer

CONSUMERS: Final[list[Callable[[RunAnalysis], Consumer]]] = [
    DriftConsumer,
    QualityConsumer,
]
"""What takes the results of every run. To add one, write a `Consumer` and list it here."""


Kind = TypeVar("Kind", bound=Consumer)


class Consumers:
    """The consumers of one run; one that fails is told of and left out, the run goes on.

    :param tell: told what failed.
    :param further: consumers of this run beside `CONSUMERS`.
    """

    def __init__(self, analysis: RunAnalysis, tell: Tell, further: Sequence[Consumer] = ()) -> None:
        self._run = analysis.conditions.run
        self._tell = tell
        self._consumers: list[Consumer] = list(further)
        for make in CONSUMERS:
            try:
                self._consumers.append(make(analysis))
            except Exception as error:
                self._give_up(str(getattr(make, "__name__", make)), error)

    def find(self, kind: type[Kind]) -> Kind | None:
        """Return the consumer of a kind, None if there is none or it was left out."""
        return next((one for one in self._consumers if isinstance(one, kind)), None)

    def take(self, result: EventResult) -> None:
        """Hand an event's results to all; in the order of the run."""
        self._each(lambda consumer: consumer.take(result))

    def variables(self) -> dict[str, Any]:
        """Return what all know for the ODB: key -> number, those that are not finite left out."""
        known: dict[str, Any] = {}
        self._each(lambda consumer: known.update(consumer.variables()))
        return {key: value for key, value in known.items() if np.all(np.isfinite(value))}

    def finish(self) -> dict[str, Rows]:
        """Return the last rows of all: dataset -> rows; each dataset belongs to one consumer."""
        rows: dict[str, Rows] = {}
        self._each(lambda consumer: rows.update(consumer.finish()))
        return rows

    def conclude(self, output: Path) -> None:
        """Tell all that the results are at `output`."""
        self._each(lambda consumer: consumer.conclude(output))

    def _each(self, call: Callable[[Consumer], object]) -> None:
        for consumer in list(self._consumers):
            try:
                call(consumer)
            except Exception as error:
                self._consumers.remove(consumer)
                self._give_up(type(consumer).__name__, error)

    def _give_up(self, name: str, error: Exception) -> None:
        text = f"{name} is left out for the rest of it: {type(error).__name__}: {error}"
        self._tell(f"run {self._run}: {text}", True)
