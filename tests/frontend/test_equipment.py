"""An equipment's tree in the ODB of a real standalone experiment."""

from collections.abc import Iterator

import pytest

from experiment.constants import EQ_PERIODIC, RO_ALWAYS
from frontend.equipment import GREEN, RED, Common, Equipment, raise_alarm
from tests.conftest import wait_until
from tests.frontend.world import World

PATH = "/Equipment/Oven"
COMMON = Common(event_id=42, kind=EQ_PERIODIC, read_on=RO_ALWAYS, period_ms=500, log_history=1)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World(tmp_path_factory.mktemp("experiment")) as world:
        yield world


def make(world: World) -> Equipment:
    return Equipment(world.client, "Oven", COMMON, {})


def test_the_tree_is_that_of_midas(world: World) -> None:
    make(world)
    tree = world.client.odb_get(f"{PATH}/Common", include_key_metadata=True)
    tree = tree.get("Common", tree)
    kinds = {key: tree[f"{key}/key"]["type"] for key in tree if f"{key}/key" in tree}
    assert kinds == {
        "Event ID": 4,
        "Trigger mask": 4,
        "Buffer": 12,
        "Type": 7,
        "Source": 7,
        "Format": 12,
        "Enabled": 8,
        "Read on": 7,
        "Period": 7,
        "Event limit": 10,
        "Num subevents": 6,
        "Log history": 7,
        "Frontend host": 12,
        "Frontend name": 12,
        "Frontend file name": 12,
        "Status": 12,
        "Status color": 12,
        "Hidden": 8,
        "Write cache size": 7,
    }
    assert tree["Status/key"]["item_size"] == 256
    assert world.get(f"{PATH}/Common/Frontend name") == world.client.name
    assert world.get(f"{PATH}/Statistics") == {
        "Events sent": 0.0,
        "Events per sec.": 0.0,
        "kBytes per sec.": 0.0,
    }


def test_the_odb_wins_once_it_is_there(world: World) -> None:
    oven = make(world)
    world.client.odb_set(f"{PATH}/Common/Period", 2000)
    world.client.odb_set(f"{PATH}/Common/Enabled", False)

    def changed() -> bool:
        world.client.communicate(1)
        return oven.period_s == 2.0 and not oven.is_enabled

    wait_until(changed, 10, "the change")
    assert make(world).period_s == 2.0


def test_a_long_status_is_cut_between_characters(world: World) -> None:
    oven = make(world)
    oven.set_status("ä" * 200, RED)
    assert world.get(f"{PATH}/Common/Status") == "ä" * 127
    assert world.get(f"{PATH}/Common/Status color") == RED
    oven.set_status("warm", GREEN)
    assert world.get(f"{PATH}/Common/Status") == "warm"


def test_variables_that_others_wrote_stay(world: World) -> None:
    oven = make(world)
    world.client.odb_set(f"{PATH}/Variables/Note", "mine")
    oven.set_variables({"Heat": [1.0, 2.0]})
    oven.set_variables({"Heat": [3.0, 4.0]})
    assert world.get(f"{PATH}/Variables") == {"Note": "mine", "Heat": [3.0, 4.0]}


def test_alarms_fit_into_midas(world: World) -> None:
    raise_alarm(world.client, "a/b" + "c" * 40, "x" * 200)
    (name, text) = next(iter(world.client.get_triggered_alarms().items()))
    assert (len(name), "/" in name, len(text)) == (31, False, 79)
