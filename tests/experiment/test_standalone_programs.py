"""Programs of the standalone experiment that are killed, stopped, or just end."""

import signal
import subprocess
import sys

import pytest

from experiment.constants import (
    STATE_RUNNING,
    STATE_STOPPED,
    TR_START,
    TR_STOP,
)
from experiment.errors import (
    TransitionDeferredError,
    TransitionFailedError,
)
from experiment.standalone.client import StandaloneClient
from tests.conftest import suspend, wait_until
from tests.experiment.worlds import StandaloneWorld, program_names


# a killed program ------------------------------------------------------------------------------
def test_a_killed_program_is_removed(standalone: StandaloneWorld) -> None:
    client, doomed = standalone.peer("client"), standalone.fresh("doomed")
    client.odb_set("/test/value", 1)
    doomed.watch("/test/value")
    doomed.process.kill()  # not waited for: a zombie, too, is dead
    wait_until(lambda: program_names(client) == {"client"}, 5)
    doomed.process.wait()
    assert "Client 'doomed' removed because process pid" in standalone.messages
    client.odb_delete("/test/value")  # nobody watches it any more


def test_a_stopped_program_is_not_waited_for_endlessly(standalone: StandaloneWorld) -> None:
    client, stopped = standalone.peer("client"), standalone.fresh("stopped")
    stopped.on_transition(TR_START, 300)
    client.odb_set("/Experiment/Transition connect timeout", 1000)
    suspend(stopped.process.pid)
    try:
        with pytest.raises(TransitionFailedError, match="stopped did not communicate within 1 s"):
            client.start_run()
    finally:
        stopped.process.send_signal(signal.SIGCONT)
    assert program_names(client) == {"client"}
    client.start_run()
    assert client.odb_get("/Runinfo/State") == STATE_RUNNING


def test_who_starts_a_run_may_die(standalone: StandaloneWorld) -> None:
    starter, camera = standalone.fresh("starter"), standalone.peer("camera")
    camera.on_transition(TR_START, 300, works_s=0.5)
    starter.begin("start_run")
    wait_until(lambda: standalone.is_in_transition())
    starter.kill()
    wait_until(lambda: camera.odb_get("/Runinfo/State") == STATE_RUNNING)


def test_who_holds_a_stop_back_may_die(standalone: StandaloneWorld) -> None:
    client, holder = standalone.peer("client"), standalone.fresh("holder")
    holder.hold_back(TR_STOP, 1_000_000)
    client.start_run()
    with pytest.raises(TransitionDeferredError):
        client.stop_run()
    holder.kill()
    wait_until(lambda: program_names(client) == {"client"})
    client.stop_run()
    assert client.odb_get("/Runinfo/State") == STATE_STOPPED


FORGETFUL = """
import sys
from experiment.standalone.client import StandaloneClient

client = StandaloneClient("forgetful", sys.argv[1])
client.open_event_buffer("SYSTEM")
raise SystemExit(0)
"""


def test_a_program_that_just_ends_says_good_bye(standalone: StandaloneWorld) -> None:
    command = [sys.executable, "-c", FORGETFUL, str(standalone.folder)]
    assert subprocess.run(command, timeout=30, check=False).returncode == 0
    assert "Program forgetful on host localhost stopped" in standalone.messages


def test_a_client_that_nobody_needs_any_more_leaves(standalone: StandaloneWorld) -> None:
    forgotten = StandaloneClient("forgotten", standalone.folder)
    forgotten.odb_watch("/Runinfo", print)
    del forgotten
    assert "Program forgotten on host localhost stopped" in standalone.messages


FORK = """
import os, sys
from experiment.standalone.client import StandaloneClient

with StandaloneClient("parent", sys.argv[1]) as client:
    child = os.fork()
    if child == 0:
        client.disconnect()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert client.client_exists("parent")
"""


def test_a_forked_child_does_not_take_its_parent_along(standalone: StandaloneWorld) -> None:
    command = [sys.executable, "-c", FORK, str(standalone.folder)]
    assert subprocess.run(command, timeout=30, check=False).returncode == 0


def test_programs_killed_again_and_again(standalone: StandaloneWorld) -> None:
    client = standalone.peer("client")
    for _ in range(3):
        victims = [standalone.fresh(f"victim {n}") for n in range(2)]
        victims[0].on_transition(TR_START, 300)
        victims[1].on_transition(TR_STOP, 300, dies=True)
        client.start_run()
        victims[0].kill()
        client.stop_run()
        assert client.odb_get("/Runinfo/State") == STATE_STOPPED
        for victim in victims:
            victim.process.wait(10)
    wait_until(lambda: program_names(client) == {"client"}, 5)
