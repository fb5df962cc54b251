"""Conditions of alarms."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from experiment.constants import STATE_RUNNING
from experiment.standalone.content import encode
from sim.experiment.conditions import evaluate
from sim.experiment.odb import Odb
from sim.experiment.store import Store
from sim.experiment.tree import Tree


@pytest.fixture
def odb(tmp_path: Path) -> Iterator[Odb]:
    store = Store(tmp_path / "odb.sqlite")
    odb = Odb(Tree(store))
    content = {
        "value": 3.5,
        "Number of errors": 5,
        "flag": True,
        "text": "on",
        "list": [1, 5, 9],
    }
    odb.set("/Test", encode(content))
    odb.set("/Runinfo/State", encode(1))
    yield odb
    store.close()


@pytest.mark.parametrize(
    ("condition", "holds", "value"),
    [
        ("/Test/value > 3", True, "3.5"),
        ("/Test/value>3.5", False, "3.5"),
        ("/Test/value >= 3.5", True, "3.5"),
        ("/test/VALUE < 4", True, "3.5"),
        ("/Test/value <= 3", False, "3.5"),
        ("/Test/value != 3", True, "3.5"),
        ("/Test/Number of errors == 5", True, "5"),
        ("/Test/Number of errors = 5", True, "5"),
        ("/Test/Number of errors & 4", True, "5"),
        ("/Test/Number of errors & 2", False, "5"),
        ("/Test/flag == y", True, "y"),
        ("/Test/flag = 0", False, "y"),
        ("/Test/list[1] > 4", True, "5"),
        ("/Test/list[*] > 8", True, "[2] 9"),
        ("/Test/list[0-1] > 8", False, "[1] 5"),
        ("/Test/list > 3", False, "1"),
    ],
)
def test_what_holds(odb: Odb, condition: str, holds: bool, value: str) -> None:
    assert evaluate(odb, condition) == (holds, value)


def test_the_age_of_a_key(odb: Odb) -> None:
    odb.tree.find("/Test/value")[0].last_written = int(time.time()) - 100
    assert evaluate(odb, "access(/Test/value) > 60")[0]
    assert not evaluate(odb, "access(/Test/value) > 200")[0]
    assert not evaluate(odb, "access_running(/Test/value) > 60")[0]
    odb.set("/Runinfo/State", encode(STATE_RUNNING))
    assert evaluate(odb, "access_running(/Test/value) > 60")[0]


@pytest.mark.parametrize("condition", ["", "/Test/value", "> 3", "nonsense"])
def test_what_is_no_condition(odb: Odb, condition: str) -> None:
    with pytest.raises(ValueError, match="an example"):
        evaluate(odb, condition)


def test_a_key_that_is_not_there(odb: Odb) -> None:
    with pytest.raises(KeyError):
        evaluate(odb, "/Test/no > 3")
