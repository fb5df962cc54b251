"""Links and watches of the ODB, the same in a real MIDAS and in the standalone experiment."""

import pytest

from experiment.errors import MidasError
from rawdata.tid import Tid
from tests.conftest import wait_until
from tests.experiment.peer import Peer


# links -----------------------------------------------------------------------------------------
def test_links(client: Peer) -> None:
    client.odb_set("/test", {"array": [1, 2, 3], "directory": {"deep": 1}, "text": "t"})
    client.odb_link("/test/link", "/test/array")
    client.odb_link("/test/to directory", "/test/directory")
    assert client.odb_get("/test/link") == [1, 2, 3]
    assert client.odb_get("/test/link[1]") == 2
    assert client.odb_get("/test/to directory/deep") == 1
    assert client.odb_get_link_destination("/test/link") == "/test/array"
    client.odb_set("/test/link", [4, 5])
    assert client.odb_get("/test/array") == [4, 5]
    client.odb_set("/test/to directory/new", 2)
    assert client.odb_get("/test/directory") == {"deep": 1, "new": 2}
    # A dump shows where links point, a listing what is there.
    assert client.odb_get("/test")["link"] == "/test/array"
    assert client.odb_get("/test", recurse_dir=False)["link"] == [4, 5]
    shown = client.odb_get("/test", include_key_metadata=True)["test"]["link/key"]
    assert (shown["type"], shown["link"]) == (Tid.LINK, "/test/array")


def test_links_can_be_changed_and_deleted(client: Peer) -> None:
    client.odb_set("/test", {"a": 1, "b": 2})
    client.odb_link("/test/link", "/test/a")
    client.odb_link("/test/link", "/test/b")
    assert client.odb_get("/test/link") == 2
    client.odb_delete("/test/link")
    assert client.odb_get("/test") == {"a": 1, "b": 2}
    client.odb_link("/test/link", "/test/b")
    client.odb_delete("/test/link", follow_links=True)
    assert list(client.odb_get("/test")) == ["a", "link"]


def test_links_that_cannot_be(client: Peer) -> None:
    client.odb_set("/test", {"a": 1, "b": 2})
    with pytest.raises(KeyError):
        client.odb_link("/test/link", "/test/no")
    with pytest.raises(ValueError, match="isn't a link"):
        client.odb_link("/test/a", "/test/b")
    with pytest.raises(TypeError):
        client.odb_get_link_destination("/test/a")


def test_links_to_nothing(client: Peer) -> None:
    client.odb_set("/test/a", 1)
    client.odb_link("/test/link", "/test/a")
    client.odb_delete("/test/a")
    assert client.odb_get("/test") == {"link": "/test/a"}
    for ask in (client.odb_get, client.odb_exists):
        with pytest.raises(MidasError) as caught:
            ask("/test/link")
        assert caught.value.code == 322  # DB_INVALID_LINK


def test_links_to_elements(client: Peer) -> None:
    client.odb_set("/test/array", [1, 2, 3])
    client.odb_link("/test/link", "/test/array[1]")
    assert client.odb_get("/test")["link"] == 2
    assert client.odb_get("/test", recurse_dir=False)["link"] == 2


# watches ---------------------------------------------------------------------------------------
def test_watch_a_value_that_another_changes(client: Peer, other: Peer) -> None:
    client.odb_set("/test/value", 1.5)
    client.watch("/test/value")
    other.odb_set("/test/value", 3.5)
    wait_until(lambda: client.heard("watch") == [("/test/value", 3.5)])


def test_watch_a_value_that_we_change(client: Peer) -> None:
    client.odb_set("/test/value", 1)
    client.watch("/test/value/")
    client.odb_set("/test/value", 2)
    wait_until(lambda: ("/test/value", 2) in client.heard("watch"))


def test_watch_a_directory(client: Peer, other: Peer) -> None:
    client.odb_set("/test", {"a": 1, "below": {"b": 2}})
    client.watch("/test")
    other.odb_set("/test/below/b", 3)
    wait_until(lambda: ("/test", {"a": 1, "below": {"b": 3}}) in client.heard("watch"))


def test_watch_what_changed_only(client: Peer, other: Peer) -> None:
    client.odb_set("/test", {"a": 1, "below": {"list": [1, 2, 3]}})
    client.watch("/test", True)
    other.odb_set("/test/a", 5)
    wait_until(lambda: ("/test/a", None, 5) in client.heard("watch"))
    other.odb_set("/test/below/list[1]", 22)
    wait_until(lambda: ("/test/below/list", 1, 22) in client.heard("watch"))
    other.odb_set("/test/below/list", [7, 8, 9])
    wait_until(lambda: ("/test/below/list", -1, 9) in client.heard("watch"))
    other.odb_set("/test/new", 6)
    wait_until(lambda: ("/test/new", None, 6) in client.heard("watch"))


def test_stop_watching(client: Peer, other: Peer) -> None:
    client.odb_set("/test", {"a": 1, "b": 1})
    client.watch("/test/a")
    client.watch("/test/b")
    client.odb_stop_watching("/test/a")
    other.odb_set("/test/a", 2)
    other.odb_set("/test/b", 2)
    wait_until(lambda: client.heard("watch"))
    assert client.heard("watch") == [("/test/b", 2)]


def test_what_is_watched_cannot_be_deleted(client: Peer, other: Peer) -> None:
    client.odb_set("/test/below/value", 1)
    client.watch("/test/below")
    for path in ("/test/below", "/test/below/value"):
        with pytest.raises(MidasError) as caught:
            other.odb_delete(path)
        assert caught.value.code == 320  # DB_OPEN_RECORD
    assert client.odb_get("/test/below/value") == 1


def test_a_watch_that_fails_is_told_and_forgiven(client: Peer, other: Peer) -> None:
    client.odb_set("/test/value", 1)
    client.watch("/test/value", fails=True)
    other.odb_set("/test/value", 2)
    wait_until(lambda: any("no watch" in m for m in client.get_recent_messages(20)))
    other.odb_set("/test/value", 3)
    wait_until(lambda: ("/test/value", 3) in client.heard("watch"))


def test_watch_what_is_not_there(client: Peer) -> None:
    with pytest.raises(KeyError):
        client.watch("/test/no")
