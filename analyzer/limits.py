"""Limits of watched quantities, in the ODB at /Equipment/Analyzer/Limits; alarms beyond them.

Limits are read anew with each check, so that an edit counts within a second. A quantity raises its
alarm once, after as many checks in a row as ``Violations`` says, and again only when it has been
within its limits in between; to reset the alarm is up to the operator.
"""

import math
from collections.abc import Mapping
from typing import Any, Final

from pydantic import ValidationError, ValidationInfo, field_validator

from analyzer.quantities import LIMITS_PATH, QUANTITIES, Quantity
from experiment.client import Client
from experiment.settings import Settings, declare, setting
from rawdata import odbdump

ALARM_CHARACTERS: Final = 79
"""MIDAS keeps 80 bytes of an alarm's message, the last one 0."""

DEFAULT_VIOLATIONS: Final = 10


class Limit(Settings):
    """Limits of one quantity."""

    low: float = setting(0.0, "Low", "smallest value that is well", effect="live")
    high: float = setting(0.0, "High", "largest value that is well", effect="live")
    enabled: bool = setting(False, "Enabled", "whether an alarm is raised", effect="live")
    violations: int = setting(
        DEFAULT_VIOLATIONS,
        "Violations",
        "checks in a row, one a second, that must fail before an alarm",
        effect="live",
        ge=1,
        le=86_400,
    )

    @field_validator("high")
    @classmethod
    def _is_above_low(cls, value: float, info: ValidationInfo) -> float:
        if value < info.data.get("low", -math.inf):
            raise ValueError(f"at least Low, which is {info.data['low']:g}")
        return value

    def holds(self, value: float) -> bool:
        """Tell whether a value is within the limits."""
        return self.low <= value <= self.high


def default_limit(quantity: Quantity) -> Limit:
    """Return the limits of a quantity unless someone says otherwise."""
    return Limit(low=quantity.low, high=quantity.high, enabled=quantity.is_enabled)


def limits_of(odb: Mapping[str, Any]) -> dict[str, Limit]:
    """Return the limits that stand in an ODB: quantity -> limit; defaults where there is none.

    A limit that is out of bounds counts as not there.
    """
    limits = {}
    for quantity in QUANTITIES:
        limits[quantity.key] = default_limit(quantity)
        content = odbdump.get(odb, f"{LIMITS_PATH}/{quantity.key}")
        if isinstance(content, Mapping):
            try:
                limits[quantity.key] = Limit.model_validate(dict(content))
            except ValidationError:
                continue
    return limits


def violated(values: Mapping[str, Any], limits: Mapping[str, Limit]) -> list[Quantity]:
    """Return the quantities whose figures are out of limits that are enabled.

    :param values: figure -> value, None where it is not known.
    """
    return [
        quantity
        for quantity in QUANTITIES
        if limits[quantity.key].enabled
        and values.get(quantity.figure) is not None
        and not limits[quantity.key].holds(values[quantity.figure])
    ]


def alarm_text(quantity: Quantity, value: float, limit: Limit) -> str:
    """Return an alarm's message: value, limit, and what to look at.

    >>> alarm_text(QUANTITIES[1], 7.3061, Limit(low=0, high=6))
    'Noise 7.306 ADU, limit 6: sensor cooling, light leak, pedestal'
    """
    beyond = limit.high if value > limit.high else limit.low
    shown = " ".join(part for part in (quantity.name, f"{value:.4g}", quantity.unit) if part)
    return f"{shown}, limit {beyond:g}: {quantity.look}"[:ALARM_CHARACTERS]


class LimitWatch:
    """Compares what is published with the limits in the ODB; main thread only."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._limits: dict[str, Limit] = {}
        self._failures: dict[str, int] = {}
        self._raised: set[str] = set()
        self._told: dict[str, str] = {}
        self._checked = -1
        for quantity in QUANTITIES:
            declare(client, f"{LIMITS_PATH}/{quantity.key}", default_limit(quantity))

    @property
    def raised(self) -> list[str]:
        """Quantities that have been out of their limits since their alarm."""
        return [quantity.key for quantity in QUANTITIES if quantity.key in self._raised]

    def begin(self) -> None:
        """Count from zero: a run begins."""
        self._failures.clear()
        self._checked = -1

    def check(self, run: int, values: Mapping[str, float], events: int) -> None:
        """Compare values with the limits; raise the alarms that are due.

        :param values: quantity -> value; those that are missing are not known.
        :param events: analyzed so far: without new events nothing is checked again.
        """
        if events == self._checked:
            return
        self._checked = events
        self._read()
        for quantity in QUANTITIES:
            value, limit = values.get(quantity.key), self._limits[quantity.key]
            if value is None:
                continue
            if not limit.enabled or limit.holds(value):
                self._is_well(run, quantity, value)
            else:
                self._fails(run, quantity, value, limit)

    def _is_well(self, run: int, quantity: Quantity, value: float) -> None:
        self._failures.pop(quantity.key, None)
        if quantity.key in self._raised:
            self._raised.discard(quantity.key)
            text = f"run {run}: {quantity.key} is {value:.4g}: within its limits again"
            self._client.msg(f"Analyzer: {text}, or not watched any more")

    def _fails(self, run: int, quantity: Quantity, value: float, limit: Limit) -> None:
        key = quantity.key
        self._failures[key] = self._failures.get(key, 0) + 1
        if self._failures[key] < limit.violations or key in self._raised:
            return
        self._raised.add(key)
        text = alarm_text(quantity, value, limit)
        self._client.msg(
            f"Analyzer: run {run}: {quantity.meaning} ({key}) is {value:.6g} {quantity.unit}, "
            f"allowed are {limit.low:g} to {limit.high:g}, in {self._failures[key]} checks in a "
            f"row. Look at: {quantity.look}. Limits: {LIMITS_PATH}/{key}",
            True,
        )
        self._client.trigger_internal_alarm(f"Analyzer {key}", text)

    def _read(self) -> None:
        """Read the limits; one that is out of bounds is told once and stays as it was."""
        tree = self._client.odb_get(LIMITS_PATH) if self._client.odb_exists(LIMITS_PATH) else {}
        for quantity in QUANTITIES:
            key = quantity.key
            content = tree.get(key)
            try:
                if not isinstance(content, Mapping):
                    raise ValueError("it is missing")
                self._limits[key] = Limit.model_validate(dict(content))
                self._told.pop(key, None)
            except ValueError as error:
                self._limits.setdefault(key, default_limit(quantity))
                self._tell(key, _explain(error), self._limits[key])

    def _tell(self, key: str, problem: str, kept: Limit) -> None:
        if self._told.get(key) == problem:
            return
        self._told[key] = problem
        self._client.msg(
            f"Analyzer: {LIMITS_PATH}/{key}: {problem}; {kept.low:g} to {kept.high:g} goes on to "
            "count",
            True,
        )


def _explain(error: ValueError) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors()[0]
    allowed = first["msg"].removeprefix("Value error, ")
    return f"{'/'.join(str(part) for part in first['loc'])} is {first['input']!r}: {allowed}"
