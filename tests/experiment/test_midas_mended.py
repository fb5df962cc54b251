"""What MIDAS's own Python client breaks and our adapter mends; the same in both worlds."""

import subprocess
import sys
from pathlib import Path

import pytest

from experiment.constants import STATUS, TR_START
from experiment.errors import MidasError, TransitionFailedError
from tests.conftest import wait_until
from tests.experiment.peer import Peer, without_midas
from tests.experiment.worlds import World

REASON = "Spannung 380 V; erlaubt: ≤ 350 V"


@pytest.mark.parametrize("raises", [False, True])
def test_a_reason_need_not_be_ascii(client: Peer, other: Peer, raises: bool) -> None:
    other.on_transition(TR_START, 400, (603, REASON), raises=REASON if raises else "")
    with pytest.raises(TransitionFailedError, match=REASON):
        client.start_run()
    assert client.odb_get("/System/Transition/error").endswith(REASON)


def test_a_long_reason_is_cut_between_characters(client: Peer, other: Peer) -> None:
    other.on_transition(TR_START, 400, (603, "≥" * 200))
    with pytest.raises(TransitionFailedError, match="≥" * 80) as caught:
        client.start_run()
    assert set(caught.value.message.rpartition(" ")[2]) == {"≥"}


@pytest.mark.parametrize("reply", ["x", "µ", "20 °C ≥ 10 °C"])
def test_short_and_foreign_answers_arrive_whole(client: Peer, other: Peer, reply: str) -> None:
    other.on_call(reply="another answer")
    client.connection_call("beta", "first", "")
    other.on_call(reply=reply)
    assert client.connection_call("beta", "second", "") == reply


def test_an_answer_is_cut_between_characters(client: Peer, other: Peer) -> None:
    other.on_call(reply="≥" * 100)
    assert client.connection_call("beta", "any", "", 32) == "≥" * 10


@pytest.mark.parametrize("text", ["100% of %s and %n", "≥" * 400])
def test_messages_are_no_formats_and_may_be_long(client: Peer, text: str) -> None:
    client.msg(text)
    wait_until(lambda: text[:250] in client.get_recent_messages(1)[0], what="the message")


def test_texts_of_a_list_need_not_be_ascii(client: Peer) -> None:
    client.odb_set("/test/units", ["°C", "µs", "V"])
    assert client.odb_get("/test/units") == ["°C", "µs", "V"]
    client.odb_set("/test/units[2]", "°C per hour")
    assert client.odb_get("/test/units") == ["°C", "µs", "°C per hour"]


@pytest.mark.parametrize("value", [2**31, [1, 2**31], -(2**40)])
def test_integers_do_not_wrap_around(client: Peer, value: int | list[int]) -> None:
    with pytest.raises(ValueError, match=r"2147483648|1099511627776"):
        client.odb_set("/test/bytes", value)


def test_a_second_watch_replaces_the_first(client: Peer, other: Peer) -> None:
    client.odb_set("/test/value", 1)
    client.watch("/test/value")
    client.watch("/test/value")
    other.odb_set("/test/value", 2)
    wait_until(lambda: client.heard("watch"), what="the news")
    client.odb_get("/test/value")
    assert client.heard("watch") == [("/test/value", 2)]


def test_an_event_whose_header_lies_is_not_sent(client: Peer) -> None:
    handle = client.open_event_buffer("SYSTEM")
    with pytest.raises(MidasError) as caught:
        client.send_cut(handle)
    assert caught.value.code == STATUS["BM_INVALID_SIZE"]


def test_no_facility_no_messages(client: Peer) -> None:
    assert client.get_recent_messages(5, None, "nobody_wrote_here") == []


def test_a_run_number_below_one_is_refused(client: Peer) -> None:
    with pytest.raises(TransitionFailedError) as caught:
        client.start_run(-5)
    assert caught.value.code == STATUS["CM_INVALID_TRANSITION"]
    assert client.lives


TWICE = """
import sys
from experiment.connect import connect
for value in (1, 2):
    client, news = connect("gamma", sys.argv[1]), []
    client.register_transition_callback(1, 400, lambda client, run: news.append(run))
    client.odb_set("/test/value", 0)
    client.odb_watch("/test/value", lambda client, path, value: news.append(value))
    client.odb_set("/test/value", value)
    while not news:
        client.communicate(10)
    assert news == [value], news
    client.disconnect()
"""


def test_a_program_may_leave_and_come_again(world: World) -> None:
    done = subprocess.run(
        [sys.executable, "-c", TWICE, world.experiment],
        env={**without_midas(), **world.environment},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
