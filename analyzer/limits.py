"""Limits of watched quantities, in the ODB at /Equipment/Analyzer/Limits; alarms beyond them.

Limits are read anew with each check, so that an edit counts within a second. A quantity raises its
alarm once, after as many checks in a row as ``Violations`` says, and again only when it has been
within its limits in between; to reset the alarm is up to the operator.

Where a run has several cameras, each is watched by itself, with the limits of the quantity, or with
those of its own that stand in ``Limits/Camera <i>/<quantity>``.
"""

import math
from collections.abc import Mapping
from typing import Any, Final

from pydantic import ValidationError, ValidationInfo, field_validator

from analyzer.quantities import (
    CAMERA_QUANTITIES,
    LIMITS_PATH,
    MAX_CAMERAS,
    QUANTITIES,
    Quantity,
    camera_folder,
)
from experiment.client import Client
from experiment.settings import Settings, declare, setting, to_odb
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
        default = default_limit(quantity)
        limits[quantity.key] = _limit_at(odb, quantity.key, default) or default
    for camera in range(MAX_CAMERAS):
        for quantity in CAMERA_QUANTITIES:
            key = f"{camera_folder(camera)}/{quantity.key}"
            own = _limit_at(odb, key, limits[quantity.key])
            if own:
                limits[key] = own
    return limits


def _limit_at(odb: Mapping[str, Any], key: str, otherwise: Limit) -> Limit | None:
    """Return the limit at a place; its missing keys are those of another one."""
    content = odbdump.get(odb, f"{LIMITS_PATH}/{key}")
    if not isinstance(content, Mapping):
        return None
    try:
        return Limit.model_validate({**to_odb(otherwise), **content})
    except ValidationError:
        return None


def limit_of(limits: Mapping[str, Limit], quantity: Quantity, camera: int) -> Limit:
    """Return the limit that counts for a camera: its own, or else that of all."""
    return limits.get(f"{camera_folder(camera)}/{quantity.key}", limits[quantity.key])


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


def violated_by_cameras(
    cameras: Mapping[int, Mapping[str, Any]], limits: Mapping[str, Limit]
) -> list[tuple[int, Quantity]]:
    """Return which camera's figures are out of limits that are enabled.

    :param cameras: camera -> figure -> value, None where it is not known.
    """
    return [
        (camera, quantity)
        for camera, values in cameras.items()
        for quantity in CAMERA_QUANTITIES
        if (limit := limit_of(limits, quantity, camera)).enabled
        and values.get(quantity.figure) is not None
        and not limit.holds(values[quantity.figure])
    ]


def alarm_text(quantity: Quantity, value: float, limit: Limit, camera: int | None = None) -> str:
    """Return an alarm's message: value, limit, and what to look at.

    >>> alarm_text(QUANTITIES[1], 7.3061, Limit(low=0, high=6))
    'Noise 7.306 ADU, limit 6: sensor cooling, light leak, pedestal'
    >>> alarm_text(QUANTITIES[1], 7.3061, Limit(low=0, high=6), camera=1)
    'cam1 Noise 7.306 ADU, limit 6: sensor cooling, light leak, pedestal'
    """
    beyond = limit.high if value > limit.high else limit.low
    whose = "" if camera is None else f"cam{camera}"
    parts = (whose, quantity.name, f"{value:.4g}", quantity.unit)
    shown = " ".join(part for part in parts if part)
    return f"{shown}, limit {beyond:g}: {quantity.look}"[:ALARM_CHARACTERS]


class LimitWatch:
    """Compares what is published with the limits in the ODB; main thread only."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._limits: dict[str, Limit] = {}
        self._failures: dict[str, int] = {}
        self._raised: list[str] = []
        self._told: dict[str, str] = {}
        self._checked = -1
        for quantity in QUANTITIES:
            declare(client, f"{LIMITS_PATH}/{quantity.key}", default_limit(quantity))

    @property
    def raised(self) -> list[str]:
        """Quantities that have been out of their limits since their alarm."""
        return sorted(self._raised)

    def begin(self) -> None:
        """Count from zero: a run begins."""
        self._failures.clear()
        self._checked = -1

    def check(
        self,
        run: int,
        values: Mapping[str, float],
        events: int,
        cameras: Mapping[int, Mapping[str, float]] | None = None,
    ) -> None:
        """Compare values with the limits; raise the alarms that are due.

        :param values: quantity -> value; those that are missing are not known.
        :param events: analyzed so far: without new events nothing is checked again.
        :param cameras: camera -> quantity -> value; if there are several, their values are compared
            and not those of all together.
        """
        if events == self._checked:
            return
        self._checked = events
        self._read()
        of_each = cameras if cameras and len(cameras) > 1 else {}
        for quantity in QUANTITIES:
            if of_each and quantity.of_cameras:
                for camera, known in of_each.items():
                    self._compare(run, quantity, known.get(quantity.key), camera)
            else:
                self._compare(run, quantity, values.get(quantity.key))

    def _compare(
        self, run: int, quantity: Quantity, value: float | None, camera: int | None = None
    ) -> None:
        if value is None or math.isnan(value):
            return
        key, limit = quantity.key, self._limits[quantity.key]
        if camera is not None:
            key, limit = f"{key} c{camera}", limit_of(self._limits, quantity, camera)
        if not limit.enabled or limit.holds(value):
            self._is_well(run, key, value)
        else:
            self._fails(run, quantity, value, limit, camera, key)

    def _is_well(self, run: int, key: str, value: float) -> None:
        self._failures.pop(key, None)
        if key in self._raised:
            self._raised.remove(key)
            text = f"run {run}: {key} is {value:.4g}: within its limits again"
            self._client.msg(f"Analyzer: {text}, or not watched any more")

    def _fails(
        self,
        run: int,
        quantity: Quantity,
        value: float,
        limit: Limit,
        camera: int | None,
        key: str,
    ) -> None:
        self._failures[key] = self._failures.get(key, 0) + 1
        if self._failures[key] < limit.violations or key in self._raised:
            return
        self._raised.append(key)
        text = alarm_text(quantity, value, limit, camera)
        whose = "" if camera is None else f" of camera {camera}"
        self._client.msg(
            f"Analyzer: run {run}: {quantity.meaning}{whose} ({quantity.key}) is {value:.6g} "
            f"{quantity.unit}, allowed are {limit.low:g} to {limit.high:g}, in "
            f"{self._failures[key]} checks in a row. Look at: {quantity.look}. Limits: "
            f"{LIMITS_PATH}/{self._place(quantity, camera)}",
            True,
        )
        self._client.trigger_internal_alarm(f"Analyzer {key}", text)

    def _place(self, quantity: Quantity, camera: int | None) -> str:
        """Return where the limit that counts stands."""
        own = "" if camera is None else f"{camera_folder(camera)}/{quantity.key}"
        return own if own in self._limits else quantity.key

    def _read(self) -> None:
        """Read the limits; one that is out of bounds is told once and stays as it was."""
        tree = self._client.odb_get(LIMITS_PATH) if self._client.odb_exists(LIMITS_PATH) else {}
        for quantity in QUANTITIES:
            self._read_one(quantity.key, tree.get(quantity.key), default_limit(quantity))
        for camera in range(MAX_CAMERAS):
            folder = tree.get(camera_folder(camera))
            for quantity in CAMERA_QUANTITIES:
                key = f"{camera_folder(camera)}/{quantity.key}"
                content = folder.get(quantity.key) if isinstance(folder, Mapping) else None
                if content is None:  # the limit of all cameras counts
                    self._limits.pop(key, None)
                    self._told.pop(key, None)
                else:
                    self._read_one(key, content, self._limits[quantity.key])

    def _read_one(self, key: str, content: Any, otherwise: Limit) -> None:
        """Read a limit; `otherwise` counts where it never was any good."""
        try:
            if not isinstance(content, Mapping):
                raise ValueError("it is missing" if content is None else f"it is {content!r}")
            self._limits[key] = Limit.model_validate({**to_odb(otherwise), **content})
            self._told.pop(key, None)
        except ValueError as error:
            self._limits.setdefault(key, otherwise)
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
