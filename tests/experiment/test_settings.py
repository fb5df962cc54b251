"""Settings models <-> ODB: the tree, the refusals, the tables."""

import copy
from typing import Annotated, Any, ClassVar, Literal, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from experiment.client import Client
from experiment.errors import SettingsError
from experiment.settings import (
    Settings,
    declare,
    describe,
    load,
    refusal,
    setting,
    to_odb,
    unknown_keys,
)


class Source(Settings):
    position: float = setting(0.0, "source_position", "Position of the source.", unit="cm")


class Oven(Settings):
    odb_path: ClassVar[str] = "/Equipment/Oven/Settings"
    temperature: float = setting(
        180.0, "Temperature", "How hot.", unit="deg C", ge=20, le=300, effect="live"
    )
    mode: Literal[0, 3] = setting(0, "Mode", "Grill or bake.")
    kind: Literal["gas", "wood"] = setting("gas", "Kind", "What burns.")
    is_on: bool = setting(False, "On", "Whether it burns.")
    trays: tuple[Annotated[int, Field(ge=1, le=9)], ...] = setting(
        (1, 2), "Trays", "Sizes of the trays.", min_length=1
    )
    source: Source = Source()


class Odb:
    """As much of an ODB as settings need: a tree of plain values, where [x] reads back as x."""

    def __init__(self, **tree: Any) -> None:
        self.tree = tree
        self.written: list[str] = []

    def _find(self, path: str) -> Any:
        here: Any = self.tree
        for part in path.strip("/").split("/"):
            here = here[part]
        return here

    def odb_exists(self, path: str) -> bool:
        try:
            self._find(path)
        except KeyError:
            return False
        return True

    def odb_get(self, path: str) -> Any:
        return copy.deepcopy(self._find(path))

    def odb_set(self, path: str, value: Any) -> None:
        *parents, last = path.strip("/").split("/")
        here = self.tree
        for part in parents:
            here = here.setdefault(part, {})
        here[last] = value[0] if isinstance(value, list) and len(value) == 1 else value
        self.written.append(path)


def odb(**tree: Any) -> tuple[Odb, Client]:
    fake = Odb(**tree)
    return fake, cast(Client, fake)


def test_declared_settings_load_as_defaults() -> None:
    fake, client = odb()
    declare(client, "/Oven", Oven())
    assert load(client, "/Oven", Oven) == Oven.defaults()
    assert fake.tree["Oven"] == {
        "Temperature": 180.0,
        "Mode": 0,
        "Kind": "gas",
        "On": False,
        "Trays": [1, 2],
        "source": {"source_position": 0.0},
    }


def test_declaring_never_touches_what_is_there() -> None:
    fake, client = odb(Oven={"Temperature": 99.0, "Own": "mine", "source": {"other": 1}})
    declare(client, "/Oven", Oven())
    assert fake.tree["Oven"]["Temperature"] == 99.0
    assert fake.tree["Oven"]["Own"] == "mine"
    assert fake.tree["Oven"]["source"] == {"other": 1, "source_position": 0.0}
    fake.written.clear()
    declare(client, "/Oven", Oven())
    assert fake.written == []


@given(
    st.floats(20, 300),
    st.sampled_from([0, 3]),
    st.booleans(),
    st.lists(st.integers(1, 9), min_size=1, max_size=5),
)
def test_what_goes_to_the_odb_comes_back(
    temperature: float, mode: Literal[0, 3], is_on: bool, trays: list[int]
) -> None:
    fake, client = odb()
    oven = Oven(temperature=temperature, mode=mode, is_on=is_on, trays=tuple(trays))
    for key, value in to_odb(oven).items():
        fake.odb_set(f"/Oven/{key}", value)
    assert load(client, "/Oven", Oven) == oven


def test_a_missing_tree_is_all_defaults() -> None:
    _, client = odb()
    assert load(client, "/Oven", Oven) == Oven()


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("Temperature", 400.0, "/Oven/Temperature is 400.0; allowed: less than or equal to 300"),
        ("Temperature", float("nan"), "/Oven/Temperature is nan; allowed: a finite number"),
        ("Temperature", "hot", "/Oven/Temperature is 'hot'; allowed: a valid number"),
        ("Mode", 2, "/Oven/Mode is 2; allowed: 0 or 3"),
        ("Kind", "coal", "/Oven/Kind is 'coal'; allowed: 'gas' or 'wood'"),
        ("Trays", [1, 12], "/Oven/Trays[1] is 12; allowed: less than or equal to 9"),
        ("Trays", 12, "/Oven/Trays[0] is 12; allowed: less than or equal to 9"),
        ("source", {"source_position": "x"}, "/Oven/source/source_position is 'x'; allowed: "),
    ],
)
def test_a_refusal_names_key_value_and_allowed(key: str, value: Any, says: str) -> None:
    _, client = odb(Oven={key: value})
    with pytest.raises(SettingsError) as error:
        load(client, "/Oven", Oven)
    assert str(error.value).startswith(says)
    assert str(error.value).endswith("Set it in the ODB")


def test_all_bad_keys_are_named_at_once() -> None:
    _, client = odb(Oven={"Temperature": 1.0, "Mode": 7})
    with pytest.raises(SettingsError, match=r"Temperature is 1\.0.*; .*Mode is 7"):
        load(client, "/Oven", Oven)


def test_an_array_of_one_element_loads_though_midas_gives_a_plain_value() -> None:
    _, client = odb(Oven={"Trays": 7})
    assert load(client, "/Oven", Oven).trays == (7,)


def test_unknown_keys_are_found_also_in_subtrees() -> None:
    _, client = odb(Oven={"Temprature": 5.0, "Mode": 3, "source": {"source_positon": 1.0}})
    assert unknown_keys(client, "/Oven", Oven) == [
        "/Oven/Temprature",
        "/Oven/source/source_positon",
    ]
    assert unknown_keys(client, "/Nothing", Oven) == []


def test_a_refusal_by_hand_reads_like_the_others() -> None:
    error = refusal("/Oven", "Mode", 3, "0 while it is off")
    assert str(error) == "/Oven/Mode is 3; allowed: 0 while it is off. Set it in the ODB"


def test_the_table_has_a_row_for_each_setting() -> None:
    rows = {row["path"].rsplit("/", 1)[1]: row for row in describe(Oven)}
    assert list(rows) == ["Temperature", "Mode", "Kind", "On", "Trays", "source_position"]
    assert rows["Temperature"] == {
        "path": "/Equipment/Oven/Settings/Temperature",
        "type": "number",
        "default": 180.0,
        "unit": "deg C",
        "effect": "live",
        "allowed": "≥ 20, ≤ 300",
        "description": "How hot.",
    }
    assert (rows["Mode"]["type"], rows["Mode"]["allowed"]) == ("integer", "0 or 3")
    assert (rows["Kind"]["type"], rows["Kind"]["allowed"]) == ("string", "gas or wood")
    assert (rows["Trays"]["type"], rows["Trays"]["default"]) == ("array of integer", [1, 2])
    assert rows["Trays"]["allowed"] == "≥ 1, ≤ 9, at least 1 elements"
    assert rows["source_position"]["path"] == "/Equipment/Oven/Settings/source/source_position"


def test_settings_cannot_be_changed_once_read() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Oven().temperature = 200.0
