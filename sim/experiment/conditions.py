"""Conditions of alarms, such as ``/Equipment/HV/Variables/Current[*] > 3``.

Source: MIDAS ``src/alarm.cxx``, ``al_evaluate_condition`` (develop, December 2022).
"""

import operator
import re
import time
from collections.abc import Callable
from typing import Any, Final

from experiment.constants import STATE_RUNNING
from rawdata.tid import Tid
from sim.experiment.odb import Odb

_CONDITION: Final = re.compile(
    r"^\s*(?:(?P<function>access|access_running)\()?(?P<path>[^<>=!&]+?)"
    r"(?:\[(?P<index>\*|\d+(?:-\d+)?)\])?(?P<close>\))?\s*"
    r"(?P<operator><=|>=|==|!=|<|>|=|&)\s*(?P<value>.*?)\s*$",
    re.IGNORECASE,
)
_OPERATORS: Final[dict[str, Callable[[float, float], bool]]] = {
    "=": operator.eq,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
    "&": lambda a, b: bool(int(a) & int(b)),
}
_TRUE: Final = ("y", "Y", "1", "t", "T")


def evaluate(odb: Odb, condition: str) -> tuple[bool, str]:
    """Tell whether a condition holds, and the value for which it was decided.

    Besides values, ``access(/path) > 60`` compares the seconds since a key was written, and
    ``access_running(/path)`` does so only during a run. ``[*]`` and ``[1-3]`` mean: any of these.

    :raises ValueError: if it is no condition.
    :raises KeyError: if the key is not in the ODB.
    """
    match = _CONDITION.match(condition)
    if match is None:
        raise ValueError(f"{condition!r} is no condition; an example: /Path/To/Value > 3")
    key, _ = odb.tree.find(match["path"].strip())
    compare = _OPERATORS[match["operator"]]
    is_bool = key.tid is Tid.BOOL
    limit = float(match["value"][:1] in _TRUE) if is_bool else _number(match["value"])
    shown = ""
    indices = _indices(match["index"], len(key.values))
    for index in indices:
        if match["function"]:
            value: Any = _age_s(odb, key.last_written, match["function"].lower())
        else:
            value = key.values[index]
        shown = f"[{index}] {_text(value)}" if len(indices) > 1 else _text(value)
        if compare(_number(value), limit):
            return True, shown
    return False, shown


def _indices(index: str | None, count: int) -> list[int]:
    if index is None:
        return [0]
    if index == "*":
        return list(range(count))
    first, _, last = index.partition("-")
    wanted = range(int(first), int(last or first) + 1)
    return [i for i in wanted if i < count]


def _age_s(odb: Odb, last_written: int, function: str) -> int:
    if function == "access_running" and odb.get("/Runinfo/State") != STATE_RUNNING:
        return 0
    return int(time.time()) - last_written


def _number(value: Any) -> float:
    """Return a number as C's atof does: 0 for a text that is none."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return 0.0


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "y" if value else "n"
    return f"{value:g}" if isinstance(value, float) else str(value)
