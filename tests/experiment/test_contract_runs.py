"""Run control, the same in a real MIDAS and in the standalone experiment."""

import datetime
import time
from collections.abc import Callable

import pytest

from experiment.constants import (
    STATE_PAUSED,
    STATE_RUNNING,
    STATE_STOPPED,
    STATUS,
    TR_PAUSE,
    TR_RESUME,
    TR_START,
    TR_STARTABORT,
    TR_STOP,
)
from experiment.errors import MidasError, TransitionDeferredError, TransitionFailedError
from tests.conftest import wait_until
from tests.experiment.peer import Peer
from tests.experiment.worlds import World


def state(client: Peer) -> int:
    return int(client.odb_get("/Runinfo/State"))


def run_number(client: Peer) -> int:
    return int(client.odb_get("/Runinfo/Run number"))


def order_of(*peers: Peer) -> list[tuple[int, int]]:
    """Return (transition, sequence) of all callbacks of all peers, in the order of time."""
    seen = [event for peer in peers for event in peer.heard() if event[0] == "transition"]
    return [(e[2], e[3]) for e in sorted(seen, key=lambda event: event[1])]


def test_a_run(client: Peer) -> None:
    last = run_number(client)
    client.start_run()
    assert (state(client), run_number(client)) == (STATE_RUNNING, last + 1)
    assert client.odb_get("/Runinfo/Transition in progress") == 0
    started = client.odb_get("/Runinfo/Start time binary")
    assert abs(started - time.time()) < 60
    assert datetime.datetime.strptime(client.odb_get("/Runinfo/Start time"), "%c")
    assert client.odb_get("/Runinfo/Stop time binary") == 0
    client.stop_run()
    assert (state(client), run_number(client)) == (STATE_STOPPED, last + 1)
    assert client.odb_get("/Runinfo/Stop time binary") >= started
    assert client.odb_get("/System/Transition/error") == "Success"


def test_a_run_number_of_choice(client: Peer) -> None:
    number = run_number(client) + 100
    client.start_run(number)
    assert run_number(client) == number
    client.stop_run()
    client.start_run()
    assert run_number(client) == number + 1


def test_the_log_tells_of_runs(client: Peer) -> None:
    client.start_run()
    client.stop_run()
    number = run_number(client)
    wait_until(
        lambda: sum(f"Run #{number} st" in m for m in client.get_recent_messages(10)) == 2,
        what="started and stopped in the message log",
    )


def test_callbacks_run_in_the_order_of_their_numbers(client: Peer, other: Peer) -> None:
    client.on_transition(TR_START, 300)
    client.on_transition(TR_START, 700)
    other.on_transition(TR_START, 500)
    other.on_transition(TR_STOP, 200)
    client.on_transition(TR_STOP, 800)
    client.start_run()
    assert order_of(client, other) == [(TR_START, 300), (TR_START, 500), (TR_START, 700)]
    assert client.heard("transition")[0] == (TR_START, 300, run_number(client))
    other.stop_run()
    assert order_of(client, other)[3:] == [(TR_STOP, 200), (TR_STOP, 800)]


def test_the_order_can_be_changed(client: Peer, other: Peer) -> None:
    client.on_transition(TR_START, 300)
    other.on_transition(TR_START, 500)
    client.set_transition_sequence(TR_START, 600)
    other.start_run()
    assert [peer for _, peer in order_of(client, other)] == [500, 300]
    assert client.odb_get(f"/System/Clients/{client.pid}/Transition START") == 600


def test_the_order_of_what_is_not_registered(client: Peer) -> None:
    with pytest.raises(MidasError) as caught:
        client.set_transition_sequence(TR_START, 600)
    assert caught.value.code == STATUS["CM_INVALID_TRANSITION"]


def test_one_number_cannot_be_registered_twice(client: Peer) -> None:
    client.on_transition(TR_START, 300)
    with pytest.raises(MidasError) as caught:
        client.on_transition(TR_START, 300)
    assert caught.value.code == STATUS["CM_INVALID_TRANSITION"]


def test_what_is_deregistered_is_not_called(client: Peer, other: Peer) -> None:
    client.on_transition(TR_START, 300)
    client.deregister_transition_callback(TR_START)
    other.start_run()
    assert client.heard("transition") == []


def test_a_refused_start(client: Peer, other: Peer) -> None:
    number = run_number(client)
    client.on_transition(TR_START, 300)
    client.on_transition(TR_STARTABORT, 500)
    other.on_transition(TR_START, 400, result=(605, "the camera is not there"))
    other.on_transition(TR_STARTABORT, 400)
    client.on_transition(TR_START, 500)
    with pytest.raises(TransitionFailedError, match=r"beta.*the camera is not there") as caught:
        client.start_run()
    assert caught.value.code == 605
    assert state(client) == STATE_STOPPED
    assert client.odb_get("/Runinfo/Transition in progress") == 0
    assert order_of(client, other) == [
        (TR_START, 300),
        (TR_START, 400),
        (TR_STARTABORT, 400),
        (TR_STARTABORT, 500),
    ]
    assert run_number(client) == number + 1
    other.deregister_transition_callback(TR_START)
    client.start_run()
    assert (state(client), run_number(client)) == (STATE_RUNNING, number + 2)


def test_who_starts_may_refuse_itself(client: Peer) -> None:
    client.on_transition(TR_START, 300, result=(999, "I had rather not"))
    with pytest.raises(TransitionFailedError, match="I had rather not"):
        client.start_run()
    assert state(client) == STATE_STOPPED


def test_an_error_in_a_callback_refuses(client: Peer, other: Peer) -> None:
    other.on_transition(TR_START, 300, raises="no such register")
    with pytest.raises(TransitionFailedError, match="no such register") as caught:
        client.start_run()
    assert caught.value.code == STATUS["FE_ERR_DRIVER"]


@pytest.mark.parametrize("result", [2, 605])
def test_a_bare_number_refuses(client: Peer, other: Peer, result: int) -> None:
    other.on_transition(TR_START, 300, result=result)
    with pytest.raises(TransitionFailedError) as caught:
        client.start_run()
    assert caught.value.code == result


@pytest.mark.parametrize("result", [None, 1, (1, "all is well")])
def test_what_means_success(client: Peer, other: Peer, result: object) -> None:
    other.on_transition(TR_START, 300, result=result)
    client.start_run()
    assert state(client) == STATE_RUNNING


def test_nobody_can_refuse_a_stop(client: Peer, other: Peer) -> None:
    other.on_transition(TR_STOP, 300, result=(605, "no"))
    client.on_transition(TR_STOP, 500)
    client.start_run()
    client.stop_run()
    assert state(client) == STATE_STOPPED
    assert order_of(client, other) == [(TR_STOP, 300), (TR_STOP, 500)]


def test_pause_and_resume(client: Peer, other: Peer) -> None:
    other.on_transition(TR_PAUSE, 500)
    other.on_transition(TR_RESUME, 500)
    client.start_run()
    client.pause_run()
    assert state(client) == STATE_PAUSED
    client.resume_run()
    assert state(client) == STATE_RUNNING
    client.pause_run()
    client.stop_run()
    assert state(client) == STATE_STOPPED
    assert [transition for transition, _ in order_of(other)] == [TR_PAUSE, TR_RESUME, TR_PAUSE]


def test_a_refused_pause_leaves_the_run_as_it_is(client: Peer, other: Peer) -> None:
    other.on_transition(TR_PAUSE, 500, result=(605, "not now"))
    client.start_run()
    with pytest.raises(TransitionFailedError, match="not now"):
        client.pause_run()
    assert state(client) == STATE_RUNNING


def start(client: Peer) -> None:
    client.start_run()


def pause(client: Peer) -> None:
    client.start_run()
    client.pause_run()


def nothing(client: Peer) -> None:
    pass


@pytest.mark.parametrize(
    ("before", "transition"),
    [
        (start, "start_run"),
        (pause, "start_run"),
        (nothing, "pause_run"),
        (pause, "pause_run"),
        (nothing, "resume_run"),
        (start, "resume_run"),
    ],
)
def test_what_makes_no_sense(client: Peer, before: Callable[[Peer], None], transition: str) -> None:
    before(client)
    was = state(client), run_number(client)
    with pytest.raises(TransitionFailedError) as caught:
        getattr(client, transition)()
    assert caught.value.code == STATUS["CM_INVALID_TRANSITION"]
    assert (state(client), run_number(client)) == was


def test_a_stopped_run_may_be_stopped_again(client: Peer, other: Peer) -> None:
    other.on_transition(TR_STOP, 500)
    client.stop_run()
    assert state(client) == STATE_STOPPED
    assert order_of(other) == [(TR_STOP, 500)]


def test_a_start_in_another_start(client: Peer, other: Peer, world: World) -> None:
    third = world.peer("gamma")
    other.on_transition(TR_START, 300, works_s=1.0)
    client.begin("start_run")
    wait_until(lambda: third.odb_get("/Runinfo/Transition in progress") == TR_START)
    with pytest.raises(TransitionFailedError) as caught:
        third.start_run()
    assert caught.value.code == STATUS["CM_TRANSITION_IN_PROGRESS"]
    client.result()
    assert state(client) == STATE_RUNNING


def test_asynchronous_start_and_stop(client: Peer, other: Peer) -> None:
    client.on_transition(TR_START, 300)
    other.on_transition(TR_START, 500)
    client.start_run(async_flag=True)
    wait_until(lambda: state(client) == STATE_RUNNING, 30)
    client.stop_run(async_flag=True)
    wait_until(lambda: state(client) == STATE_STOPPED, 30)
    assert order_of(client, other) == [(TR_START, 300), (TR_START, 500)]


def test_a_deferred_stop(client: Peer, world: World) -> None:
    holder = world.fresh("holder")
    holder.hold_back(TR_STOP, 5)
    holder.on_transition(TR_STOP, 500)
    client.start_run()
    number = run_number(client)
    with pytest.raises(TransitionDeferredError, match="holder") as caught:
        client.stop_run()
    assert caught.value.code == STATUS["CM_DEFERRED_TRANSITION"]
    wait_until(lambda: state(client) == STATE_STOPPED, what="the deferred stop")
    assert holder.heard("deferred") == [(number,)] * 5
    assert order_of(holder) == [(TR_STOP, 500)]
    assert client.odb_get("/Runinfo/Requested transition") == 0


def test_a_deferred_start(client: Peer, world: World) -> None:
    holder = world.fresh("holder")
    holder.hold_back(TR_START, 3)
    number = run_number(client)
    with pytest.raises(TransitionDeferredError):
        client.start_run()
    wait_until(lambda: state(client) == STATE_RUNNING, what="the deferred start")
    assert run_number(client) > number  # MIDAS counts the attempt that was deferred, too


def test_one_deferred_transition_at_a_time(client: Peer, world: World) -> None:
    holder = world.fresh("holder")
    holder.hold_back(TR_STOP, 1_000_000)
    client.start_run()
    with pytest.raises(TransitionDeferredError):
        client.stop_run()
    with pytest.raises(TransitionFailedError) as caught:
        client.stop_run()
    assert caught.value.code == STATUS["CM_TRANSITION_IN_PROGRESS"]
    assert state(client) == STATE_RUNNING


def test_a_program_that_was_killed_does_not_block(client: Peer, world: World) -> None:
    doomed = world.fresh("doomed")
    doomed.on_transition(TR_START, 300)
    doomed.kill()
    client.start_run()
    assert state(client) == STATE_RUNNING
    names = [entry["Name"] for entry in client.odb_get("/System/Clients").values()]
    assert "doomed" not in names


def test_a_program_that_dies_in_a_start(client: Peer, world: World) -> None:
    doomed = world.fresh("doomed")
    doomed.on_transition(TR_START, 300, dies=True)
    client.on_transition(TR_STARTABORT, 500)
    with pytest.raises(TransitionFailedError, match="doomed"):
        client.start_run()
    assert state(client) == STATE_STOPPED
    assert order_of(client) == [(TR_STARTABORT, 500)]
    client.start_run()
    assert state(client) == STATE_RUNNING


def test_a_program_that_dies_in_a_stop(client: Peer, world: World) -> None:
    doomed = world.fresh("doomed")
    doomed.on_transition(TR_STOP, 300, dies=True)
    client.on_transition(TR_STOP, 500)
    client.start_run()
    client.stop_run()
    assert state(client) == STATE_STOPPED
    assert order_of(client) == [(TR_STOP, 500)]


def test_a_program_that_takes_too_long(client: Peer, world: World) -> None:
    client.odb_set("/Experiment/Transition timeout", 1000)
    slow = world.fresh("slow")
    slow.on_transition(TR_START, 300, works_s=4)
    with pytest.raises(TransitionFailedError, match="slow"):
        client.start_run()
    client.odb_set("/Experiment/Transition timeout", 120_000)
    assert state(client) == STATE_STOPPED
    names = [entry["Name"] for entry in client.odb_get("/System/Clients").values()]
    assert "slow" not in names


def test_no_start_with_alarms(client: Peer) -> None:
    client.odb_set("/Experiment/Prevent start on alarms", True)
    client.create_alarm_class("Test class")
    client.trigger_internal_alarm("Test gas", "no gas", "Test class")
    try:
        with pytest.raises(TransitionFailedError, match="alarms"):
            client.start_run()
        assert state(client) == STATE_STOPPED
    finally:
        client.odb_set("/Experiment/Prevent start on alarms", False)
        client.reset_alarm("Test gas")


def test_no_start_without_required_programs(client: Peer) -> None:
    client.odb_set("/Experiment/Prevent start on required progs", True)
    client.odb_set("/Programs/Missing/Required", True)
    try:
        with pytest.raises(TransitionFailedError, match="Missing"):
            client.start_run()
    finally:
        client.odb_set("/Experiment/Prevent start on required progs", False)
        client.odb_delete("/Programs/Missing")
    assert state(client) == STATE_STOPPED
