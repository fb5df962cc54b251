"""The ODB against a plain dict, through random changes, restarts and a full disk."""

import contextlib
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from experiment.errors import MidasError
from experiment.standalone.content import encode
from rawdata.tid import Tid
from sim.errors import SimulationError
from sim.experiment.odb import Odb
from sim.experiment.store import Store
from sim.experiment.tree import Tree

DIRECTORIES = st.sampled_from(["", "/d1", "/d2", "/d1/D3"])
NUMBERS = st.integers(-(2**31), 2**31 - 1)
TEXTS = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0"), max_size=60)
KINDS: dict[str, st.SearchStrategy[Any]] = {
    "n": NUMBERS,
    "f": st.floats(allow_nan=False),
    "t": TEXTS,
    "b": st.booleans(),
    "l": st.lists(NUMBERS, min_size=2, max_size=5),
    "s": st.lists(TEXTS, min_size=2, max_size=3),
}
NAMES = st.sampled_from([kind + number for kind in KINDS for number in "12"])


@st.composite
def values(draw: st.DrawFn) -> tuple[str, Any]:
    """Return a name and a value of the type that this name always has."""
    name = draw(NAMES)
    return name, draw(KINDS[name[0]])


def cut(value: Any) -> Any:
    """Return what the ODB keeps of a value: texts of 255 bytes."""
    if isinstance(value, list):
        return [cut(item) for item in value]
    if isinstance(value, str):
        return value.encode()[:255].decode(errors="ignore")
    return value


class OdbAgainstDict(RuleBasedStateMachine):
    """Every change is done to both; a dict is what the ODB must look like, order included."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.model: dict[str, Any] = {}
        self.open()

    def open(self) -> None:
        self.store = Store(Path(self.folder.name, "odb.sqlite"))
        self.odb = Odb(Tree(self.store))

    def teardown(self) -> None:
        self.store.close()
        self.folder.cleanup()

    def place(self, directory: str) -> dict[str, Any]:
        """Return the model of a directory, made where it is not."""
        inside = self.model
        for name in filter(None, directory.split("/")):
            inside = inside.setdefault(name, {})
        return inside

    @rule(directory=DIRECTORIES, named=values())
    def set_value(self, directory: str, named: tuple[str, Any]) -> None:
        name, value = named
        self.odb.set(f"{directory}/{name.upper()}", encode(value))
        inside = self.place(directory)
        inside[next((n for n in inside if n.lower() == name), name.upper())] = cut(value)
        self.odb.tree.commit()

    @rule(directory=DIRECTORIES.filter(bool), named=st.lists(values(), max_size=3))
    def set_directory(self, directory: str, named: list[tuple[str, Any]]) -> None:
        content = dict(named)
        self.odb.set(directory, encode(content))
        inside = self.place(directory)
        for name in [n for n in inside if n not in content]:
            del inside[name]
        inside.update({name: cut(value) for name, value in content.items()})
        self.odb.tree.commit()

    @rule(directory=DIRECTORIES, index=st.integers(0, 6), number=NUMBERS)
    def set_element(self, directory: str, index: int, number: int) -> None:
        inside = self.place(directory)
        name = next((n for n in inside if n.lower() == "l1"), None)
        if name is None:
            self.odb.set(f"{directory}/l1", encode([0, 0]))
            inside[name := "l1"] = [0, 0]
        self.odb.set(f"{directory}/l1[{index}]", encode(number))
        array = inside[name]
        array.extend([0] * (index + 1 - len(array)))
        array[index] = number
        self.odb.tree.commit()

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.model)))
        self.odb.delete(f"/{name}")
        del self.model[name]
        self.odb.tree.commit()

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def rename(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.model)))
        self.odb.rename(f"/{name}", name.swapcase())
        self.model = {name.swapcase() if n == name else n: v for n, v in self.model.items()}
        self.odb.rename(f"/{name}", name)
        self.model = {name if n == name.swapcase() else n: v for n, v in self.model.items()}
        self.odb.tree.commit()

    @rule(named=values())
    def fail_half_way(self, named: tuple[str, Any]) -> None:
        name, value = named
        with contextlib.suppress(TypeError):
            self.odb.set("/d9", encode({name: value, "bad": 1}))
            self.odb.set("/d9/bad", encode({}))
        self.odb.tree.rollback()

    @rule()
    def restart(self) -> None:
        self.store.close()
        self.open()

    @invariant()
    def is_what_the_model_says(self) -> None:
        got = self.odb.get("/")
        assert got == self.model
        assert order_of(got) == order_of(self.model)


def order_of(directory: dict[str, Any]) -> list[Any]:
    return [(n, order_of(v) if isinstance(v, dict) else None) for n, v in directory.items()]


OdbAgainstDict.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
TestOdbAgainstDict = OdbAgainstDict.TestCase


def test_on_a_full_disk_the_odb_goes_on_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "odb.sqlite"
    with Store(path) as store:
        odb = Odb(Tree(store))
        odb.set("/kept", encode({"number": 1, "text": "as it was"}))
        odb.tree.commit()
        pages = store._database.execute("PRAGMA page_count").fetchone()[0]
        store._database.execute(f"PRAGMA max_page_count={pages}")
        odb.set("/kept/number", encode(2))
        for number in range(200):
            odb.set(f"/many/texts {number}", encode("x" * 255))
        assert len(odb.tree.commit()) == 201
        assert "full" in odb.tree.trouble
        assert odb.get("/kept/number") == 2
        with Store(path) as reader:
            assert Odb(Tree(reader)).get("/") == {"kept": {"number": 1, "text": "as it was"}}
        # A call that fails now takes back its own changes only.
        odb.set("/kept/number", encode(3))
        odb.delete("/many/texts 7")
        odb.tree.rollback()
        assert odb.get("/kept/number") == 2
        assert len(odb.get("/many")) == 200
        store._database.execute("PRAGMA max_page_count=1000000")
        odb.delete("/many/texts 8")
        odb.tree.commit()
        assert odb.tree.trouble == ""
        whole = odb.get("/")
    with Store(path) as store:
        assert Odb(Tree(store)).get("/") == whole
        assert len(whole["many"]) == 199


def test_order_and_protection_are_kept(tmp_path: Path) -> None:
    with Store(tmp_path / "odb.sqlite") as store:
        odb = Odb(Tree(store))
        odb.set("/test", encode({"a": 1, "b": 2, "c": 3}))
        odb.reorder("/test/c", 0)
        odb.write("/own", Tid.STRING, "text", 32)
        odb.tree.protect(odb.tree.find("/own")[0], 1)
        odb.tree.commit()
    with Store(tmp_path / "odb.sqlite") as store:
        odb = Odb(Tree(store))
        assert list(odb.get("/test")) == ["c", "a", "b"]
        with pytest.raises(MidasError):
            odb.set("/own", encode("other"))


def test_a_rename_to_a_name_that_is_taken(tmp_path: Path) -> None:
    with Store(tmp_path / "odb.sqlite") as store:
        odb = Odb(Tree(store))
        odb.set("/test", encode({"a": 1, "b": 2}))
        with pytest.raises(MidasError, match="already"):
            odb.rename("/test/a", "B")


def test_a_file_that_is_no_odb(tmp_path: Path) -> None:
    (tmp_path / "odb.sqlite").write_text("not a database, but long enough to be read as one" * 99)
    with pytest.raises(SimulationError, match="cannot be opened"):
        Store(tmp_path / "odb.sqlite")


def test_a_circle_of_links(tmp_path: Path) -> None:
    with Store(tmp_path / "odb.sqlite") as store:
        odb = Odb(Tree(store))
        odb.set("/test/a", encode(1))
        odb.link("/test/b", "/test/a")
        odb.delete("/test/a")
        odb.write("/test/a", Tid.LINK, "/test/b")
        with pytest.raises(MidasError, match="circle"):
            odb.get("/test/b")
